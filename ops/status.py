"""`make status`: the running stack as a table. Exit code 1 where a part is not healthy."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console
from rich.table import Table

from cluster import labels
from cluster.engine import ClusterError, Engine
from cluster.health import is_healthy
from config.layout import CATALOG_FILE, LITEFS_PORT
from config.litefs import REPLICATION_NETWORK_ENV
from ops.running import current_stack, member_name, members

_INFO = f"curl -fsS http://$HOSTNAME.${REPLICATION_NETWORK_ENV}:{LITEFS_PORT}/info && cat {CATALOG_FILE}-pos"


def main() -> int:
    """Print the table."""
    try:
        stack = current_stack()
        with Engine(stack.docker) as engine:
            containers = members(engine, stack)
            with ThreadPoolExecutor(8) as threads:
                rows = list(threads.map(_row(engine), containers))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    table = Table(title=f"{stack.project}-{stack.name} at {stack.outputs['queryUrl'].removesuffix('/q')}")
    for heading in ("part", "health", "replication", "transaction", "memory", "container"):
        table.add_column(heading, justify="right" if heading == "memory" else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    unwell = [row[0] for row in rows if row[1] != "healthy"]
    if not rows:
        console.print("No container of this stack is there.")
    elif unwell:
        console.print(f"Not healthy: {', '.join(unwell)}. `docker logs <container>` says why.")
    return 1 if unwell or not rows else 0


def _row(engine: Engine) -> Callable[[dict[str, Any]], tuple[str, ...]]:
    def row(container: dict[str, Any]) -> tuple[str, ...]:
        state: dict[str, Any] = container["State"]
        health = "healthy" if is_healthy(engine, container) else _unwell(state)
        role, position = _replication(engine, container)
        return (
            member_name(container),
            health,
            role,
            position,
            _mebibytes(engine.memory(container["Id"])) if state["Running"] else "",
            container["Name"].lstrip("/"),
        )

    return row


def _replication(engine: Engine, container: dict[str, Any]) -> tuple[str, str]:
    """LiteFS's role of a node, and the last transaction of its catalog: equal numbers, equal catalogs."""
    if container["Config"]["Labels"][labels.ROLE] not in ("writer", "reader") or not container["State"]["Running"]:
        return "", ""
    result = engine.run(container["Id"], ["/bin/sh", "-c", _INFO])
    if result is None or result[0] != 0:
        return "LiteFS does not answer", ""
    text, _, position = result[1].strip().rpartition("\n")
    # `<transaction>/<checksum>`, in hexadecimal.
    transaction = str(int(position.partition("/")[0], 16))
    info: dict[str, Any] = json.loads(text)
    if info["isPrimary"]:
        return "primary", transaction
    primary = info.get("primary", {}).get("hostname")
    return f"replica of {primary}" if primary else "not connected", transaction


def _unwell(state: dict[str, Any]) -> str:
    return state.get("Health", {}).get("Status", "unhealthy") if state["Running"] else state["Status"]


def _mebibytes(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())
