"""What carries the serving path: the routes' carrier, the holder of the certificate, and the tokens."""

import hashlib
import json
import re
from typing import Any
from unittest.mock import patch

import pulumi
import pytest

from tests.unit.certificates import pair
from tests.unit.pulumi_mocks import (
    Declared,
    Record,
    comparable,
    declare_stack,
    docker_labels,
    envs,
    is_secret,
    readable_texts,
    revealed,
    uploads,
)

CARRIER, INGRESS, HOLDER = "Container ingress-routes", "Container ingress", "Container ingress-certificate"
NODES = ["Container writer-0", "Container reader-0", "Container reader-1"]
READ_ENV, WRITE_ENV = "SEAFOWL__FRONTEND__HTTP__READ_ACCESS", "SEAFOWL__FRONTEND__HTTP__WRITE_ACCESS"
TOKENS = {"access": {"read": "token", "write": "token"}}
SELF_SIGNED = {"ingress": {"tls": {"selfSigned": True}}}
MINE = pair()
WITH_MINE = {"ingress": {"port": 443, "tls": {"certificate": MINE.certificate, "redirectPort": 80}}}
KEY_BODY = MINE.key.splitlines()[1]


@pytest.fixture(scope="module")
def default() -> Record:
    """The stack as it is declared from an empty config."""
    return declare_stack()


@pytest.fixture(scope="module")
def https() -> Record:
    """A stack with a certificate of its user."""
    return declare_stack(WITH_MINE, {"tlsKey": MINE.key})


@pytest.fixture(scope="module")
def self_signed() -> Record:
    """A stack with a certificate that it makes."""
    return declare_stack(SELF_SIGNED)


@pytest.fixture(scope="module")
def guarded() -> Record:
    """A stack with tokens that it makes."""
    return declare_stack(TOKENS)


def shown(record: Record) -> list[str]:
    """Every text that a preview, the state or the outputs show in clear text."""
    return [*readable_texts([r.inputs for r in record.resources]), *readable_texts(record.component_outputs)]


def environment(container: Declared) -> dict[str, Any]:
    """Name → the line of the environment as it is sent, secret or not."""
    return {revealed(line).partition("=")[0]: line for line in container.inputs["envs"]}


# The carrier of nginx.conf


def test_nginx_conf_is_carried_to_where_nginx_looks_for_it(default: Record) -> None:
    carrier, ingress = default.one(CARRIER).inputs, default.one(INGRESS).inputs
    files = {"/etc/ingress/nginx.conf", "/etc/ingress/answers.js", "/etc/ingress/proof.js"}
    assert uploads(default.one(CARRIER)).keys() == files
    (mount,) = carrier["mounts"]
    (seen,) = ingress["mounts"]
    assert (
        (mount["source"], mount["target"])
        == (seen["source"], seen["target"])
        == (
            "ingress-config-0123abc",
            "/etc/ingress",
        )
    )
    assert not mount.get("readOnly")
    assert seen["readOnly"] is True


def test_the_carrier_never_runs(default: Record) -> None:
    carrier = default.one(CARRIER).inputs
    assert carrier["start"] is False
    assert carrier["mustRun"] is False, "the provider would take it for one that has died"
    assert "restart" not in carrier
    assert carrier["networkMode"] == "none"
    assert carrier["capabilities"]["drops"] == ["ALL"]
    assert "ports" not in carrier


def test_the_next_carrier_writes_the_file_when_the_last_one_is_gone(default: Record) -> None:
    assert default.one(CARRIER).delete_before_replace is True


def test_the_carrier_is_the_stacks_and_no_part_of_the_cluster(default: Record) -> None:
    labels = docker_labels(default.one(CARRIER))
    assert "org.seafowl.member" not in labels, "it would be shown as a part that does not run"
    assert labels["org.seafowl.deployment"] == docker_labels(default.one(INGRESS))["org.seafowl.deployment"]
    assert (labels["org.seafowl.project"], labels["org.seafowl.stack"]) == ("seafowl", "dev")


