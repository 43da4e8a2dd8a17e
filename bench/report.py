"""Writes the kept results into docs/benchmarks.md, as tables, and draws the plots: `make bench-report`."""

from collections.abc import Sequence
from pathlib import Path

from bench.figures import Result, read_results
from bench.measures import changes, ordered, reads, replication, start, upload, wear
from bench.plots import draw
from bench.rounds import RESULTS, TOPICS
from bench.tables import figures_grid, grids, markdown, told
from ops.config_reference import between
from ops.running import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = PAGE.parent / "plots"
_BEGIN = "<!-- figures: made by `make bench-report` -->\n"
_END = "<!-- end of figures -->\n"

_IN_SHORT = (
    start.FIRST_WRITE,
    start.FIRST_READ,
    changes.command_seconds(changes.ONE_MORE_IDLE),
    *(name(changes.ONE_MORE) for name in (changes.command_seconds, changes.traffic_seconds)),
    *(changes.failed_requests(changes.scale_label(*step)) for step in (*changes.STEPS_DOWN, *changes.STEPS_UP)),
    changes.failed_requests(changes.REPLACED),
    *(reads.label(way, 8) for way in (reads.STRAIGHT, reads.THROUGH, reads.CACHED)),
    reads.p99(reads.label(reads.CACHED, 8)),
    *(f"{what('delete')}, {part}" for what in (replication.in_catalog, replication.visible) for part in ("p50", "p99")),
    ordered.ACKNOWLEDGED,
    ordered.LOST,
    ordered.ONE_TABLE,
    ordered.ALONE,
    upload.THROUGH,
    upload.GATE_MEMORY,
    *(name(what, wear.WITH) for what in (wear.INSERT, wear.COUNT) for name in (wear.first, wear.last)),
    wear.READS_ALONE,
    wear.READS_MEANWHILE,
)
"""What the whole comes down to: the table for README.md."""


def figures_text(results: Sequence[Result], plots: Sequence[str]) -> str:
    """The figures of the page: in short, then topic by topic. `plots`: names of the files that were drawn."""
    if not results:
        return "Nothing was measured yet.\n"
    every = [figure for result in results for figure in result.figures if figure.side != "empty"]
    chosen = sorted((one for one in every if one.what in _IN_SHORT), key=lambda one: _IN_SHORT.index(one.what))
    blocks = ["### In short", markdown(figures_grid("", chosen))]
    of_one_run = len({result.about.model_dump_json() for result in results}) == 1
    blocks += [told(results[0].about)] if of_one_run else []
    for result in results:
        blocks.append(f"### {result.title}")
        if f"{result.topic}.svg" in plots:
            blocks.append(f"![{result.title}]({PLOTS.name}/{result.topic}.svg)")
        blocks += [markdown(grid) for grid in grids(result)]
        blocks += result.notes
        blocks += [] if of_one_run else [told(result.about)]
    return "\n\n".join(blocks) + "\n"


def with_figures(page: str, results: Sequence[Result], plots: Sequence[str]) -> str:
    """`page` with the figures between its two markers."""
    return between(page, _BEGIN, f"\n{figures_text(results, plots)}\n", _END)


def main(kept: Path = RESULTS, page: Path = PAGE) -> None:
    """Draw and write."""
    results = read_results(kept, TOPICS)
    page.write_text(with_figures(page.read_text(), results, draw(results, page.parent / PLOTS.name)))


if __name__ == "__main__":
    main()
