"""The serving path of a whole cluster: what a person does with `pulumi up` costs no read.

Seafowl may be the kit's stand-in here; NGINX, LiteFS, MinIO, Docker and the engine are the real ones.
"""

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from config.certificates import self_signed
from tests.e2e.certificates import weak_certificate
from tests.e2e.load import Load, cached
from tests.e2e.routes import wait
from tests.e2e.stack import Stack

NewStack = Callable[[str], Stack]
ROWS = "SELECT n FROM numbers"
ANSWER = '{"n":1}\n'


@pytest.fixture(scope="module")
def stack(new_stack: NewStack) -> Stack:
    """A running stack with one reader and one row; a test leaves it as it found it."""
    made = new_stack("serving")
    made.configure(readers=1)
    made.up()
    made.write("CREATE TABLE numbers AS SELECT 1 AS n")
    wait(lambda: made.read(ROWS) == [{"n": 1}], "the reader does not get the table")
    return made


@contextmanager
def load(stack: Stack, tls: ssl.SSLContext | None = None) -> Iterator[Load]:
    """Constant load; no read of it may fail."""
    with Load(stack.port, ROWS, ANSWER, tls) as running:
        yield running
        running.some_more()
    assert running.failed == {}, f"of {len(running.answers)} reads"


def answerers(stack: Stack, requests_sent: int = 40) -> set[str]:
    """The readers that answer now, by their addresses in the access log."""
    ids = [
        requests.post(f"{stack.url}/q", json={"query": ROWS}, timeout=30).headers["X-Request-Id"]
        for _ in range(requests_sent)
    ]
    found: dict[str, str] = {}

    def logged() -> bool:
        for line in stack.container("ingress").logs(tail=50_000).decode().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                found[entry["id"]] = entry["upstream"]
        return set(ids) <= set(found)

    wait(logged, "not every request is in the access log")
    return {found[one].rpartition(" ")[2] for one in ids}


def steps_of_a_scale(stack: Stack, readers: int) -> dict[str, str]:
    stack.configure(readers=readers)
    return stack.steps()


# Scaling and rolling


def test_scaling_costs_no_read_and_names_readers_only(stack: Stack) -> None:
    ingress = stack.container("ingress")
    with load(stack) as running:
        assert set(steps_of_a_scale(stack, 4).items()) == {(f"reader-{n}", "create") for n in (1, 2, 3)}
        stack.up()
        running.some_more()
        assert len(answerers(stack)) == 4, "new readers get their share when the up ends"
        assert set(steps_of_a_scale(stack, 2).items()) == {(f"reader-{n}", "delete") for n in (2, 3)}
        stack.up()
    assert stack.container("ingress").id == ingress.id
    assert "HUP" not in ingress.logs().decode(), "a scale needs no reload"


def test_a_change_of_the_readers_costs_no_read(stack: Stack) -> None:
    before = {reader.id for reader in stack.containers("reader")}
    with load(stack):
        stack.configure(resources={"reader": {"memory": "1GiB"}})
        stack.up()
        stack.configure(resources=None)
        stack.up()
    assert not before & {reader.id for reader in stack.containers("reader")}


def test_a_killed_reader_costs_no_read(stack: Stack) -> None:
    reader = stack.containers("reader")[0]
    with load(stack) as running:
        for _ in range(3):
            reader.kill()
            running.some_more()
            reader.start()
            wait(lambda: reader.exec_run(["curl", "-sf", "http://127.0.0.1:8080/healthz"]).exit_code == 0, "not back")
    stack.up()


def test_a_frozen_reader_costs_time_and_no_read(stack: Stack) -> None:
    stack.configure(ingress={"port": stack.port, "readTimeout": "2s"})
    stack.up()
    reader = stack.containers("reader")[0]
    with load(stack) as running:
        reader.pause()
        frozen_at = time.monotonic()
        running.wait(lambda: len([a for a in running.answers if a.sent_at > frozen_at + 5]) > 50)
        reader.unpause()
    stack.configure(ingress={"port": stack.port})
    stack.up()


# Changes of the ingress itself


def test_routes_change_while_requests_run(stack: Stack) -> None:
    before = {container.id for container in stack.everything()}
    changes: list[dict[str, Any]] = [
        {"uploadLimit": "1MiB"},
        {"cache": {"ttl": "0s"}},
        {"limits": {"requestsPerSecond": 100000, "burst": 1000000, "connections": 1000}},
        {"readTimeout": "30s", "cache": {"size": "16MiB"}},
        {},
    ]
    with load(stack) as running:
        for change in changes:
            stack.configure(ingress={"port": stack.port, **change})
            assert list(stack.steps().values()) == ["replace"], "one step: the routes"
            stack.up()
            if "uploadLimit" in change:
                body = b"a" * (1024 * 1024 + 1)
                refused = requests.post(f"{stack.url}/w/upload/public/large", data=body, timeout=30)
                assert refused.status_code == 413, "when the up ends, the new configuration is what runs"
            running.some_more()
    changed = {container.id for container in stack.everything()} ^ before
    assert len(changed) == 2, "the carrier of the routes was replaced, and nothing that serves"


