"""The look at the whole cluster at the end of an `up`: what it waits for, and how it says what is wrong."""

import re
import threading
from dataclasses import replace
from typing import Any

import pytest

from cluster import health
from cluster.engine import ClusterError, DockerHost
from cluster.health import Configuration, Member, Patience, Route, await_healthy, await_member
from tests.unit.fake_engine import FakeEngine, FakeTime, container

HOST = DockerHost("unix:///d.sock")
PARTS = [Member(name, f"id-of-{name}") for name in ("object-store", "writer-0", "reader-0", "reader-1", "ingress")]
ROUTES = [Route(PARTS[-1], PARTS[2:4], "ask-a-reader")]
CONFIGURATION = Configuration(PARTS[-1], "f00d", is_new=False, running="what-runs", refused="what-was-refused")
ADDRESSES = {"reader-0": "10.0.0.2", "reader-1": "10.0.0.3"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """A clock that costs no time."""
    clock = FakeTime()
    monkeypatch.setattr(health, "time", clock)
    return clock


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, clock: FakeTime) -> FakeEngine:
    """An engine with a whole, healthy cluster."""
    engine = FakeEngine(listed=[{"Id": member.container_id} for member in PARTS], commands=routes)
    for member in PARTS:
        networks = {"front": ADDRESSES.get(member.name, "10.0.0.9"), "back": "10.9.0.1"}
        if member.name == "ingress":
            del networks["back"]
        healthy = container(member.container_id, health="healthy", networks=networks)
        engine.inspected[member.container_id] = lambda healthy=healthy: healthy
    monkeypatch.setattr(health, "Engine", engine)
    return engine


def routes(_container_id: str, command: list[str]) -> tuple[int, str]:
    """Every health check passes, and the ingress runs with what it should and reaches every reader."""
    if command[-1] == "what-runs":
        return 0, "f00d\n"
    if "ask-a-reader" not in command[-1]:
        return 0, ""
    return 0, "".join(f"HTTP/1.1 200 OK\r\nX-Node: {ip}:8080\r\n\r\n" for ip in ADDRESSES.values())


def not_yet(engine: FakeEngine, name: str, *states: dict[str, Any] | None) -> Member:
    """Let the member `name` be in `states`, one look after the other; the last one stays."""
    (member,) = (member for member in PARTS if member.name == name)
    engine.listed = [item for item in engine.listed if item["Id"] != member.container_id]
    left = list(states)
    engine.inspected[member.container_id] = lambda: left.pop(0) if len(left) > 1 else left[0]
    return member


def passing_after(looks: int, engine: FakeEngine, name: str) -> None:
    """Let the health check of `name` fail `looks` times."""
    failures = [1] * looks

    def run(container_id: str, command: list[str]) -> tuple[int, str]:
        if container_id == f"id-of-{name}" and command[-1] == "curl somewhere" and failures:
            return failures.pop(), ""
        return routes(container_id, command)

    engine.commands = run


def look(patience: Patience | None = None, configuration: Configuration = CONFIGURATION) -> list[str]:
    """Look at the cluster; what it reported."""
    reports: list[str] = []
    await_healthy(HOST, PARTS, ROUTES, configuration, report=reports.append, patience=patience)
    return reports


def failure(engine: FakeEngine, patience: Patience | None = None, configuration: Configuration = CONFIGURATION) -> str:
    """The text that the look fails with."""
    with pytest.raises(ClusterError) as caught:
        look(patience, configuration)
    assert engine.calls[-1] == "close", "the connection stays open"
    return str(caught.value)


def test_a_healthy_cluster_costs_one_call_and_no_word(engine: FakeEngine) -> None:
    assert look() == []
    assert engine.calls == ["containers False {'health': 'healthy'}", "close"]
    assert engine.hosts == [HOST]


def test_a_part_that_is_starting_is_waited_for_and_named_once(engine: FakeEngine, clock: FakeTime) -> None:
    member = not_yet(engine, "writer-0", container("id-of-writer-0"))
    passing_after(3, engine, "writer-0")
    assert look() == ["waiting for writer-0 to be healthy"]
    assert engine.calls.count(f"inspect {member.container_id}") == 4
    assert clock.slept == 2


