"""What is looked at on the Docker host before anything is declared."""

import platform
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster import preflight
from cluster.engine import ClusterError, DockerHost
from cluster.preflight import Claim, judge, look, members_of, reach
from tests.unit.fake_engine import FakeEngine

LOCAL = DockerHost("unix:///var/run/docker.sock")
FAR = DockerHost("ssh://me@far")
PLACES = {"table data": "MinIO, volume a", "bucket": "seafowl"}
CLAIM = Claim(
    "seafowl",
    "dev",
    "mine",
    "127.0.0.1",
    {"ingress.port": 1},
    cpus=0,
    candidates=None,
    consul_servers=1,
    places=PLACES,
    places_before=PLACES,
)
MINE = {"org.seafowl.project": "seafowl", "org.seafowl.stack": "dev"}
THEIRS = {"org.seafowl.project": "seafowl", "org.seafowl.stack": "prod"}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    """An engine on this very machine, which has FUSE."""
    engine = FakeEngine(kernel=platform.release())
    monkeypatch.setattr(preflight, "Engine", engine)
    fuse = tmp_path / "fuse"
    fuse.touch()
    monkeypatch.setattr(preflight, "_FUSE", str(fuse))
    return engine


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that a program listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def free() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def published(
    port: int, address: str = "127.0.0.1", labels: dict[str, str] | None = None, name: str = "other"
) -> dict[str, Any]:
    """A running container that publishes a port, as `GET /containers/json` describes it."""
    ports = [{"IP": address, "PrivatePort": 80, "PublicPort": port, "Type": "tcp"}]
    return {"Id": name, "Names": [f"/{name}"], "Ports": ports, "Labels": labels}


def claim(port: int, address: str = "127.0.0.1") -> Claim:
    return replace(CLAIM, bind_address=address, ports={"ingress.port": port})


def check(host: DockerHost, claimed: Claim) -> None:
    judge(look(host), claimed)


def refusal(port: int, address: str = "127.0.0.1", host: DockerHost = LOCAL) -> str:
    with pytest.raises(ClusterError) as caught:
        check(host, claim(port, address))
    return str(caught.value)


def test_a_free_port_passes(engine: FakeEngine, free: int) -> None:
    check(LOCAL, claim(free))
    assert engine.hosts == [LOCAL]
    assert engine.calls[-1] == "close"


def test_a_port_that_another_container_publishes_is_refused_with_its_name_and_the_way_out(
    engine: FakeEngine, free: int
) -> None:
    engine.listed = [published(free, labels=THEIRS, name="prod-ingress")]
    text = refusal(free)
    assert f"seafowl:ingress.port {free} is taken on 127.0.0.1 by the container prod-ingress" in text
    assert "`pulumi config set --path ingress.port <port>`" in text
    assert "Nothing was changed" in text


def test_a_container_without_labels_takes_a_port_all_the_same(engine: FakeEngine, free: int) -> None:
    engine.listed = [{**published(free), "Labels": None}]
    assert "by the container other" in refusal(free)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("::", "::1"), ("0.0.0.0", "0.0.0.0")],
)
def test_every_interface_and_one_of_them_clash(engine: FakeEngine, free: int, theirs: str, ours: str) -> None:
    engine.listed = [published(free, theirs)]
    assert "by the container other" in refusal(free, ours)


def test_the_port_that_http_is_sent_on_from_is_looked_at_too_and_named_by_its_own_key(
    engine: FakeEngine, free: int, taken: int
) -> None:
    both = replace(CLAIM, ports={"ingress.port": free, "ingress.tls.redirectPort": taken})
    with pytest.raises(ClusterError) as caught:
        check(LOCAL, both)
    text = str(caught.value)
    assert f"seafowl:ingress.tls.redirectPort {taken} is taken on 127.0.0.1 by another program" in text
    assert "`pulumi config set --path ingress.tls.redirectPort <port>`" in text
    assert "ingress.port" not in text, "that one is free"


def test_all_ports_that_are_taken_are_told_at_once(engine: FakeEngine, free: int, taken: int) -> None:
    engine.listed = [published(free, name="web")]
    with pytest.raises(ClusterError) as caught:
        check(LOCAL, replace(CLAIM, ports={"ingress.port": free, "ingress.tls.redirectPort": taken}))
    assert f"ingress.port {free} is taken on 127.0.0.1 by the container web" in str(caught.value)
    assert f"ingress.tls.redirectPort {taken} is taken on 127.0.0.1 by another program" in str(caught.value)


