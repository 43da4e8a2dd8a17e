"""The files and commands of both kinds of lease, parsed back."""

import argparse
import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from supervisor.__main__ import _parser  # pyright: ignore[reportPrivateUsage] (whom the words are for)

from config.consul import HEALTHY, consul_command
from config.layout import GATED_SEAFOWL_PORT, INGRESS_PORT, INGRESS_PRIVATE_PORT, SEAFOWL_PORT, WRITE_PORT
from config.lease_settings import OWN_MINIMUM_TTL
from config.litefs import ConsulLease, litefs_command, render_litefs_yml
from config.maintenance_settings import MaintenanceSettings
from config.nginx import render_nginx_conf
from config.seafowl import render_seafowl_toml
from config.settings import Settings
from tests.unit.nginx_conf import Block, arguments, block, in_force, parsed, server

LEASE = ConsulLease(
    url="http://consul:8500",
    key="seafowl-dev/primary",
    ttl=timedelta(seconds=3),
    lock_delay=timedelta(seconds=1),
    standby_reads=False,
)
CANDIDATES = ("writer-0", "writer-1", "writer-2")
OWN_ADDRESS = "${HOSTNAME}.${REPLICATION_NETWORK}:20202"
STORE = {"bucket": "tables", "endpoint": "http://object-store:9000", "region": "us-east-1"}


def candidate(member: str = "writer-0", lease: ConsulLease | None = LEASE, **maintenance: Any) -> dict[str, Any]:
    """The litefs.yml of a writer."""
    settings = MaintenanceSettings.model_validate(maintenance)
    return yaml.safe_load(render_litefs_yml("writer", member, lease, settings))


def understood(words: Sequence[str]) -> argparse.Namespace:
    """What the supervisor makes of a command line of its."""
    program, *options = words
    assert program == "seafowl-supervisor"
    return _parser().parse_args(options)


def run_options(member: str = "writer-0", lease: ConsulLease | None = LEASE, **maintenance: Any) -> argparse.Namespace:
    """What the supervisor makes of the one step of a writer's `exec`."""
    (step,) = candidate(member, lease, **maintenance)["exec"]
    return understood(shlex.split(step["cmd"]))


# A static lease


@pytest.mark.parametrize(("role", "member"), [("writer", "writer-0"), ("reader", "reader-0"), ("reader", "reader-7")])
def test_with_a_static_lease_all_nodes_name_the_same_primary_and_one_is_a_candidate(role: Any, member: str) -> None:
    document = yaml.safe_load(render_litefs_yml(role, member))
    assert document["lease"] == {
        "type": "static",
        "candidate": role == "writer",
        "hostname": "writer-0",
        "advertise-url": "http://writer-0:20202",
    }
    assert document["http"] == {"addr": OWN_ADDRESS}


def test_readers_start_litefs_itself_and_all_alike() -> None:
    assert litefs_command("reader", "reader-0", None) == ["litefs", "mount", "-config", "/etc/litefs.yml"]
    assert len({render_litefs_yml("reader", f"reader-{index}") for index in range(3)}) == 1


def test_with_a_static_lease_the_supervisor_runs_as_with_one_in_consul_but_for_consul_and_standbys() -> None:
    of_others = {"consul": None, "key": None, "ttl": None, "candidates": None, "reader_config": None}
    assert vars(run_options(lease=None)) == {**vars(run_options()), **of_others}


def test_with_a_static_lease_the_supervisor_asks_no_consul_before_litefs_and_starts_it() -> None:
    options = understood(litefs_command("writer", "writer-0", None))
    assert (options.consul, options.join) == (None, False), "there is nobody to join"
    assert options.program == ["litefs", "mount", "-config", "/etc/litefs.yml"]
    assert options.data == Path(candidate(lease=None)["data"]["dir"])
    assert options.catalog.parent == Path(candidate(lease=None)["fuse"]["dir"])


