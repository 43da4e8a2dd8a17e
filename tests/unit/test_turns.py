"""In which order candidates are changed, and what each of them waits for."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pulumi
import pytest

from cluster.engine import ClusterError, DockerHost
from cluster.health import Member
from cluster.preflight import Seen
from components.seafowl_node import IS_PRIMARY
from tests.unit.pulumi_mocks import DOCKER, Record, declare_stack

CONFIG: dict[str, Any] = {"lease": "consul", "writerCandidates": 3, "consul": {"servers": 3}}
CANDIDATES = ["writer-0", "writer-1", "writer-2"]
READERS = ["reader-0", "reader-1"]


def changed(
    there: Sequence[str],
    awaited: Any,
    *,
    primary: str | None = None,
    preview: bool = False,
    record: Record | None = None,
) -> Record:
    """Declare the stack on a host that has the members `there`; `awaited` is called for whom is waited for."""
    labels = {"org.seafowl.project": "seafowl", "org.seafowl.stack": "dev"}
    containers = [
        {"Id": f"old-{name}", "Created": 0, "Labels": {**labels, "org.seafowl.member": name}} for name in there
    ]

    def first_that(host: DockerHost, command: str, members: Sequence[Member]) -> Member | None:
        assert (host, command) == (DOCKER, IS_PRIMARY)
        assert [one.container_id for one in members] == [f"old-{one.name}" for one in members]
        return next((one for one in members if one.name == primary), None)

    with patch("components.turns.await_member", awaited), patch("components.turns.first_that", first_that):
        return declare_stack(
            CONFIG, look=lambda *_: Seen("engine", 2, containers, here=False), preview=preview, record=record
        )


@pytest.mark.parametrize(
    ("there", "primary", "turns"),
    [
        (CANDIDATES, "writer-0", ["writer-1", "writer-2", "writer-0"]),
        (CANDIDATES, "writer-1", ["writer-0", "writer-2", "writer-1"]),
        (CANDIDATES, "writer-2", ["writer-0", "writer-1", "writer-2"]),
        # Nobody could hand the lease over.
        (CANDIDATES, None, ["writer-0", "writer-1", "writer-2"]),
        # One that is new comes last: before, it has nothing to take over.
        (["writer-0", "writer-1"], "writer-0", ["writer-1", "writer-0", "writer-2"]),
        # One that is alone may be no candidate yet, and know of no election: another would be elected beside it.
        (["writer-0"], "writer-0", ["writer-0", "writer-1", "writer-2"]),
        ([], None, ["writer-0", "writer-1", "writer-2"]),
    ],
)
def test_candidates_are_changed_one_at_a_time_and_the_primary_last(
    there: list[str], primary: str | None, turns: list[str]
) -> None:
    record = changed(there, lambda *_, **__: None, primary=primary)
    assert [one.name for one in record.resources if one.label in {f"Container {name}" for name in CANDIDATES}] == turns


@pytest.mark.parametrize(
    ("there", "waits"),
    [
        ([], []),
        # A second one is added only beside a first that works: else the change could not be taken back.
        (["writer-0"], ["writer-0"]),
        (["writer-0", "writer-1"], ["writer-0", "writer-1"]),
        (CANDIDATES, ["writer-0", "writer-1"]),
    ],
)
def test_a_candidate_that_is_there_is_changed_only_when_the_one_before_it_could_take_over(
    there: list[str], waits: list[str]
) -> None:
    asked: list[tuple[DockerHost, Member]] = []

    def await_member(host: DockerHost, member: Member, **_: object) -> None:
        asked.append((host, member))

    changed(there, await_member)
    assert sorted(asked, key=str) == [(DOCKER, Member(name, f"{name}-id")) for name in waits]


def test_a_candidate_that_could_not_take_over_keeps_the_next_one_as_it_is() -> None:
    def await_member(_host: object, member: Member, **_: object) -> None:
        raise ClusterError(f"{member.name} is not healthy: it is exited")

    record = Record()
    with pytest.raises(pulumi.RunError, match="writer-1 is not healthy: it is exited"):
        changed(CANDIDATES, await_member, primary="writer-0", record=record)
    assert "Container writer-1" in record.labels
    assert not {"Container writer-2", "Container writer-0", *(f"Container {r}" for r in READERS)} & record.labels


def test_a_preview_waits_for_no_candidate() -> None:
    def await_member(*_: object, **__: object) -> None:
        raise AssertionError("a preview has no containers")

    assert "Container writer-2" in changed(CANDIDATES, await_member, preview=True).labels