def test_the_carrier_is_made_before_nginx_starts(default: Record) -> None:
    assert CARRIER in default.one(INGRESS).dependencies


@pytest.mark.parametrize(
    "ingress",
    [
        {"cache": {"ttl": "7s"}},
        {"cache": {"ttl": "0s"}},
        {"cache": {"size": "1GiB", "staleWhenDown": "1m"}},
        {"limits": {"requestsPerSecond": 5, "burst": 10, "connections": 2}},
        {"readTimeout": "9s"},
        {"writeTimeout": "9s"},
        {"retryInterval": "9s"},
        {"uploadLimit": "1TiB"},
    ],
    ids="-".join,
)
def test_a_change_of_the_routes_replaces_the_carrier_and_nothing_else(default: Record, ingress: dict[str, Any]) -> None:
    before, after = comparable(default), comparable(declare_stack({"ingress": ingress}))
    assert before.keys() == after.keys()
    assert {label for label in before if before[label] != after[label]} == {CARRIER}


@pytest.mark.parametrize("config", [WITH_MINE, SELF_SIGNED])
def test_a_change_of_the_routes_of_https_replaces_the_carrier_and_nothing_else(config: dict[str, Any]) -> None:
    secrets = {"tlsKey": MINE.key} if config is WITH_MINE else {}
    changed = {"ingress": {**config["ingress"], "cache": {"ttl": "0s"}}}
    before, after = (comparable(declare_stack(one, secrets)) for one in (config, changed))
    assert {label for label in before | after if before[label] != after[label]} == {CARRIER}


@pytest.mark.parametrize("readers", [1, 5])
def test_scaling_changes_neither_the_carrier_nor_the_ingress(https: Record, readers: int) -> None:
    before, after = (
        comparable(https),
        comparable(declare_stack({**WITH_MINE, "readers": readers}, {"tlsKey": MINE.key})),
    )
    assert not [label for label in (CARRIER, INGRESS, HOLDER) if before[label] != after[label]]


# HTTPS


@pytest.mark.parametrize("which", ["https", "self_signed"])
def test_the_key_is_in_the_secret_environment_of_the_holder_alone(which: str, request: pytest.FixtureRequest) -> None:
    record: Record = request.getfixturevalue(which)
    line = environment(record.one(HOLDER))["TLS_KEY"]
    assert is_secret(line)
    key = revealed(line).removeprefix("TLS_KEY=")
    body = key.splitlines()[1]
    assert "PRIVATE KEY" in key
    holding = {r.label for r in record.resources if body in json.dumps(revealed(r.inputs))}
    assert holding - {"Stash ingress-self-signed-127.0.0.1"} == {HOLDER}
    assert not any(body in text for text in shown(record))
    assert body not in json.dumps(revealed(record.outputs), default=str)


def test_the_certificate_of_the_user_is_the_one_that_is_held(https: Record) -> None:
    assert envs(https.one(HOLDER)) == {"TLS_CERTIFICATE": MINE.certificate, "TLS_KEY": MINE.key}
    assert not [stash.name for stash in https.of("Stash") if "self-signed" in stash.name], "one is made beside it"


def test_the_certificate_lies_in_memory_and_is_nginxs_alone(https: Record) -> None:
    volume = https.one("Volume ingress-certificate").inputs
    uid = https.one(INGRESS).inputs["user"].partition(":")[0]
    options = volume["driverOpts"]
    assert (options["type"], options["device"]) == ("tmpfs", "tmpfs")
    assert {f"uid={uid}", "mode=0700"} <= set(options["o"].split(","))
    assert https.one(HOLDER).inputs["user"] == https.one(INGRESS).inputs["user"]
    assert not https.one("Volume ingress-certificate").retain_on_delete


