"""The program from its first line: what it does with a config that cannot work and a host that cannot be used."""

import runpy
from pathlib import Path
from unittest.mock import patch

import pulumi
import pytest

from cluster.engine import ClusterError, DockerHost
from cluster.preflight import Seen
from tests.unit.pulumi_mocks import Record, run

MAIN = str(Path(__file__).parents[2] / "__main__.py")


class Host:
    """Stands in for the looks at the Docker host, and notes them."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem
        self.reached: list[DockerHost] = []

    def reach(self, host: DockerHost) -> None:
        self.reached.append(host)
        if self.problem is not None:
            raise ClusterError(self.problem)


def program(config: dict[str, str], host: Host, record: Record) -> None:
    """Run the whole program with a stack config."""

    async def main() -> None:
        pulumi.runtime.set_all_config(config, [])
        runpy.run_path(MAIN)
        # As pulumi does with what the program gave to `pulumi.run`.
        await entrypoint.call_args.args[0]()

    with (
        patch("pulumi.run") as entrypoint,
        patch("cluster.preflight.reach", host.reach),
        patch("components.checks.look", lambda _: Seen("engine", 2, [], here=False)),
        patch("components.checks.judge", lambda *_: None),
        patch("components.checks.await_healthy", lambda *_, **__: None),
    ):
        run(main, record=record)


def test_an_empty_config_declares_the_stack() -> None:
    host, record = Host(), Record()
    program({}, host, record)
    assert len(record.of("Container")) == 6
    assert record.outputs["queryUrl"] == "http://127.0.0.1:8080/q"


def test_the_config_reaches_the_containers() -> None:
    host, record = Host(), Record()
    program({"seafowl:readers": "4", "seafowl:ingress": '{"port": 9090}'}, host, record)
    assert len(record.of("Container")) == 8
    assert record.one("Container ingress").inputs["ports"][0]["external"] == 9090


def test_the_stacks_docker_host_is_the_one_that_is_reached() -> None:
    host = Host()
    program({"docker:host": "ssh://me@far"}, host, Record())
    assert host.reached == [DockerHost("ssh://me@far")]


def test_a_wrong_config_stops_the_program_before_it_looks_at_docker_or_declares_anything() -> None:
    host, record = Host(), Record()
    with pytest.raises(pulumi.RunError) as caught:
        program({"seafowl:readers": "0", "seafowl:replicas": "3"}, host, record)
    assert "seafowl:readers must be at least 1" in str(caught.value)
    assert "seafowl:replicas is not a key of this program" in str(caught.value)
    assert host.reached == []
    assert record.resources == []


def test_a_host_that_cannot_be_used_stops_the_program_before_it_declares_anything() -> None:
    record = Record()
    with pytest.raises(pulumi.RunError, match=r"^no Engine$"):
        program({}, Host("no Engine"), record)
    assert record.resources == []
