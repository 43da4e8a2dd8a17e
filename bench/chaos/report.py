"""The table, on the terminal and in docs/reliability.md."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.table import Table

from bench.chaos.judgement import Seen, missed

_BEGIN = "<!-- what was seen: made by `make chaos` -->"
_END = "<!-- end of what was seen -->"

_HEADINGS = (
    "writes acknowledged",
    "lost",
    "executed twice",
    "reads",
    "failed",
    "wrong",
    "slowest read",
    "writes paused",
    "well again after",
    "what a person did",
)


@dataclass(frozen=True)
class Run:
    """One run of the program."""

    command: str
    seed: int
    when: datetime
    versions: Mapping[str, str]
    """Part → image, or version."""

    stand_ins: Sequence[str]
    not_tried: Mapping[str, str]
    """Fault → why."""


def table(seen: Sequence[Seen]) -> Table:
    """For the terminal."""
    made = Table(title="What each fault cost")
    made.add_column("fault")
    for heading in _HEADINGS:
        made.add_column(heading, justify="right")
    made.add_column("goals")
    for one in seen:
        made.add_row(one.fault, *_cells(one), "missed" if missed(one) else "met")
    return made


def with_run(document: str, run: Run, seen: Sequence[Seen]) -> str:
    """`document` with what this run saw in place of what an earlier one did. ValueError where it has no place."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"the document has no place for the table: a line {_BEGIN} and a line {_END}")
    return f"{before}{_BEGIN}\n{markdown(run, seen)}{_END}{after}"


def markdown(run: Run, seen: Sequence[Seen]) -> str:
    """What this run saw, with all that is needed to see it again."""
    head = ["fault", *_HEADINGS, "goals"]
    rows = [[one.fault, *_cells(one), _judged(one)] for one in seen]
    lines = [
        f"`{run.command}`, seed {run.seed}, {run.when:%Y-%m-%d}, on {_machine()}.",
        "",
        "Ran with " + ", ".join(f"{part} {version}" for part, version in run.versions.items()) + ".",
        *([f"**Stand-ins: {', '.join(run.stand_ins)}.**"] if run.stand_ins else []),
        "",
        _row(head),
        _row(["---", *["---:" for _ in _HEADINGS], "---"]),
        *(_row(row) for row in rows),
        "",
        *(f"- {one.fault}: {remark}" for one in seen for remark in one.remarks),
        *(f"- Not tried: {fault}, because {why}" for fault, why in run.not_tried.items()),
    ]
    return "\n".join([*lines, ""])


def _cells(one: Seen) -> list[str]:
    return [
        f"{one.acknowledged} of {sum(one.writes.values())}",
        str(len(one.lost_ddl) + len(one.lost_inserts)),
        str(len(one.twice)),
        str(one.reads),
        str(sum(one.failed.values())),
        str(one.wrong),
        f"{one.slowest:.1f} s",
        f"{one.pause:.1f} s",
        "never" if one.recovered is None else f"{one.recovered:.1f} s",
        ", ".join(f"`{command}`" for command in one.commands) or "nothing",
    ]


def _judged(one: Seen) -> str:
    problems = missed(one)
    return f"**missed: {'; '.join(problems)}**" if problems else "met"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _machine() -> str:
    """Cores, memory and system, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"a machine with {os.cpu_count()} cores and {memory:.0f} GiB, {_system()}"


def _system() -> str:
    release = Path("/etc/os-release")
    known = (
        dict(line.split("=", 1) for line in release.read_text().splitlines() if "=" in line) if release.exists() else {}
    )
    name = known.get("PRETTY_NAME", platform.system()).strip('"')
    return f"{name}, kernel {platform.release()}"
