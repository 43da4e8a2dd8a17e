"""The processes that look after tables, killed while they do."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bench.chaos.cluster import Cluster
from bench.chaos.judgement import Goal
from bench.chaos.observer import Event, Fault
from bench.chaos.stacks import READ_TIMEOUT_SECONDS
from bench.shared_writes import SHARED
from ops.waiting import await_true

_PROGRAM = "seafowl-maintenance"

_PATIENCE_SECONDS = 150
"""For all kills, and then for the next care that succeeds."""

_ONE_KILL_SECONDS = 20
"""Longest wait in one node for a process that can be killed."""

_LATEST_SECONDS = 1.5
"""After the beginning of a process that is to be killed: it runs for about that long."""

# Kills the program in its midst, once; prints after how many seconds. The image has no `pkill`.
_KILL = """
import os, signal, sys, time
program, moment, patience = sys.argv[1].encode(), float(sys.argv[2]), float(sys.argv[3])
end, old = time.monotonic() + patience, None

def running():
    for one in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % one, "rb") as line:
                words = line.read().split(b"\\0")
        except OSError:
            continue
        if int(one) != os.getpid() and any(program in word for word in words[:2]) and b"table" in words:
            yield int(one)

while time.monotonic() < end:
    now = set(running())
    old = now if old is None else old
    if now <= old:
        time.sleep(0.02)
        continue
    time.sleep(moment)
    killed = list(running())
    for one in killed:
        os.kill(one, signal.SIGKILL)
    if killed:
        print(moment)
        break
"""


def faults(times: int) -> Sequence[Fault]:
    """On the one writer, and on the primary of several candidates."""
    return [
        Fault(
            f"the maintenance of tables killed {times} times (SIGKILL), {whose}",
            stack,
            Goal(read_seconds=READ_TIMEOUT_SECONDS),
            partial(_killed, times=times),
            in_cut=stack == "static",
        )
        for stack, whose in (("static", "one writer"), ("consul", "the primary's"))
    ]


def _killed(cluster: Cluster, times: int) -> Event:
    moments: list[str] = []
    end = time.monotonic() + _PATIENCE_SECONDS
    while len(moments) < times and time.monotonic() < end:
        # Another one may be the primary by now.
        node = cluster.candidates.primary()
        words = [_PROGRAM, f"{cluster.rng.uniform(0, _LATEST_SECONDS):.1f}", str(_ONE_KILL_SECONDS)]
        code, output = node.exec_run(["python3", "-c", _KILL, *words])
        moments += output.decode(errors="replace").split() if code == 0 else []
    over = time.monotonic()
    told = [f"killed {', '.join(moments)} s after they began"]
    if len(moments) < times:
        return Event(over, remarks=[*told, f"there was no more to kill in {_PATIENCE_SECONDS} s"], failed=True)
    node = cluster.candidates.primary()
    versions = {name: one["version"] for name, one in _shared(node).items()}
    try:
        await_true(lambda: _has_newer_checkpoints(node, versions), "tables get no care any more", _PATIENCE_SECONDS)
    except TimeoutError as error:
        return Event(over, remarks=[*told, str(error)], failed=True)
    return Event(over, remarks=[*told, f"all tables had newer checkpoints after {time.monotonic() - over:.1f} s"])


def _has_newer_checkpoints(node: Any, versions: Mapping[str, int]) -> bool:
    now = _shared(node)
    return bool(versions) and all(
        name in now and (now[name]["checkpoint"] or -1) >= version for name, version in versions.items()
    )


def _shared(node: Any) -> dict[str, dict[str, Any]]:
    """The tables that several clients write to, as the supervisor tells of them; none where it does not answer."""
    code, output = node.exec_run(["seafowl-supervisor", "tables"])
    told = [json.loads(line) for line in output.decode(errors="replace").splitlines()] if code == 0 else []
    return {one["table"]: one for one in told if f".{SHARED}_" in one.get("table", "")}