def test_parts_are_waited_for_in_the_order_in_which_they_need_each_other(engine: FakeEngine) -> None:
    for name in ("reader-1", "object-store"):
        not_yet(engine, name, container(f"id-of-{name}"))
    failures = {"id-of-reader-1": 1, "id-of-object-store": 2}

    def run(container_id: str, command: list[str]) -> tuple[int, str]:
        failures[container_id] = failures.get(container_id, 0) - 1
        return (1, "") if failures[container_id] >= 0 else routes(container_id, command)

    engine.commands = run
    reports = look()
    assert reports[:2] == ["waiting for object-store to be healthy", "waiting for reader-1 to be healthy"]


def test_new_parts_are_asked_together_and_one_that_passes_is_not_waited_for(engine: FakeEngine) -> None:
    there = threading.Barrier(3)
    for name in ("writer-0", "reader-0", "reader-1"):
        not_yet(engine, name, container(f"id-of-{name}", networks={"front": ADDRESSES.get(name, "")}))

    def run(container_id: str, command: list[str]) -> tuple[int, str]:
        if container_id != PARTS[-1].container_id:
            there.wait(timeout=10)
        return routes(container_id, command)

    engine.commands = run
    assert look() == ["waiting for the ingress to reach reader-0, reader-1"]


def test_a_part_is_asked_itself_because_dockers_next_look_may_be_seconds_away(engine: FakeEngine) -> None:
    not_yet(engine, "object-store", container("id-of-object-store", health="starting"))
    look()
    assert "run id-of-object-store" in engine.calls


def test_a_health_check_that_is_no_shell_command_is_run_as_it_is(engine: FakeEngine) -> None:
    ran: list[list[str]] = []

    def run(container_id: str, command: list[str]) -> tuple[int, str]:
        ran.append(command)
        return routes(container_id, command)

    engine.commands = run
    plain = container("id-of-object-store")
    plain["Config"]["Healthcheck"]["Test"] = ["CMD", "mc", "ready", "local"]
    not_yet(engine, "object-store", plain)
    look()
    not_yet(engine, "object-store", container("id-of-object-store"))
    look()
    assert ran == [["mc", "ready", "local"], ["/bin/sh", "-c", "curl somewhere"]]


def test_a_part_that_docker_restarts_now_is_given_the_chance(engine: FakeEngine) -> None:
    restarting = container("id-of-reader-0", status="restarting", restarts=1)
    not_yet(engine, "reader-0", restarting, restarting, container("id-of-reader-0", networks={"front": "10.0.0.2"}))
    assert "waiting for reader-0 to be healthy" in look()
    assert engine.calls.count("inspect id-of-reader-0") >= 3


def test_a_container_that_stops_between_two_looks_is_asked_again(engine: FakeEngine) -> None:
    answers: list[tuple[int, str] | None] = [None, (0, "")]
    engine.commands = lambda _id, _command: answers.pop(0)
    not_yet(engine, "object-store", container("id-of-object-store"))
    look()
    assert answers == []


@pytest.mark.parametrize("status", ["exited", "dead", "created", "paused"])
def test_a_part_that_is_stopped_fails_the_up_at_once_with_its_log(
    engine: FakeEngine, clock: FakeTime, status: str
) -> None:
    not_yet(engine, "writer-0", container("id-of-writer-0", status=status))
    engine.logs = ["first", "thread 'main' panicked at 'no catalog'"]
    text = failure(engine)
    assert f"writer-0 is not healthy: it is {status}" in text
    assert "\n    thread 'main' panicked at 'no catalog'\n" in text
    assert "`docker logs id-of-writer-0-0123abc`" in text
    assert "run `pulumi up` again" in text
    assert clock.slept == 0


def test_a_part_that_crashes_again_and_again_fails_the_up_before_its_time_is_up(
    engine: FakeEngine, clock: FakeTime
) -> None:
    not_yet(engine, "reader-1", *(container("id-of-reader-1", "restarting", restarts=count) for count in range(99)))
    engine.logs = ["exit code 101"]
    text = failure(engine, Patience(restarts=4))
    assert "reader-1 is not healthy: it ended and was restarted 4 times" in text
    assert "exit code 101" in text
    assert clock.slept == 4


