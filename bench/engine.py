"""What the engine takes: `make bench-engine` prints the table of README.md, "Figures".

On a stack of its own: `up` from nothing (images present), then rounds of an `up` and a `preview` that change nothing,
each beside the `up` of a program that declares nothing, then the memory of each container at rest, then `destroy`.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.stack import BenchStack, local_images
from cluster.engine import Engine
from components.checks import SETTLED_SECONDS
from ops.running import ROOT, RunningStack, member_name, members

_ROUNDS = 7
_STACK = "bench-engine"
_PORT = 8098


def main() -> int:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        ours = BenchStack(_STACK, Path(folder) / "ours")
        empty = BenchStack(_STACK, Path(folder) / "empty", ROOT / "bench" / "empty")
        images = local_images()
        ours.configure({"seafowl:ingress": {"port": _PORT}, "seafowl:images": images})
        times: dict[str, list[float]] = {}
        try:
            console.print(f"bringing stack {_STACK} up …")
            times["up, nothing running"] = [ours.run("up")]
            empty.run("up")
            console.print("waiting until the new stack has settled …")
            time.sleep(SETTLED_SECONDS)
            for number in range(_ROUNDS):
                console.print(f"round {number + 1} of {_ROUNDS} …")
                for label, measured, command in (
                    ("empty program: up", empty, "up"),
                    ("up without a change", ours, "up"),
                    ("preview without a change", ours, "preview"),
                ):
                    times.setdefault(label, []).append(measured.run(command))
            memory = _memory(ours.running())
        finally:
            times.setdefault("destroy", []).append(ours.run("destroy"))
    console.print(_time_table(times))
    console.print(_memory_table(memory, images))
    return 0


def _memory(stack: RunningStack) -> dict[str, int]:
    with Engine(stack.docker) as engine:
        return {member_name(one): engine.memory(one["Id"]) for one in members(engine, stack)}


def _time_table(times: dict[str, list[float]]) -> Table:
    empty = statistics.median(times["empty program: up"])
    table = Table(title="Wall time, in seconds")
    for heading in ("", "median", "lowest", "highest", "runs", "of an empty program"):
        table.add_column(heading, justify="left" if not heading else "right")
    for label, values in times.items():
        middle = statistics.median(values)
        table.add_row(
            label,
            *(f"{value:.2f}" for value in (middle, min(values), max(values))),
            str(len(values)),
            f"{middle / empty:.2f} ×",
        )
    return table


def _memory_table(memory: dict[str, int], images: dict[str, str]) -> Table:
    table = Table(title=f"Memory at rest ({images.get('seafowl', 'original images')})")
    table.add_column("part")
    table.add_column("MiB", justify="right")
    for part, size in memory.items():
        table.add_row(part, f"{size / 1024 / 1024:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
