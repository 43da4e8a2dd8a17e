"""A pulumi that is killed at a moment of the seed's choice: by Ctrl-C or SIGKILL, alone or with all it started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from bench.chaos.cluster import Cluster
from bench.chaos.judgement import Goal
from bench.chaos.observer import Event, Fault
from bench.stack import interrupted_too

_CANCEL = "pulumi cancel"
_UP = "pulumi up"
_DESTROY = "pulumi destroy"

# What a killed pulumi had removed is still in its state, and Docker's provider fails where it is to be removed again.
_REFRESHED = " --refresh"

_EARLIEST_SECONDS = 0.5
_UP_SECONDS = 8.0
"""About what the changes below take: a moment after the end kills nothing, and is drawn again."""
_DESTROY_SECONDS = 4.0

_CHANGES: Sequence[Mapping[str, Any]] = [
    {"seafowl:readers": 3},
    {"seafowl:resources": {"reader": {"memory": "600MiB"}}},
    {"seafowl:resources": {"reader": {"memory": "600MiB"}, "writer": {"memory": "700MiB"}}},
    {"seafowl:readers": 2},
    {"seafowl:resources": {}},
]
"""What an `up` is about: more readers, other readers, another writer, fewer readers, all nodes anew."""


def faults(times: int) -> Sequence[Fault]:
    """`up` and `destroy`, each killed `times` times by each signal."""
    return [
        fault
        for how, words in ((signal.SIGINT, "Ctrl-C"), (signal.SIGKILL, "SIGKILL"))
        for fault in (
            Fault(
                f"pulumi up killed {times} times ({words})",
                "static",
                Goal(commands=_commands(how, _UP)),
                partial(_up_killed, how=how, times=times),
                slow=True,
            ),
            Fault(
                f"pulumi destroy and up killed {times} times each ({words})",
                "retained",
                Goal(commands=[*_commands(how, _DESTROY), *_commands(how, _UP)]),
                partial(_all_killed, how=how, times=times),
                loaded=False,
            ),
        )
    ]


def _commands(how: signal.Signals, command: str) -> list[str]:
    """What a person has to do after `command` was killed."""
    return [_CANCEL, f"{command}{_REFRESHED}"] if how == signal.SIGKILL else [command]


def _flags(how: signal.Signals) -> list[str]:
    return [_REFRESHED.strip()] if how == signal.SIGKILL else []


def _up_killed(cluster: Cluster, how: signal.Signals, times: int) -> Event:
    left: list[str] = []
    killed: list[str] = []
    over = time.monotonic()
    for number in range(times):
        cluster.stack.configure(dict(_CHANGES[number % len(_CHANGES)]))
        killed.append(_killed(cluster, "up", how, _UP_SECONDS))
        over = time.monotonic()
        cluster.up(*_flags(how))
        left += cluster.orphans()
    return Event(over, _commands(how, _UP), left, [f"killed: {', '.join(killed)}"])


def _all_killed(cluster: Cluster, how: signal.Signals, times: int) -> Event:
    """Everything removed, and made again from what `retainData` left; both killed."""
    left: list[str] = []
    killed: list[str] = []
    over = time.monotonic()
    for _ in range(times):
        killed.append(_killed(cluster, "destroy", how, _DESTROY_SECONDS))
        cluster.destroy(*_flags(how))
        left += [what for what in cluster.everything().values() if not what.startswith("volume ")]
        killed.append(_killed(cluster, "up", how, _UP_SECONDS))
        over = time.monotonic()
        cluster.up(*_flags(how))
        left += cluster.orphans()
    commands = [*_commands(how, _DESTROY), *_commands(how, _UP)]
    return Event(over, commands, left, [f"killed: {', '.join(killed)}"])


def _killed(cluster: Cluster, command: str, how: signal.Signals, seconds: float) -> str:
    """Begin a command and kill it; what is to be told of it. Where it was done before, nothing was killed."""
    process = cluster.stack.begin(command)
    moment = cluster.rng.uniform(_EARLIEST_SECONDS, seconds)
    alone = how == signal.SIGKILL and cluster.rng.random() < 1 / 2
    try:
        with interrupted_too(process):
            process.wait(moment)
    except subprocess.TimeoutExpired:
        kill: Callable[[int, int], None] = os.kill if alone else os.killpg
        with suppress(ProcessLookupError):
            kill(process.pid, how)
    process.communicate()
    if how == signal.SIGKILL and process.returncode == -how:
        cluster.stack.cancel()
    ended = "" if process.returncode == -how or (how == signal.SIGINT and process.returncode) else " (it was done)"
    return f"{command} after {moment:.1f} s{ended}"