@pytest.mark.parametrize("lease", [None, LEASE])
def test_the_supervisor_is_told_how_tables_are_cared_for(lease: ConsulLease | None) -> None:
    options = run_options(lease=lease, interval="30s", history="48h", versions=50)
    assert (options.maintenance_interval, options.history, options.versions) == (30.0, 172800.0, 50)
    assert not options.no_maintenance
    assert run_options(lease=lease, enabled=False).no_maintenance


# litefs.yml


@pytest.mark.parametrize("member", CANDIDATES)
def test_a_candidate_gives_itself_as_who_the_primary_is(member: str) -> None:
    lease = candidate(member)["lease"]
    assert (lease["type"], lease["candidate"]) == ("consul", True)
    assert (lease["hostname"], lease["advertise-url"]) == (member, f"http://{member}:20202")


def test_candidates_differ_in_nothing_but_their_name() -> None:
    texts = {render_litefs_yml("writer", member, LEASE).replace(member, "this one") for member in CANDIDATES}
    assert len(texts) == 1


def test_readers_are_no_candidates_and_share_one_text() -> None:
    texts = {render_litefs_yml("reader", f"reader-{index}", LEASE) for index in range(3)}
    assert len(texts) == 1, "each more would be one more to review"
    lease = yaml.safe_load(texts.pop())["lease"]
    assert lease["candidate"] is False, "left out, it would be true: a writer without a volume"
    assert (lease["hostname"], lease["advertise-url"]) == ("${HOSTNAME}", f"http://{OWN_ADDRESS}")


def test_whatever_the_lease_readers_wait_for_the_catalog() -> None:
    steps = [yaml.safe_load(render_litefs_yml("reader", "reader-0", lease))["exec"] for lease in (None, LEASE)]
    assert steps[0] == steps[1]
    assert "until [ -s /litefs/seafowl.sqlite ]" in steps[0][0]["cmd"], "a Seafowl that finds no catalog dies"


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_all_nodes_of_a_stack_look_at_one_lease_with_the_same_times(role: Any) -> None:
    document = yaml.safe_load(render_litefs_yml(role, f"{role}-0", LEASE))
    assert document["lease"]["consul"] == {
        "url": "http://consul:8500",
        "key": "seafowl-dev/primary",
        "ttl": "3s",
        "lock-delay": "1s",
    }
    assert document["http"] == {"addr": OWN_ADDRESS}


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_litefs_yml_holds_only_keys_of_a_lease_that_litefs_knows(role: Any) -> None:
    lease = yaml.safe_load(render_litefs_yml(role, f"{role}-0", LEASE))["lease"]
    known = {"type", "hostname", "advertise-url", "candidate", "promote", "demote", "reconnect-delay", "consul"}
    assert lease.keys() <= known, "LiteFS ends at an unknown one"
    assert lease["consul"].keys() <= {"url", "key", "ttl", "lock-delay"}


@pytest.mark.parametrize(
    ("milliseconds", "text", "seconds"), [(2000, "2s", 2.0), (2500, "2500ms", 2.5), (60_000, "60s", 60.0)]
)
def test_litefs_and_the_supervisor_are_told_the_same_ttl(milliseconds: int, text: str, seconds: float) -> None:
    lease = replace(LEASE, ttl=timedelta(milliseconds=milliseconds), lock_delay=timedelta(milliseconds=milliseconds))
    times = candidate(lease=lease)["lease"]["consul"]
    assert (times["ttl"], times["lock-delay"]) == (text, text)
    assert run_options(lease=lease).ttl == seconds
    assert understood(litefs_command("writer", "writer-0", lease)).ttl == seconds


# What the supervisor is told


@pytest.mark.parametrize("member", CANDIDATES)
def test_the_supervisor_understands_its_words_in_litefs_yml(member: str) -> None:
    assert vars(run_options(member)) == {
        "command": "run",
        "consul": "http://consul:8500",
        "key": "seafowl-dev/primary",
        "hostname": member,
        "ttl": 3.0,
        "catalog": Path("/litefs/seafowl.sqlite"),
        "data": Path("/var/lib/litefs"),
        "litefs": f"http://{OWN_ADDRESS}",
        "candidates": "litefs-candidates",
        "writer_config": Path("/etc/seafowl/writer.toml"),
        "reader_config": Path("/etc/seafowl/reader.toml"),
        "seafowl_port": 8082,
        "write_port": 8081,
        "standby_reads": False,
        "ack_timeout": 1.0,
        "maintenance_interval": 10.0,
        "history": 86400.0,
        "versions": 200,
        "no_maintenance": False,
    }


