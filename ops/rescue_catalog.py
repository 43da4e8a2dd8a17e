"""`make rescue-catalog`: give a writer whose catalog is damaged a sound one.

Where no other candidate leads, it is copied from the reader or candidate that has the last transaction; where one does,
the node rejoins with nothing, and LiteFS brings it the catalog. What the node had is kept in its volume.
"""

import argparse
import io
import json
import re
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import IO, Any

import requests

from cluster import labels
from cluster.engine import ClusterError, Engine
from cluster.health import is_healthy
from components.seafowl_node import IS_PRIMARY
from config.layout import CATALOG_FILE, LITEFS_DATA_DIR
from ops.client import Client
from ops.running import RunningStack, current_stack, member_name, members
from ops.waiting import await_true

_NAME = PurePosixPath(CATALOG_FILE).name
_DATA = PurePosixPath(LITEFS_DATA_DIR)
_CHECK = [
    *("env", "PYTHONPATH=/usr/local/lib/seafowl-litefs", "python3", "-m", "supervisor.catalog_check"),
    *(LITEFS_DATA_DIR, _NAME),
]
_PREPARES = "grep --quiet --text seafowl-supervisor /proc/1/cmdline"
"""Succeeds in a node that has not started LiteFS yet: LiteFS takes the place of what waited."""

_POLL_SECONDS = 0.2
_START_SECONDS = 20
_ELECTION_SECONDS = 20
_LOG_LINES = 10
_HEALTHY_SECONDS = 60
_TABLES = (
    "SELECT count(*) AS n FROM information_schema.tables WHERE table_schema NOT IN ('information_schema', 'system')"
)


@dataclass(frozen=True)
class Source:
    """A node that has a sound copy of the catalog."""

    member: str
    container: str
    cluster: str
    txid: int