def test_a_part_that_docker_finds_unhealthy_is_given_a_moment_and_then_fails_the_up(
    engine: FakeEngine, clock: FakeTime
) -> None:
    not_yet(engine, "reader-0", container("id-of-reader-0", health="unhealthy"))
    engine.commands = lambda _id, _command: (1, "")
    began = clock.now
    assert "reader-0 is not healthy: its health check keeps failing" in failure(engine)
    assert Patience().unhealthy <= clock.now - began < Patience().starting


def test_a_part_that_was_unhealthy_and_recovers_does_not_fail_the_up(engine: FakeEngine) -> None:
    not_yet(engine, "writer-0", container("id-of-writer-0", health="unhealthy"))
    passing_after(2, engine, "writer-0")
    assert look() == ["waiting for writer-0 to be healthy"]


def test_a_part_that_starts_for_ever_fails_the_up(engine: FakeEngine, clock: FakeTime) -> None:
    not_yet(engine, "object-store", container("id-of-object-store"))
    engine.commands = lambda _id, _command: (1, "")
    began = clock.now
    text = failure(engine, Patience(starting=7))
    assert "object-store is not healthy: it was not in 7 seconds" in text
    assert 7 <= clock.now - began < 8


def test_each_part_has_its_own_time_from_when_its_turn_has_come(engine: FakeEngine, clock: FakeTime) -> None:
    for name in ("object-store", "writer-0", "reader-0"):
        not_yet(engine, name, container(f"id-of-{name}", networks={"front": ADDRESSES.get(name, "")}))
    failures = dict.fromkeys(("id-of-object-store", "id-of-writer-0", "id-of-reader-0"), 3)

    def run(container_id: str, command: list[str]) -> tuple[int, str]:
        if failures.get(container_id, 0) > 0:
            failures[container_id] -= 1
            return 1, ""
        return routes(container_id, command)

    engine.commands = run
    look(Patience(starting=1))
    assert clock.slept == 6


def test_a_container_that_is_gone_is_named_with_the_command_that_makes_it_again(engine: FakeEngine) -> None:
    member = not_yet(engine, "ingress", None)
    text = failure(engine)
    assert text.startswith("ingress: ")
    assert member.container_id[:12] in text
    assert "`pulumi up --refresh`" in text


def test_a_bounded_number_of_log_lines_is_shown(engine: FakeEngine) -> None:
    not_yet(engine, "writer-0", container("id-of-writer-0", status="exited"))
    engine.logs = [f"line-{number}." for number in range(500)]
    text = failure(engine)
    assert "line-499." in text
    assert "line-400." not in text


# The way through the ingress


def test_new_readers_are_healthy_only_once_the_ingress_reaches_them(engine: FakeEngine) -> None:
    not_yet(engine, "reader-1", container("id-of-reader-1", networks={"front": "10.0.0.3", "back": "10.9.0.3"}))
    answers = ["10.0.0.2:8080", "10.0.0.2:8080, 10.0.0.3:8080"]

    def run(_container_id: str, command: list[str]) -> tuple[int, str]:
        if "ask-a-reader" not in command[-1]:
            return 0, ""
        return 0, f"HTTP/1.1 200 OK\r\nX-Node: {answers.pop(0)}\r\n\r\n"

    engine.commands = run
    assert look() == ["waiting for the ingress to reach reader-0, reader-1"]
    assert answers == []


def test_a_reader_that_the_ingress_was_refused_by_counts_as_not_reached(engine: FakeEngine) -> None:
    not_yet(engine, "reader-1", container("id-of-reader-1", networks={"front": "10.0.0.3"}))
    engine.commands = lambda _id, _command: (0, "X-Node: 10.0.0.3:8080, 10.0.0.2:8080\r\n")
    text = failure(engine)
    assert text.startswith("ingress: it does not reach reader-1")
    assert "reader-0" not in text


