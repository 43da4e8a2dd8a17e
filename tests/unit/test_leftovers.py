"""What an `up` that was killed left behind: what is taken for it, what is removed, and when nothing is."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from cluster import leftovers
from cluster.engine import ClusterError, DockerHost
from cluster.labels import DEPLOYMENT
from cluster.leftovers import Thing, made_by, make_way, remove
from cluster.preflight import Seen
from tests.unit.pulumi_mocks import DOCKER, Record, declare_stack

OURS, THEIRS = {DEPLOYMENT: "ours"}, {DEPLOYMENT: "theirs"}


@dataclass
class Engine:
    """Stands in for `cluster.engine.Engine`, and writes down what is removed."""

    listed: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = ""
    removed: list[str] = field(default_factory=list)
    filters: dict[str, Any] = field(default_factory=dict)

    def __call__(self, host: DockerHost) -> "Engine":
        assert host == DOCKER
        return self

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def containers(self, every: bool = False, **filters: Any) -> list[dict[str, Any]]:
        assert every, "one that never started is in the way, too"
        self.filters = filters
        return self.listed

    def remove_container(self, container_id: str, grace_seconds: int) -> None:
        assert grace_seconds > 0, "a writer ends what it is doing"
        self._remove(f"container {container_id}")

    def remove_network(self, network_id: str) -> None:
        self._remove(f"network {network_id}")

    def remove_volume(self, name: str) -> None:
        self._remove(f"volume {name}")

    def _remove(self, what: str) -> None:
        if what == self.refuses:
            raise ClusterError("it is in use")
        self.removed.append(what)


def container(container_id: str, labels: dict[str, str] | None) -> dict[str, Any]:
    return {"Id": container_id, "Names": [f"/{container_id}-name"], "Labels": labels, "Created": 0}


def seen(*containers: dict[str, Any], **others: Sequence[dict[str, Any]]) -> Seen:
    return Seen("engine", 2, containers, here=False, **others)


def test_what_carries_the_deployments_id_was_made_by_it_and_comes_in_an_order_that_docker_takes() -> None:
    host = seen(
        container("c", OURS),
        container("stranger", THEIRS),
        container("plain", {}),
        networks=[{"Id": "n", "Name": "front", "Labels": OURS}, {"Id": "bridge", "Name": "bridge", "Labels": {}}],
        volumes=[{"Name": "v", "Labels": OURS}, {"Name": "data", "Labels": None}],
    )
    assert made_by(host, "ours") == [
        Thing("container", "c", "c-name"),
        Thing("network", "n", "front"),
        Thing("volume", "v", "v"),
    ]


def test_what_cannot_be_removed_is_told_and_the_rest_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(refuses="network n")
    monkeypatch.setattr(leftovers, "Engine", engine)
    things = [Thing("container", "c", "c"), Thing("network", "n", "front"), Thing("volume", "v", "v")]
    told: list[str] = []
    assert remove(DOCKER, things, report=told.append) == ["network front cannot be removed: it is in use"]
    assert engine.removed == ["container c", "volume v"]
    assert len(told) == 3


def test_only_this_deployments_container_of_exactly_that_name_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine([container("c", OURS)])
    monkeypatch.setattr(leftovers, "Engine", engine)
    make_way(DOCKER, "seafowl-dev-writer-0", "ours", report=lambda _: None)
    assert engine.removed == ["container c"]
    assert engine.filters == {"name": "^/seafowl-dev-writer-0$", "label": f"{DEPLOYMENT}=ours"}


def test_containers_of_a_fixed_name_make_way_before_they_are_made_and_no_others() -> None:
    record = declare_stack({"lease": "consul", "ingress": {"tls": {"selfSigned": True}}})
    hooked = {one.name for one in record.of("Container") if one.before_create}
    fixed = {one.name for one in record.of("Container") if "name" in one.inputs}
    assert hooked == fixed
    assert {"object-store", "writer-0", "writer-1", "ingress"} <= hooked
    assert not [name for name in hooked if name.startswith("reader")]


def test_the_hook_removes_what_has_the_name_and_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    made_way: list[tuple[object, ...]] = []
    monkeypatch.setattr("components.leftovers.make_way", lambda *args, **_: made_way.append(args))
    record = declare_stack()
    inputs = {"name": "seafowl-dev-writer-0", "labels": [{"label": DEPLOYMENT, "value": "ours"}]}
    (hook,) = record.hooks.values()
    called = hook(pulumi.ResourceHookArgs("urn", "", "writer-0", "type", new_inputs=inputs))
    assert called is not None
    asyncio.run(called)  # pyright: ignore[reportArgumentType]
    assert made_way == [(DOCKER, "seafowl-dev-writer-0", "ours")]


@dataclass
class Up:
    """One `up`, and what it removed."""

    asked: list[list[str]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def run(
        self, monkeypatch: pytest.MonkeyPatch, there: Callable[[str], Seen], *, known: Sequence[str] = (), code: int = 0
    ) -> Record:
        record = Record()

        def export(command: list[str], **_: object) -> SimpleNamespace:
            self.asked.append(command)
            state = {"deployment": {"resources": [{"id": one} for one in known]}}
            return SimpleNamespace(returncode=code, stdout=json.dumps(state), stderr="no backend")

        def removed(_host: object, things: Sequence[Thing], **_: object) -> list[str]:
            self.removed += [thing.id for thing in things]
            return []

        def look(_host: object) -> Seen:
            while "Stash deployment" not in record.labels:
                pass
            return there(record.one("Stash deployment").inputs["input"])

        monkeypatch.setattr(subprocess, "run", export)
        monkeypatch.setattr("components.leftovers.remove", removed)
        return declare_stack(look=look, record=record)


def test_what_neither_the_program_nor_the_state_knows_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    up = Up()
    up.run(
        monkeypatch,
        lambda own: seen(
            container("writer-0-id", {DEPLOYMENT: own}),
            container("to-be-removed-by-this-up", {DEPLOYMENT: own}),
            container("orphan", {DEPLOYMENT: own}),
            container("stranger", THEIRS),
            networks=[{"Id": "orphaned-network", "Name": "front-0", "Labels": {DEPLOYMENT: own}}],
        ),
        known=["writer-0-id", "to-be-removed-by-this-up"],
    )
    assert up.removed == ["orphan", "orphaned-network"]
    assert up.asked[0][:3] == ["pulumi", "stack", "export"]
    assert up.asked[0][4].endswith("/seafowl/dev"), "of this stack, whichever is selected"


def test_an_up_that_knows_all_that_is_there_does_not_ask_for_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    up = Up()
    everything = ["object-store-id", "writer-0-id", "reader-0-id", "reader-1-id", "ingress-id", "ingress-routes-id"]
    up.run(
        monkeypatch,
        lambda own: seen(
            *(container(one, {DEPLOYMENT: own}) for one in everything),
            networks=[{"Id": f"{one}-id", "Name": one, "Labels": {DEPLOYMENT: own}} for one in ("front", "back")],
            volumes=[{"Name": "ingress-config-id", "Labels": {DEPLOYMENT: own}}],
        ),
    )
    assert (up.asked, up.removed) == ([], [])


@pytest.mark.parametrize(("known", "code"), [([], 0), (["writer-0-id"], 255)])
def test_where_the_state_does_not_tell_nothing_is_removed(
    monkeypatch: pytest.MonkeyPatch, known: list[str], code: int
) -> None:
    up = Up()
    up.run(monkeypatch, lambda own: seen(container("orphan", {DEPLOYMENT: own})), known=known, code=code)
    assert up.asked
    assert up.removed == []
