"""What must be so on the Docker host, looked at before the first container is made or removed."""

import errno
import platform
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.engine import ClusterError, DockerHost, Engine, no_engine
from cluster.labels import DEPLOYMENT, MEMBER, PROJECT, STACK

_FUSE = "/dev/fuse"
_EVERY_INTERFACE = ("0.0.0.0", "::")
_SECONDS = 5


@dataclass(frozen=True)
class Claim:
    """What the stack is about to claim on its Docker host."""

    project: str
    stack: str
    deployment: str
    """Id that this stack's state made once."""

    bind_address: str
    ports: Mapping[str, int]
    """Config key → port of the host."""

    cpus: float
    """The largest limit of any container."""

    candidates: int | None
    """How many nodes LiteFS elects the writer of; None where there is one writer for good."""

    consul_servers: int | None
    """How many Consul servers the stack would run with a lease in Consul; None where the user has one."""

    places: Mapping[str, str]
    """Where this config has the stack's data: what → where."""

    places_before: Mapping[str, str]
    """Where the stack's data lies, as its state kept it."""


def reach(host: DockerHost) -> None:
    """See that something listens where the Engine should: at once, and without the Docker library.

    The provider would find out too, in several messages of its own. Raises `ClusterError`. Says nothing of `ssh://`.
    """
    kind, _, place = host.url.partition("://")
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(place)
        elif kind == "tcp":
            name, _, port = place.rpartition(":")
            socket.create_connection((name.strip("[]"), int(port)), timeout=_SECONDS).close()
    except (OSError, ValueError) as error:
        raise no_engine(host, error) from None


@dataclass(frozen=True)
class Seen:
    """What a look at a Docker host showed."""

    engine_id: str
    cpus: int

    containers: Sequence[dict[str, Any]]
    """All of them (`GET /containers/json`): a stopped one too may start again."""

    here: bool
    """Whether the Engine runs on this very machine, so that its devices and ports can be seen from here."""

    networks: Sequence[dict[str, Any]] = ()
    """All of them (`GET /networks`)."""

    volumes: Sequence[dict[str, Any]] = ()
    """All of them (`GET /volumes`)."""


def look(host: DockerHost) -> Seen:
    """Look at the Docker host. Raises `ClusterError` where no Engine answers."""
    with Engine(host) as engine:
        # Docker Desktop has a local socket too, but runs in a virtual machine, with a kernel of its own.
        about = engine.about()
        here = host.url.startswith("unix://") and about["KernelVersion"] == platform.release()
        containers = engine.containers(every=True)
        return Seen(about["ID"], about["NCPU"], containers, here, engine.networks(), engine.volumes())


def judge(seen: Seen, claim: Claim) -> None:
    """See that FUSE is there, that the ingress's port is free, and that the stack's name is not taken.

    Raises `ClusterError` with every problem.
    """
    problems: list[str] = []
    if seen.here and not Path(_FUSE).exists():
        problems.append(
            f"{_FUSE} is not there: LiteFS replicates the catalog through FUSE. Load it with `modprobe fuse`, "
            "or use a Docker host that has it (`pulumi config set docker:host …`)."
        )
    if claim.cpus > seen.cpus:
        problems.append(
            f"seafowl:resources asks for {claim.cpus:g} CPUs for one container, and the host has {seen.cpus}: Docker "
            "would refuse it after the running one is gone. Ask for less."
        )
    problems += _moved_data(claim)
    problems += _lost_quorum(claim, seen)
    strangers = _other_deployments(claim, seen.containers)
    if strangers:
        names = " ".join(sorted(strangers))
        problems.append(
            f"Another deployment of stack {claim.stack!r} runs on this Docker host, which this stack's state does not "
            f"know: {names}. Two writers on one catalog would destroy it. Use another stack name, or, if those are "
            f"left over from a state that is gone, remove them (volumes and their data stay): docker rm -fv {names}"
        )
    else:
        for key, port in claim.ports.items():
            taken = _port_taken(claim, port, seen)
            if taken is not None:
                problems.append(
                    f"seafowl:{key} {port} is taken on {claim.bind_address} by {taken}. Free it, or choose "
                    f"another with `pulumi config set --path {key} <port>`."
                )
    if problems:
        raise ClusterError("\n".join([*problems, "Nothing was changed; what runs keeps running."]))