def test_an_ingress_may_take_its_time_to_reach_many_readers(engine: FakeEngine, clock: FakeTime) -> None:
    addresses = {f"reader-{number}": f"10.0.1.{number}" for number in range(10, 60)}
    readers = [Member(name, f"id-of-{name}") for name in addresses]
    for reader, address in zip(readers, addresses.values(), strict=True):
        new = container(reader.container_id, networks={"front": address})
        engine.inspected[reader.container_id] = lambda new=new: new
    left = list(addresses.values())

    def run(_container_id: str, command: list[str]) -> tuple[int, str]:
        if "ask-a-reader" not in command[-1]:
            return 0, ""
        assert re.search(r"seq 1?\d\b|seq 20\b", command[-1]), "more would be ended before they are through"
        clock.now += 2
        return 0, f"X-Node: {left.pop(0)}:8080\r\n"

    engine.commands = run
    route = Route(PARTS[-1], readers, "ask-a-reader")
    await_healthy(HOST, [*PARTS[:-1], *readers, PARTS[-1]], [route], CONFIGURATION, report=lambda _: None)
    assert left == []


def test_an_ingress_that_reaches_no_reader_fails_the_up_with_their_names(engine: FakeEngine, clock: FakeTime) -> None:
    not_yet(engine, "ingress", container("id-of-ingress", networks={"front": "10.0.0.9"}))
    engine.commands = lambda id_, command: routes(id_, command) if "ask" not in command[-1] else (7, "")
    began = clock.now
    text = failure(engine)
    assert "it does not reach reader-0, reader-1" in text
    assert clock.now - began < 2 * Patience().unhealthy


def test_an_ingress_that_cannot_be_asked_fails_the_up_too(engine: FakeEngine) -> None:
    not_yet(engine, "ingress", container("id-of-ingress", networks={"front": "10.0.0.9"}))
    engine.commands = lambda id_, command: routes(id_, command) if "ask" not in command[-1] else None
    assert "it does not reach reader-0, reader-1" in failure(engine)


def test_the_ingress_is_not_asked_where_only_the_writer_was_waited_for(engine: FakeEngine) -> None:
    not_yet(engine, "writer-0", container("id-of-writer-0"))
    passing_after(1, engine, "writer-0")
    assert look() == ["waiting for writer-0 to be healthy"]


# Candidates, of which the primary alone answers

CANDIDATES = [Member(f"writer-{index}", f"id-of-writer-{index}") for index in range(3)]
TO_CANDIDATES = Route(PARTS[-1], CANDIDATES, "ask-the-writer", one_is_enough=True)


def asking_candidates(engine: FakeEngine, *answers: tuple[int, str] | None, route: Route = TO_CANDIDATES) -> list[str]:
    """Look at a cluster with three candidates, of which the last is new; the last answer to the ingress stays."""
    for index, member in enumerate(CANDIDATES):
        one = container(member.container_id, networks={"front": f"10.0.0.2{index}", "back": f"10.9.0.2{index}"})
        engine.inspected[member.container_id] = lambda one=one: one
    engine.listed += [{"Id": member.container_id} for member in CANDIDATES[:2]]
    left = list(answers)

    def run(container_id: str, command: list[str]) -> tuple[int, str] | None:
        if "ask-the-writer" not in command[-1]:
            return routes(container_id, command)
        return left.pop(0) if len(left) > 1 else left[0]

    engine.commands = run
    reports: list[str] = []
    await_healthy(HOST, [*PARTS, CANDIDATES[-1]], [route], CONFIGURATION, report=reports.append)
    assert len(left) == 1, "it was asked less often than it should"
    return reports


def test_an_answer_of_one_candidate_is_enough(engine: FakeEngine, clock: FakeTime) -> None:
    assert asking_candidates(engine, (0, ""), (0, "X-Node: 10.0.0.21:8081\r\n")) == [
        "waiting for the ingress to reach writer-0, writer-1, writer-2",
    ]
    assert engine.calls.count("run id-of-ingress") == 2, "the others refuse the connection for as long as it is asked"


def test_the_candidate_that_answered_and_not_those_that_refused_is_the_one_that_is_reached(engine: FakeEngine) -> None:
    asking_candidates(engine, (0, "X-Node: 10.0.0.20:8081, 10.0.0.22:8081, 10.0.0.21:8081\r\n"))
    assert engine.calls.count("run id-of-ingress") == 1