def test_the_supervisor_is_told_whether_standbys_serve_reads() -> None:
    assert run_options(lease=replace(LEASE, standby_reads=True)).standby_reads is True


def test_the_supervisor_is_told_what_litefs_is() -> None:
    document, options = candidate("writer-1"), run_options("writer-1")
    lease = document["lease"]
    assert (options.consul, options.key) == (lease["consul"]["url"], lease["consul"]["key"])
    assert options.hostname == lease["hostname"]
    assert options.data == Path(document["data"]["dir"])
    assert options.catalog.parent == Path(document["fuse"]["dir"])
    assert options.litefs == f"http://{document['http']['addr']}"


def test_what_litefs_expands_is_not_quoted() -> None:
    (step,) = candidate()["exec"]
    assert f" --litefs http://{OWN_ADDRESS} " in step["cmd"], "in quotes it would stay as it is"


@pytest.mark.parametrize("odd", ["a'b", "a b", 'a"b', "a\\b", "a;b", "a#b", "a: b", "*", "a`b`"])
def test_whatever_stands_in_an_address_is_one_word_to_the_supervisor(odd: str) -> None:
    url = f"http://consul:8500/{odd}"
    lease = replace(LEASE, url=url)
    assert candidate(lease=lease)["lease"]["consul"]["url"] == url
    assert run_options(lease=lease).consul == url
    assert understood(litefs_command("writer", "writer-1", lease)).consul == url


@pytest.mark.parametrize("member", CANDIDATES)
def test_before_litefs_the_supervisor_tidies_up_and_then_starts_it(member: str) -> None:
    assert vars(understood(litefs_command("writer", member, LEASE))) == {
        "command": "prepare",
        "consul": "http://consul:8500",
        "key": "seafowl-dev/primary",
        "hostname": member,
        "ttl": 3.0,
        "catalog": Path("/litefs/seafowl.sqlite"),
        "data": Path("/var/lib/litefs"),
        "join": member != "writer-0",
        "program": ["litefs", "mount", "-config", "/etc/litefs.yml"],
    }


# seafowl.toml


def seafowl(role: Any, *, standby: bool = False, **config: Any) -> dict[str, Any]:
    return tomllib.loads(render_seafowl_toml(role, Settings.model_validate(config), STORE, standby=standby))


def test_the_seafowl_behind_a_write_port_is_reached_from_inside_its_container_alone() -> None:
    http = seafowl("writer")["frontend"]["http"]
    assert (http["bind_host"], http["bind_port"]) == ("127.0.0.1", 8082)
    assert len({GATED_SEAFOWL_PORT, WRITE_PORT, SEAFOWL_PORT}) == 3


@pytest.mark.parametrize("standby", [False, True])
def test_a_seafowl_that_only_reads_is_reached_from_the_front_network(standby: bool) -> None:
    http = seafowl("reader", standby=standby)["frontend"]["http"]
    assert (http["bind_host"], http["bind_port"]) == ("0.0.0.0", 8080)


def test_both_of_a_candidate_s_seafowls_plan_with_their_own_container_s_memory() -> None:
    config = {"resources": {"writer": {"memory": "1GiB"}, "reader": {"memory": "8GiB"}}}
    writer, standby = seafowl("writer", **config), seafowl("reader", standby=True, **config)
    assert standby["runtime"] == writer["runtime"]
    assert seafowl("reader", **config)["runtime"]["max_memory"] > 1024


# nginx.conf


def nginx(tmp_path: Path, **ingress: Any) -> Block:
    settings = Settings.model_validate({"ingress": ingress})
    return parsed(render_nginx_conf(settings.ingress, settings.access), tmp_path)