@dataclass(frozen=True)
class Target:
    """A writer, or a candidate for it, that waits because its catalog is damaged."""

    member: str
    container: str
    damage: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Rescue the catalog of one node; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        stack = current_stack()
        with Engine(stack.docker) as engine:
            rescue(engine, members(engine, stack), to=options.to, source=options.source)
        print(_tables(stack))
    except (ClusterError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops.rescue_catalog", description=__doc__)
    parser.add_argument("--from", dest="source", metavar="NODE", help="the node to copy from, such as reader-1")
    parser.add_argument("--to", metavar="NODE", help="the node to rescue, such as writer-0; needed where several wait")
    return parser


def rescue(engine: Engine, containers: Sequence[dict[str, Any]], *, to: str | None, source: str | None) -> None:
    """Give the node `to` (else the one that waits) a sound catalog from `source` (else the best that there is). Returns
    once it is healthy. Raises `ClusterError`.
    """
    target = _target(engine, containers, to)
    print(f"{target.member}: {target.damage}")
    others = [one for one in containers if one["Id"] != target.container and _role(one) in ("writer", "reader")]
    leader = _leader(engine, others)
    order = f"{datetime.now(UTC):%Y%m%dT%H%M%S-%fZ}"
    if leader is not None:
        if source is not None:
            raise ClusterError(f"{leader} leads, and {target.member} gets the catalog from it: leave --from out")
        print(f"{leader} leads. {target.member} rejoins it with nothing; what it had is kept.")
        _put(engine, target.container, order, {"action": "rejoin"}, None)
    else:
        best = _source(engine, others, target, source)
        print(f"copies the catalog of {best.member}, transaction {best.txid}, to {target.member}")
        had = _last_transaction(engine, target)
        if had > best.txid:
            print(f"{target.member} had transaction {had}: what is after {best.txid} is in its damaged copy only")
        with tempfile.TemporaryFile() as files:
            _copy(engine, best, order, files)
            _put(engine, target.container, order, {"action": "replace", "from": best.member}, files)
    _await_healthy(engine, target)
    print(f"{target.member} is healthy. What it had is in its volume, in {_DATA / 'damaged' / order}.")


def _role(container: dict[str, Any]) -> str:
    return container["Config"]["Labels"][labels.ROLE]


def _succeeds(engine: Engine, container_id: str, command: str) -> bool:
    result = engine.run(container_id, ["/bin/sh", "-c", command])
    return result is not None and result[0] == 0


def _target(engine: Engine, containers: Sequence[dict[str, Any]], to: str | None) -> Target:
    """The node to rescue."""
    writers = [container for container in containers if _role(container) == "writer"]
    wanted = [container for container in writers if to in (None, member_name(container))]
    if not wanted:
        there = ", ".join(member_name(container) for container in writers)
        raise ClusterError(f"there is no {to or 'writer'}; nodes that can be rescued: {there or 'none'}")
    running = [container for container in wanted if container["State"]["Running"]]
    stopped = [container for container in wanted if container not in running]
    states = {member_name(container): _damage(engine, container) for container in running}
    if len(stopped) == 1 and not any(isinstance(state, Target) for state in states.values()):
        print(f"starts {member_name(stopped[0])}, which is stopped")
        engine.start(stopped[0]["Id"])
        states[member_name(stopped[0])] = _damage(engine, stopped[0])
    damaged = [state for state in states.values() if isinstance(state, Target)]
    if len(damaged) > 1:
        names = " and ".join(target.member for target in damaged)
        raise ClusterError(f"{names} wait for a catalog: say which with --to, the others after it")
    if damaged:
        return damaged[0]
    states.update(
        {member_name(container): "is stopped" for container in stopped if member_name(container) not in states}
    )
    raise ClusterError(f"nothing to rescue: {'; '.join(f'{name} {state}' for name, state in states.items())}")


def _damage(engine: Engine, container: dict[str, Any]) -> Target | str:
    """The node, where it waits with a damaged catalog; else how it is, in words."""
    member, container_id = member_name(container), container["Id"]
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        current = engine.inspect(container_id)
        if current is None or is_healthy(engine, current):
            return "is gone" if current is None else "is healthy"
        if _succeeds(engine, container_id, _PREPARES):
            found = _check(engine, container_id)
            if "damage" in found:
                return Target(member, container_id, found["damage"])
        time.sleep(_POLL_SECONDS)
    return f"is not healthy, and not because of its catalog: `docker logs {container['Name'].lstrip('/')}` says why"


def _check(engine: Engine, container_id: str) -> dict[str, Any]:
    """What a node's own check says of its copy of the catalog."""
    result = engine.run(container_id, _CHECK)
    if result is None or result[0] != 0:
        return {"damage": "it does not run, or its image is too old to check its catalog"}
    return json.loads(result[1])


def _leader(engine: Engine, others: Sequence[dict[str, Any]]) -> str | None:
    """The candidate that leads; waits for an election where there are candidates that may be elected."""
    candidates = [one for one in others if _role(one) == "writer" and one["State"]["Running"]]
    electable = [one for one in candidates if not _succeeds(engine, one["Id"], _PREPARES)]
    end = time.monotonic() + _ELECTION_SECONDS
    while electable:
        for one in electable:
            if _succeeds(engine, one["Id"], IS_PRIMARY):
                return member_name(one)
        if time.monotonic() > end:
            names = " and ".join(member_name(one) for one in electable)
            raise ClusterError(f"{names} may be elected, and is not yet: `docker logs` says why. Nothing was changed.")
        time.sleep(_POLL_SECONDS)
    return None


def _source(engine: Engine, others: Sequence[dict[str, Any]], target: Target, wanted: str | None) -> Source:
    """The node `wanted`, or the one with the last transaction of those that have a sound catalog of this cluster."""
    cluster = _cluster(engine, target)
    sources: list[Source] = []
    problems: list[str] = []
    for container in others:
        member = member_name(container)
        found = _check(engine, container["Id"])
        if "damage" in found:
            problems.append(f"{member}: {found['damage']}")
        elif found["txid"] == 0:
            problems.append(f"{member}: has no catalog")
        elif cluster not in (None, found["cluster"]):
            problems.append(f"{member}: is of another cluster ({found['cluster']}, not {cluster})")
        else:
            sources.append(Source(member, container["Id"], found["cluster"], found["txid"]))
    stopped = [member_name(one) for one in others if _role(one) == "writer" and not one["State"]["Running"]]
    if stopped and wanted is None:
        raise ClusterError(
            f"{' and '.join(stopped)} does not run, and may have the latest catalog: `docker start` it, and it leads. "
            "Where it cannot be started, name a node to copy from with --from. Nothing was changed."
        )
    if cluster is None and wanted is None and len({one.cluster for one in sources}) > 1:
        raise ClusterError(f"{target.member} does not know its cluster, and these are of several: name one with --from")
    choice = [one for one in sources if wanted in (None, one.member)]
    if not choice:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise ClusterError(f"no node has a sound catalog to copy. Nothing was changed.{listed}")
    best = max(choice, key=lambda one: one.txid)
    for later in sources:
        if later.txid > best.txid:
            print(f"{later.member} has transaction {later.txid}: what is after {best.txid} will be gone")
    return best


def _cluster(engine: Engine, target: Target) -> str | None:
    """The cluster that the damaged node belongs to, where it still knows it."""
    result = engine.run(target.container, ["cat", str(_DATA / "clusterid")])
    text = "" if result is None or result[0] != 0 else result[1].strip()
    return text if re.fullmatch("LFSC[0-9A-F]{16}", text) else None


def _last_transaction(engine: Engine, target: Target) -> int:
    """Number of the damaged node's last transaction, by the names of its files; 0 where they do not say."""
    result = engine.run(target.container, ["ls", str(_DATA / "dbs" / _NAME / "ltx")])
    numbers = re.findall(r"^[0-9a-f]{16}-([0-9a-f]{16})\.ltx$", result[1] if result else "", re.MULTILINE)
    return max((int(number, 16) for number in numbers), default=0)


def _copy(engine: Engine, source: Source, order: str, into: IO[bytes]) -> None:
    """Write a node's copy of the catalog to `into`, a tar archive whose paths are of the order's folder."""
    inbox = PurePosixPath("rescue", order)
    with tarfile.open(fileobj=into, mode="w") as archive:
        for path, below in ((_DATA / "clusterid", inbox), (_DATA / "dbs" / _NAME, inbox / "dbs")):
            with tempfile.TemporaryFile() as files:
                if not engine.files(source.container, str(path), files):
                    raise ClusterError(f"{source.member} has no {path} any more. Nothing was changed.")
                files.seek(0)
                with tarfile.open(fileobj=files) as found:
                    for member in found:
                        if member.isdir() or _counts(PurePosixPath(member.name)):
                            content = found.extractfile(member)
                            member.name = str(below / member.name)
                            archive.addfile(member, content)


def _counts(path: PurePosixPath) -> bool:
    """Whether a file is part of a copy. (Not the shared memory, and not what LiteFS has begun to write.)"""
    return path.suffix == ".ltx" or path.name in ("clusterid", "database", "journal", "wal")


def _put(engine: Engine, container_id: str, order: str, wanted: dict[str, str], files: IO[bytes] | None) -> None:
    """Send an order to a node that waits for one: its files, and then the order itself."""
    if files is not None:
        files.seek(0)
        engine.put_files(container_id, LITEFS_DATA_DIR, files)
    text = json.dumps(wanted).encode()
    new = tarfile.TarInfo(f"rescue/{order}/order.new")
    new.size = len(text)
    # A link is there at once, and whole: the node may look just now.
    complete = tarfile.TarInfo(f"rescue/{order}/order.json")
    complete.type, complete.linkname = tarfile.LNKTYPE, new.name
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(new, io.BytesIO(text))
        archive.addfile(complete)
    buffer.seek(0)
    engine.put_files(container_id, LITEFS_DATA_DIR, buffer)


def _await_healthy(engine: Engine, target: Target) -> None:
    def healthy() -> bool:
        current = engine.inspect(target.container)
        return current is not None and is_healthy(engine, current)

    print(f"waits until {target.member} is healthy")
    try:
        await_true(healthy, "", _HEALTHY_SECONDS)
    except TimeoutError:
        lines = "\n".join(f"    {line}" for line in engine.log_lines(target.container, _LOG_LINES))
        raise ClusterError(
            f"{target.member} got a catalog, and is not healthy {_HEALTHY_SECONDS} seconds later. It says:\n{lines}"
        ) from None


def _tables(stack: RunningStack) -> str:
    """How many tables there are, in words, as the readers have it."""
    client = Client(stack)
    answer: list[requests.Response] = []

    def answered() -> bool:
        answer[:] = [client.reads.post(client.read_url, json={"query": _TABLES}, timeout=10)]
        return answer[0].status_code not in (502, 503)

    await_true(answered, "no reader answers: `make status`", _HEALTHY_SECONDS)
    if not answer[0].ok:
        return f"The readers do not tell how many tables there are: status {answer[0].status_code}."
    return f"Tables: {json.loads(answer[0].text)['n']}."


if __name__ == "__main__":
    sys.exit(main())
