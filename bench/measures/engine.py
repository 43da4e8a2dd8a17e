"""What the engine takes: a preview, and an `up` that changes nothing, with more and more readers declared."""

from collections.abc import Sequence

from bench.deployments import Ours
from bench.figures import Record
from bench.stack import BenchStack

DEPLOYED = (1, 10)
DECLARED = (50, 100)
ALL = (*DEPLOYED, *DECLARED)
EMPTY_UP = "pulumi up, nothing to change"
EMPTY_PREVIEW = "pulumi preview"


def no_op_up(readers: int) -> str:
    """Name of the figure of an `up` that changes nothing."""
    return f"up without a change, {readers} reader{'s' if readers > 1 else ''}"


def preview(readers: int) -> str:
    """Name of the figure of a preview with so many readers."""
    return f"preview, {readers} reader{'s' if readers > 1 else ''}"


def no_change(ours: Ours, empty: BenchStack, readers: int, rounds: int, record: Record) -> None:
    """Rounds on a stack that runs with so many readers, each beside the program that declares nothing."""
    for _ in range(rounds):
        empty_up(empty, record, "engine")
        record.add("engine", EMPTY_PREVIEW, "empty", "s", empty.run("preview"))
        record.add("engine", no_op_up(readers), "ours", "s", ours.stack.run("up"))
        record.add("engine", preview(readers), "ours", "s", ours.stack.run("preview"))


def declared_only(ours: Ours, counts: Sequence[int], rounds: int, record: Record) -> None:
    """Previews with more readers than are deployed: nothing is made."""
    for _ in range(rounds):
        for count in counts:
            ours.stack.configure({"seafowl:readers": count})
            record.add("engine", preview(count), "ours", "s", ours.stack.run("preview"))


def empty_up(empty: BenchStack, record: Record, topic: str) -> None:
    """An `up` of the program that declares nothing: what pulumi itself takes."""
    record.add(topic, EMPTY_UP, "empty", "s", empty.run("up"))