def upstream(conf: Block) -> Block:
    return block(block(conf, "http"), "upstream", "writer")


def test_writes_go_to_the_write_port_on_connections_of_their_own(tmp_path: Path) -> None:
    writer = upstream(nginx(tmp_path))
    assert arguments(writer, "server") == [["seafowl-writers:8081", "resolve", "max_fails=0"]]
    assert arguments(writer, "keepalive") == [], "a connection would outlive its node's being the primary"


@pytest.mark.parametrize(("timeout", "seconds"), [("300s", "240"), ("1s", "1")])
def test_a_write_waits_for_its_tables_for_less_than_the_ingress_waits(
    tmp_path: Path, timeout: str, seconds: str
) -> None:
    http = block(nginx(tmp_path, writeTimeout=timeout), "http")
    assert ["X-Seconds-To-Wait", seconds] in arguments(http, "proxy_set_header")


def writers_locations(conf: Block) -> dict[str, list[Block]]:
    """The levels of every location that asks the writer."""
    public, private = server(conf, INGRESS_PORT), server(conf, INGRESS_PRIVATE_PORT)
    http, writes = block(conf, "http"), block(public, "location", "^~", "/w/")
    return {
        "writes": [http, public, writes],
        "uploads": [http, public, writes, block(writes, "location", "~")],
        "health": [http, public, block(public, "location", "=", "/w/healthz")],
        "answering": [http, private, block(private, "location", "=", "/answering/writer")],
    }


@pytest.mark.parametrize("location", ["writes", "uploads", "health", "answering"])
def test_a_candidate_that_takes_no_connection_is_followed_by_the_next(tmp_path: Path, location: str) -> None:
    levels = writers_locations(nginx(tmp_path))[location]
    assert in_force(levels, "proxy_next_upstream") == ["error", "timeout"], (
        "non_idempotent would send a write that may have been executed a second time"
    )


def test_while_there_is_no_primary_a_write_may_be_tried_again(tmp_path: Path) -> None:
    for levels in (writers_locations(nginx(tmp_path))[name] for name in ("writes", "health")):
        assert arguments(levels[-1], "error_page")[0][-1] == "@writer_away"


# Consul


def options(command: list[str]) -> dict[str, list[str]]:
    """The options of `consul agent`: name → its values."""
    assert command[:3] == ["consul", "agent", "-server"]
    words = iter(command[3:])
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        assert name.startswith("-"), command
        found.setdefault(name, []).append(value if equals else next(words))
    return found


def test_one_consul_server_elects_itself() -> None:
    found = options(consul_command(0, 1))
    assert found["-bootstrap-expect"] == ["1"]
    assert "-retry-join" not in found, "it would wait for itself"
    assert (found["-node"], found["-data-dir"], found["-client"]) == (["consul-0"], ["/data"], ["0.0.0.0"])


@pytest.mark.parametrize("servers", [3, 5])
def test_each_of_several_consul_servers_joins_all_others(servers: int) -> None:
    names = [f"consul-{index}" for index in range(servers)]
    for index, name in enumerate(names):
        found = options(consul_command(index, servers))
        assert found["-bootstrap-expect"] == [str(servers)], "fewer would found a cluster of their own"
        assert found["-node"] == [name]
        assert found["-retry-join"] == [other for other in names if other != name]


@pytest.mark.parametrize("servers", [1, 3])
def test_consul_takes_sessions_as_short_as_the_shortest_ttl_of_the_config(servers: int) -> None:
    hcl = options(consul_command(0, servers))["-hcl"]
    (least,) = (re.fullmatch(r'session_ttl_min = "(\d+)s"', line) for line in hcl if "session_ttl_min" in line)
    assert least is not None
    assert timedelta(seconds=int(least[1])) == OWN_MINIMUM_TTL
    assert "performance { raft_multiplier = 1 }" in hcl


def test_a_consul_server_is_healthy_while_there_is_a_leader() -> None:
    assert shlex.split(HEALTHY)[:4] == ["consul", "operator", "raft", "list-peers"], "an agent answers without one, too"
