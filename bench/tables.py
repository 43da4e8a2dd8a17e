"""Results as tables: for the terminal, and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.figures import FAILURES, SIDES, About, Figure, Result, Side, Unit

HEADINGS: dict[Side, str] = {"ours": "this project", "compose": "Compose example", "empty": "empty program"}

_DIGITS: dict[Unit, int] = {
    "s": 2,
    "ms": 1,
    "requests/s": 0,
    "writes/s": 1,
    "MiB/s": 1,
    "MiB": 0,
    "requests": 0,
    "writes": 0,
    "rows": 0,
}
"""Digits behind the point, by unit."""


@dataclass(frozen=True)
class Grid:
    """A table, as text."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def grids(result: Result) -> list[Grid]:
    """The tables of a topic: its figures, and its goals where it has any."""
    figures = figures_grid(result.title, result.figures)
    if not result.goals:
        return [figures]
    rows = [
        (
            goal.what,
            goal.wanted,
            goal.measured,
            "met" if goal.met else "MISSED",
            ", ".join(goal.stand_ins) or "none",
        )
        for goal in result.goals
    ]
    return [figures, Grid("Goals", ("goal of this project", "wanted", "measured", "", "stand-ins in it"), rows)]


def figures_grid(title: str, figures: Sequence[Figure]) -> Grid:
    """One line a quantity, one column a side; the ratio of ours to the Compose example's."""
    sides: list[Side] = [side for side in SIDES if any(figure.side == side for figure in figures)]
    compared = "ours" in sides and "compose" in sides
    lines: dict[str, dict[Side, Figure]] = {}
    for figure in figures:
        lines.setdefault(figure.what, {})[figure.side] = figure
    rows = [
        (
            what,
            next(iter(by_side.values())).unit,
            *(cell(by_side.get(side)) for side in sides),
            *([ratio(by_side.get("ours"), by_side.get("compose"))] if compared else []),
        )
        for what, by_side in lines.items()
    ]
    return Grid(title, ("", "unit", *(HEADINGS[side] for side in sides), *(["ratio"] if compared else [])), rows)


def cell(figure: Figure | None) -> str:
    """The median, and from the lowest to the highest; of failures, which no median may hide, the sum."""
    if figure is None:
        return "–"
    digits = _DIGITS[figure.unit]
    if figure.unit in FAILURES:
        return f"{sum(figure.values):,.0f} in all"
    middle = f"{figure.median:,.{digits}f}"
    if len(figure.values) == 1:
        return middle
    return f"{middle} ({figure.lowest:,.{digits}f} to {figure.highest:,.{digits}f})"


def ratio(ours: Figure | None, compose: Figure | None) -> str:
    """Ours as a multiple of the other's."""
    if ours is None or compose is None or ours.unit in FAILURES or not compose.median:
        return "–"
    return f"{ours.median / compose.median:.2f} ×"


def rich_table(grid: Grid) -> Table:
    """For the terminal."""
    table = Table(title=grid.title)
    for index, heading in enumerate(grid.headings):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for row in grid.rows:
        table.add_row(*row)
    return table


def markdown(grid: Grid) -> str:
    """For a page: no line of it is longer than its cells need."""
    lines = [grid.headings, ["---"] * len(grid.headings), *grid.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def told(about: About) -> str:
    """One paragraph on how it was measured."""
    machine = about.machine
    rounds = f"{about.rounds} rounds" if about.rounds > 1 else "one round"
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    stand_ins = (
        f"**Not the originals, but stand-ins of the air-gapped kit: {', '.join(about.stand_ins)}.**"
        if about.stand_ins
        else "All parts are the originals."
    )
    return (
        f"Measured on {about.date}, {rounds} ({about.setting} setting): {machine['cores']} cores, "
        f"{machine['memory']}, {machine['system']}, kernel {machine['kernel']}. {versions}. {stand_ins}"
    )
