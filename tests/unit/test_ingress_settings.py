"""The rules of the ingress's settings: each accepts what works, and refuses the rest with the key and the way out."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from config.problems import Problem, problems_of
from config.settings import Settings

MIB = 1024 * 1024
PAIR = {"certificate": "any text: whether it is one is judged with its key"}


def accepted(**ingress: Any) -> Settings:
    return Settings.model_validate({"ingress": ingress})


def problems(**ingress: Any) -> list[Problem]:
    """What is wrong with the ingress's settings; nothing if they are accepted."""
    try:
        accepted(**ingress)
    except ValidationError as error:
        return problems_of(error, "seafowl")
    return []


def refusal(**ingress: Any) -> str:
    """The one problem of the ingress's settings: its key and the reason."""
    found = problems(**ingress)
    assert len(found) == 1, found
    return str(found[0])


def test_the_defaults_serve_http_with_a_short_cache_and_limit_nobody() -> None:
    ingress = accepted().ingress
    assert ingress.tls is None
    assert (ingress.cache.ttl, ingress.cache.stale_when_down) == (timedelta(seconds=1), timedelta(seconds=10))
    assert ingress.cache.size == ingress.upload_limit == 256 * MIB
    assert (ingress.read_timeout, ingress.write_timeout) == (timedelta(seconds=60), timedelta(minutes=5))
    assert ingress.retry_interval == timedelta(seconds=2)
    limits = ingress.limits
    assert (limits.requests_per_second, limits.burst, limits.connections) == (None, None, None)


# Times


@pytest.mark.parametrize(
    ("key", "text", "seconds"),
    [
        ("readTimeout", "1s", 1),
        ("readTimeout", "24h", 86400),
        ("readTimeout", "1500ms", 1.5),
        ("writeTimeout", "1s", 1),
        ("writeTimeout", "24h", 86400),
        ("retryInterval", "1s", 1),
        ("retryInterval", "1m", 60),
    ],
)
def test_a_timeout_within_its_bounds_is_accepted(key: str, text: str, seconds: float) -> None:
    given = accepted(**{key: text}).ingress.model_dump(by_alias=True)
    assert given[key] == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("key", "text", "way_out"),
    [
        ("readTimeout", "0s", "must be at least 1s and at most 86400s"),
        ("readTimeout", "999ms", "must be at least 1s and at most 86400s"),
        ("readTimeout", "25h", "must be at most 24h"),
        ("readTimeout", "60", "such as 10s"),
        ("writeTimeout", "0s", "must be at least 1s and at most 86400s"),
        ("writeTimeout", "-1s", "must not be negative"),
        ("writeTimeout", 300, "such as 10s"),
        ("retryInterval", "0s", "must be at least 1s and at most 60s"),
        ("retryInterval", "61s", "must be at least 1s and at most 60s"),
        ("retryInterval", "1500ms", "must be of whole seconds, such as 2s"),
    ],
)
def test_a_timeout_out_of_its_bounds_is_refused(key: str, text: Any, way_out: str) -> None:
    assert refusal(**{key: text}).startswith(f"seafowl:ingress.{key} ")
    assert way_out in refusal(**{key: text})


@pytest.mark.parametrize("key", ["ttl", "staleWhenDown"])
@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("1s", 1), ("2000ms", 2), ("24h", 86400)])
def test_the_cache_keeps_answers_for_whole_seconds(key: str, text: str, seconds: int) -> None:
    given = accepted(cache={key: text}).ingress.cache.model_dump(by_alias=True)
    assert given[key] == timedelta(seconds=seconds)


@pytest.mark.parametrize("key", ["ttl", "staleWhenDown"])
@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("-1s", "must not be negative"),
        ("1.5s", "must be of whole seconds, such as 2s"),
        ("500ms", "must be of whole seconds, such as 2s"),
        ("25h", "must be at most 24h"),
        ("5", "must be a time with a unit (ms, s, m or h), such as 10s"),
        (5, "must be a time with a unit (ms, s, m or h), such as 10s"),
    ],
)
def test_an_age_that_http_cannot_say_is_refused(key: str, text: Any, way_out: str) -> None:
    assert refusal(cache={key: text}).startswith(f"seafowl:ingress.cache.{key} {way_out}")


