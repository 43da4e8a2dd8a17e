"""The candidates of a stack as somebody with the Docker host in his hands sees them: who writes, who was elected when;
and how one is cut off.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import docker
from docker.errors import APIError

from cluster import labels
from config.layout import WRITE_PORT
from ops.waiting import await_true

Place = Literal["Consul", "replication", "everything"]

_TAKES_WRITES = ["curl", "--silent", "--fail", "--max-time", "2", f"http://127.0.0.1:{WRITE_PORT}/healthz"]

_ELECTED = re.compile(r"^(\S+?)(\d{0,3})Z level=INFO .*: primary lease acquired", re.MULTILINE)
"""LiteFS's own word, with the time that Docker noted (in nanoseconds)."""

_IN_STEP = re.compile(r"writes are acknowledged when (\d+)|no standby is in step|(?:primary|standby): ")

# Writes from inside the node, past the ingress: it still reaches it when nobody else does. First its
# process id, then a line a write: when the answer was there (seconds since the epoch), the table, the status.
_INSIDE = f"""
import http.client, json, os, sys, time
print(os.getpid(), flush=True)
prefix, number = sys.argv[1], 0
while True:
    number += 1
    outcome = ""
    connection = http.client.HTTPConnection("127.0.0.1", {WRITE_PORT}, timeout=30)
    try:
        connection.request("POST", "/q", json.dumps({{"query": "CREATE TABLE %s_%d AS SELECT %d AS v" % (prefix, number,
            number)}}), {{"Content-Type": "application/json"}})
        answer = connection.getresponse()
        answer.read()
        outcome = str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        outcome = type(error).__name__
    connection.close()
    print(time.time(), "%s_%d" % (prefix, number), outcome, flush=True)
    time.sleep(0.1)
"""


def why_nothing_can_be_cut() -> str | None:
    """Why packets of a container cannot be dropped from here; None where they can be."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "packets can be dropped by root on Linux only"
    missing = [program for program in ("nsenter", "iptables") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} is not installed"
    if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        return "the Docker Engine is on another machine, and its containers' networks cannot be entered from here"
    return None


@dataclass
class Inside:
    """Writes that a client inside one node sends to it."""

    acknowledged: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    """When (seconds since the epoch), and which table."""


class Candidates:
    """All candidates of one stack."""

    def __init__(self, project: str, stack: str) -> None:
        self._engine: Any = docker.DockerClient.from_env()  # pyright: ignore[reportUnknownMemberType]
        self._labels = [f"{labels.PROJECT}={project}", f"{labels.STACK}={stack}"]

    def members(self, role: str = "writer") -> list[Any]:
        """The containers of a role, stopped ones too, in the order of their numbers."""
        mine = [*self._labels, f"{labels.ROLE}={role}"]
        found: list[Any] = self._engine.containers.list(all=True, filters={"label": mine}, ignore_removed=True)
        return sorted((one for one in found if labels.MEMBER in one.labels), key=lambda one: one.labels[labels.MEMBER])

    def states(self) -> dict[str, str]:
        """Name → state of the candidates' containers, all at one moment."""
        mine = [*self._labels, f"{labels.ROLE}=writer", labels.MEMBER]
        listed: list[dict[str, Any]] = self._engine.api.containers(all=True, filters={"label": mine})
        return {one["Names"][0].lstrip("/"): one["State"] for one in listed}

    def find_primary(self) -> Any | None:
        """The one that takes writes now, if there is one."""
        running = [one for one in self.members() if one.status == "running"]
        return next((one for one in running if _run(one, _TAKES_WRITES)), None)

    def primary(self, seconds: float = 60) -> Any:
        """The one that takes writes, once there is one."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [one for one in (self.find_primary(),) if one is not None]
            return bool(found)

        await_true(there, "no candidate takes writes", seconds)
        return found[0]

    def settled_primary(self, seconds: float = 60) -> Any:
        """The one that takes writes, once all others are in step: what it acknowledges then survives it."""
        found: list[Any] = []

        def settled() -> bool:
            found[:] = [self.primary(seconds)]
            return in_step(found[0]) == len(self.members()) - 1

        await_true(settled, "not every standby is in step", seconds)
        return found[0]

    def await_other_primary(self, old: Any, since: float, seconds: float = 60) -> Any:
        """The candidate that was elected in `old`'s place, after `since` (seconds since the epoch)."""
        others = [one for one in self.members() if one.id != old.id]
        await_true(lambda: any(elections(one, since) for one in others), "no other candidate is elected", seconds)
        return next(one for one in others if elections(one, since))

    @contextmanager
    def cut_off(self, node: Any, place: Place) -> Generator[None]:
        """Drop all packets between a node and Consul, the replication network, or everything, until it is left.

        Where the node's container restarts meanwhile, its network is a new one, and nothing is cut any more.
        """
        with packets_dropped(node, list(self._addresses(node, place))):
            yield

    def _addresses(self, node: Any, place: Place) -> Iterator[str]:
        servers = self.members("consul")
        networks: dict[str, Any] = servers[0].attrs["NetworkSettings"]["Networks"]
        (replication,) = networks
        if place == "everything":
            yield "0.0.0.0/0"
        elif place == "replication":
            own: dict[str, Any] = node.attrs["NetworkSettings"]["Networks"][replication]
            yield f"{own['IPAddress']}/{own['IPPrefixLen']}"
        else:
            for server in servers:
                server.reload()
                yield server.attrs["NetworkSettings"]["Networks"][replication]["IPAddress"]


