"""Plots of the results, as SVG files that change only where a figure does: no date and no random ids in them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from bench.figures import Figure, Result, Side
from bench.measures import changes, engine, ordered, reads, start, upload, wear
from bench.tables import HEADINGS

_COLORS: dict[Side, str] = {"ours": "#1b7f5c", "compose": "#c1783a", "empty": "#8a8a8a"}
_COMPARED: tuple[Side, Side] = ("ours", "compose")
_SIZE_INCHES = (7.5, 3.2)
_HEIGHT = 0.8 / len(_COMPARED)
"""Of a bar, where the distance of one quantity to the next is 1."""

_PLAIN: Any = {
    # Ids of parts are hashes with this in them, not random ones.
    "svg.hashsalt": "seafowl",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(results: Sequence[Result], folder: Path) -> list[str]:
    """Draw what there are results of; the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[str] = []
    for result in results:
        plot = _PLOTS.get(result.topic)
        if plot is None:
            continue
        with mpl.rc_context(_PLAIN):  # pyright: ignore[reportUnknownMemberType]
            canvas: Any = Canvas(figsize=_SIZE_INCHES, layout="constrained")
            axes: Any = canvas.subplots()
            canvas.suptitle(result.title, x=0, ha="left", fontsize=10)
            plot(axes, result)
            stand_ins = ", ".join(result.about.stand_ins)
            if stand_ins:
                canvas.supxlabel(f"stand-ins: {stand_ins}", x=1, ha="right", fontsize=7, color="#666666")
            name = f"{result.topic}.svg"
            canvas.savefig(folder / name, metadata={"Date": None, "Creator": None})
        # The library ends some lines with a blank.
        text = (folder / name).read_text()
        (folder / name).write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()))
        drawn.append(name)
    return drawn


def _start(axes: Any, result: Result) -> None:
    _bars(axes, result, {what: what for what in (start.FIRST_WRITE, start.FIRST_READ, start.COMMAND)})
    axes.set_xlabel("seconds: median, and lowest to highest")


def _scaling(axes: Any, result: Result) -> None:
    labels = [changes.scale_label(*step) for step in changes.STEPS_UP]
    _bars(axes, result, {changes.traffic_seconds(label): f"{label}:\nthe last new one answers" for label in labels})
    for place, label in enumerate(labels):
        if result.figure(changes.traffic_seconds(label), "compose") is None:
            axes.text(0, place + _HEIGHT / 2, " never by itself", va="center", color=_COLORS["compose"])
    axes.set_xlabel("seconds: median, and lowest to highest")


def _rolling(axes: Any, result: Result) -> None:
    what = changes.failed_requests(changes.REPLACED)
    _bars(axes, result, {what: "failed requests"})
    axes.set_xlabel("failed requests a round: median, and lowest to highest")


def _reads(axes: Any, result: Result) -> None:
    ways = (reads.STRAIGHT, reads.THROUGH, reads.CACHED)
    _bars(
        axes, result, {reads.label(way, count): reads.label(way, count) for way in ways for count in reads.CONNECTIONS}
    )
    axes.set_xscale("log")
    axes.set_xlabel("requests per second: median, and lowest to highest")


def _replication(axes: Any, result: Result) -> None:
    _bars(axes, result, {figure.what: figure.what.replace(": ", ":\n") for figure in result.figures})
    axes.set_xlabel("milliseconds")


def _memory(axes: Any, result: Result) -> None:
    _bars(axes, result, {figure.what: figure.what for figure in result.figures})
    axes.set_xlabel("MiB: median, and lowest to highest")


def _ordered(axes: Any, result: Result) -> None:
    ways = (
        ordered.ONE_TABLE,
        ordered.ALONE,
        ordered.MANY_THROUGH,
        ordered.MANY_STRAIGHT,
        ordered.ONE_THROUGH,
        ordered.ONE_STRAIGHT,
    )
    _bars(
        axes, result, {way: way.replace(", through", ",\nthrough").replace(", straight", ",\nstraight") for way in ways}
    )
    axes.set_xlabel("acknowledged INSERTs per second: median, and lowest to highest")


def _upload(axes: Any, result: Result) -> None:
    _bars(axes, result, {way: way for way in (upload.THROUGH, upload.STRAIGHT)})
    axes.set_xlabel("MiB per second: median, and lowest to highest")


def _wear(axes: Any, result: Result) -> None:
    for how, style in ((wear.WITH, "-"), (wear.WITHOUT, "--")):
        for what, color in ((wear.INSERT, _COLORS["ours"]), (wear.COUNT, _COLORS["compose"])):
            figure = result.figure(wear.by_commits(what, how))
            if figure is not None:
                commits = [(place + 0.5) * wear.STEP for place in range(len(figure.values))]
                axes.plot(commits, figure.values, style, color=color, label=f"{what}, {how}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("commits of the table")
    axes.set_ylabel(f"ms, median of {wear.STEP} commits")
    axes.legend(frameon=False)


def _engine(axes: Any, result: Result) -> None:
    for name, label, marker in ((engine.no_op_up, "up without a change", "o"), (engine.preview, "preview", "s")):
        points = [(count, one) for count in engine.ALL if (one := result.figure(name(count))) is not None]
        axes.errorbar(
            [count for count, _ in points],
            [one.median for _, one in points],
            yerr=_spread([one for _, one in points]),
            marker=marker,
            capsize=2,
            label=label,
        )
    empty = result.figure(engine.EMPTY_UP, "empty")
    if empty is not None:
        axes.axhline(empty.median, color=_COLORS["empty"], linestyle="--", label="up of an empty program")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("readers")
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)


_PLOTS: dict[str, Callable[[Any, Result], None]] = {
    "start": _start,
    "scaling": _scaling,
    "rolling": _rolling,
    "reads": _reads,
    "replication": _replication,
    ordered.TOPIC: _ordered,
    upload.TOPIC: _upload,
    wear.TOPIC: _wear,
    "memory": _memory,
    "engine": _engine,
}


def _bars(axes: Any, result: Result, labels: dict[str, str]) -> None:
    """A group of horizontal bars a quantity, one a side; the first one is on top."""
    whats = [what for what in labels if any(figure.what == what for figure in result.figures)]
    if not whats:
        return
    for index, side in enumerate(_COMPARED):
        there = [(place, one) for place, what in enumerate(whats) if (one := result.figure(what, side)) is not None]
        if not there:
            continue
        axes.barh(
            [place + (index - 0.5) * _HEIGHT for place, _ in there],
            [one.median for _, one in there],
            height=_HEIGHT * 0.9,
            xerr=_spread([one for _, one in there]),
            color=_COLORS[side],
            error_kw={"capsize": 2, "linewidth": 0.8},
            label=HEADINGS[side],
        )
    axes.set_yticks(range(len(whats)), [labels[what] for what in whats])
    axes.set_ylim(len(whats) - 0.5, -0.5)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(_COMPARED))


def _spread(figures: Sequence[Figure]) -> list[list[float]]:
    return [[one.median - one.lowest for one in figures], [one.highest - one.median for one in figures]]
