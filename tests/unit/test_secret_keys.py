"""The keys that are only ever given as secrets: which of them must be set, which may not, and what they must be."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.problems import Problem
from config.secret_keys import SECRET_KEYS, SHORTEST_TOKEN, problems, warnings
from tests.unit.certificates import Pair, expired, pair

READ, WRITE = "r" * SHORTEST_TOKEN, "w" * SHORTEST_TOKEN
S3_KEYS = ("s3AccessKeyId", "s3SecretAccessKey", "s3ReaderAccessKeyId", "s3ReaderSecretAccessKey")
S3 = {"objectStore": {"s3": {"bucket": "tables", "region": "eu-west-1"}}}
CONSUL = {"lease": "consul", "consul": {"address": "http://consul.example.org:8500"}}


@pytest.fixture(scope="module")
def mine() -> Pair:
    """A pair that works."""
    return pair()


def tls(certificate: Any) -> dict[str, Any]:
    return {"ingress": {"tls": {"certificate": certificate}}}


def found(config: dict[str, Any], clear: Iterable[str] = (), **secrets: str) -> list[Problem]:
    """What is wrong with `secrets`, all of them encrypted but those in `clear`."""
    return problems(config, secrets, "seafowl", lambda key: key.removeprefix("seafowl:") not in clear)


def keys(wrong: list[Problem]) -> list[str]:
    return [problem.key.removeprefix("seafowl:") for problem in wrong]


def reason(wrong: list[Problem]) -> str:
    """The reason of the one problem."""
    assert len(wrong) == 1, wrong
    return wrong[0].reason


def test_every_secret_key_has_a_meaning_for_the_reference() -> None:
    assert set(SECRET_KEYS) == {*S3_KEYS, "readToken", "writeToken", "tlsKey", "consulToken"}
    assert all(SECRET_KEYS.values())


def test_no_secret_is_needed_unless_the_config_asks_for_one() -> None:
    assert found({}) == []
    assert found({"access": {"read": "token", "write": "token"}}) == [], "the stack makes tokens that are left out"
    assert found({"ingress": {"tls": {"selfSigned": True}}}) == []


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_secret_in_clear_text_is_refused_as_that_alone(key: str, mine: Pair) -> None:
    config = {**S3, "access": {"read": "token", "write": "token"}, **tls(mine.certificate), **CONSUL}
    secrets = {**dict.fromkeys(S3_KEYS, "key"), "readToken": READ, "writeToken": WRITE, "tlsKey": mine.key}
    secrets["consulToken"] = "token"
    wrong = found(config, [key], **secrets)
    assert keys(wrong) == [key]
    assert reason(wrong).startswith("stands in clear text in the stack config: take it out of there, make a new one")
    assert f"`pulumi config set --secret {key}`" in reason(wrong)


# S3


def test_the_four_keys_of_an_s3_service_are_all_that_it_needs() -> None:
    assert found(S3, **dict.fromkeys(S3_KEYS, "key")) == []


@pytest.mark.parametrize("missing", S3_KEYS)
def test_a_missing_key_of_an_s3_service_is_named(missing: str) -> None:
    wrong = found(S3, **{key: "key" for key in S3_KEYS if key != missing})
    assert keys(wrong) == [missing]
    assert f"is missing: objectStore.s3 needs the {SECRET_KEYS[missing]}." in reason(wrong)


@pytest.mark.parametrize("key", S3_KEYS)
@pytest.mark.parametrize("value", ["", " ", "hunter2 hunter2", "hunter2\r", "hunter2\0", "hunter2é"])
def test_what_is_no_key_of_an_s3_service_is_refused_and_not_quoted(key: str, value: str) -> None:
    wrong = found(S3, **{**dict.fromkeys(S3_KEYS, "key"), key: value})
    assert keys(wrong) == [key]
    assert reason(wrong).startswith("must be of printable characters without spaces")
    assert "hunter2" not in reason(wrong)


@pytest.mark.parametrize("store", [{}, {"objectStore": {"minio": {}}}, {"objectStore": "s3"}, {"objectStore": None}])
def test_keys_of_an_s3_service_that_is_not_there_are_refused(store: dict[str, Any]) -> None:
    wrong = found(store, s3AccessKeyId="key")
    assert keys(wrong) == ["s3AccessKeyId"]
    assert reason(wrong) == "is set, but objectStore names no s3: nothing would read it. Remove it"


# Tokens


@pytest.mark.parametrize(("key", "kind"), [("readToken", "read"), ("writeToken", "write")])
@pytest.mark.parametrize("token", ["a" * SHORTEST_TOKEN, "AZaz09-._~+/AZaz09-._~+/==", "t" * 1000])
def test_a_token_that_a_header_can_carry_is_accepted(key: str, kind: str, token: str) -> None:
    assert found({"access": {kind: "token"}}, **{key: token}) == []


@pytest.mark.parametrize(("key", "kind"), [("readToken", "read"), ("writeToken", "write")])
@pytest.mark.parametrize("access", [None, "any", "off", False])
def test_a_token_that_nobody_is_asked_for_is_refused(key: str, kind: str, access: Any) -> None:
    other = {"read": "write", "write": "read"}[kind]
    wrong = found({"access": {kind: access, other: "token"}}, **{key: READ})
    assert keys(wrong) == [key]
    assert reason(wrong) == f"is set, but access.{kind} is not token: nothing would read it. Remove it"


@pytest.mark.parametrize(("key", "kind"), [("readToken", "read"), ("writeToken", "write")])
@pytest.mark.parametrize("token", ["", "hunter2", "a" * (SHORTEST_TOKEN - 1)])
def test_a_token_that_can_be_guessed_from_its_hash_is_refused(key: str, kind: str, token: str) -> None:
    wrong = found({"access": {kind: "token"}}, **{key: token})
    assert keys(wrong) == [key]
    assert reason(wrong).startswith(f"is too short: a token must have at least {SHORTEST_TOKEN} characters")
    assert "Leave it out, and the stack makes one" in reason(wrong)


@pytest.mark.parametrize("character", [" ", "\n", "\t", '"', "\\", ",", ";", "%", "ä", "\0", "\x7f", "=a"])
def test_a_token_that_no_header_can_carry_is_refused(character: str) -> None:
    for token in (f"{READ}{character}", f"{READ}{character}{READ}"):
        wrong = found({"access": {"write": "token"}}, writeToken=token)
        assert keys(wrong) == ["writeToken"]
        assert reason(wrong).startswith("must be of A-Z, a-z, 0-9 and - . _ ~ + /")


def test_one_token_for_reading_and_writing_is_refused() -> None:
    access = {"access": {"read": "token", "write": "token"}}
    assert found(access, readToken=READ, writeToken=WRITE) == []
    wrong = found(access, readToken=READ, writeToken=READ)
    assert keys(wrong) == ["writeToken"]
    assert reason(wrong) == "is the same as readToken: whoever may read could write. Set another"


# Consul


def test_a_token_for_a_consul_of_the_users_is_accepted() -> None:
    assert found(CONSUL, consulToken="t") == []
    assert found(CONSUL) == [], "not every Consul wants one"


@pytest.mark.parametrize("token", ["", "two words", "t\r\nX-Other: y", "tökën"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_quoted(token: str) -> None:
    wrong = found(CONSUL, consulToken=token)
    assert keys(wrong) == ["consulToken"]
    assert reason(wrong) == "must be of printable characters without spaces: others do not pass in a header"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"lease": "static"},
        {**CONSUL, "lease": "static"},
        {"consul": CONSUL["consul"]},
        {"lease": "consul"},
        {"lease": "consul", "consul": {"servers": 3}},
        {"lease": "consul", "consul": {"address": None}},
        {"lease": "consul", "consul": "http://consul.example.org:8500"},
    ],
)
def test_a_token_that_no_consul_of_the_users_would_read_is_refused(config: dict[str, Any]) -> None:
    wrong = found(config, consulToken="hunter2")
    assert keys(wrong) == ["consulToken"]
    assert reason(wrong) == (
        "is set, but lease is not consul with an address of yours: nothing would read it. Remove it"
    )


# TLS


def test_a_certificate_with_its_key_is_accepted(mine: Pair) -> None:
    assert found(tls(mine.certificate), tlsKey=mine.key) == []


def test_a_certificate_without_its_key_is_refused_with_the_command_that_sets_it(mine: Pair) -> None:
    wrong = found(tls(mine.certificate))
    assert keys(wrong) == ["tlsKey"]
    assert "is missing: ingress.tls.certificate needs its key" in reason(wrong)
    assert "`pulumi config set --secret tlsKey < key.pem`" in reason(wrong)


@pytest.mark.parametrize(
    "config", [{}, {"ingress": {}}, {"ingress": {"tls": {"selfSigned": True}}}, {"ingress": {"tls": "on"}}, tls(None)]
)
def test_a_key_without_a_certificate_is_refused(config: dict[str, Any], mine: Pair) -> None:
    wrong = found(config, tlsKey=mine.key)
    assert keys(wrong) == ["tlsKey"]
    assert reason(wrong) == "is set, but ingress.tls has no certificate: nothing would read it. Remove it"


def test_a_pair_that_does_not_fit_is_told_at_the_key(mine: Pair) -> None:
    wrong = found(tls(mine.certificate), tlsKey=pair().key)
    assert keys(wrong) == ["tlsKey"]
    assert reason(wrong).startswith("is not the key of the certificate in ingress.tls.certificate")


def test_text_that_is_no_certificate_is_told_at_the_certificate(mine: Pair) -> None:
    wrong = found(tls("cert.pem"), tlsKey=mine.key)
    assert keys(wrong) == ["ingress.tls.certificate"]
    assert reason(wrong).startswith("is no certificate in PEM")


def test_a_certificate_that_is_no_text_is_left_to_the_settings(mine: Pair) -> None:
    assert found(tls(5), tlsKey=mine.key) == []


def test_an_expired_certificate_is_a_warning_alone() -> None:
    old = expired()
    assert found(tls(old.certificate), tlsKey=old.key) == []
    assert warnings(tls(old.certificate), {"tlsKey": old.key}, "seafowl") == [
        "seafowl:ingress.tls.certificate has expired on 2020-03-01: clients will refuse it"
    ]


def test_there_is_no_warning_where_all_is_well_or_nothing_to_judge(mine: Pair) -> None:
    assert warnings(tls(mine.certificate), {"tlsKey": mine.key}, "seafowl") == []
    assert warnings(tls(expired().certificate), {}, "seafowl") == []
    assert warnings({}, {}, "seafowl") == []
    assert warnings({"ingress": {"tls": {"selfSigned": True}}}, {}, "seafowl") == []


# Together


def test_all_that_is_wrong_with_the_secrets_is_told_at_once() -> None:
    config = {**S3, "access": {"write": "token"}, **tls("x")}
    wrong = found(config, ["s3AccessKeyId"], s3AccessKeyId="key", writeToken="short", readToken=READ)
    assert set(keys(wrong)) == {*S3_KEYS, "writeToken", "readToken", "tlsKey"}
    assert set(keys(found({**config, "lease": "static"}, consulToken="t"))) >= {"consulToken", "tlsKey"}


SECRET = "hunter2Sup3rSecret"
TEXTS = st.sampled_from(
    [SECRET, f"{SECRET}\n", f"{SECRET} {SECRET}", SECRET * 3, f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END"]
)


@given(
    secrets=st.dictionaries(st.sampled_from(list(SECRET_KEYS)), TEXTS),
    clear=st.sets(st.sampled_from(list(SECRET_KEYS))),
    config=st.fixed_dictionaries(
        {
            "access": st.dictionaries(
                st.sampled_from(["read", "write"]), st.sampled_from(["any", "token", "off", False, SECRET])
            ),
            "objectStore": st.sampled_from([{}, {"s3": {}}, {"minio": {}}, SECRET]),
            "ingress": st.sampled_from(
                [{}, {"selfSigned": True}, {"certificate": SECRET}, {"certificate": pair().certificate}, SECRET]
            ).map(lambda tls: {"tls": tls}),
            "lease": st.sampled_from(["static", "consul", SECRET]),
            "consul": st.sampled_from([{}, CONSUL["consul"], {"address": SECRET}, SECRET]),
        }
    ),
)
def test_no_message_ever_quotes_a_secret(secrets: dict[str, str], clear: set[str], config: dict[str, Any]) -> None:
    told = [str(problem) for problem in found(config, clear, **secrets)]
    told += warnings(config, secrets, "seafowl")
    assert not [text for text in told if SECRET in text]
