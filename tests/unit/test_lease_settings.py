"""What a stack may say of its lease: what works is accepted, and the rest refused with its key and the way out."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from config.durations import shown
from config.lease_settings import OWN_MINIMUM_TTL, ConsulSettings
from config.problems import Problem, problems_of
from config.settings import Settings

MINE = "http://consul.example.org:8500"


def problems(config: dict[str, Any]) -> list[Problem]:
    """What is wrong with a config; nothing if it is accepted."""
    try:
        Settings.model_validate(config)
    except ValidationError as error:
        return problems_of(error, "seafowl")
    return []


def consul(**values: Any) -> ConsulSettings:
    return Settings.model_validate({"lease": "consul", "consul": values}).consul


def refused(**values: Any) -> Problem:
    """The one problem of `consul` with these values."""
    found = problems({"lease": "consul", "consul": values})
    assert len(found) == 1, found
    return found[0]


def test_a_stack_that_says_nothing_has_one_writer_for_good() -> None:
    settings = Settings.model_validate({})
    assert (settings.lease, settings.writer_candidates, settings.standby_reads) == ("static", 2, False)
    assert (settings.consul.address, settings.consul.servers) == (None, 1)


@pytest.mark.parametrize("lease", ["Consul", "raft", "", False, None, {"type": "consul"}])
def test_a_lease_that_litefs_does_not_have_is_refused_with_those_that_it_has(lease: Any) -> None:
    found = problems({"lease": lease})
    assert [problem.key for problem in found] == ["seafowl:lease"]
    assert found[0].reason == "must be one of 'static' or 'consul'"


@pytest.mark.parametrize("candidates", [1, 2, 9, "3"])
def test_a_stack_may_have_one_to_nine_candidates(candidates: Any) -> None:
    settings = Settings.model_validate({"lease": "consul", "writerCandidates": candidates})
    assert settings.writer_candidates == int(candidates)


@pytest.mark.parametrize(
    ("candidates", "way_out"),
    [(0, "at least 1"), ("-1", "at least 1"), (10, "at most 9"), (True, "whole number"), ("two", "whole number")],
)
def test_any_other_number_of_candidates_is_refused(candidates: Any, way_out: str) -> None:
    found = problems({"lease": "consul", "writerCandidates": candidates})
    assert [problem.key for problem in found] == ["seafowl:writerCandidates"]
    assert way_out in found[0].reason


def test_standbys_serve_reads_where_the_config_says_so() -> None:
    assert Settings.model_validate({"lease": "consul", "standbyReads": "true"}).standby_reads is True
    assert [problem.key for problem in problems({"standbyReads": "sometimes"})] == ["seafowl:standbyReads"]


# Times


def test_a_lease_lasts_3_s_with_the_stacks_own_consul_and_10_s_with_another() -> None:
    assert consul().known_ttl == timedelta(seconds=3)
    assert consul(address=MINE).known_ttl == timedelta(seconds=10), "the minimum of a Consul that is not ours to set"
    assert consul(ttl=None, address=MINE).known_ttl == timedelta(seconds=10)
    assert {consul().lock_delay, consul(address=MINE).lock_delay} == {timedelta(seconds=1)}


def test_the_stacks_own_consul_takes_the_default_ttl() -> None:
    assert consul().known_ttl >= OWN_MINIMUM_TTL


@pytest.mark.parametrize(
    ("ttl", "address", "seconds"),
    [("2s", None, 2), ("2500ms", None, 2.5), ("1m", None, 60), ("10s", MINE, 10), ("60s", MINE, 60)],
)
def test_a_ttl_that_consul_takes_is_accepted(ttl: str, address: str | None, seconds: float) -> None:
    assert consul(ttl=ttl, address=address).known_ttl == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("ttl", "address", "way_out"),
    [
        ("1999ms", None, "must be at least 2s: Consul refuses a shorter session, and nobody would be the writer"),
        ("0s", None, "must be at least 2s"),
        ("-3s", None, "must not be negative"),
        ("9999ms", MINE, "must be at least 10s"),
        ("3s", MINE, "(its session_ttl_min)"),
        ("60001ms", None, "must be at most 60s: writes would be away that long when the writer dies"),
        ("61s", MINE, "must be at most 60s"),
        ("3", None, "must be a time with a unit"),
        (3, None, "must be a time with a unit"),
        ("", None, "must be a time with a unit"),
    ],
)
def test_a_ttl_that_consul_would_refuse_or_nobody_would_wait_for_is_refused(
    ttl: Any, address: str | None, way_out: str
) -> None:
    wrong = refused(ttl=ttl, address=address)
    assert wrong.key == "seafowl:consul.ttl"
    assert way_out in wrong.reason


def test_a_ttl_is_judged_by_the_address_wherever_it_stands_in_the_object() -> None:
    assert [problem.key for problem in problems({"consul": {"ttl": "3s", "address": MINE}})] == ["seafowl:consul.ttl"]
    assert [problem.key for problem in problems({"consul": {"address": MINE, "ttl": "3s"}})] == ["seafowl:consul.ttl"]


@pytest.mark.parametrize("delay", ["1s", "1500ms", "1m"])
def test_a_pause_between_two_leases_is_1_to_60_s(delay: str) -> None:
    assert shown(consul(lockDelay=delay).lock_delay) == {"1m": "60s"}.get(delay, delay)


@pytest.mark.parametrize("delay", ["0s", "999ms", "60001ms", "1h"])
def test_any_other_pause_is_refused(delay: str) -> None:
    wrong = refused(lockDelay=delay)
    assert (wrong.key, wrong.reason) == ("seafowl:consul.lockDelay", "must be at least 1s and at most 60s")


# Where the lease is kept


@pytest.mark.parametrize("servers", [1, 3, 5, "1", "3", "5"])
def test_an_odd_number_of_servers_is_accepted_as_a_number_and_as_text(servers: Any) -> None:
    assert consul(servers=servers).servers == int(servers)


@pytest.mark.parametrize("servers", [0, 2, 4, 7, "2", "three", "", "1.0", "³", 1.5, 3.0, True, None])
def test_any_other_number_of_servers_is_refused(servers: Any) -> None:
    wrong = refused(servers=servers)
    assert (wrong.key, wrong.reason) == ("seafowl:consul.servers", "must be one of 1, 3 or 5")


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        (MINE, MINE),
        (f"{MINE}/", MINE),
        ("https://consul.example.org", "https://consul.example.org"),
        (f"{MINE}/tenant", f"{MINE}/tenant"),
        ("http://192.0.2.7:8500", "http://192.0.2.7:8500"),
    ],
)
def test_the_url_of_a_consul_is_accepted_without_its_last_slash(address: str, kept: str) -> None:
    assert consul(address=address).address == kept


@pytest.mark.parametrize(
    "address",
    [
        "",
        "consul.example.org:8500",
        "consul.example.org",
        "ftp://consul.example.org",
        "http://",
        "http://:8500",
        f"{MINE}?dc=east",
        f"{MINE}#lease",
        "http://consul.example.org:0",
        "http://consul.example.org:99999",
        "http://consul.example.org:port",
        "http://consul.example.org:٣",
        "http://[consul.example.org",
        "http://[::1]:8500",
        f"{MINE}\n",
        "http://a b:8500",
        f"{MINE}?",
    ],
)
def test_what_is_no_url_of_a_consul_is_refused_with_an_example(address: str) -> None:
    wrong = refused(address=address)
    assert wrong.key == "seafowl:consul.address"
    assert "such as http://consul.example.org:8500" in wrong.reason


@pytest.mark.parametrize("address", [f"{MINE}/$HOME", f"{MINE}/${{HOME}}", "http://$CONSUL:8500"])
def test_what_litefs_would_expand_in_an_address_is_refused(address: str) -> None:
    assert refused(address=address).key == "seafowl:consul.address"


@pytest.mark.parametrize("user", ["hunter2:hunter2", ":hunter2", "hunter2"])
def test_a_token_in_an_address_is_refused_and_not_quoted(user: str) -> None:
    wrong = refused(address=f"http://{user}@consul.example.org:8500")
    assert wrong.key == "seafowl:consul.address"
    assert "set the secret consulToken" in wrong.reason
    assert "hunter2" not in wrong.reason


def test_all_that_is_wrong_with_the_lease_is_told_at_once() -> None:
    wrong = {"address": "consul", "servers": 2, "ttl": "1h", "lockDelay": "1h"}
    found = problems({"lease": "raft", "writerCandidates": 0, "standbyReads": "x", "consul": wrong})
    assert {problem.key.removeprefix("seafowl:") for problem in found} == {
        "lease",
        "writerCandidates",
        "standbyReads",
        *(f"consul.{key}" for key in wrong),
    }


def test_a_consul_that_is_no_object_is_refused_with_its_keys() -> None:
    found = problems({"consul": MINE})
    assert [problem.key for problem in found] == ["seafowl:consul"]
    assert "address, servers, ttl, lockDelay" in found[0].reason