# Sizes


def test_sizes_up_to_what_seafowl_takes_are_accepted() -> None:
    assert accepted(uploadLimit="1TiB").ingress.upload_limit == 1024 * 1024 * MIB
    assert accepted(cache={"size": "1MiB"}).ingress.cache.size == MIB


@pytest.mark.parametrize("limit", ["1025GiB", "2TiB", "1048577MiB"])
def test_an_upload_limit_above_seafowls_own_is_refused(limit: str) -> None:
    text = refusal(uploadLimit=limit)
    assert text.startswith("seafowl:ingress.uploadLimit must be at most 1048576MiB (1TiB)")


@pytest.mark.parametrize("size", ["256", 256, "0MiB", "1.5MiB", "big"])
def test_a_cache_size_without_a_unit_or_not_of_whole_mib_is_refused(size: Any) -> None:
    text = refusal(cache={"size": size})
    assert text.startswith("seafowl:ingress.cache.size must be ")
    assert "MiB" in text


# Limits per client


@pytest.mark.parametrize(
    "limits",
    [
        {"requestsPerSecond": 1},
        {"requestsPerSecond": "100000", "burst": "1000000"},
        {"connections": 65535},
        {"requestsPerSecond": 5, "burst": 1, "connections": 1},
        {"requestsPerSecond": None, "burst": None, "connections": None},
    ],
)
def test_limits_of_a_client_are_accepted_in_every_combination_that_does_something(limits: dict[str, Any]) -> None:
    given = accepted(limits=limits).ingress.limits.model_dump(by_alias=True)
    assert {key: given[key] for key in limits} == {
        key: value if value is None else int(value) for key, value in limits.items()
    }


@pytest.mark.parametrize(
    "limits", [{"burst": 5}, {"burst": 5, "connections": 2}, {"requestsPerSecond": None, "burst": 5}]
)
def test_a_burst_without_a_rate_is_refused_because_it_would_do_nothing(limits: dict[str, Any]) -> None:
    assert refusal(limits=limits) == (
        "seafowl:ingress.limits.burst does nothing without requestsPerSecond: set that too, or remove it"
    )


def test_a_burst_of_a_wrong_rate_is_no_second_problem() -> None:
    assert refusal(limits={"requestsPerSecond": 0, "burst": 5}).startswith("seafowl:ingress.limits.requestsPerSecond ")


@pytest.mark.parametrize(
    ("key", "value", "way_out"),
    [
        ("requestsPerSecond", 0, "must be at least 1"),
        ("requestsPerSecond", 100_001, "must be at most 100000"),
        ("requestsPerSecond", 0.5, "must be a whole number"),
        ("requestsPerSecond", True, "must be a whole number"),
        ("requestsPerSecond", "10r/s", "must be a whole number"),
        ("connections", 0, "must be at least 1"),
        ("connections", 65536, "must be at most 65535"),
        ("connections", "many", "must be a whole number"),
    ],
)
def test_a_limit_that_is_none_is_refused(key: str, value: Any, way_out: str) -> None:
    assert refusal(limits={key: value}).startswith(f"seafowl:ingress.limits.{key} {way_out}")


@pytest.mark.parametrize(("burst", "way_out"), [(0, "must be at least 1"), (1_000_001, "must be at most 1000000")])
def test_a_burst_out_of_its_bounds_is_refused(burst: int, way_out: str) -> None:
    text = refusal(limits={"requestsPerSecond": 1, "burst": burst})
    assert text == f"seafowl:ingress.limits.burst {way_out}"


# TLS


@pytest.mark.parametrize("tls", [PAIR, {"selfSigned": True}, {"selfSigned": "true"}, {**PAIR, "selfSigned": False}])
def test_https_has_exactly_one_certificate(tls: dict[str, Any]) -> None:
    given = accepted(tls=tls).ingress.tls
    assert given is not None
    assert (given.certificate is None) is given.self_signed


