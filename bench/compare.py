"""Measures this project beside the Compose example that a user would run instead: `make bench`.

Both on the same images, one after the other in every round: bring up, change the number of readers, replace all of
them, read, write, remove. Then whether a table wears out, and what the engine takes. Tables at the end, and a JSON
file a topic. Exit code 1 where a read failed or a row was lost on our side in the `--cut`, 2 where the benchmark could
not begin.
"""

import argparse
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

from bench.environment import about, compose_program, has_buildkit, leftovers, problems, remove_leftovers
from bench.figures import FAILURES, Result
from bench.goals import goals
from bench.rounds import RESULTS, SETTINGS, TITLES, TOPICS, Run, Setting, new_run
from bench.stack import local_images
from bench.tables import grids, rich_table, told
from cluster.engine import ClusterError
from ops.interrupts import take_interrupts

_WIDTH = 150
_LONG_READERS = 50


def main() -> int:
    """Measure, print, keep."""
    take_interrupts()
    wanted = _arguments()
    try:
        return _compared(wanted)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ClusterError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _compared(wanted: argparse.Namespace) -> int:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    reasons = list(problems())
    if reasons:
        for reason in reasons:
            print(f"error: {reason}", file=sys.stderr)
        print("Nothing was changed.", file=sys.stderr)
        return 2
    setting = _setting(wanted)
    into: Path = wanted.into or (Path(os.environ["SEAFOWL_LOCAL"]) / "bench" if wanted.cut else RESULTS)
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.0f} s[/dim]  {text}", highlight=False)

    results: list[Result] = []
    with _removed_in_the_end(say), new_run(setting, local_images(), compose_program() or [], say) as run:
        say("the images of the Compose example")
        run.compose.prepare(has_buildkit())
        if setting.warm_up:
            run.warm_up()
        # A later part that fails does not cost what was measured before it.
        for part in (run.rounds, run.journal_modes, run.wear, run.engine):
            part()
            results = _results(run)
            for result in results:
                result.write(into)
    for result in results:
        for grid in grids(result):
            console.print(rich_table(grid))
        for note in result.notes:
            console.print(note, style="italic")
    console.print(told(results[0].about).replace("**", ""))
    console.print(f"kept in {into}")
    return verdict(setting, results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true", help="two rounds of everything")
    size.add_argument("--cut", action="store_true", help="one round of the most important, in a minute or two")
    parser.add_argument("--long", action="store_true", help=f"the engine's part with {_LONG_READERS} readers deployed")
    parser.add_argument("--rounds", type=_at_least_one, help="how often each deployment is brought up")
    parser.add_argument("--topic", choices=TOPICS, action="append", help="this topic alone; may be given several times")
    parser.add_argument("--into", type=Path, help="folder of the JSON files (bench/results; .local/bench of the cut)")
    return parser.parse_args()


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one round is needed")
    return number


def _setting(wanted: argparse.Namespace) -> Setting:
    setting = SETTINGS["cut" if wanted.cut else "short" if wanted.short else "default"]
    return dataclasses.replace(
        setting,
        rounds=wanted.rounds or setting.rounds,
        topics=tuple(wanted.topic or setting.topics),
        deployed=(*setting.deployed, _LONG_READERS) if wanted.long else setting.deployed,
    )


@contextmanager
def _removed_in_the_end(say: Callable[[str], None]) -> Generator[None]:
    """Whatever happens, nothing of the benchmark's own stacks is left."""
    try:
        yield
    finally:
        # A second Ctrl-C must not leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with suppress(ClusterError):
            if leftovers():
                say("removing what is left")
            remove_leftovers()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _results(run: Run) -> list[Result]:
    used = about(run.setting.rounds, run.setting.name, local_images())
    return [
        Result(
            topic=topic,
            title=TITLES[topic],
            about=used,
            figures=figures,
            goals=goals(topic, figures, used.stand_ins),
            notes=run.record.notes(topic),
        )
        for topic in run.setting.topics
        if (figures := run.record.figures(topic))
    ]


def verdict(setting: Setting, results: Sequence[Result]) -> int:
    """The exit code: of the cut, 1 where a request failed on our side, or a row was lost."""
    if setting.name != "cut":
        return 0
    failed = [
        figure
        for result in results
        for figure in result.figures
        if figure.side == "ours" and figure.unit in FAILURES and sum(figure.values)
    ]
    for figure in failed:
        print(f"error: {figure.what}: {sum(figure.values):.0f} on our side", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