def test_nginx_reads_the_certificate_and_cannot_change_it(https: Record) -> None:
    mounts = {mount["target"]: mount for mount in https.one(INGRESS).inputs["mounts"]}
    assert mounts.keys() == {"/etc/ingress", "/run/tls"}
    assert all(mount["readOnly"] is True for mount in mounts.values())
    (holders,) = https.one(HOLDER).inputs["mounts"]
    assert (holders["source"], holders["target"]) == (mounts["/run/tls"]["source"], "/run/tls")
    assert not holders.get("readOnly")


def test_the_holder_of_the_key_reaches_nothing_and_is_reached_by_nothing(https: Record) -> None:
    holder = https.one(HOLDER).inputs
    assert holder["networkMode"] == "none"
    assert holder.get("networksAdvanced", []) == holder.get("ports", []) == []
    assert (holder["capabilities"]["drops"], holder["capabilities"].get("adds", [])) == (["ALL"], [])
    assert "no-new-privileges" in holder["securityOpts"]
    assert docker_labels(https.one(HOLDER))["org.seafowl.member"] == "ingress-certificate"
    assert https.one(HOLDER).delete_before_replace is True


def test_the_port_that_sends_http_on_is_published_beside_the_one_of_https(https: Record) -> None:
    ports = {port["internal"]: (port["external"], port["ip"]) for port in https.one(INGRESS).inputs["ports"]}
    assert ports == {8080: (443, "127.0.0.1"), 8180: (80, "127.0.0.1")}


def test_no_second_port_is_published_where_none_is_asked_for(self_signed: Record) -> None:
    assert [port["internal"] for port in self_signed.one(INGRESS).inputs["ports"]] == [8080]


@pytest.mark.parametrize(("which", "port"), [("https", 443), ("self_signed", 8080)])
def test_the_outputs_name_the_scheme_and_hand_the_certificate_on(
    which: str, port: int, request: pytest.FixtureRequest
) -> None:
    record: Record = request.getfixturevalue(which)
    assert record.outputs["queryUrl"] == f"https://127.0.0.1:{port}/q"
    assert record.outputs["writeUrl"] == f"https://127.0.0.1:{port}/w/q"
    assert "certificate" in record.outputs


def resolved(config: dict[str, Any], secrets: dict[str, str] | None = None) -> dict[str, tuple[bool, Any]]:
    """The stack outputs that are not known at once: whether each is secret, and its value."""
    found: dict[str, tuple[bool, Any]] = {}

    def note(key: str, output: Any) -> None:
        if not hasattr(output, "apply"):
            return

        async def look() -> None:
            found[key] = (await output.is_secret(), await output.future())

        pulumi.Output.from_input(look())

    with patch("pulumi.export", note):
        declare_stack(config, secrets)
    return found


def test_a_self_signed_certificate_is_no_secret_and_its_key_is_no_output() -> None:
    outputs = resolved(SELF_SIGNED)
    is_hidden, certificate = outputs["certificate"]
    assert is_hidden is False, "clients are to be told to trust it"
    assert certificate.startswith("-----BEGIN CERTIFICATE-----")
    assert not any("PRIVATE KEY" in str(value) for _, value in outputs.values())


def test_a_self_signed_certificate_is_made_once_and_its_key_kept_as_a_secret(self_signed: Record) -> None:
    stash = self_signed.one("Stash ingress-self-signed-127.0.0.1")
    assert stash.ignore_changes == ("input",)
    assert is_secret(stash.inputs["input"])
    assert stash.parent == "Ingress ingress"


def test_without_tls_there_is_no_certificate_and_nobody_to_hold_it(default: Record) -> None:
    assert not {HOLDER, "Volume ingress-certificate", "Stash ingress-self-signed-127.0.0.1"} & default.labels
    assert "certificate" not in default.outputs


# Tokens


def tokens_of(record: Record) -> dict[str, str]:
    return revealed(record.one("Stash access-tokens-1").inputs["input"])


