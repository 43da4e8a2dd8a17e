"""Changes of the readers while reads run: their number, and all of them at once."""

import time
from collections.abc import Callable, Sequence

from bench.clients import Reads, ask
from bench.commands import Command
from bench.deployments import Deployment, Part
from bench.figures import Record
from cluster.engine import Engine
from ops.access_log import answered
from ops.waiting import await_true

_BY_ITSELF_SECONDS = 5
"""How long after the command's end an ingress that may have to be told about new readers is watched first."""

_PATIENCE_SECONDS = 60
"""How long after the command's end every new reader must have answered."""

_AFTERWARDS_SECONDS = 4
"""How long reads go on after the change, and before it: long enough for one that was sent into the void to fail."""

_BEFORE_READS = 25
_LOG_LINES = 200


STEPS_DOWN, STEPS_UP = ((3, 1),), ((1, 3), (3, 4))
"""Numbers of readers, from and to: before and after one reader is measured alone."""


def scale_label(before: int, after: int) -> str:
    """What a change of the number of readers is called in the figures."""
    return f"{before} → {after} readers"


ONE_MORE = scale_label(*STEPS_UP[-1])
ONE_MORE_IDLE = f"{ONE_MORE}, while no read runs"
"""The same step: with reads, what it takes is also what these leave of the machine."""

REPLACED = "all readers replaced"


def scale(deployment: Deployment, query: str, before: int, after: int, record: Record) -> None:
    """From one number of readers to another."""
    label = scale_label(before, after)
    _change(deployment, query, lambda: deployment.start(after), ("scaling", label), record)


def scale_idle(deployment: Deployment, record: Record) -> None:
    """One reader more, while nothing is asked. The deployment has as many as the last of the steps begins with."""
    with deployment.start(STEPS_UP[-1][1]) as command:
        command.finish()
    record.add("scaling", command_seconds(ONE_MORE_IDLE), deployment.side, "s", command.seconds)


def replace_all(deployment: Deployment, query: str, record: Record) -> None:
    """A change that every reader is replaced for."""
    _change(deployment, query, deployment.replace_readers, ("rolling", REPLACED), record)


def command_seconds(label: str) -> str:
    """Name of the figure of a change's command."""
    return f"{label}: the command"


def traffic_seconds(label: str) -> str:
    """Name of the figure of when the last new reader has answered through the ingress."""
    return f"{label}: the last new one answers"


def failed_requests(label: str) -> str:
    """Name of the figure of the reads that failed."""
    return f"{label}: failed requests"


def _change(
    deployment: Deployment, query: str, begin: Callable[[], Command], what: tuple[str, str], record: Record
) -> None:
    topic, label = what
    outcome, expected = ask(deployment.port, "/q", query)
    if outcome != "200":
        raise TimeoutError(f"{deployment.label} does not answer before the change: {outcome}")
    old = {part.id for part in deployment.readers()}
    side = deployment.side
    with Reads(deployment.port, query, expected) as reads:
        await_true(lambda: reads.count >= _BEFORE_READS, "no read is answered")
        with begin() as command:
            began = time.monotonic()
            answered = _traffic(deployment, old, command, topic, record)
            record.add(topic, command_seconds(label), side, "s", command.seconds)
            if answered is not None:
                record.add(topic, traffic_seconds(label), side, "s", answered - began)
        time.sleep(_AFTERWARDS_SECONDS)
    record.add(topic, failed_requests(label), side, "requests", reads.failed.total())
    record.add(topic, f"{label}: longest wait for an answer", side, "s", reads.slowest)


def _traffic(deployment: Deployment, old: set[str], command: Command, topic: str, record: Record) -> float | None:
    """When the last of the readers that are not `old` had answered, at the end; None where there is no new one, or
    where the ingress had to be told.
    """
    told = False
    answered: dict[str, float] = {}
    while True:
        ended = command.ended
        new = [part for part in deployment.readers() if part.id not in old]
        for part in _answering(deployment, new):
            answered.setdefault(part.id, time.monotonic())
        if ended and all(part.id in answered for part in new):
            return None if told else max((answered[part.id] for part in new), default=None)
        if command.since_end > _PATIENCE_SECONDS:
            raise TimeoutError(f"{deployment.label}: not every new reader gets requests")
        if not told and not deployment.catches_up_by_itself and command.since_end > _BY_ITSELF_SECONDS:
            record.note(
                topic,
                f"{deployment.label}: new readers get no request by themselves. {_BY_ITSELF_SECONDS} s after the "
                "command's end NGINX was told to reload, as a user has to do; with that, they got some.",
            )
            deployment.tell_the_ingress()
            told = True
        time.sleep(0.1)


def _answering(deployment: Deployment, readers: Sequence[Part]) -> list[Part]:
    """Those of `readers` that answered one of the last requests, by the ingress's log."""
    with Engine(deployment.docker) as engine:
        entries = answered(engine, deployment.one("ingress").id, _LOG_LINES)
    latest = {entry.node: entry.at for entry in entries if entry.status == "200"}
    # An address may have been another reader's before.
    return [part for part in readers if latest.get(part.address, 0) >= part.created]
