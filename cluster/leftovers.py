"""What an `up` that was killed made in Docker, and no state knows: found by the deployment's id, and removed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cluster.engine import ClusterError, DockerHost, Engine
from cluster.labels import DEPLOYMENT
from cluster.preflight import Seen

_GRACE_SECONDS = 15
"""As the stack's containers have it, to end what they are doing."""


@dataclass(frozen=True)
class Thing:
    """One thing in Docker."""

    kind: Literal["container", "network", "volume"]
    id: str
    """As Docker and Pulumi's state have it."""

    name: str


def made_by(seen: Seen, deployment: str) -> list[Thing]:
    """All that this deployment had made when the host was looked at, in the order in which it could be removed.

    Data volumes are not in it: they carry no deployment, and the next `up` takes them as they are.
    """
    return [
        *(Thing("container", one["Id"], one["Names"][0].lstrip("/")) for one in _own(seen.containers, deployment)),
        *(Thing("network", one["Id"], one["Name"]) for one in _own(seen.networks, deployment)),
        *(Thing("volume", one["Name"], one["Name"]) for one in _own(seen.volumes, deployment)),
    ]


def remove(host: DockerHost, things: Sequence[Thing], *, report: Callable[[str], None]) -> list[str]:
    """Remove these; what could not be removed, in words. `report` is told of each."""
    refused: list[str] = []
    with Engine(host) as engine:
        for thing in things:
            report(f"removing {thing.kind} {thing.name}, which an `up` that was killed left behind")
            try:
                _remove(engine, thing)
            except ClusterError as error:
                refused.append(f"{thing.kind} {thing.name} cannot be removed: {error}")
    return refused


def make_way(host: DockerHost, name: str, deployment: str, *, report: Callable[[str], None]) -> None:
    """Remove the container of this name, if this deployment made it: it is in the way of one that is about to be made.

    Raises `ClusterError` where the Engine refuses it.
    """
    with Engine(host) as engine:
        for one in engine.containers(every=True, name=f"^/{name}$", label=f"{DEPLOYMENT}={deployment}"):
            report(f"removing container {name}, which an `up` that was killed left behind")
            engine.remove_container(one["Id"], _GRACE_SECONDS)


def _own(listed: Sequence[dict[str, Any]], deployment: str) -> Iterator[dict[str, Any]]:
    for one in listed:
        labels: dict[str, str] = one.get("Labels") or {}
        if labels.get(DEPLOYMENT) == deployment:
            yield one


def _remove(engine: Engine, thing: Thing) -> None:
    match thing.kind:
        case "container":
            engine.remove_container(thing.id, _GRACE_SECONDS)
        case "network":
            engine.remove_network(thing.id)
        case "volume":
            engine.remove_volume(thing.id)