@pytest.mark.parametrize("answer", [(0, ""), (22, ""), None, (0, "X-Node: 10.9.0.21:8081\r\n")])
def test_candidates_of_which_none_answers_fail_the_up_with_their_names(
    engine: FakeEngine, clock: FakeTime, answer: tuple[int, str] | None
) -> None:
    began = clock.now
    with pytest.raises(ClusterError, match="ingress: it does not reach writer-0, writer-1, writer-2, though healthy"):
        asking_candidates(engine, answer)
    assert clock.now - began < 2 * Patience().unhealthy


def test_where_each_must_answer_one_is_not_enough(engine: FakeEngine, clock: FakeTime) -> None:
    with pytest.raises(ClusterError, match="ingress: it does not reach writer-0, writer-2, though healthy"):
        asking_candidates(engine, (0, "X-Node: 10.0.0.21:8081\r\n"), route=replace(TO_CANDIDATES, one_is_enough=False))


def test_the_primary_may_be_a_candidate_that_goes_when_the_up_ends(engine: FakeEngine) -> None:
    leaving = Member("writer-3", "id-of-writer-3")
    engine.inspected[leaving.container_id] = lambda: container(leaving.container_id, networks={"front": "10.0.0.23"})
    route = replace(TO_CANDIDATES, leaving=[leaving])
    assert "waiting for the ingress to reach writer-0, writer-1, writer-2" in asking_candidates(
        engine, (0, "X-Node: 10.0.0.23:8081\r\n"), route=route
    )


def test_a_single_writer_must_answer_itself(engine: FakeEngine, clock: FakeTime) -> None:
    not_yet(engine, "writer-0", container("id-of-writer-0", networks={"front": "10.0.0.20"}))
    route = Route(PARTS[-1], [PARTS[1]], "ask-the-writer", one_is_enough=True)
    engine.commands = lambda id_, command: (0, "") if "ask" in command[-1] else routes(id_, command)
    with pytest.raises(ClusterError, match="ingress: it does not reach writer-0, though healthy"):
        await_healthy(HOST, PARTS, [route], CONFIGURATION, report=lambda _: None)


def test_candidates_are_asked_for_a_primary_again_where_only_what_keeps_their_lease_is_new(
    engine: FakeEngine, clock: FakeTime
) -> None:
    consul = Member("consul-0", "id-of-consul-0")
    route = Route(PARTS[-1], [PARTS[1]], "ask-the-writer", one_is_enough=True, needs=[consul])
    writer = container(PARTS[1].container_id, networks={"front": "10.0.0.20"})
    engine.inspected[PARTS[1].container_id] = lambda: writer
    engine.inspected[consul.container_id] = lambda: container(consul.container_id)
    began = clock.now

    def run(container_id: str, command: list[str]) -> tuple[int, str] | None:
        if "ask-the-writer" not in command[-1]:
            return routes(container_id, command)
        return (0, "X-Node: 10.0.0.20:8081\r\n") if clock.now - began > 2 * Patience().unhealthy else (22, "")

    engine.commands = run
    await_healthy(HOST, [consul, *PARTS], [route], CONFIGURATION, report=lambda _: None)
    assert clock.now - began > 2 * Patience().unhealthy, "Docker found the candidates healthy when they last were"


# One candidate, before the next is changed


def test_a_candidate_that_is_healthy_costs_one_call_and_no_word(engine: FakeEngine) -> None:
    reports: list[str] = []
    await_member(HOST, PARTS[1], report=reports.append)
    assert reports == []
    assert engine.calls == ["containers False {'health': 'healthy'}", "close"]


def test_a_candidate_that_is_starting_is_waited_for_alone(engine: FakeEngine, clock: FakeTime) -> None:
    not_yet(engine, "writer-0", container("id-of-writer-0"))
    not_yet(engine, "reader-0", container("id-of-reader-0", status="exited"))
    passing_after(3, engine, "writer-0")
    reports: list[str] = []
    await_member(HOST, PARTS[1], report=reports.append)
    assert reports == ["waiting for writer-0 to be healthy"]
    assert clock.slept == 3
    assert engine.calls[-1] == "close"


