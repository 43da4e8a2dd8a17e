"""What was seen of one fault, and of one stack; what of it falls short of the goals. Nothing here knows Docker."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.clients import KINDS, Kept, Read, Write
from bench.shared_writes import Counted

_MARGIN_SECONDS = 3.0
"""What a read may take longer than the time that NGINX gives a reader: the question whether it hangs, and the other
reader, on a busy machine.
"""


@dataclass(frozen=True)
class Goal:
    """What a fault may cost. Acknowledged writes, wrong answers and anything left behind are never in it."""

    reads_may_fail: bool = False
    """Where no reader, or no object store, or no ingress is there for a while."""

    commands: Sequence[str] = ()
    """What a person has to do, at most; without these it must recover by itself."""

    read_seconds: float | None = None
    """How long one read may take; None where it is not told."""


@dataclass(frozen=True)
class Seen:
    """What came of one fault."""

    fault: str
    goal: Goal
    writes: Mapping[str, int]
    """Outcome → how often."""

    kept: Kept
    """What became of the writes of one client a kind."""

    shared: Counted
    """What became of the writes of several clients into the same tables, since the stack was brought up."""

    reads: int
    failed: Mapping[str, int]
    """Outcome → how often, of reads that were not answered, or not with 200."""

    wrong: int
    """Reads that had another answer than the right one."""

    slowest: float
    """Seconds of the slowest read."""

    pause: float
    """Seconds of the longest silence of one kind of write."""

    recovered: float | None
    """Seconds until all was well again, from when the fault itself was over; None where it never was."""

    commands: Sequence[str] = ()
    """What a person did."""

    left: Sequence[str] = ()
    """What was there in Docker at the end, and in no state."""

    remarks: Sequence[str] = ()
    """What else is worth a word in the report."""

    @property
    def acknowledged(self) -> int:
        """How many writes the cluster promised to keep."""
        return self.writes.get("200", 0)


@dataclass(frozen=True)
class Ending:
    """What was there of all that was written to one stack, when the last fault was over."""

    stack: str
    faults: int
    """That happened to it."""

    acknowledged: int
    kept: Kept
    shared: Counted


def lost(kept: Kept, shared: Counted) -> int:
    """How many acknowledged writes are not there."""
    return len(kept.lost_ddl) + len(kept.lost_inserts) + len(shared.lost)


def twice(kept: Kept, shared: Counted) -> int:
    """How many writes are there more than once."""
    return len(kept.twice) + len(shared.twice)


def refused(kept: Kept, shared: Counted) -> int:
    """How many writes are there though the answer was that nothing was executed."""
    return len(kept.refused) + len(shared.refused)


def missed_by_writes(kept: Kept, shared: Counted) -> list[str]:
    """What became of writes that must not, in words. No goal allows any of it."""
    problems = [
        _counted(kept.lost_ddl, "acknowledged CREATE TABLE lost"),
        _counted(kept.lost_inserts, "acknowledged INSERT lost"),
        _counted(shared.lost, "acknowledged rows of several clients lost"),
        _counted([*kept.twice, *shared.twice], "writes executed twice"),
        _counted([*kept.refused, *shared.refused], "writes executed though refused with 503"),
    ]
    return [problem for problem in problems if problem]


def missed(seen: Seen) -> list[str]:
    """What falls short of the goals, in words; nothing where all is well."""
    goal = seen.goal
    problems = [
        *missed_by_writes(seen.kept, seen.shared),
        f"{seen.wrong} wrong answers" if seen.wrong else "",
        f"{sum(seen.failed.values())} reads failed: {_listed(seen.failed)}"
        if seen.failed and not goal.reads_may_fail
        else "",
        f"a read took {seen.slowest:.1f} s, and may take {goal.read_seconds:.0f}"
        if goal.read_seconds is not None and seen.slowest > goal.read_seconds + _MARGIN_SECONDS
        else "",
        "it did not recover" if seen.recovered is None else "",
        f"a person had to do more than {' and '.join(goal.commands) or 'nothing'}: {', then '.join(seen.commands)}"
        if not set(seen.commands) <= set(goal.commands)
        else "",
        f"left behind: {', '.join(seen.left)}" if seen.left else "",
        "no write was acknowledged, so nothing was proved" if not seen.acknowledged else "",
    ]
    return [problem for problem in problems if problem]


def of_writes(done: Sequence[Write]) -> dict[str, int]:
    """Outcome → how often."""
    return dict(Counter(write.outcome for write in done))


def of_reads(done: Sequence[Read]) -> tuple[dict[str, int], int, float]:
    """The failed reads by outcome, the number of wrong answers, and the seconds of the slowest read."""
    failed = Counter(_brief(read.outcome) for read in done if read.outcome not in ("200", "wrong"))
    wrong = sum(read.outcome == "wrong" for read in done)
    return dict(failed), wrong, max((read.ended - read.sent for read in done), default=0.0)


def pause(done: Sequence[Write], began: float, ended: float) -> float:
    """Seconds of the longest silence of acknowledgements of one kind, of those that touch `began` to `ended`."""
    longest = 0.0
    for kind in KINDS:
        times = sorted(write.ended for write in done if write.kind == kind and write.acknowledged)
        marks = [began, *(time for time in times if began < time < ended), ended]
        longest = max(longest, *(later - earlier for earlier, later in pairwise(marks)))
    return longest


def _brief(outcome: str) -> str:
    """Without what differs from one error to the next of the same kind."""
    return outcome.splitlines()[0][:80].strip()


def _counted(numbers: Sequence[int], what: str) -> str:
    return f"{len(numbers)} {what}" if numbers else ""


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} times {outcome}" for outcome, count in counts.items())