def test_another_port_or_another_address_does_not_clash(engine: FakeEngine, free: int) -> None:
    engine.listed = [published(free, "192.0.2.7"), published(1), {**published(1), "Ports": None}]
    engine.listed.append({**published(1), "Ports": [{"PrivatePort": free, "Type": "tcp"}]})
    check(LOCAL, claim(free))


def test_a_port_that_another_program_listens_on_is_refused(engine: FakeEngine, taken: int) -> None:
    assert f"{taken} is taken on 127.0.0.1 by another program" in refusal(taken)


def test_the_stacks_own_ingress_may_keep_its_port(engine: FakeEngine, taken: int) -> None:
    engine.listed = [published(taken, labels=MINE, name="ingress")]
    check(LOCAL, claim(taken))


def test_the_ingress_of_another_stack_of_the_project_may_not(engine: FakeEngine, taken: int) -> None:
    engine.listed = [published(taken, labels=THEIRS, name="ingress")]
    assert "by the container ingress" in refusal(taken)


def test_the_stacks_own_ingress_does_not_hide_another_container_on_the_port(engine: FakeEngine, free: int) -> None:
    engine.listed = [published(free, labels=MINE, name="ingress"), published(free, "192.0.2.7", name="stranger")]
    assert "by the container stranger" in refusal(free, "0.0.0.0")


def test_ports_of_this_machine_say_nothing_about_an_engine_elsewhere(engine: FakeEngine, taken: int) -> None:
    check(FAR, claim(taken))


def test_a_container_takes_a_port_of_an_engine_elsewhere_too(engine: FakeEngine, free: int) -> None:
    engine.listed = [published(free)]
    assert "by the container other" in refusal(free, host=FAR)


def test_a_local_socket_to_a_virtual_machine_is_an_engine_elsewhere(engine: FakeEngine, taken: int) -> None:
    engine.kernel = "5.15.0-linuxkit"
    check(LOCAL, claim(taken))


def test_an_address_that_this_machine_does_not_have_is_refused_before_the_running_ingress_is_gone(
    engine: FakeEngine, free: int
) -> None:
    assert "this host does not have that address" in refusal(free, "192.0.2.7")


def test_the_same_address_of_another_family_does_not_clash(engine: FakeEngine, free: int) -> None:
    engine.listed = [published(free, "::")]
    check(LOCAL, claim(free))


def test_more_cpus_than_the_host_has_are_refused_before_the_running_container_is_gone(engine: FakeEngine) -> None:
    with pytest.raises(ClusterError, match="asks for 3 CPUs for one container, and the host has 2"):
        check(FAR, replace(CLAIM, cpus=3))