def test_a_candidate_that_ended_fails_the_up_with_its_last_words(engine: FakeEngine) -> None:
    not_yet(engine, "writer-0", container("id-of-writer-0", status="exited"))
    engine.logs = ["cannot mount /dev/fuse"]
    with pytest.raises(ClusterError) as caught:
        await_member(HOST, PARTS[1], report=lambda _: None)
    assert "writer-0 is not healthy: it is exited" in str(caught.value)
    assert "cannot mount /dev/fuse" in str(caught.value)
    assert engine.calls[-1] == "close", "the connection stays open"


# The configuration that NGINX runs with

NEW = replace(CONFIGURATION, is_new=True)


def ingress_says(engine: FakeEngine, running: list[str], refused: list[str]) -> None:
    """Let the ingress answer so, one look after the other; the last answer stays."""
    answers = {"what-runs": list(running), "what-was-refused": list(refused)}

    def run(container_id: str, command: list[str]) -> tuple[int, str]:
        left = answers.get(command[-1])
        if left is None:
            return routes(container_id, command)
        text = left.pop(0) if len(left) > 1 else left[0]
        return (0, text) if text else (1, "cat: no such file")

    engine.commands = run


def asked(engine: FakeEngine) -> int:
    return engine.calls.count("run id-of-ingress")


def test_a_configuration_that_is_not_new_is_not_asked_for_where_the_ingress_is_healthy(engine: FakeEngine) -> None:
    ingress_says(engine, ["0ld"], ["f00d\nnginx: [emerg]"])
    assert look() == []
    assert asked(engine) == 0, "its health check knows of a refusal: an `up` without a change costs one call"


def test_a_new_configuration_is_waited_for_though_the_ingress_is_healthy(engine: FakeEngine, clock: FakeTime) -> None:
    ingress_says(engine, ["0ld", "0ld", "f00d\n"], [""])
    assert look(configuration=NEW) == []
    assert clock.slept == 2


def test_an_ingress_that_is_new_runs_with_its_configuration_before_it_counts_as_healthy(engine: FakeEngine) -> None:
    not_yet(engine, "ingress", container("id-of-ingress", networks={"front": "10.0.0.9"}))
    ingress_says(engine, ["", "f00d"], [""])
    assert look()[0] == "waiting for ingress to be healthy"
    assert asked(engine) >= 3


@pytest.mark.parametrize("starting", [True, False])
def test_a_configuration_that_nginx_refuses_fails_the_up_with_its_message(
    engine: FakeEngine, clock: FakeTime, starting: bool
) -> None:
    if starting:
        not_yet(engine, "ingress", container("id-of-ingress", networks={"front": "10.0.0.9"}))
    message = 'nginx: [emerg] unknown directive "cache"\nnginx: configuration file /tmp/next.conf test failed'
    ingress_says(engine, ["0ld"], [f"f00d\n{message}\n"])
    text = failure(engine, configuration=NEW)
    assert text.startswith("ingress: NGINX refuses the new configuration, and keeps running with the one before")
    assert all(f"\n    {line}\n" in text for line in message.splitlines())
    assert "Take the change back, or mend it, and run `pulumi up` again." in text
    assert clock.slept == 0, "waiting longer would not mend it"


def test_an_ingress_that_neither_takes_nor_refuses_a_configuration_fails_the_up(
    engine: FakeEngine, clock: FakeTime
) -> None:
    ingress_says(engine, ["0ld"], [""])
    text = failure(engine, configuration=NEW)
    assert "NGINX has not taken the new configuration in 10 seconds" in text
    assert "it runs with 0ld" in text


def test_the_refusal_of_an_earlier_configuration_is_not_taken_for_one_of_this(
    engine: FakeEngine, clock: FakeTime
) -> None:
    ingress_says(engine, ["0ld", "0ld", "f00d"], ["0ther\nnginx: [emerg] of the last attempt"])
    assert look(configuration=NEW) == []
    assert clock.slept == 2


def test_an_ingress_that_is_stopped_is_told_by_its_log_and_not_by_its_configuration(engine: FakeEngine) -> None:
    not_yet(engine, "ingress", container("id-of-ingress", status="exited"))
    engine.commands = lambda _id, _command: None
    engine.logs = ["nginx: [emerg] bind() failed"]
    text = failure(engine)
    assert "ingress is not healthy: it is exited" in text
    assert "bind() failed" in text
