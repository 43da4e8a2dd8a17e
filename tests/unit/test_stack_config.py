"""What the program reads from the stack config as Pulumi hands it over: text, JSON text and secrets."""

import json
from datetime import timedelta
from typing import Any

import pulumi
import pytest

from config import stack_config
from config.problems import ConfigError
from config.stack_config import StackConfig
from tests.unit.certificates import expired, pair
from tests.unit.pulumi_mocks import run

S3 = json.dumps({"s3": {"bucket": "tables", "region": "eu-west-1"}})
S3_KEYS = {
    "seafowl:s3AccessKeyId": "AKIAWRITER",
    "seafowl:s3SecretAccessKey": "hunter2-writer",
    "seafowl:s3ReaderAccessKeyId": "AKIAREADER",
    "seafowl:s3ReaderSecretAccessKey": "hunter2-reader",
}


def load(config: dict[str, str], secret_keys: list[str] | None = None) -> StackConfig:
    """The stack config as a program of project `seafowl` loads it. Raises `ConfigError`."""
    loaded: list[StackConfig] = []

    def program() -> None:
        pulumi.runtime.set_all_config(config, secret_keys or [])
        loaded.append(stack_config.load())

    run(program)
    return loaded[0]


def refusal(config: dict[str, str], secret_keys: list[str] | None = None) -> ConfigError:
    """The error that a config is refused with."""
    with pytest.raises(ConfigError) as caught:
        load(config, secret_keys)
    return caught.value


def test_text_and_json_become_typed_settings() -> None:
    config = load(
        {
            "seafowl:readers": "5",
            "seafowl:readerJournalMode": "false",
            "seafowl:retainData": "true",
            "seafowl:ingress": '{"port": 9090, "bindAddress": "0.0.0.0"}',
            "seafowl:access": '{"write": false}',
        }
    )
    assert config.settings.readers == 5
    assert config.settings.reader_journal_mode == "off"
    assert config.settings.retain_data is True
    assert (config.settings.ingress.port, config.settings.ingress.bind_address) == (9090, "0.0.0.0")
    assert config.settings.access.write == "off"
    assert dict(config.secrets) == {}


def test_keys_of_other_namespaces_are_not_ours_to_judge() -> None:
    assert load({"docker:host": "unix:///d.sock", "other:readers": "0", "seafowls:x": "1"}).settings.readers == 2


def test_config_that_comes_through_the_environment_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({"seafowl:readers": "7"}))
    assert load({}).settings.readers == 7


def test_every_problem_is_in_one_error() -> None:
    error = refusal({"seafowl:readers": "0", "seafowl:ingress": '{"port": 0}', "seafowl:s3AccessKeyId": "hunter2"})
    assert [problem.key for problem in error.problems] == [
        "seafowl:readers",
        "seafowl:ingress.port",
        "seafowl:s3AccessKeyId",
    ]


def test_text_that_is_no_json_is_refused_without_being_printed() -> None:
    error = refusal({"seafowl:ingress": '{"port": hunter2'})
    assert [problem.key for problem in error.problems] == ["seafowl:ingress"]
    assert "bindAddress, port, tls, uploadLimit" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("key", ["s3AccesKeyId", "s3SecretAcessKey", "s3ReaderSecretKey"])
def test_a_misspelt_secret_key_is_met_with_the_right_one_and_not_with_its_value(key: str) -> None:
    error = refusal({f"seafowl:{key}": "hunter2"}, [f"seafowl:{key}"])
    assert len(error.problems) == 1
    assert error.problems[0].key == f"seafowl:{key}"
    assert "did you mean s3" in error.problems[0].reason
    assert "hunter2" not in str(error)


def test_a_misspelt_everyday_key_is_met_with_the_right_one() -> None:
    assert "did you mean readers?" in str(refusal({"seafowl:reader": "3"}))


def test_all_four_s3_keys_arrive_as_secret_outputs() -> None:
    config = load({"seafowl:objectStore": S3, **S3_KEYS}, list(S3_KEYS))
    assert set(config.secrets) == {key.removeprefix("seafowl:") for key in S3_KEYS}

    results: list[tuple[bool, str | None]] = []

    async def look() -> None:
        results.extend([(await output.is_secret(), await output.future()) for output in config.secrets.values()])

    run(look)
    assert all(is_secret for is_secret, _ in results)
    assert {value for _, value in results} == set(S3_KEYS.values())


