"""Parts that die, or freeze; and the Docker host that restarts."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.chaos.cluster import Cluster, eventually
from bench.chaos.judgement import Goal
from bench.chaos.observer import Event, Fault
from bench.chaos.stacks import READ_TIMEOUT_SECONDS
from ops.running import ROOT
from ops.waiting import await_true

_ROLES = {"reader": "a reader", "writer": "the writer", "object-store": "MinIO", "ingress": "the ingress"}
"""Role → the part in words. (Of the two readers, one.)"""

_NEEDED_TO_READ = ("object-store", "ingress")

_DAEMON = Path("/var/run/docker.pid")


def faults(freeze_seconds: float, *, restart_docker: bool) -> Sequence[Fault]:
    """SIGKILL of each part, each frozen for a while, and all of them at once."""
    return [
        *(
            Fault(
                f"{words} killed (SIGKILL)",
                "static",
                _goal(role),
                partial(_killed, role=role),
                in_cut=role in ("reader", "writer", "object-store"),
            )
            for role, words in _ROLES.items()
        ),
        Fault("Consul killed (SIGKILL)", "consul", Goal(), partial(_killed, role="consul")),
        Fault("the primary killed (SIGKILL)", "consul", Goal(), _primary_killed),
        *(
            Fault(
                f"{words} frozen for {freeze_seconds:.0f} s",
                "static",
                _goal(role),
                partial(_frozen, role=role, seconds=freeze_seconds),
            )
            for role, words in _ROLES.items()
        ),
        Fault(
            f"Consul frozen for {freeze_seconds:.0f} s",
            "consul",
            Goal(),
            partial(_frozen, role="consul", seconds=freeze_seconds),
        ),
        Fault(
            f"the primary frozen for {freeze_seconds:.0f} s",
            "consul",
            Goal(),
            partial(_primary_frozen, seconds=freeze_seconds),
        ),
        Fault("the host rebooted (all killed at once)", "static", Goal(reads_may_fail=True), _rebooted),
        Fault("the host rebooted, lease in Consul", "consul", Goal(reads_may_fail=True), _rebooted),
        *(
            [Fault("the Docker daemon restarted", "static", Goal(reads_may_fail=True), _daemon_restarted)]
            if restart_docker
            else []
        ),
    ]


def _goal(role: str) -> Goal:
    if role in _NEEDED_TO_READ:
        return Goal(reads_may_fail=True)
    return Goal(read_seconds=READ_TIMEOUT_SECONDS)


def _killed(cluster: Cluster, role: str) -> Event:
    over = time.monotonic()
    cluster.sigkill([cluster.one(role)])
    return Event(over)


def _primary_killed(cluster: Cluster) -> Event:
    primary = cluster.candidates.settled_primary(120)
    over = time.monotonic()
    cluster.sigkill([primary])
    return Event(over)


def _frozen(cluster: Cluster, role: str, seconds: float) -> Event:
    return freeze(cluster.one(role), seconds)


def _primary_frozen(cluster: Cluster, seconds: float) -> Event:
    return freeze(cluster.candidates.settled_primary(120), seconds)


def freeze(container: Any, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> Event:
    """`docker pause`, and `docker unpause` after `seconds`; `meanwhile` is called when they have passed."""
    container.pause()
    try:
        time.sleep(seconds)
        meanwhile()
    finally:
        # Docker may be asked for other things by then; whatever happens, nothing stays frozen.
        eventually(container.unpause)
    return Event(time.monotonic())


def _rebooted(cluster: Cluster) -> Event:
    """All at once, in an order of the seed's choice; Docker starts them by their restart policy, as after a reboot."""
    members = cluster.members()
    cluster.rng.shuffle(members)
    policies = sorted({one.attrs["HostConfig"]["RestartPolicy"]["Name"] for one in members})
    over = time.monotonic()
    cluster.sigkill(members)
    return Event(over, remarks=[f"restart policy of every part: {', '.join(policies)}"])


def _daemon_restarted(cluster: Cluster) -> Event:
    """As the service manager does it; without one, as ops/setup.sh started it."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "restart", "docker"], check=True)  # noqa: S607
    else:
        process = int(_DAEMON.read_text())
        os.kill(process, signal.SIGTERM)
        await_true(lambda: not Path(f"/proc/{process}").exists(), "the Docker daemon does not end", 120)
        subprocess.run([str(ROOT / "ops/setup.sh"), "docker"], check=True)  # noqa: S603
    over = time.monotonic()
    await_true(cluster.engine.ping, "the Docker daemon does not answer", 60)
    return Event(over)
