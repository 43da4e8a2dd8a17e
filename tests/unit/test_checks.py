"""What the program looks at on the Docker host: before anything is changed, and once everything is declared."""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import pulumi
import pytest

from cluster.engine import ClusterError
from cluster.health import Configuration, Member, Route
from cluster.preflight import Claim, Seen
from config.ingress_start import REFUSED
from config.nginx import RUNNING, answering
from tests.unit.certificates import pair
from tests.unit.pulumi_mocks import DOCKER, Record, declare_stack, docker_labels, uploads


def test_every_container_is_looked_at_in_the_order_in_which_they_need_each_other() -> None:
    looked: list[list[tuple[str, str]]] = []

    def await_healthy(_host: object, members: Sequence[Member], *_: object, **__: object) -> None:
        looked.append([(member.name, member.container_id) for member in members])

    declare_stack(await_healthy=await_healthy)
    parts = ["object-store", "writer-0", "reader-0", "reader-1", "ingress"]
    assert looked == [[(part, f"{part}-id") for part in parts]]


def test_the_ingress_is_asked_whether_it_reaches_the_writer_and_every_reader() -> None:
    asked: list[tuple[str, list[str], str]] = []

    def await_healthy(_host: object, _members: object, routes: Sequence[Route], *_: object, **__: object) -> None:
        asked.extend((one.ingress.name, [node.container_id for node in one.nodes], one.command) for one in routes)

    declare_stack({"readers": 3}, await_healthy=await_healthy)
    assert asked == [
        ("ingress", ["writer-0-id"], answering("writer")),
        ("ingress", ["reader-0-id", "reader-1-id", "reader-2-id"], answering("reader")),
    ]


def test_the_docker_host_of_the_stack_is_the_one_that_is_looked_at() -> None:
    hosts: list[object] = []

    def look(host: object) -> Seen:
        hosts.append(host)
        return Seen("engine", 2, [], here=False)

    declare_stack(look=look, await_healthy=lambda host, *_, **__: hosts.append(host))
    assert hosts == [DOCKER, DOCKER]


def test_a_part_that_does_not_become_healthy_fails_the_up() -> None:
    def await_healthy(*_: object, **__: object) -> None:
        raise ClusterError("writer-0 is not healthy: it is exited")

    with pytest.raises(pulumi.RunError, match="writer-0 is not healthy: it is exited"):
        declare_stack(await_healthy=await_healthy)


def test_a_preview_looks_at_no_container() -> None:
    def await_healthy(*_: object, **__: object) -> None:
        raise AssertionError("a preview has no containers")

    assert len(declare_stack(preview=True, await_healthy=await_healthy).of("Container")) == 6


@pytest.mark.parametrize("asked", ["look", "judge"])
def test_a_host_that_cannot_be_used_is_refused_before_anything_of_it_is_touched(asked: str) -> None:
    def refuse(*_: object) -> Seen:
        raise ClusterError("Another deployment of stack 'dev' runs")

    record = Record()
    with pytest.raises(pulumi.RunError, match="Another deployment of stack 'dev' runs"):
        declare_stack(**{asked: refuse}, record=record)
    assert [r.label for kind in ("Container", "Volume", "Network") for r in record.of(kind)] == []
    assert "Stash deployment" in record.labels, "nothing at all was declared: the test would prove nothing"
    assert record.outputs == {}, "the outputs would tell of what is not there"


def test_a_preview_shows_the_outputs_also_where_the_deployment_has_no_id_yet() -> None:
    assert declare_stack(preview=True).outputs["queryUrl"] == "http://127.0.0.1:8080/q"