@pytest.mark.parametrize("missing", S3_KEYS)
def test_a_missing_s3_key_is_named_with_the_command_that_sets_it(missing: str) -> None:
    given = {key: value for key, value in S3_KEYS.items() if key != missing}
    error = refusal({"seafowl:objectStore": S3, **given}, list(given))
    assert [problem.key for problem in error.problems] == [missing]
    assert f"`pulumi config set --secret {missing.removeprefix('seafowl:')}`" in str(error)


def test_all_missing_s3_keys_are_named_at_once() -> None:
    assert {problem.key for problem in refusal({"seafowl:objectStore": S3}).problems} == set(S3_KEYS)


def test_missing_s3_keys_are_told_beside_other_problems() -> None:
    keys = {problem.key for problem in refusal({"seafowl:objectStore": S3, "seafowl:readers": "0"}).problems}
    assert keys == {"seafowl:readers", *S3_KEYS}, "the user would be told of them only after mending the first"


@pytest.mark.parametrize("key", S3_KEYS)
def test_a_secret_key_in_clear_text_is_refused_without_being_printed(key: str) -> None:
    error = refusal({"seafowl:objectStore": S3, **S3_KEYS}, [other for other in S3_KEYS if other != key])
    assert [problem.key for problem in error.problems] == [key]
    assert "stands in clear text" in str(error)
    assert f"`pulumi config set --secret {key.removeprefix('seafowl:')}`" in str(error)
    assert not any(value in str(error) for value in S3_KEYS.values())


def test_s3_keys_without_an_s3_are_refused_because_nothing_would_read_them() -> None:
    error = refusal(S3_KEYS, list(S3_KEYS))
    assert {problem.key for problem in error.problems} == set(S3_KEYS)
    assert "Remove it" in str(error)


def test_tokens_and_the_key_of_a_certificate_arrive_as_secret_outputs() -> None:
    mine = pair()
    config = load(
        {
            "seafowl:access": '{"read": "token"}',
            "seafowl:readToken": "r" * 20,
            "seafowl:ingress": json.dumps({"tls": {"certificate": mine.certificate}}),
            "seafowl:tlsKey": mine.key,
        },
        ["seafowl:readToken", "seafowl:tlsKey"],
    )
    results: dict[str, tuple[bool, str | None]] = {}

    async def look() -> None:
        for key, output in config.secrets.items():
            results[key] = (await output.is_secret(), await output.future())

    run(look)
    assert results == {"readToken": (True, "r" * 20), "tlsKey": (True, mine.key)}


def test_an_expired_certificate_is_warned_of_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    old = expired()
    tls = {"seafowl:ingress": json.dumps({"tls": {"certificate": old.certificate}}), "seafowl:tlsKey": old.key}
    config = load(tls, ["seafowl:tlsKey"])
    assert config.settings.ingress.tls is not None
    assert told == ["seafowl:ingress.tls.certificate has expired on 2020-03-01: clients will refuse it"]


def test_a_refused_config_is_not_warned_of_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    old = expired()
    tls = {"seafowl:ingress": json.dumps({"tls": {"certificate": old.certificate}}), "seafowl:tlsKey": old.key}
    error = refusal({**tls, "seafowl:readers": "0"}, ["seafowl:tlsKey"])
    assert [problem.key for problem in error.problems] == ["seafowl:readers"]
    assert told == []


def test_a_key_that_does_not_fit_is_told_beside_other_problems_without_being_printed() -> None:
    tls = {"seafowl:ingress": json.dumps({"tls": {"certificate": pair().certificate}}), "seafowl:tlsKey": "hunter2"}
    error = refusal({**tls, "seafowl:readers": "0"}, ["seafowl:tlsKey"])
    assert {problem.key for problem in error.problems} == {"seafowl:readers", "seafowl:tlsKey"}
    assert "hunter2" not in str(error)


def test_the_docker_host_is_the_local_socket_unless_said_otherwise() -> None:
    docker = load({}).docker
    assert (docker.url, docker.cert_path) == ("unix:///var/run/docker.sock", None)


