"""Figures: what was measured, round by round, on which side; and what the rounds came to."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Side = Literal["ours", "compose", "empty"]
"""Our stack, the Compose example, or a Pulumi program that declares nothing."""

SIDES: tuple[Side, ...] = ("ours", "compose", "empty")

Unit = Literal["s", "ms", "requests/s", "writes/s", "MiB/s", "requests", "writes", "rows", "MiB"]

FAILURES: tuple[Unit, Unit] = ("requests", "rows")
"""Units of what failed, or was lost: the sum counts, which no median may hide."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Frozen):
    """One measured quantity of one side."""

    what: str
    side: Side
    unit: Unit
    values: tuple[float, ...]
    """One a round, in their order; a single one where it was taken over all rounds."""

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        """The lowest one."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The highest one."""
        return max(self.values)


class Goal(_Frozen):
    """What a figure of our side was to be, and what it is."""

    what: str
    wanted: str
    measured: str
    met: bool
    stand_ins: tuple[str, ...]
    """Originals that it depends on, in whose place a stand-in was measured."""


class About(_Frozen):
    """Of one run: when, where, with what."""

    date: str
    rounds: int
    setting: Literal["default", "short", "cut"]
    machine: dict[str, str]
    versions: dict[str, str]
    stand_ins: tuple[str, ...]
    """Parts that were not the originals."""


class Result(_Frozen):
    """All that a run says of one topic."""

    topic: str
    title: str
    about: About
    figures: tuple[Figure, ...]
    goals: tuple[Goal, ...]
    notes: tuple[str, ...]

    def figure(self, what: str, side: Side = "ours") -> Figure | None:
        """The figure of that name; None where it was not measured."""
        return found(self.figures, what, side)

    def write(self, folder: Path) -> None:
        """Keep it as `<topic>.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.topic}.json").write_text(self.model_dump_json(indent=1) + "\n")


def read_results(folder: Path, topics: Sequence[str]) -> list[Result]:
    """What is kept in a folder, in the order of `topics`."""
    files = (folder / f"{topic}.json" for topic in topics)
    return [Result.model_validate_json(file.read_text()) for file in files if file.exists()]


def found(figures: Sequence[Figure], what: str, side: Side = "ours") -> Figure | None:
    """The figure of that name and side; None where there is none."""
    return next((one for one in figures if one.what == what and one.side == side), None)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` (of 1) of the values do not exceed: one of them, by its rank. At least one is needed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


class Record:
    """Collects what the rounds of a run come to, topic by topic."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, Side, Unit], list[float]] = {}
        self._samples: dict[tuple[str, str, Side, Unit], list[float]] = {}
        self._notes: dict[str, list[str]] = {}

    def add(self, topic: str, what: str, side: Side, unit: Unit, value: float) -> None:
        """One round's value."""
        self._values.setdefault((topic, what, side, unit), []).append(value)

    def sample(self, topic: str, what: str, side: Side, unit: Unit, values: Sequence[float]) -> None:
        """Single observations, whose distribution over all rounds is the figure."""
        self._samples.setdefault((topic, what, side, unit), []).extend(values)

    def note(self, topic: str, text: str) -> None:
        """Something that a reader of the figures must know; told once."""
        notes = self._notes.setdefault(topic, [])
        if text not in notes:
            notes.append(text)

    def figures(self, topic: str) -> tuple[Figure, ...]:
        """The figures of a topic, in the order in which they were first recorded."""
        figures = [
            Figure(what=what, side=side, unit=unit, values=tuple(round(value, 4) for value in values))
            for (of, what, side, unit), values in self._values.items()
            if of == topic
        ]
        for (of, what, side, unit), values in self._samples.items():
            if of == topic:
                figures += [
                    Figure(what=f"{what}, {name}", side=side, unit=unit, values=(round(percentile(values, part), 4),))
                    for name, part in (("p50", 0.5), ("p99", 0.99))
                ]
        return tuple(figures)

    def count(self, topic: str, what: str, side: Side) -> int:
        """How many single observations of something there are."""
        return sum(
            len(values) for (of, name, by, _), values in self._samples.items() if (of, name, by) == (topic, what, side)
        )

    def notes(self, topic: str) -> tuple[str, ...]:
        """The notes of a topic."""
        return tuple(self._notes.get(topic, ()))
