"""What somebody removes by hand, and `pulumi up --refresh` makes again."""

import time
from collections.abc import Sequence
from functools import partial

from bench.chaos.cluster import Cluster
from bench.chaos.judgement import Goal
from bench.chaos.observer import REFRESH, Event, Fault

_PARTS = {"reader": "a reader", "writer": "the writer", "object-store": "MinIO", "ingress": "the ingress"}


def faults() -> Sequence[Fault]:
    """A container of each role, and each network."""
    return [
        *(
            Fault(
                f"{words} removed by hand",
                "static",
                Goal(reads_may_fail=role in ("object-store", "ingress"), commands=[REFRESH]),
                partial(_container_removed, role=role),
                in_cut=role == "writer",
            )
            for role, words in _PARTS.items()
        ),
        *(
            Fault(
                f"the {role} network removed by hand",
                "static",
                Goal(reads_may_fail=True, commands=[REFRESH]),
                partial(_network_removed, role=role),
            )
            for role in ("front", "back")
        ),
    ]


def _container_removed(cluster: Cluster, role: str) -> Event:
    cluster.one(role).remove(force=True, v=True)
    return _made_again(cluster)


def _network_removed(cluster: Cluster, role: str) -> Event:
    network = cluster.network(role)
    network.reload()
    for container in network.attrs["Containers"]:
        network.disconnect(container, force=True)
    network.remove()
    return _made_again(cluster)


def _made_again(cluster: Cluster) -> Event:
    """Recovery begins with the command: nothing could begin it before."""
    over = time.monotonic()
    cluster.up("--refresh")
    return Event(over, [REFRESH], cluster.orphans())
