"""The table, on the terminal and in docs/reliability.md."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.table import Table

from bench.chaos.judgement import Ending, Seen, lost, missed, missed_by_writes, refused, twice
from bench.shared_writes import TABLES, WRITERS

_BEGIN = "<!-- what was seen: made by `make chaos` -->"
_END = "<!-- end of what was seen -->"

_HEADINGS = (
    "writes acknowledged",
    "lost",
    "executed twice",
    "refused, and executed",
    "shared rows counted",
    "reads",
    "failed",
    "wrong",
    "slowest read",
    "writes paused",
    "well again after",
    "what a person did",
)


_AT_THE_END = (
    "faults",
    "writes acknowledged",
    "shared rows counted",
    "lost",
    "executed twice",
    "refused, and executed",
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


def endings_table(endings: Sequence[Ending]) -> Table:
    """For the terminal."""
    made = Table(title="What was there at the end of each stack")
    made.add_column("stack")
    for heading in _AT_THE_END:
        made.add_column(heading, justify="right")
    made.add_column("goals")
    for one in endings:
        made.add_row(one.stack, *_cells_at_the_end(one), "missed" if _missed_at_the_end(one) else "met")
    return made


def with_run(document: str, run: Run, seen: Sequence[Seen], endings: Sequence[Ending]) -> str:
    """`document` with what this run saw in place of what an earlier one did. ValueError where it has no place."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"the document has no place for the table: a line {_BEGIN} and a line {_END}")
    return f"{before}{_BEGIN}\n{markdown(run, seen, endings)}{_END}{after}"


def markdown(run: Run, seen: Sequence[Seen], endings: Sequence[Ending]) -> str:
    """What this run saw, with all that is needed to see it again."""
    head = ["fault", *_HEADINGS, "goals"]
    rows = [[one.fault, *_cells(one), _told(missed(one))] for one in seen]
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
        f"What is written to a stack stays there. {WRITERS} clients write single rows into the same {TABLES} tables, "
        "at the same moments. After each fault all their rows since the stack was brought up are counted (“shared rows "
        "counted”). At the end everything is looked for once more:",
        "",
        _row(["stack", *_AT_THE_END, "goals"]),
        _row(["---", *["---:" for _ in _AT_THE_END], "---"]),
        *(_row([one.stack, *_cells_at_the_end(one), _told(_missed_at_the_end(one))]) for one in endings),
        "",
        *(f"- {one.fault}: {remark}" for one in seen for remark in one.remarks),
        *(f"- Not tried: {fault}, because {why}" for fault, why in run.not_tried.items()),
    ]
    return "\n".join([*lines, ""])


def _cells(one: Seen) -> list[str]:
    return [
        f"{one.acknowledged} of {sum(one.writes.values())}",
        str(lost(one.kept, one.shared)),
        str(twice(one.kept, one.shared)),
        str(refused(one.kept, one.shared)),
        str(one.shared.rows),
        str(one.reads),
        str(sum(one.failed.values())),
        str(one.wrong),
        f"{one.slowest:.1f} s",
        f"{one.pause:.1f} s",
        "never" if one.recovered is None else f"{one.recovered:.1f} s",
        ", ".join(f"`{command}`" for command in one.commands) or "nothing",
    ]


def _cells_at_the_end(one: Ending) -> list[str]:
    counted = (one.faults, one.acknowledged, one.shared.rows, lost(one.kept, one.shared))
    return [str(number) for number in (*counted, twice(one.kept, one.shared), refused(one.kept, one.shared))]


def _missed_at_the_end(one: Ending) -> list[str]:
    return missed_by_writes(one.kept, one.shared)


def _told(problems: Sequence[str]) -> str:
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
