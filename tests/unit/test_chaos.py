"""What `make chaos` makes of what it saw: what counts as lost, late or wrong, what misses a goal, how it is told."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import APIError

from bench.chaos.cluster import Cluster
from bench.chaos.judgement import Goal, Seen, missed, of_reads, of_writes, pause
from bench.chaos.report import Run, markdown, with_run
from bench.clients import Kind, Read, Write, unexpected

WELL = Seen(
    fault="a reader killed",
    goal=Goal(),
    writes={"200": 9, "503": 1},
    lost_ddl=[],
    lost_inserts=[],
    twice=[],
    reads=20,
    failed={},
    wrong=0,
    slowest=0.5,
    pause=1.5,
    recovered=2.0,
)
RUN = Run(
    command="make chaos",
    seed=1,
    when=datetime(2026, 2, 3, tzinfo=UTC),
    versions={"minio": "minio:1"},
    stand_ins=["Seafowl"],
    not_tried={"clock skew": "it cannot be faked"},
)


def write(kind: Kind, ended: float, outcome: str = "200") -> Write:
    return Write(kind, 1, ended - 0.1, ended, outcome)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lost_ddl": [3, 4]}, "2 acknowledged CREATE TABLE lost"),
        ({"lost_inserts": [3]}, "1 acknowledged INSERT lost"),
        ({"twice": [3]}, "1 writes executed twice"),
        ({"wrong": 2}, "2 wrong answers"),
        ({"failed": {"502": 2, "444": 1}}, "3 reads failed: 2 times 502, 1 times 444"),
        ({"recovered": None}, "it did not recover"),
        ({"left": ["network front-1"]}, "left behind: network front-1"),
        ({"commands": ["pulumi up"]}, "a person had to do more than nothing: pulumi up"),
        ({"writes": {"503": 4}}, "no write was acknowledged, so nothing was proved"),
    ],
)
def test_what_falls_short_is_named_and_is_all_that_is(change: dict[str, Any], problem: str) -> None:
    assert missed(WELL) == []
    assert missed(replace(WELL, **change)) == [problem]


@pytest.mark.parametrize(
    ("goal", "change"),
    [
        (Goal(reads_may_fail=True), {"failed": {"502": 2}}),
        (Goal(commands=["pulumi cancel", "pulumi up"]), {"commands": ["pulumi up"]}),
        (Goal(read_seconds=5), {"slowest": 6.0}),
        (Goal(), {"slowest": 60.0}),
    ],
)
def test_what_a_goal_allows_is_no_problem(goal: Goal, change: dict[str, Any]) -> None:
    assert missed(replace(WELL, goal=goal, **change)) == []


@pytest.mark.parametrize("change", [{"lost_inserts": [1]}, {"twice": [1]}, {"wrong": 1}, {"left": ["volume v"]}])
def test_no_goal_allows_a_lost_write_a_wrong_answer_or_something_left(change: dict[str, Any]) -> None:
    generous = Goal(reads_may_fail=True, commands=["pulumi up"], read_seconds=1000)
    assert missed(replace(WELL, goal=generous, **change))


def test_a_read_that_takes_much_longer_than_the_read_timeout_falls_short() -> None:
    assert missed(replace(WELL, goal=Goal(read_seconds=5), slowest=9.0)) == ["a read took 9.0 s, and may take 5"]


def test_an_error_behind_the_rows_is_a_failed_read_and_another_result_a_wrong_answer() -> None:
    assert (
        unexpected('{"n":1}\nGeneric S3 error: connection refused')
        == "200, and then: Generic S3 error: connection refused"
    )
    assert unexpected('{"n":2}\n') == unexpected("") == "wrong"


def test_a_wrong_answer_is_not_a_failed_read_and_the_slowest_read_is_found() -> None:
    done = [Read(0, 0.1, "200"), Read(1, 4, "502"), Read(2, 2.5, "wrong"), Read(3, 3.1, "502")]
    assert of_reads(done) == ({"502": 2}, 1, 3)
    assert of_reads([]) == ({}, 0, 0.0)


def test_errors_that_differ_in_their_details_are_one_kind() -> None:
    done = [Read(0, 1, f"400 Generic S3 error\nafter {number} retries") for number in range(3)]
    assert of_reads(done)[0] == {"400 Generic S3 error": 3}


def test_writes_are_counted_by_what_came_of_them() -> None:
    assert of_writes([write("ddl", 1), write("insert", 2), write("insert", 3, "503")]) == {"200": 2, "503": 1}


def test_a_pause_is_the_longest_silence_of_one_kind_of_write() -> None:
    ddl = [write("ddl", one) for one in (11, 12, 13, 14, 15, 16, 17, 18, 19)]
    inserts = [write("insert", one) for one in (12, 18)]
    refused = [write("insert", one, "503") for one in (14, 16)]
    assert pause([*ddl, *inserts, *refused], 10, 20) == 6


def test_a_kind_that_is_never_acknowledged_pauses_all_the_time() -> None:
    assert pause([write("ddl", 11)], 10, 20) == 10


def test_the_report_says_what_was_run_on_what_and_what_was_not() -> None:
    text = markdown(RUN, [WELL, replace(WELL, fault="the writer killed", lost_ddl=[7], remarks=["it was late"])])
    for told in (
        "make chaos",
        "seed 1",
        "2026-02-03",
        "cores",
        "GiB",
        "minio minio:1",
        "Stand-ins: Seafowl",
        "clock skew",
    ):
        assert told in text
    assert "| a reader killed | 9 of 10 | 0 | 0 | 20 | 0 | 0 | 0.5 s | 1.5 s | 2.0 s | nothing | met |" in text
    assert "**missed: 1 acknowledged CREATE TABLE lost**" in text
    assert "- the writer killed: it was late" in text


def test_a_new_run_takes_the_place_of_the_last_one_and_of_nothing_else() -> None:
    begin, end = "<!-- what was seen: made by `make chaos` -->", "<!-- end of what was seen -->"
    once = with_run(f"# Title\n\n{begin}\nold\n{end}\n\nwritten by hand\n", RUN, [WELL])
    assert once.startswith(f"# Title\n\n{begin}\n")
    assert once.endswith(f"{end}\n\nwritten by hand\n")
    assert "old" not in once
    assert with_run(once, RUN, [WELL]) == once


def test_a_document_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        with_run("# Title\n", RUN, [WELL])


def network(refusal: str, containers: dict[str, Any]) -> Any:
    """A network that Docker does not remove."""

    def remove() -> None:
        raise APIError(refusal)

    return SimpleNamespace(
        id="61ace", name="front-1", attrs={"Containers": containers}, remove=remove, reload=lambda: None
    )


def cluster(monkeypatch: pytest.MonkeyPatch, *networks: Any) -> Cluster:
    def listed(*found: Any) -> Any:
        return SimpleNamespace(list=lambda **_: list(found))

    engine = SimpleNamespace(containers=listed(), volumes=listed(), networks=listed(*networks))
    monkeypatch.setattr("docker.DockerClient.from_env", lambda **_: engine)
    monkeypatch.setattr("bench.chaos.cluster._NETWORK_SECONDS", 0)
    return Cluster(cast(Any, SimpleNamespace(name="chaos-1")), 1)


def test_a_network_that_docker_wrongly_takes_for_used_is_passed_over_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = cluster(monkeypatch, network("network front-1 id 61ace has active endpoints", {}))
    assert made.everything() == {"61ace": "network front-1"}
    made.remove_everything()
    assert made.stuck == {"61ace": "front-1"}
    assert made.everything() == {}, "it is nothing that a fault left behind"


@pytest.mark.parametrize(
    "refused", [network("it has active endpoints", {"a1": {"Name": "mine"}}), network("no permission", {})]
)
def test_any_other_network_that_is_not_removed_ends_the_run(monkeypatch: pytest.MonkeyPatch, refused: Any) -> None:
    with pytest.raises(APIError):
        cluster(monkeypatch, refused).remove_everything()