def members_of(seen: Seen, project: str, stack: str) -> dict[str, str]:
    """The members of a stack that have a container on the host, running or not: name → id of the container."""
    return {
        container["Labels"][MEMBER]: container["Id"]
        for container in seen.containers
        if _stack_of(container) == (project, stack) and MEMBER in container["Labels"]
    }


def _lost_quorum(claim: Claim, seen: Seen) -> list[str]:
    """Where a change would take away the node that has the catalog's last state, or most of Consul's servers."""
    members = members_of(seen, claim.project, claim.stack)
    others = sorted(member for member in members if re.fullmatch(r"writer-[1-9]\d*", member))
    if claim.candidates is None and others:
        return [
            f"seafowl:lease static would leave writer-0 as the writer for good, but {' and '.join(others)} may be the "
            "primary now, and go on with writes until it is removed: these would be lost. First `pulumi config set "
            "writerCandidates 1` and `pulumi up`: each candidate that goes hands its lease over. Then set lease static."
        ]
    servers = sum(bool(re.fullmatch(r"consul-\d+", member)) for member in members)
    if claim.candidates is not None and claim.consul_servers is not None and 0 < claim.consul_servers < servers:
        return [
            f"seafowl:consul.servers {claim.consul_servers} is less than the {servers} that run: those that are left "
            "would wait for the others, and nobody would be the writer. Keep the number, or go through lease static."
        ]
    return []


def _moved_data(claim: Claim) -> list[str]:
    """Where the config has the data in another place than where it lies: the cluster would come up without it."""
    moved = [
        f"  {what}: it lies in {before}, and the config now says {claim.places.get(what, 'nothing')}{_said_by(what)}"
        for what, before in claim.places_before.items()
        if claim.places.get(what) != before
    ]
    if not moved:
        return []
    return [
        "The stack's data would be left behind, and its tables could not be read:\n"
        + "\n".join(moved)
        + "\nTake the change back. To start without the data, `pulumi destroy` first. If you have moved the data there "
        "yourself: `pulumi up --replace '**data-location'`."
    ]


def _said_by(place: str) -> str:
    """Which key says where a thing lies, in brackets; nothing of what follows from the stack's name."""
    key = {"table data": "seafowl:objectStore", "bucket": "seafowl:objectStore", "Docker Engine": "docker:host"}
    return f" ({key[place]})" if place in key else ""


def _other_deployments(claim: Claim, containers: Iterable[dict[str, Any]]) -> list[str]:
    """Containers of a stack of this name that another state made: a second checkout, or a state that was lost.

    Two such stacks would put two writers on one catalog volume.
    """
    return [
        container["Names"][0].lstrip("/")
        for container in containers
        if _stack_of(container) == (claim.project, claim.stack)
        and container["Labels"].get(DEPLOYMENT, claim.deployment) != claim.deployment
    ]


def _port_taken(claim: Claim, wanted: int, seen: Seen) -> str | None:
    """Who else has a port that the ingress wants; None if it is free or the stack's own."""
    holders = [container for container in seen.containers if _publishes(container, claim.bind_address, wanted)]
    strangers = [
        container["Names"][0].lstrip("/")
        for container in holders
        if _stack_of(container) != (claim.project, claim.stack)
    ]
    if strangers:
        return f"the container {strangers[0]}"
    return _why_not_bound(claim.bind_address, wanted) if seen.here and not holders else None


def _publishes(container: dict[str, Any], address: str, wanted: int) -> bool:
    ports: list[dict[str, Any]] = container.get("Ports") or []
    return any(port.get("PublicPort") == wanted and _overlap(port.get("IP", ""), address) for port in ports)


def _overlap(one: str, other: str) -> bool:
    """Whether two addresses that are listened on clash: equal ones, or one of a family and all of that family."""
    if "" in (one, other) or one == other:
        return True
    if (":" in one) != (":" in other):
        return False
    return bool({one, other} & set(_EVERY_INTERFACE))


def _stack_of(container: dict[str, Any]) -> tuple[str | None, str | None]:
    labels: dict[str, str] = container.get("Labels") or {}
    return labels.get(PROJECT), labels.get(STACK)


def _why_not_bound(address: str, port: int) -> str | None:
    """Who has `port` of `address` on this machine, where it cannot be listened on; None where it can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an ended server that linger in TIME_WAIT do not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "another program"
            if error.errno == errno.EADDRNOTAVAIL:
                return "nobody, but this host does not have that address"
            # Anything else (a port below 1024, say) is Docker's to judge: it publishes the port, not we.
    return None
