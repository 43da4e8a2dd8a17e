"""What the engine takes: `make bench-engine` prints the table of README.md, "Figures".

On a stack of its own: `up` from nothing (images present), then rounds of an `up` and a `preview` that change nothing,
each beside the `up` of a program that declares nothing, then the memory of each container at rest, then `destroy`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from cluster.engine import Engine, docker_host
from ops.running import ROOT, RunningStack, member_name, members

_ROUNDS = 7
_STACK = "bench-engine"
_PORT = 8098


def main() -> int:
    """Measure and print."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        ours, empty = _Pulumi(Path(folder) / "ours", ROOT), _Pulumi(Path(folder) / "empty", ROOT / "bench" / "empty")
        local = Path(os.environ["SEAFOWL_LOCAL"]) / "Pulumi.dev.yaml"
        config: dict[str, Any] = yaml.safe_load(local.read_text())["config"] if local.exists() else {}
        images: dict[str, str] = config.get("seafowl:images", {})
        ours.configure({"seafowl:ingress": {"port": _PORT}, "seafowl:images": images})
        times: dict[str, list[float]] = {}
        try:
            console.print(f"bringing stack {_STACK} up …")
            times["up, nothing running"] = [ours.run("up")]
            empty.run("up")
            for number in range(_ROUNDS):
                console.print(f"round {number + 1} of {_ROUNDS} …")
                for label, measured, command in (
                    ("empty program: up", empty, "up"),
                    ("up without a change", ours, "up"),
                    ("preview without a change", ours, "preview"),
                ):
                    times.setdefault(label, []).append(measured.run(command))
            memory = _memory()
        finally:
            times.setdefault("destroy", []).append(ours.run("destroy"))
    console.print(_time_table(times))
    console.print(_memory_table(memory, images))
    return 0


class _Pulumi:
    """pulumi on one program, with a state and a config of its own."""

    def __init__(self, folder: Path, program: Path) -> None:
        self._program = program
        (folder / "state").mkdir(parents=True)
        self._config = folder / f"Pulumi.{_STACK}.yaml"
        self._environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "of a benchmark",
            "PULUMI_CONFIG_PASSPHRASE_FILE": "",
            "PULUMI_STACK": _STACK,
        }
        (folder / "Pulumi.yaml").write_text((program / "Pulumi.yaml").read_text())
        self._call("-C", str(folder), "stack", "init", _STACK)

    def configure(self, config: dict[str, Any]) -> None:
        """Add to the stack config."""
        document = yaml.safe_load(self._config.read_text())
        self._config.write_text(yaml.safe_dump({**document, "config": config}))

    def run(self, command: str) -> float:
        """Seconds that a command took."""
        flags = [] if command == "preview" else ["--yes", "--skip-preview"]
        began = time.monotonic()
        self._call(command, *flags, "--config-file", str(self._config))
        return time.monotonic() - began

    def _call(self, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603
            ["pulumi", *arguments, "--non-interactive"],  # noqa: S607
            cwd=self._program,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"pulumi {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def _memory() -> dict[str, int]:
    host = docker_host(None, None)
    stack = RunningStack(project="seafowl", name=_STACK, outputs={}, docker=host)
    with Engine(host) as engine:
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