def test_a_preview_of_a_route_change_shows_the_line(stack: Stack) -> None:
    stack.configure(ingress={"port": stack.port, "cache": {"ttl": "7s"}})
    shown = stack.pulumi("preview", "--diff").text
    assert re.search(r'^ *- .*"stale-while-revalidate=1, stale-if-error=10"', shown, re.MULTILINE)
    assert re.search(r'^ *\+ .*"max-age=6, stale-while-revalidate=1, stale-if-error=10"', shown, re.MULTILINE)
    assert shown.count("max-age=") == 1
    stack.configure(ingress={"port": stack.port})
    assert stack.steps() == {}


# The cache, with Seafowl's own ETag


def test_a_kept_answer_follows_a_write(stack: Stack) -> None:
    stack.write("CREATE TABLE growing AS SELECT 1 AS n")
    query = "SELECT COUNT(*) AS n FROM growing"

    def ask() -> requests.Response:
        _, path, _, headers = cached("", query)
        return requests.get(f"{stack.url}{path}", headers=headers, timeout=30)

    wait(lambda: ask().status_code == 200, "the readers do not get the table")
    assert ask().headers["X-Cache"] in ("MISS", "HIT", "STALE", "UPDATING")
    time.sleep(2)  # a quiet time, ttl and a second: there is nothing to await
    unchanged = ask()
    assert unchanged.headers["X-Cache"] == "REVALIDATED", "Seafowl said that it still holds, and did not run it"
    stack.write("INSERT INTO growing VALUES (2)")
    time.sleep(2)  # as above
    assert ask().json() == {"n": 2}, "the first visitor after a quiet time gets no old answer"
    stack.write("DROP TABLE growing")


def test_a_hash_that_does_not_match_its_query_is_refused_also_when_the_right_one_is_kept(stack: Stack) -> None:
    _, path, _, headers = cached("", ROWS)
    assert requests.get(f"{stack.url}{path}", headers=headers, timeout=30).status_code == 200
    wrong = requests.get(f"{stack.url}{path}", headers={"X-Seafowl-Query": "SELECT%202"}, timeout=30)
    assert 400 <= wrong.status_code < 500


# Access


def test_tokens_are_made_checked_and_kept_apart(stack: Stack) -> None:
    stack.configure(access={"read": "token", "write": "token"})
    stack.up()
    shown = stack.pulumi("stack", "output", "--json", config=False).text
    outputs = json.loads(stack.pulumi("stack", "output", "--json", "--show-secrets", config=False).text)
    read, write = ({"Authorization": f"Bearer {outputs[key]}"} for key in ("readToken", "writeToken"))
    assert outputs["readToken"] not in shown
    assert len({outputs["readToken"], outputs["writeToken"]}) == 2

    def code(path: str, headers: dict[str, str], query: str = ROWS) -> int:
        return requests.post(f"{stack.url}{path}", json={"query": query}, headers=headers, timeout=30).status_code

    _, path, _, query = cached("", ROWS)
    assert code("/q", read) == 200
    assert requests.get(f"{stack.url}{path}", headers={**query, **read}, timeout=30).text == ANSWER
    for headers in ({}, {"Authorization": "Bearer wrong-token-wrong-token"}, {"Authorization": "Basic eDp5"}):
        assert code("/q", headers) == 401
        assert requests.get(f"{stack.url}{path}", headers={**query, **headers}, timeout=30).status_code == 401
    create = "CREATE TABLE by_token AS SELECT 1 AS n"
    assert code("/w/q", read, create) in (401, 403)
    assert code("/w/q", {}, create) == 401
    assert code("/w/q", write, create) == 200
    assert code("/w/q", write, "DROP TABLE by_token") == 200
    for container in stack.containers():
        everything = f"{container.logs().decode()}{container.attrs}"
        assert outputs["readToken"] not in everything, container.name
        assert outputs["writeToken"] not in everything, container.name
    exported = stack.pulumi("stack", "export", config=False).text
    assert outputs["readToken"] not in exported

    stack.configure(access={"read": "any", "write": "token"})
    stack.up()
    assert code("/q", {}) == 200
    assert code("/q", {"Authorization": "Bearer stray-token-stray-token"}) == 200, "public reads need no token"
    assert code("/w/q", write, "SELECT 1 AS n") == 200, "the token is the one that it was"
    stack.configure(access=None)
    stack.up()
    assert code("/w/q", {"Authorization": "Bearer stray"}, "SELECT 1 AS n") == 200


# TLS