def test_tokens_are_made_once_and_enter_the_state_as_a_secret(guarded: Record) -> None:
    stash = guarded.one("Stash access-tokens-1")
    assert is_secret(stash.inputs["input"])
    assert stash.ignore_changes == ("input",)
    tokens = tokens_of(guarded)
    assert tokens.keys() == {"readToken", "writeToken"}
    assert tokens["readToken"] != tokens["writeToken"]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", token) for token in tokens.values())


def test_a_node_knows_the_hash_of_a_token_as_a_secret_and_the_token_is_nowhere(guarded: Record) -> None:
    tokens = tokens_of(guarded)
    for label in NODES:
        line = environment(guarded.one(label))[READ_ENV]
        assert is_secret(line)
        assert revealed(line) == f"{READ_ENV}={hashlib.sha256(tokens['readToken'].encode()).hexdigest()}"
    line = environment(guarded.one(NODES[0]))[WRITE_ENV]
    assert is_secret(line)
    assert revealed(line) == f"{WRITE_ENV}={hashlib.sha256(tokens['writeToken'].encode()).hexdigest()}"
    holding = {r.label for r in guarded.resources if any(t in json.dumps(revealed(r.inputs)) for t in tokens.values())}
    assert holding == {"Stash access-tokens-1"}
    assert not any(token in text for token in tokens.values() for text in shown(guarded))


@pytest.mark.parametrize("reader", NODES[1:])
def test_a_reader_has_no_hash_that_could_let_it_write(guarded: Record, reader: str) -> None:
    assert WRITE_ENV not in envs(guarded.one(reader))
    assert 'write_access = "off"' in uploads(guarded.one(reader))["/etc/seafowl/seafowl.toml"]


def test_the_outputs_hand_the_tokens_on_as_secrets() -> None:
    given = {"readToken": "r" * 20, "writeToken": "w" * 20}
    outputs = resolved(TOKENS, given)
    assert {key: outputs[key] for key in given} == {key: (True, token) for key, token in given.items()}
    made = resolved(TOKENS)
    assert made["readToken"][0] is made["writeToken"][0] is True


def test_tokens_of_the_user_are_the_ones_that_are_compared_with_and_none_are_made() -> None:
    record = declare_stack(TOKENS, {"readToken": "r" * 20, "writeToken": "w" * 20})
    writer = envs(record.one(NODES[0]))
    assert writer[READ_ENV] == hashlib.sha256(b"r" * 20).hexdigest()
    assert writer[WRITE_ENV] == hashlib.sha256(b"w" * 20).hexdigest()
    assert not [stash.name for stash in record.of("Stash") if "token" in stash.name]


@pytest.mark.parametrize(
    ("access", "outputs", "writers", "readers"),
    [
        ({}, set[str](), set[str](), set[str]()),
        ({"read": "token"}, {"readToken"}, {READ_ENV}, {READ_ENV}),
        ({"write": "token"}, {"writeToken"}, {WRITE_ENV}, set[str]()),
        ({"read": "off", "write": "off"}, set[str](), set[str](), set[str]()),
    ],
)
def test_there_is_a_token_only_where_access_asks_for_one(
    access: dict[str, str], outputs: set[str], writers: set[str], readers: set[str]
) -> None:
    record = declare_stack({"access": access})
    assert {key for key in record.outputs if key.endswith("Token")} == outputs
    assert envs(record.one(NODES[0])).keys() & {READ_ENV, WRITE_ENV} == writers
    assert envs(record.one(NODES[1])).keys() & {READ_ENV, WRITE_ENV} == readers


def test_a_second_token_that_is_asked_for_later_changes_nothing_of_the_first() -> None:
    record = declare_stack({"access": {"read": "token"}})
    assert tokens_of(record).keys() == {"readToken", "writeToken"}, "the stash keeps what it was first given"


def test_another_generation_makes_other_tokens_and_shows_it_in_a_review() -> None:
    record = declare_stack({"access": {**TOKENS["access"], "tokenGeneration": 2}})
    assert [stash.name for stash in record.of("Stash") if "token" in stash.name] == ["access-tokens-2"]