def test_what_the_stack_claims_is_judged_by_what_was_seen_and_containers_carry_its_id() -> None:
    judged: list[tuple[object, ...]] = []
    seen = Seen("engine", 2, [{"Id": "x"}], here=True)
    config = {
        "ingress": {"port": 9090, "bindAddress": "0.0.0.0"},
        "resources": {"writer": {"cpus": 1.5}, "reader": {"cpus": 0.5}},
    }
    record = declare_stack(config, look=lambda _: seen, judge=lambda *args: judged.append(args))
    deployment = record.one("Stash deployment").inputs["input"]
    places = {
        "table data": "MinIO, volume seafowl-dev-object-store",
        "bucket": "seafowl",
        "catalog": "volume seafowl-dev-writer-0-catalog",
        "Docker Engine": "engine",
    }
    claim = Claim(
        "seafowl",
        "dev",
        deployment,
        "0.0.0.0",
        {"ingress.port": 9090},
        cpus=1.5,
        candidates=None,
        consul_servers=1,
        places=places,
        places_before=places,
    )
    assert judged == [(seen, claim)]
    for container in record.of("Container"):
        assert docker_labels(container)["org.seafowl.deployment"] == deployment


@pytest.mark.parametrize(
    ("tls", "ports"),
    [
        ({"selfSigned": True}, {"ingress.port": 443}),
        ({"selfSigned": True, "redirectPort": 80}, {"ingress.port": 443, "ingress.tls.redirectPort": 80}),
    ],
)
def test_every_port_of_the_host_that_is_published_is_claimed(tls: dict[str, Any], ports: dict[str, int]) -> None:
    claims: list[Claim] = []
    declare_stack({"ingress": {"port": 443, "tls": tls}}, judge=lambda _, claim: claims.append(claim))
    assert [claim.ports for claim in claims] == [ports]


# The configuration of the ingress


def configured(
    config: dict[str, Any] | None = None, secrets: dict[str, str] | None = None, **seen: Any
) -> tuple[Configuration, Record]:
    """The configuration that the look at the end expects of the ingress, and what was declared."""
    found: list[Configuration] = []

    def await_healthy(_host: object, _members: object, _routes: object, wanted: Configuration, **_: object) -> None:
        found.append(wanted)

    record = declare_stack(config, secrets, await_healthy=await_healthy, **seen)
    return found[0], record


def in_order(files: dict[str, str]) -> str:
    """What the ingress's start script makes its fingerprint of, but for the certificate."""
    return "".join(files[f"/etc/ingress/{name}"] for name in ("nginx.conf", "answers.js", "proof.js"))


def test_the_ingress_is_to_run_with_the_nginx_conf_that_its_carrier_holds() -> None:
    wanted, record = configured()
    files = uploads(record.one("Container ingress-routes"))
    assert wanted.fingerprint == hashlib.sha256(in_order(files).encode()).hexdigest()
    assert wanted.ingress == Member("ingress", "ingress-id")
    assert (wanted.running, wanted.refused) == (RUNNING, REFUSED)


def test_the_certificate_and_its_key_are_part_of_what_the_ingress_is_to_run_with() -> None:
    mine = pair()
    config = {"ingress": {"tls": {"certificate": mine.certificate}}}
    wanted, record = configured(config, {"tlsKey": mine.key})
    files = uploads(record.one("Container ingress-routes"))
    both = f"{in_order(files)}{mine.certificate}\n{mine.key}\n"
    assert wanted.fingerprint == hashlib.sha256(both.encode()).hexdigest()


@pytest.mark.parametrize(
    ("ages", "is_new"),
    [
        ({}, True),
        ({"another": 600}, True),
        ({"ingress-routes-id": 0}, True),
        ({"another": 600, "ingress-routes-id": 600}, False),
    ],
    ids=["first", "replaced", "just-made", "settled"],
)
def test_a_configuration_is_new_until_dockers_health_checks_have_surely_judged_it(
    ages: dict[str, int], is_new: bool
) -> None:
    known = [{"Id": container, "Created": time.time() - age} for container, age in ages.items()]
    wanted, _ = configured(look=lambda *_: Seen("engine", 2, known, here=False))
    assert wanted.is_new is is_new


def test_the_holder_of_the_certificate_is_waited_for_before_the_ingress_that_needs_it() -> None:
    looked: list[str] = []

    def await_healthy(_host: object, members: Sequence[Member], *_: object, **__: object) -> None:
        looked.extend(member.name for member in members)

    declare_stack({"ingress": {"tls": {"selfSigned": True}}}, await_healthy=await_healthy)
    assert looked[-2:] == ["ingress-certificate", "ingress"]