def test_a_machine_without_fuse_is_refused_with_the_way_out(
    engine: FakeEngine, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_FUSE", "/nonexistent/fuse")
    text = refusal(free)
    assert "/nonexistent/fuse is not there" in text
    assert "`modprobe fuse`" in text


def test_whether_an_engine_elsewhere_has_fuse_cannot_be_seen_from_here(
    engine: FakeEngine, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_FUSE", "/nonexistent/fuse")
    check(FAR, claim(free))


def test_all_that_is_wrong_with_the_host_is_told_at_once(
    engine: FakeEngine, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_FUSE", "/nonexistent/fuse")
    text = refusal(taken)
    assert "modprobe fuse" in text
    assert "by another program" in text


@pytest.mark.parametrize("url", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1", "tcp://127.0.0.1:no-port"])
def test_no_docker_engine_is_one_clear_error_that_names_the_host(url: str) -> None:
    with pytest.raises(ClusterError) as caught:
        reach(DockerHost(url))
    text = str(caught.value)
    assert text.startswith(f"No Docker Engine answers at {url}: ")
    assert "Nothing was changed" in text
    assert "`pulumi config set docker:host …`" in text
    assert "\n" not in text


def test_an_engine_that_listens_is_reached(tmp_path: Path, taken: int) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "docker.sock"))
        listening.listen()
        reach(DockerHost(f"unix://{tmp_path}/docker.sock"))
    reach(DockerHost(f"tcp://127.0.0.1:{taken}"))
    reach(FAR)


# Deployments


def member(name: str, deployment: str, stack: dict[str, str] = MINE) -> dict[str, Any]:
    return {"Id": name, "Names": [f"/{name}"], "Labels": {**stack, "org.seafowl.deployment": deployment}}


def test_containers_of_this_deployment_and_of_other_stacks_are_no_strangers(engine: FakeEngine, free: int) -> None:
    engine.listed = [member("writer", "mine"), member("prod-writer", "theirs", THEIRS), {**published(1), "Labels": {}}]
    check(LOCAL, claim(free))


def test_another_deployment_of_the_same_stack_name_is_refused_with_its_containers(
    engine: FakeEngine, free: int
) -> None:
    engine.listed = [member("writer-b", "theirs"), member("reader", "mine"), member("reader-a", "theirs")]
    text = refusal(free)
    assert "Another deployment of stack 'dev'" in text
    assert "Two writers on one catalog" in text
    assert "docker rm -fv reader-a writer-b" in text
    assert "Nothing was changed" in text


def test_a_port_that_another_deployment_of_the_stack_has_is_not_told_beside_it(engine: FakeEngine, taken: int) -> None:
    twin = {**published(taken, labels=MINE, name="twin"), **member("twin", "theirs")}
    engine.listed = [{**published(taken, name="twin"), "Labels": twin["Labels"]}]
    text = refusal(taken)
    assert "Another deployment" in text
    assert "is taken" not in text


# Candidates and Consul


def part(name: str, stack: dict[str, str] = MINE) -> dict[str, Any]:
    """A container of this deployment, whatever it is called in Docker."""
    return member(f"x-{name}", "mine", {**stack, "org.seafowl.member": name})


def refused(claimed: Claim) -> str:
    with pytest.raises(ClusterError) as caught:
        check(FAR, claimed)
    return str(caught.value)


def test_the_members_of_a_stack_are_told_by_their_labels(engine: FakeEngine) -> None:
    engine.listed = [part("writer-0"), part("writer-1", THEIRS), member("old", "mine"), {**published(1), "Labels": {}}]
    engine.listed.append({**published(1), "Labels": None})
    assert members_of(look(FAR), "seafowl", "dev") == {"writer-0": engine.listed[0]["Id"]}


def test_a_lease_that_becomes_static_while_another_candidate_is_there_is_refused_with_the_way(
    engine: FakeEngine,
) -> None:
    engine.listed = [part(name) for name in ("writer-2", "writer-0", "writer-1", "reader-0", "consul-0")]
    text = refused(CLAIM)
    assert "writer-1 and writer-2 may be the primary now" in text
    assert "`pulumi config set writerCandidates 1`" in text
    assert "Then set lease static" in text
    assert "Nothing was changed" in text


def test_a_lease_becomes_static_once_the_first_candidate_is_alone(engine: FakeEngine) -> None:
    engine.listed = [part(name) for name in ("writer-0", "reader-1", "consul-0", "consul-1", "consul-2")]
    engine.listed += [part("writer-1", THEIRS)]
    check(FAR, CLAIM)


@pytest.mark.parametrize("candidates", [1, 2, 5])
def test_candidates_come_and_go_while_there_is_a_lease_in_consul(engine: FakeEngine, candidates: int) -> None:
    engine.listed = [part(name) for name in ("writer-0", "writer-1", "writer-2", "consul-0")]
    check(FAR, replace(CLAIM, candidates=candidates))


@pytest.mark.parametrize(("servers", "there"), [(1, 3), (3, 5), (1, 2)])
def test_fewer_consul_servers_than_run_are_refused(engine: FakeEngine, servers: int, there: int) -> None:
    engine.listed = [part(f"consul-{index}") for index in range(there)]
    text = refused(replace(CLAIM, candidates=2, consul_servers=servers))
    assert f"seafowl:consul.servers {servers} is less than the {there} that run" in text
    assert "go through lease static" in text


@pytest.mark.parametrize("servers", [3, 5, None])
def test_as_many_consul_servers_as_run_or_more_or_another_consul_pass(engine: FakeEngine, servers: int | None) -> None:
    engine.listed = [part(f"consul-{index}") for index in range(3)]
    check(FAR, replace(CLAIM, candidates=2, consul_servers=servers))


# Data


def test_data_that_would_be_left_behind_is_refused_with_both_places_and_the_ways_out(engine: FakeEngine) -> None:
    moved = replace(CLAIM, places={**PLACES, "bucket": "other"})
    with pytest.raises(ClusterError) as caught:
        check(LOCAL, moved)
    text = str(caught.value)
    assert "bucket: it lies in seafowl, and the config now says other (seafowl:objectStore)" in text
    assert "table data" not in text, "what did not move is not told"
    assert "`pulumi destroy` first" in text
    assert "--replace '**data-location'" in text
