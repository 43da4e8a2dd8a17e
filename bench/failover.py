"""What clients see while the writer dies, is replaced, or is cut off: `make chaos-failover` prints the table of
README.md, "Failover".

On a stack of its own with two candidates and the defaults: ten writes a second (half CREATE TABLE, half INSERT), four
clients that write into the same two tables at the same moments, and fifty reads a second throughout. After each round
all rows in the shared tables are counted, and at the end every acknowledged write is looked for. Exit code 1 where one
is lost, one was executed twice, one was executed though it was answered with 503, a read failed, or a primary
acknowledged something when another had been elected.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.candidates import Candidates, Place, elections, why_nothing_can_be_cut, writes_inside
from bench.chaos.judgement import missed_by_writes
from bench.clients import KINDS, Kept, Kind, Reads, Write, Writes, ask
from bench.shared_writes import TABLES, WRITERS, Counted, SharedWrites
from bench.stack import BenchStack, local_images
from ops.client import Client
from ops.demo import load_seattle
from ops.interrupts import take_interrupts

_PROJECT = "seafowl"
_STACK = "bench-failover"
_PORT = 8096
_WIDTH = 190
"""Of the table, where it does not go to a terminal."""

_PAUSE_SECONDS = 1.0
"""A shorter silence of acknowledgements of one kind is none: there are five of each a second."""


@dataclass(frozen=True)
class Event:
    """What was done in one round."""

    began: float
    """When; as all times here, `time.monotonic`."""

    since: float | None
    """From when on writes could be taken again; None where that is no one moment."""

    late: int | None = None
    """What a primary that was cut off acknowledged when another had been elected."""


@dataclass(frozen=True)
class Case:
    """One way for a writer to go."""

    label: str
    rounds: int
    happens: Callable[[], Event]


@dataclass(frozen=True)
class Round:
    """What one round came to."""

    event: Event
    ended: float
    pauses: dict[Kind, list[tuple[float, float]]]
    """From when to when nothing of a kind was acknowledged."""

    failed_reads: int
    counted: Counted
    """What this round made of the rows in the shared tables."""

    @property
    def resumed(self) -> float | None:
        """Seconds after which writes of both kinds were acknowledged again, with the first pause."""
        since = self.event.since
        if since is None:
            return None
        return max(next((end - since for _, end in pauses if end > since), 0.0) for pauses in self.pauses.values())

    @property
    def longest(self) -> float:
        """Seconds of the longest pause."""
        return max((end - begin for pauses in self.pauses.values() for begin, end in pauses), default=0.0)

    @property
    def in_all(self) -> float:
        """Seconds of all pauses, of the kind that had to wait longer."""
        return max(sum(end - begin for begin, end in pauses) for pauses in self.pauses.values())


class Chaos:
    """What happens to a stack, each time to the end: until there is a primary again, and its standby in step."""

    def __init__(self, stack: BenchStack, writes: Writes) -> None:
        self._stack = stack
        self._writes = writes
        self._candidates = Candidates(_PROJECT, stack.name)
        self._names = itertools.count()
        self.inside: list[str] = []
        """Tables that a primary acknowledged to a client inside it."""

    def settle(self) -> Any:
        """Wait until there is a primary, and its standby in step; returns it."""
        return self._candidates.settled_primary(120)

    def crash(self) -> Event:
        """SIGKILL; Docker starts it anew."""
        return self._end(lambda node: (node.kill(), node.start()))

    def stay_down(self) -> Event:
        """SIGKILL, and started again only when writes go on without it."""
        return self._end(lambda node: node.kill(), lambda node: node.start())

    def stop(self) -> Event:
        """`docker stop`, and started again when writes go on without it."""
        return self._end(lambda node: node.stop(timeout=15), lambda node: node.start())

    def _end(self, how: Callable[[Any], object], then: Callable[[Any], object] = lambda _: None) -> Event:
        node = self.settle()
        began = time.monotonic()
        how(node)
        self._writes.resumed(began)
        then(node)
        self.settle()
        return Event(began, began)

    def replace(self) -> Event:
        """`pulumi up` that replaces all candidates."""
        self.settle()
        self._stack.configure({"seafowl:resources": {"writer": {"memory": f"{1024 + next(self._names)}MiB"}}})
        began = time.monotonic()
        self._stack.run("up")
        self._writes.resumed(time.monotonic())
        self.settle()
        return Event(began, None)

    def consul(self) -> Event:
        """Consul killed, and started again when no write is taken any more."""
        self.settle()
        (server,) = self._candidates.members("consul")
        began = time.monotonic()
        server.kill()
        self._writes.refused(began)
        since = time.monotonic()
        server.start()
        self._writes.resumed(since)
        self.settle()
        return Event(began, since)

    def cut_off(self, place: Place) -> Event:
        """All packets between the primary and a place dropped, until writes go on with another one."""
        old = self.settle()
        with writes_inside(old, f"inside{next(self._names)}") as inside:
            began, at = time.monotonic(), time.time()
            with self._candidates.cut_off(old, place):
                new = self._candidates.await_other_primary(old, at)
                self._writes.resumed(time.monotonic())
            self.settle()
        elected = elections(new, at)[0]
        self.inside += [table for _, table in inside.acknowledged]
        return Event(began, began, late=sum(when > elected for when, _ in inside.acknowledged))


def main() -> int:
    """Measure and print."""
    take_interrupts()
    parser = argparse.ArgumentParser(prog="bench.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=sys.maxsize, help="at most so many rounds of each case")
    parser.add_argument("--case", default="", help="only cases that have this in their names")
    wanted = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        stack = BenchStack(_STACK, Path(folder))
        stack.configure(
            {"seafowl:lease": "consul", "seafowl:ingress": {"port": _PORT}, "seafowl:images": local_images()}
        )
        try:
            console.print(f"bringing stack {_STACK} up …")
            stack.run("up")
            query = f"SELECT COUNT(*) AS n FROM {load_seattle(Client(stack.running())).table}"
            return _measured(console, stack, query, wanted)
        except KeyboardInterrupt:
            console.print("interrupted")
            return 130
        finally:
            console.print(f"removing stack {_STACK} …")
            stack.run("destroy")


def _measured(console: Console, stack: BenchStack, query: str, wanted: argparse.Namespace) -> int:
    outcome, expected = ask(_PORT, "/q", query)
    if outcome != "200":
        sys.exit(f"the readers do not answer: {outcome}")
    results: dict[str, list[Round]] = {}
    writes, shared = Writes(_PORT, "chaos"), SharedWrites(_PORT)
    with Reads(_PORT, query, expected) as reads, writes, shared:
        chaos = Chaos(stack, writes)
        for case in _cases(console, chaos):
            if wanted.case not in case.label:
                continue
            results[case.label] = []
            number_of_rounds = min(case.rounds, wanted.rounds)
            for number in range(number_of_rounds):
                failed = reads.failed.total()
                event = case.happens()
                ended = time.monotonic()
                # So that there are rows of after this round's change of the writer, and of before the next one's.
                shared.resumed()
                failed = reads.failed.total() - failed
                result = _round(writes.acknowledged(), event, ended, failed, shared.counted())
                results[case.label].append(result)
                console.print(
                    f"{case.label}, {number + 1} of {number_of_rounds}: {_told(result)}; failed reads "
                    f"{result.failed_reads}; shared rows counted {_counted(result.counted)}"
                )
    console.print("looking for all that was acknowledged …")
    kept = writes.kept()
    counted = _together([*(one.counted for rounds in results.values() for one in rounds), shared.counted()])
    lost_inside = _missing(chaos.inside)
    console.print(_table(results, kept, writes.done))
    console.print(
        f"{len(writes.acknowledged())} of {len(writes.done)} writes acknowledged, and {len(chaos.inside)} by a primary "
        f"that was about to be cut off; {reads.count} reads. What came of the writes: {writes.outcomes()}"
    )
    console.print(
        f"{counted.rows} of {len(shared.done)} rows of {WRITERS} clients in the same {TABLES} tables acknowledged. "
        f"What came of them: {dict(shared.outcomes())}"
    )
    problems = [
        *missed_by_writes(kept, counted),
        f"{len(lost_inside)} CREATE TABLE lost that a primary acknowledged that was about to be cut off"
        if lost_inside
        else "",
        f"{reads.failed.total()} reads failed: {dict(reads.failed)}" if reads.failed else "",
        "a primary acknowledged when another had been elected" if _late(results) else "",
    ]
    for problem in filter(None, problems):
        console.print(f"[red]{problem}[/red]")
    return 1 if any(problems) else 0


def _cases(console: Console, chaos: Chaos) -> Sequence[Case]:
    cases = [
        Case("SIGKILL, and back at once", 20, chaos.crash),
        Case("SIGKILL, and kept down", 3, chaos.stay_down),
        Case("stopped gracefully", 3, chaos.stop),
        Case("pulumi up replaces all candidates", 1, chaos.replace),
        Case("Consul killed, and back", 3, chaos.consul),
    ]
    why = why_nothing_can_be_cut()
    if why is not None:
        console.print(f"[yellow]Not measured: a primary that is cut off ({why}).[/yellow]")
        return cases
    return [
        *cases,
        Case("cut off from Consul", 1, lambda: chaos.cut_off("Consul")),
        Case("cut off from everything", 1, lambda: chaos.cut_off("everything")),
    ]


def _round(acknowledged: Sequence[Write], event: Event, ended: float, failed_reads: int, counted: Counted) -> Round:
    pauses: dict[Kind, list[tuple[float, float]]] = {
        kind: _pauses([one.ended for one in acknowledged if one.kind == kind], event.began, ended) for kind in KINDS
    }
    return Round(event, ended, pauses, failed_reads, counted)


def _pauses(times: Sequence[float], began: float, ended: float) -> list[tuple[float, float]]:
    """The silences between one acknowledgement and the next, of those that ended after `began`, until `ended`."""
    return [
        (one, other)
        for one, other in itertools.pairwise(sorted(times))
        if other > began and one < ended and other - one > _PAUSE_SECONDS
    ]


def _told(result: Round) -> str:
    """The pauses of a round, from when to when after its beginning."""
    began = result.event.began
    return "; ".join(
        f"{kind} paused "
        + (
            ", ".join(f"{end - begin:.1f} s ({begin - began:.1f} to {end - began:.1f})" for begin, end in pauses)
            or "never"
        )
        for kind, pauses in result.pauses.items()
    )


def _together(counts: Sequence[Counted]) -> Counted:
    """All that these counts told, the last one with the most rows."""
    return Counted(
        rows=counts[-1].rows,
        lost=[one for count in counts for one in count.lost],
        twice=[one for count in counts for one in count.twice],
        refused=[one for count in counts for one in count.refused],
    )


def _counted(count: Counted) -> str:
    """What is wrong with the shared rows, in words; how many they are, where nothing is."""
    wrong = {"lost": count.lost, "twice": count.twice, "refused, and there": count.refused}
    told = ", ".join(f"{len(ids)} {what}" for what, ids in wrong.items() if ids)
    return told or f"{count.rows}, all there once"


def _missing(tables: Sequence[str]) -> list[str]:
    there = ask(_PORT, "/q", "SELECT table_name FROM information_schema.tables")[1]
    return [table for table in tables if f'"{table}"' not in there]


def _late(results: dict[str, list[Round]]) -> int:
    return sum(one.event.late or 0 for rounds in results.values() for one in rounds)


def _lost(rounds: Sequence[Round], kept: Kept, done: Sequence[Write]) -> dict[Kind, int]:
    """How many lost writes were sent in these rounds."""
    numbers: dict[Kind, set[int]] = {"ddl": set(kept.lost_ddl), "insert": set(kept.lost_inserts)}
    return {
        kind: sum(
            write.kind == kind
            and write.number in numbers[kind]
            and any(one.event.began - 1 < write.ended < one.ended + 1 for one in rounds)
            for write in done
        )
        for kind in numbers
    }


def _table(results: dict[str, list[Round]], kept: Kept, done: Sequence[Write]) -> Table:
    images = local_images()
    table = Table(
        title=f"Two candidates, one Consul server, the defaults ({images.get('seafowl', 'original images')}); seconds",
        caption=f"* of one round, the one with most; silences over {_PAUSE_SECONDS:g} s of one kind of write",
    )
    table.add_column("what happens to the primary", no_wrap=True)
    for heading in (
        "rounds",
        "writes resumed\nafter, median",
        "highest",
        "longest\npause",
        "pauses\nin all*",
        "failed\nreads",
        "acknowledged\nINSERTs lost",
        "acknowledged\nDDL lost",
        "acknowledged\nshared rows lost",
        "acknowledged after\nanother was elected",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for label, rounds in results.items():
        resumed = [one.resumed for one in rounds if one.resumed is not None]
        late = [one.event.late for one in rounds if one.event.late is not None]
        lost = _lost(rounds, kept, done)
        table.add_row(
            label,
            str(len(rounds)),
            f"{statistics.median(resumed):.1f}" if resumed else "–",
            f"{max(resumed):.1f}" if resumed else "–",
            f"{max(one.longest for one in rounds):.1f}",
            f"{max(one.in_all for one in rounds):.1f}",
            str(sum(one.failed_reads for one in rounds)),
            str(lost["insert"]),
            str(lost["ddl"]),
            str(sum(len(one.counted.lost) for one in rounds)),
            str(sum(late)) if late else "–",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