def test_the_docker_host_of_the_environment_is_used_as_the_provider_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2376")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")
    docker = load({}).docker
    assert (docker.url, docker.cert_path) == ("tcp://far:2376", "/certs")


def test_the_docker_host_of_the_stack_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2376")
    docker = load({"docker:host": "ssh://me@near", "docker:certPath": "/mine"}).docker
    assert (docker.url, docker.cert_path) == ("ssh://me@near", "/mine")


@pytest.mark.parametrize("name", ["dev.eu", "Prod", "dev_", "-dev", "a" * 41])
def test_a_stack_name_that_docker_cannot_carry_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: name)
    text = str(refusal({}))
    assert f"{name!r} must be of a-z" in text
    assert "Make a stack of another name" in text


@pytest.mark.parametrize("key", ["context", "caMaterial", "certMaterial", "keyMaterial", "sshOpts"])
def test_what_the_provider_knows_and_the_looks_at_docker_do_not_is_refused(key: str) -> None:
    text = str(refusal({f"docker:{key}": "hunter2"}))
    assert f"docker:{key} is not understood" in text
    assert "pulumi config set docker:host" in text
    assert "hunter2" not in text


def test_a_docker_context_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "prod")
    assert "DOCKER_CONTEXT is not understood" in str(refusal({}))


# A lease in Consul


def warned(config: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stack config is warned of."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    load(config)
    return said


def test_a_single_candidate_is_a_warning_that_says_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = warned({"seafowl:lease": "consul", "seafowl:writerCandidates": "1"}, monkeypatch)
    assert said.startswith("seafowl:writerCandidates is 1: when that one dies, nobody takes over")


TO_ALL = {"ingress": {"bindAddress": "0.0.0.0"}}


@pytest.mark.parametrize(
    ("config", "about"),
    [
        (TO_ALL, ["seafowl:access.write is any, and seafowl:ingress.bindAddress is 0.0.0.0"]),
        ({**TO_ALL, "access": {"write": "token"}}, ["seafowl:access asks for tokens"]),
        ({**TO_ALL, "access": {"write": "off"}}, []),
        ({"ingress": {"bindAddress": "::", "tls": {"selfSigned": True}}, "access": {"write": "token"}}, []),
        ({"access": {"read": "token"}}, ["seafowl:access.read is token, and seafowl:access.write is any"]),
        ({"access": {"read": "token", "write": "token"}}, []),
        ({"ingress": {"limits": {"connections": 9}}}, ["seafowl:ingress.limits counts clients by their address"]),
    ],
)
def test_what_is_open_to_more_than_it_looks_is_a_warning(
    config: dict[str, Any], about: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = warned({f"seafowl:{key}": json.dumps(value) for key, value in config.items()}, monkeypatch)
    assert [text[: len(start)] for text, start in zip(said, about, strict=True)] == about


@pytest.mark.parametrize(
    "config", [{}, {"seafowl:lease": "consul"}, {"seafowl:lease": "static", "seafowl:writerCandidates": "1"}]
)
def test_two_candidates_and_one_writer_for_good_are_no_warning(
    config: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warned(config, monkeypatch) == []


def test_a_lease_is_read_from_text_and_json() -> None:
    text = '{"address": "http://consul.example.org:8500", "ttl": "15s"}'
    config = load(
        {
            "seafowl:lease": "consul",
            "seafowl:writerCandidates": "3",
            "seafowl:standbyReads": "true",
            "seafowl:consul": text,
            "seafowl:consulToken": "hunter2",
        },
        ["seafowl:consulToken"],
    )
    settings = config.settings
    assert (settings.lease, settings.writer_candidates, settings.standby_reads) == ("consul", 3, True)
    assert settings.consul.known_ttl == timedelta(seconds=15)
    assert config.secrets.keys() == {"consulToken"}


def test_a_token_of_consul_in_clear_text_is_refused_and_not_quoted() -> None:
    text = str(refusal({"seafowl:lease": "consul", "seafowl:consulToken": "hunter2"}))
    assert "seafowl:consulToken stands in clear text" in text
    assert "hunter2" not in text
