"""`make maintain`: looks after every table of the running stack now, and tells what is done.

Exit code 1 where a table could not be looked after.
"""

import json
import sys
from typing import Any

from rich.console import Console

from cluster import labels
from cluster.engine import ClusterError, Engine
from ops.running import RunningStack, current_stack, member_name, members

COMMAND = ["seafowl-supervisor", "maintain"]
"""In the container of the primary; its supervisor keeps the order with the clients' writes."""

_NOT_THE_PRIMARY = 3


def main() -> int:
    """Find the primary, and let it work."""
    console = Console()
    try:
        stack = current_stack()
        with Engine(stack.docker) as engine:
            return _maintain(engine, stack, console)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _maintain(engine: Engine, stack: RunningStack, console: Console) -> int:
    for container in members(engine, stack):
        is_writer = container["Config"]["Labels"][labels.ROLE] == "writer"
        if is_writer and container["State"]["Running"]:
            code = engine.follow(container["Id"], COMMAND, lambda line: _print(console, line))
            if code is None:
                raise ClusterError(f"{member_name(container)} ended meanwhile")
            if code != _NOT_THE_PRIMARY:
                return code
    raise ClusterError("no node is the primary, which alone looks after tables: see `make status`")


def _print(console: Console, line: str) -> None:
    text = told(line)
    if text:
        console.print(text, highlight=False)


def told(line: str) -> str:
    """What a line of the supervisor says, for people; nothing where it says only that it goes on."""
    try:
        message: dict[str, Any] = json.loads(line)
    except ValueError:
        return line
    match message:
        case {"waits": True}:
            return ""
        case {"table": table, "number": number, "of": of}:
            return f"{table} ({number} of {of})"
        case {"step": "compaction", "files": files, "bytes": size}:
            return f"  {files} small files are one of {size:,} bytes"
        case {"step": "checkpoint", "version": version, "commits": commits}:
            return f"  checkpoint of version {version}, in place of {commits} commits"
        case {"step": "trimming", "oldest": oldest, "entries": entries}:
            return f"  {entries} log entries deleted: versions since {oldest} are kept"
        case {"step": "files", "files": files, "bytes": size}:
            return f"  {files} files deleted that no kept version needs, {size:,} bytes"
        case {"step": "catalog", "versions": versions}:
            return f"  {versions} notes of older versions deleted from the catalog"
        case {"problem": problem}:
            return f"  failed: {problem}"
        case _:
            return line


if __name__ == "__main__":
    sys.exit(main())
