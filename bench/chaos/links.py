"""The way between writer and readers: cut for a while; and a reader that comes back from before LiteFS's memory."""

import time
from collections.abc import Sequence
from functools import partial

from bench.candidates import packets_dropped
from bench.chaos.cluster import Cluster, eventually
from bench.chaos.judgement import Goal
from bench.chaos.observer import Event, Fault
from bench.chaos.parts import freeze
from bench.chaos.stacks import READ_TIMEOUT_SECONDS
from config.layout import LITEFS_DATA_DIR

_REMEMBERS = (
    "LiteFS keeps transaction files for 10 minutes (its default); their end is brought about here by removing them"
)

# All but the newest, as LiteFS's own monitor does it.
_FORGET = f"cd {LITEFS_DATA_DIR}/dbs/*/ltx && ls | sort | head -n -1 | xargs rm -f"


def faults(cut_seconds: float, freeze_seconds: float, why_no_cut: str | None) -> Sequence[Fault]:
    """`why_no_cut`: why no packets can be dropped here; None where they can."""
    cut = Fault(
        f"writer and readers cut off from each other for {cut_seconds:.0f} s",
        "static",
        Goal(read_seconds=READ_TIMEOUT_SECONDS),
        partial(_cut, seconds=cut_seconds),
    )
    return [
        *([cut] if why_no_cut is None else []),
        Fault(
            f"a reader disconnected from the back network for {cut_seconds:.0f} s",
            "static",
            # While it tries to reach the object store, its queries look like queries that take long: they get 504.
            Goal(reads_may_fail=True, read_seconds=READ_TIMEOUT_SECONDS),
            partial(_disconnected, seconds=cut_seconds),
        ),
        Fault(
            "a reader frozen for longer than LiteFS remembers",
            "static",
            Goal(read_seconds=READ_TIMEOUT_SECONDS),
            partial(_out_of_memory, seconds=freeze_seconds),
        ),
    ]


def _cut(cluster: Cluster, seconds: float) -> Event:
    """Packets between the writer and the readers dropped, on both networks; all of them still reach MinIO."""
    (writer,) = cluster.members("writer")
    addresses = [
        place["IPAddress"]
        for reader in cluster.members("reader")
        for place in reader.attrs["NetworkSettings"]["Networks"].values()
    ]
    with packets_dropped(writer, addresses):
        time.sleep(seconds)
    return Event(time.monotonic())


def _disconnected(cluster: Cluster, seconds: float) -> Event:
    """`docker network disconnect`, and `connect` after a while: without the writer, and without MinIO."""
    reader, network = cluster.one("reader"), cluster.network("back")
    aliases = reader.attrs["NetworkSettings"]["Networks"][network.name]["Aliases"]
    network.disconnect(reader)
    try:
        time.sleep(seconds)
    finally:
        eventually(lambda: network.connect(reader, aliases=aliases))
    return Event(time.monotonic())


def _out_of_memory(cluster: Cluster, seconds: float) -> Event:
    (writer,) = cluster.members("writer")

    def forget() -> None:
        code, output = writer.exec_run(["sh", "-c", _FORGET])
        if code != 0:
            raise RuntimeError(f"the writer's transaction files cannot be removed: {output.decode()}")

    reader = cluster.one("reader")
    event = freeze(reader, seconds, forget)
    return Event(event.over, remarks=[_REMEMBERS])
