"""Disks that get full, and are freed: small volumes that are made for it, in memory. The host's own are left alone.

A container of its own keeps each volume mounted (one in memory is gone when nobody has it), fills it, and frees it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bench.chaos.cluster import PROJECT, Cluster
from bench.chaos.judgement import Goal
from bench.chaos.observer import Event, Fault
from bench.chaos.stacks import READ_TIMEOUT_SECONDS, minio_volume

_FULL = "/disk/filled-by-chaos"
# Block by block, so that the last free byte is taken, too.
_FILL = f"for size in 64k 4k 1k; do dd if=/dev/zero bs=$size 2>/dev/null >>{_FULL}; done; df /disk | tail -n 1"


@dataclass(frozen=True)
class Disk:
    """A small disk for one part's data."""

    role: str
    volume: str
    mebibytes: int


def small_disks(stack: str) -> Sequence[Disk]:
    """Of a stack of the kind `disks`: the catalog's volume has a fixed name, MinIO's is named by the config."""
    return [
        Disk("writer", f"{PROJECT}-{stack}-writer-0-catalog", 32),
        Disk("object-store", minio_volume(stack), 256),
    ]


def faults(full_seconds: float) -> Sequence[Fault]:
    """The writer's disk, and MinIO's."""
    return [
        Fault(
            f"{words} full for {full_seconds:.0f} s",
            "disks",
            Goal(read_seconds=READ_TIMEOUT_SECONDS),
            partial(_full, role=role, seconds=full_seconds),
        )
        for role, words in (("writer", "the writer's disk"), ("object-store", "MinIO's disk"))
    ]


def mount(cluster: Cluster, image: str) -> None:
    """Make a stack's small disks, before the stack itself; they go with all else that it has in Docker.

    `image`: of any Linux that has `dd`, `df` and a shell.
    """
    for disk in small_disks(cluster.stack.name):
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={disk.mebibytes}m"}
        cluster.engine.volumes.create(disk.volume, driver_opts=options, labels=cluster.labels)
        cluster.engine.containers.run(
            image,
            ["-c", "trap 'exit 0' TERM; while :; do sleep 1; done"],
            entrypoint="/bin/sh",
            name=_keeper(disk),
            user="0",
            network_mode="none",
            labels=cluster.labels,
            volumes={disk.volume: {"bind": "/disk"}},
            detach=True,
        )


def _keeper(disk: Disk) -> str:
    return f"{disk.volume}-keeper"


def _full(cluster: Cluster, role: str, seconds: float) -> Event:
    (disk,) = [one for one in small_disks(cluster.stack.name) if one.role == role]
    keeper = cluster.engine.containers.get(_keeper(disk))
    code, filled = keeper.exec_run(["sh", "-c", _FILL])
    try:
        if code != 0 or b"100%" not in filled:
            raise RuntimeError(f"the disk does not get full: {filled.decode()}")
        time.sleep(seconds)
    finally:
        keeper.exec_run(["rm", "-f", _FULL])
    return Event(time.monotonic())