def trusting(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = True
    return context


def served(stack: Stack) -> str:
    return ssl.get_server_certificate(("127.0.0.1", stack.port)).strip()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_with_a_certificate_of_the_user_that_is_renewed_while_requests_run(stack: Stack, tmp_path: Path) -> None:
    first, second = self_signed("127.0.0.1"), self_signed("127.0.0.1")
    redirect = stack.port + 1

    def use(pair: dict[str, str]) -> None:
        stack.configure(
            ingress={"port": stack.port, "tls": {"certificate": pair["certificate"], "redirectPort": redirect}}
        )
        stored = stack.set_secret("tlsKey", pair["key"])
        assert stored.code == 0, stored.text

    use(first)
    stack.up()
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(first["certificate"] + second["certificate"])
    url = f"https://127.0.0.1:{stack.port}"
    assert requests.post(f"{url}/q", json={"query": ROWS}, verify=str(bundle), timeout=30).text == ANSWER

    # Plain HTTP is sent on, on either port, with method and body.
    for port in (redirect, stack.port):
        plain = requests.post(f"http://127.0.0.1:{port}/q", json={"query": ROWS}, timeout=30, allow_redirects=False)
        assert (plain.status_code, plain.headers["Location"]) == (308, f"{url}/q")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as plain_socket, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain_socket)

    ingress = stack.container("ingress").id
    with load(stack, trusting(first["certificate"] + second["certificate"])) as running:
        use(second)
        stack.up()
        assert served(stack) == second["certificate"].strip(), "when the up ends, the new one is served"
        running.some_more()
        # One that NGINX does not take: the up fails with its message, and what runs keeps running.
        use(weak_certificate())
        for _ in range(2):
            refused = stack.try_up()
            assert refused.code != 0, "also when nothing changed since"
            assert "NGINX refuses the new configuration" in refused.text
            assert "key too small" in refused.text
            assert "Traceback" not in refused.text
        assert served(stack) == second["certificate"].strip()
        use(second)
        stack.up()
    assert stack.container("ingress").id == ingress, "it was never replaced"

    for container in stack.containers():
        seen = container.logs().decode() + str(
            container.exec_run(["sh", "-c", "cat /tmp/*.conf /etc/ingress/*"]).output
        )
        assert second["key"].splitlines()[1] not in seen, container.name
    mounts = stack.container("ingress").exec_run(["cat", "/proc/mounts"]).output.decode()
    assert re.search(r"^tmpfs /run/tls tmpfs ro", mounts, re.MULTILINE), "the key lies in memory, not on a disk"
    assert second["key"].splitlines()[1] not in stack.pulumi("stack", "export", config=False).text
    # What a reboot does: everything stops, memory is empty, everything starts.
    for container in stack.containers():
        container.kill()
    for container in stack.containers():
        container.start()
    stack.up()
    assert requests.post(f"{url}/q", json={"query": ROWS}, verify=str(bundle), timeout=30).text == ANSWER
    assert stack.steps() == {}


def test_a_self_signed_certificate_is_made_on_request(stack: Stack, tmp_path: Path) -> None:
    stack.configure(ingress={"port": stack.port, "tls": {"selfSigned": True}}, tlsKey=None)
    stack.up()
    outputs = json.loads(stack.pulumi("stack", "output", "--json", config=False).text)
    assert outputs["queryUrl"] == f"https://127.0.0.1:{stack.port}/q"
    bundle = tmp_path / "ca.pem"
    bundle.write_text(outputs["certificate"])
    for host in ("127.0.0.1", "localhost"):
        answer = requests.get(f"https://{host}:{stack.port}/healthz", verify=str(bundle), timeout=30)
        assert answer.status_code == 200
    assert stack.steps() == {}
    stack.configure(ingress={"port": stack.port})
    stack.up()
    assert stack.read(ROWS) == [{"n": 1}]


# Bad input


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"ingress": {"route": 1}}, "seafowl:ingress.route is not a key of this program"),
        ({"ingress": {"cache": {"ttl": "-1s"}}}, "seafowl:ingress.cache.ttl must not be negative"),
        ({"ingress": {"cache": {"size": "256"}}}, "seafowl:ingress.cache.size must be a size with a unit"),
        ({"ingress": {"uploadLimit": "2TiB"}}, "Seafowl takes no larger upload"),
        ({"ingress": {"tls": {"certificate": "no PEM"}}}, "seafowl:tlsKey is missing"),
        ({"readToken": "plain"}, "seafowl:readToken stands in clear text"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_served_is_refused_at_preview(stack: Stack, config: dict[str, Any], message: str) -> None:
    stack.configure(**config)
    outcome = stack.pulumi("preview")
    stack.configure(**{**dict.fromkeys(config), "ingress": {"port": stack.port}})
    assert outcome.code != 0
    assert message in outcome.text
    assert "Traceback" not in outcome.text


def test_a_key_of_another_certificate_and_a_short_token_are_refused_without_being_printed(stack: Stack) -> None:
    one, other = self_signed("127.0.0.1"), self_signed("127.0.0.1")
    stack.configure(ingress={"port": stack.port, "tls": {"certificate": one["certificate"]}}, access={"read": "token"})
    stack.set_secret("tlsKey", other["key"])
    stack.set_secret("readToken", "hunter2-hunter2")
    outcome = stack.pulumi("preview")
    stack.configure(ingress={"port": stack.port}, access=None, tlsKey=None, readToken=None)
    assert outcome.code != 0
    assert "seafowl:tlsKey is not the key of the certificate in ingress.tls.certificate" in outcome.text
    assert "seafowl:readToken is too short" in outcome.text
    assert "hunter2" not in outcome.text
    assert other["key"].splitlines()[1] not in outcome.text
    assert stack.steps() == {}
