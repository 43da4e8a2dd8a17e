"""One fault under load, from the first write to the judgement of what is there of all of them."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.chaos.cluster import RECOVERY_SECONDS, Cluster, CommandError
from bench.chaos.judgement import Ending, Goal, Seen, of_reads, of_writes, pause
from bench.clients import Reads, Writes
from bench.shared_writes import SharedWrites
from ops.waiting import await_true

_WRITES_PER_SECOND = 6
_READS_PER_SECOND = 20

_BEFORE_SECONDS = 1.0
"""For which the load runs before anything happens."""

_CATCH_UP_SECONDS = 60
"""For which an acknowledged write may be missing at a reader, once all is well."""

REFRESH = "pulumi up --refresh"


@dataclass(frozen=True)
class Event:
    """What was done in the course of a fault."""

    over: float
    """When the fault itself was over, so that recovery could begin; `time.monotonic`."""

    commands: Sequence[str] = ()
    """What a person did."""

    left: Sequence[str] = ()
    """What was found in Docker that no state knows."""

    remarks: Sequence[str] = ()
    failed: bool = False
    """Whether a command failed that should have mended it."""


@dataclass(frozen=True)
class Fault:
    """One way in which things go wrong."""

    name: str
    stack: str
    """Which stack it happens to: a key of `bench.chaos.stacks.STACKS`."""

    goal: Goal
    happens: Callable[[Cluster], Event]
    slow: bool = False
    """Whether a short run leaves it out."""

    in_cut: bool = False
    """Whether `make test` has it, too."""

    loaded: bool = True
    """Whether it happens under load; where it takes everything away, what was written before is looked for after."""


@dataclass(frozen=True)
class Query:
    """What is read all the time."""

    text: str
    answer: str


class Writers:
    """Who writes to one stack, from its first fault to its last: nothing of theirs is ever dropped."""

    def __init__(self, port: int) -> None:
        self.writes = Writes(port, "alone", per_second=_WRITES_PER_SECOND)
        self.shared = SharedWrites(port)

    def ending(self, stack: str, faults: int) -> Ending:
        """What there is of all of it at the end, looked into once more."""
        kept = self.writes.kept(_CATCH_UP_SECONDS, look_into_all=True)
        shared = self.shared.counted(_CATCH_UP_SECONDS)
        acknowledged = len(self.writes.acknowledged()) + shared.rows
        return Ending(stack, faults, acknowledged, kept, shared)


def observe(cluster: Cluster, fault: Fault, query: Query, writers: Writers) -> Seen:
    """Let `fault` happen, wait until all is well, and look for everything that was acknowledged."""
    cluster.await_well()
    writes, shared = writers.writes, writers.shared
    before, shared_before = len(writes.done), len(shared.done)
    reads = Reads(cluster.port, query.text, query.answer, per_second=_READS_PER_SECOND)
    if fault.loaded:
        with reads, writes, shared:
            time.sleep(_BEFORE_SECONDS)
            began = time.monotonic()
            event = _happened(cluster, fault)
            recovered, event = _recovery(cluster, writers, reads, event)
            ended = time.monotonic()
    else:
        with reads, writes, shared:
            time.sleep(3 * _BEFORE_SECONDS)
        began = time.monotonic()
        event = _happened(cluster, fault)
        recovered, event = _well_after(cluster, event)
        ended = began
    failed, wrong, slowest = of_reads(reads.done)
    done = writes.done[before:]
    return Seen(
        fault=fault.name,
        goal=fault.goal,
        writes=dict(Counter(of_writes(done)) + shared.outcomes(shared_before)),
        kept=writes.kept(_CATCH_UP_SECONDS),
        shared=shared.counted(_CATCH_UP_SECONDS),
        reads=reads.count,
        failed=failed,
        wrong=wrong,
        slowest=slowest,
        pause=pause(done, began, ended) if fault.loaded else 0.0,
        recovered=recovered,
        commands=event.commands,
        left=event.left,
        remarks=event.remarks,
    )


def _happened(cluster: Cluster, fault: Fault) -> Event:
    try:
        return fault.happens(cluster)
    except CommandError as error:
        # What it leaves is looked at all the same: it may be well again, and if not, that is told.
        return Event(time.monotonic(), [error.command], cluster.orphans(), [str(error)], failed=True)


def _recovery(cluster: Cluster, writers: Writers, reads: Reads, event: Event) -> tuple[float | None, Event]:
    """Seconds until all was well after the fault, None where a person had to help; and the event with what he did."""
    try:
        recovered = _until_well(cluster, writers, reads, event.over)
        return None if event.failed else recovered, event
    except TimeoutError as error:
        told = [*event.remarks, f"not well after {RECOVERY_SECONDS} s: {error} ({', '.join(cluster.unwell())})"]
    helped = Event(time.monotonic(), [*event.commands, REFRESH], event.left, told)
    try:
        cluster.up("--refresh")
        _until_well(cluster, writers, reads, helped.over)
    except (TimeoutError, CommandError) as error:
        told.append(f"and `{REFRESH}` did not help: {error}")
    return None, helped


def _until_well(cluster: Cluster, writers: Writers, reads: Reads, over: float) -> float:
    """Seconds from `over` until every part is healthy, both kinds of write are acknowledged, and reads are answered.

    It returns when rows of several clients are acknowledged, too.
    """
    writes = writers.writes
    cluster.await_well()
    healthy = time.monotonic()
    writes.resumed(over, RECOVERY_SECONDS)
    written = max(
        min(write.ended for write in writes.acknowledged(over) if write.kind == kind) for kind in ("ddl", "insert")
    )
    writers.shared.resumed(RECOVERY_SECONDS)
    since = time.monotonic()
    await_true(
        lambda: sum(read.sent > since and read.outcome == "200" for read in list(reads.done)) > _READS_PER_SECOND,
        "reads are not answered",
        RECOVERY_SECONDS,
    )
    read_failed = max((read.ended for read in list(reads.done) if read.outcome != "200"), default=0.0)
    return max(healthy, written, read_failed, over) - over


def _well_after(cluster: Cluster, event: Event) -> tuple[float | None, Event]:
    try:
        cluster.await_well()
    except TimeoutError as error:
        return None, Event(event.over, event.commands, event.left, [*event.remarks, str(error)])
    return time.monotonic() - event.over, event
