"""`make status`: the running stack as a table.

Exit code 1 where a part is not healthy, no node is the primary, or one has not heard of the primary for too long.
"""

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from cluster import labels
from cluster.engine import ClusterError, Engine
from cluster.health import is_healthy
from config.layout import CATALOG_DIR, CATALOG_FILE, LITEFS_PORT
from config.litefs import REPLICATION_NETWORK_ENV
from ops.running import current_stack, member_name, members

_INFO = (
    f"curl -fsS http://$HOSTNAME.${REPLICATION_NETWORK_ENV}:{LITEFS_PORT}/info"
    f" && cat {CATALOG_DIR}/.lag {CATALOG_FILE}-pos"
)
_PRIMARY = "primary"
_MOST_LAG_SECONDS = 10
"""LiteFS's primary is heard of once a second, also when nothing is written (0.5)."""


@dataclass(frozen=True)
class Replication:
    """What LiteFS says of a node; empty where it does not answer, or is not there."""

    role: str = ""
    position: str = ""
    """The last transaction of its catalog: equal numbers, equal catalogs."""

    lag_seconds: float | None = None
    """Since the primary was last heard of; None on the primary itself."""


@dataclass(frozen=True)
class Row:
    """One part."""

    member: str
    health: str
    replication: Replication
    memory: str
    container: str

    @property
    def behind(self) -> bool:
        """Whether it has not heard of the primary for too long."""
        lag = self.replication.lag_seconds
        return lag is not None and lag > _MOST_LAG_SECONDS


def main() -> int:
    """Print the table."""
    try:
        stack = current_stack()
        with Engine(stack.docker) as engine:
            containers = members(engine, stack)
            with ThreadPoolExecutor(8) as threads:
                rows = list(threads.map(_row(engine), containers))
            care = _care(engine, rows)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console = Console()
    console.print(_table(f"{stack.project}-{stack.name} at {stack.outputs['queryUrl'].removesuffix('/q')}", rows))
    problems = _problems(rows)
    for problem in problems:
        console.print(problem)
    for line in care:
        console.print(line, highlight=False)
    return 1 if problems else 0


def _care(engine: Engine, rows: Sequence[Row]) -> list[str]:
    """The tables that need care. That they do is no fault: they get it by themselves, soon."""
    primary = next((row for row in rows if row.replication.role == _PRIMARY), None)
    if primary is None:
        return []
    result = engine.run(primary.container, ["seafowl-supervisor", "tables"])
    if result is None or result[0] != 0:
        return ["What the tables need is not known: the primary's supervisor does not tell."]
    found: list[dict[str, Any]] = [json.loads(line) for line in result[1].splitlines()]
    lines = [f"  {one['table']}: {need(one)}" for one in found if one["needs"] or "problem" in one]
    if not lines:
        return [f"{len(found)} tables, none of which needs care."]
    return [f"{len(lines)} of {len(found)} tables need care (`make maintain` gives it at once):", *lines]


def need(table: dict[str, Any]) -> str:
    """What a table needs, and how it is, in words."""
    if "problem" in table:
        return table["problem"]
    return (
        f"{', '.join(table['needs'])} ({table['commits']} commits since its checkpoint, {table['entries']} log "
        f"entries, {table['small']} small files of {table['files']})"
    )


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title)
    for heading in ("part", "health", "replication", "transaction", "lag", "memory", "container"):
        table.add_column(heading, justify="right" if heading in ("lag", "memory") else "left", overflow="fold")
    for row in rows:
        lag = row.replication.lag_seconds
        table.add_row(
            row.member,
            row.health,
            row.replication.role,
            row.replication.position,
            "" if lag is None else f"{lag:.1f} s",
            row.memory,
            row.container,
        )
    return table


def _problems(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["No container of this stack is there."]
    unwell = [row.member for row in rows if row.health != "healthy"]
    behind = [row.member for row in rows if row.behind]
    primaries = [row.member for row in rows if row.replication.role == _PRIMARY]
    found: list[str] = []
    if unwell:
        found.append(f"Not healthy: {', '.join(unwell)}. `docker logs <container>` says why.")
    if not primaries:
        found.append("No node is the primary: writes get 503 until one is.")
    if len(primaries) > 1:
        found.append(
            f"{' and '.join(primaries)} say that they are the primary: one of them is cut off, and takes no writes."
        )
    if behind:
        found.append(
            f"Behind: {', '.join(behind)} did not hear of the primary for {_MOST_LAG_SECONDS} seconds: reads there are "
            "of the past. `docker restart` one that does not catch up by itself."
        )
    return found


def _row(engine: Engine) -> Callable[[dict[str, Any]], Row]:
    def row(container: dict[str, Any]) -> Row:
        state: dict[str, Any] = container["State"]
        return Row(
            member=member_name(container),
            health="healthy" if is_healthy(engine, container) else _unwell(state),
            replication=_replication(engine, container),
            memory=_mebibytes(engine.memory(container["Id"])) if state["Running"] else "",
            container=container["Name"].lstrip("/"),
        )

    return row


def _replication(engine: Engine, container: dict[str, Any]) -> Replication:
    if container["Config"]["Labels"][labels.ROLE] not in ("writer", "reader") or not container["State"]["Running"]:
        return Replication()
    result = engine.run(container["Id"], ["/bin/sh", "-c", _INFO])
    if result is None or result[0] != 0:
        return Replication(role="LiteFS does not answer")
    *info_lines, lag, position = result[1].strip().split("\n")
    # `<transaction>/<checksum>`, in hexadecimal.
    transaction = str(int(position.partition("/")[0], 16))
    info: dict[str, Any] = json.loads("\n".join(info_lines))
    if info["isPrimary"]:
        return Replication(_PRIMARY, transaction)
    primary = info.get("primary", {}).get("hostname")
    return Replication(
        role=f"replica of {primary}" if primary else "not connected",
        position=transaction,
        lag_seconds=int(lag) / 1000,
    )


def _unwell(state: dict[str, Any]) -> str:
    return state.get("Health", {}).get("Status", "unhealthy") if state["Running"] else state["Status"]


def _mebibytes(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())