@contextmanager
def packets_dropped(node: Any, addresses: Sequence[str]) -> Generator[None]:
    """Drop all packets between a node and these addresses (or networks), until it is left."""
    node.reload()
    process = str(node.attrs["State"]["Pid"])
    # (What a node sends to itself goes by `lo`, also where it is sent to an address of its own.)
    for chain, interface, end in (("OUTPUT", "-o", "-d"), ("INPUT", "-i", "-s")):
        for address in addresses:
            _iptables(process, "-I", chain, "!", interface, "lo", end, address, "-j", "DROP")
    try:
        yield
    finally:
        for chain in ("OUTPUT", "INPUT"):
            _iptables(process, "-F", chain, check=False)


def elections(node: Any, since: float) -> list[float]:
    """When LiteFS on this node got the lease after `since`, in seconds since the epoch."""
    text: str = node.logs(timestamps=True, since=int(since)).decode(errors="replace")
    times = [datetime.fromisoformat(f"{found[1]}+00:00").timestamp() for found in _ELECTED.finditer(text)]
    return [one for one in times if one > since]


def in_step(node: Any) -> int:
    """How many standbys an acknowledgement of this node waits for, by the last that it said."""
    text: str = node.logs(tail=400).decode(errors="replace")
    said = [line for line in text.splitlines() if line.startswith("supervisor: ")]
    found = [match for line in said for match in _IN_STEP.finditer(line)]
    return int(found[-1][1] or 0) if found else 0


@contextmanager
def writes_inside(node: Any, prefix: str) -> Generator[Inside]:
    """A client in the node's own container, that creates tables until it is left, or the container ends."""
    inside = Inside()
    process: list[str] = []
    started = threading.Event()
    execution = node.client.api.exec_create(node.id, ["timeout", "120", "python3", "-c", _INSIDE, prefix])["Id"]
    stream: Iterator[bytes] = node.client.api.exec_start(execution, stream=True)

    def collect() -> None:
        rest = ""
        for piece in stream:
            *lines, rest = (rest + piece.decode(errors="replace")).split("\n")
            for line in lines:
                if " " not in line:
                    process.append(line)
                    continue
                time, table, outcome = line.split(" ")
                if outcome == "200":
                    inside.acknowledged.append((float(time), table))
                    started.set()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    if not started.wait(30):
        raise TimeoutError("the client inside the node gets no write acknowledged")
    try:
        yield inside
    finally:
        _run(node, ["sh", "-c", f"kill {process[0]}"])
        thread.join(30)


def _run(node: Any, command: list[str]) -> bool:
    """Whether a command inside a container succeeds; it does not where the container does not run."""
    try:
        return node.exec_run(command).exit_code == 0
    except APIError:
        return False


def _iptables(process: str, *rule: str, check: bool = True) -> None:
    command = ["nsenter", "--target", process, "--net", "iptables", *rule]
    subprocess.run(command, check=check, capture_output=True)  # noqa: S603