@pytest.mark.parametrize("tls", [{}, {"selfSigned": False}, {**PAIR, "selfSigned": True}, {"redirectPort": 80}])
def test_https_with_no_certificate_or_with_two_is_refused(tls: dict[str, Any]) -> None:
    text = refusal(tls=tls)
    assert text.startswith("seafowl:ingress.tls must have either certificate (and the secret tlsKey) or selfSigned")


@pytest.mark.parametrize(("port", "redirect"), [(443, 80), (8443, "8080"), (1, 65535)])
def test_http_may_be_sent_on_from_another_port(port: int, redirect: Any) -> None:
    tls = accepted(port=port, tls={"selfSigned": True, "redirectPort": redirect}).ingress.tls
    assert tls is not None
    assert tls.redirect_port == int(redirect)


@pytest.mark.parametrize(("port", "redirect"), [({}, 8080), ({"port": 443}, 443), ({"port": "80"}, "80")])
def test_a_port_that_would_send_its_own_requests_on_is_refused(port: dict[str, Any], redirect: Any) -> None:
    text = refusal(**port, tls={"selfSigned": True, "redirectPort": redirect})
    assert text == "seafowl:ingress.tls cannot send its own port on: redirectPort must differ from ingress.port"


@pytest.mark.parametrize(
    ("redirect", "way_out"),
    [
        (0, "must be at least 1"),
        (65536, "must be at most 65535"),
        ("http", "must be a whole number"),
        (True, "must be a"),
    ],
)
def test_a_redirect_port_that_is_no_port_is_refused(redirect: Any, way_out: str) -> None:
    text = refusal(tls={"selfSigned": True, "redirectPort": redirect})
    assert text.startswith(f"seafowl:ingress.tls.redirectPort {way_out}")


def test_a_certificate_that_is_no_text_is_refused() -> None:
    assert refusal(tls={"certificate": 5}) == "seafowl:ingress.tls.certificate must be a string"


# Keys


@pytest.mark.parametrize(
    ("ingress", "key", "near"),
    [
        ({"cach": {}}, "ingress.cach", "cache"),
        ({"readTimeOut": "5s"}, "ingress.readTimeOut", "readTimeout"),
        ({"retry_interval": "5s"}, "ingress.retry_interval", "retryInterval"),
        ({"cache": {"TTL": "5s", "tll": "5s"}}, "ingress.cache.tll", "ttl"),
        ({"cache": {"staleWhenDone": "5s"}}, "ingress.cache.staleWhenDone", "staleWhenDown"),
        ({"limits": {"requestPerSecond": 5}}, "ingress.limits.requestPerSecond", "requestsPerSecond"),
        ({"tls": {"selfSigned": True, "redirectport": 80}}, "ingress.tls.redirectport", "redirectPort"),
        ({"tls": {"certificat": "x"}}, "ingress.tls.certificat", "certificate"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(ingress: dict[str, Any], key: str, near: str) -> None:
    (found,) = (problem for problem in problems(**ingress) if problem.key == f"seafowl:{key}")
    assert "is not a key of this program" in found.reason
    assert f"did you mean {near}?" in found.reason


@pytest.mark.parametrize("part", ["cache", "limits", "tls"])
def test_a_single_value_where_an_object_belongs_is_refused_with_its_keys(part: str) -> None:
    keys = {"cache": "ttl, staleWhenDown, size", "limits": "requestsPerSecond, burst, connections"}
    keys["tls"] = "certificate, selfSigned, redirectPort"
    assert refusal(**{part: "on"}).startswith(f"seafowl:ingress.{part} must be an object with the keys {keys[part]}")


def test_all_problems_of_the_ingress_are_told_at_once() -> None:
    found = problems(
        readTimeout="0s",
        cache={"ttl": "-1s", "size": "5"},
        limits={"burst": 5},
        tls={"certificate": "x", "selfSigned": True},
    )
    assert {problem.key for problem in found} == {
        "seafowl:ingress.readTimeout",
        "seafowl:ingress.cache.ttl",
        "seafowl:ingress.cache.size",
        "seafowl:ingress.limits.burst",
        "seafowl:ingress.tls",
    }
