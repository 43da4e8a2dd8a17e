"""The routes: NGINX itself with the rendered configuration, in front of nodes that fail as a test asks them to.

What this does not prove: how Seafowl behaves behind it (test_serving.py runs the whole cluster).
"""

import http.client
import itertools
import socket
import string
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.proven_queries import NOT_PROVEN, PROVEN
from tests.e2e.routes import NAME, READERS, Routes, ask, wait

QUICK = {"readTimeout": "1s", "retryInterval": "1s"}
LONG = {"ttl": "60s"}
"""Of the cache, where a test asks twice and must not be asked which second it is."""

CLIENTS = 8
ALWAYS_PLAIN = set(string.ascii_letters + string.digits + "-_~!$&'()*+,;=:@")
"""What may stand in a path as it is, and does not end it."""

ON_THE_WAY = 0.5
"""Seconds that an answer may take from a fake reader to NGINX, which counts its age from there."""


@pytest.fixture(scope="module")
def running() -> Iterator[Routes]:
    made = Routes()
    try:
        made.await_nodes()
        yield made
    finally:
        made.remove()


@pytest.fixture
def routes(running: Routes) -> Routes:
    """With the default configuration, and all nodes behind it."""
    running.configure()
    running.await_nodes()
    return running


@contextmanager
def stopped(*nodes: Any) -> Iterator[None]:
    for node in nodes:
        node.kill()
    try:
        yield
    finally:
        for node in nodes:
            node.start()


@contextmanager
def frozen(node: Any) -> Iterator[None]:
    node.pause()
    try:
        yield
    finally:
        node.unpause()


@contextmanager
def ill(*nodes: Any) -> Iterator[None]:
    for node in nodes:
        ask(node, "/ill")
    try:
        yield
    finally:
        for node in nodes:
            ask(node, "/well")


def sent(routes: Routes, raw: bytes, wait_seconds: float = 5) -> str:
    """What comes back for these very bytes."""
    with socket.create_connection(("127.0.0.1", routes.port), timeout=wait_seconds) as connection:
        connection.sendall(raw)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode(errors="replace")


# Reads


def test_reads_go_to_every_reader_and_never_to_the_writer(routes: Routes) -> None:
    for _ in range(3 * READERS):
        assert routes.query("everyone").status_code == 200
    assert all(routes.notes("everyone", reader) for reader in routes.readers)
    assert routes.notes("everyone", routes.writer) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reader_that_hangs_costs_a_query_the_read_timeout_and_is_then_left_alone(routes: Routes, method: str) -> None:
    routes.configure(**{**QUICK, "retryInterval": "60s"})
    query = f"hang {method}"

    def one(number: int) -> requests.Response:
        if method == "GET":
            return routes.get(f"/q/{query} {number}")
        return routes.query(f"{query} {number}")

    with frozen(routes.readers[0]):
        with ThreadPoolExecutor(2 * READERS) as threads:
            answers = list(threads.map(one, range(2 * READERS)))
        assert {answer.status_code for answer in answers} == {200}, (
            "another reader answers what the frozen one does not"
        )
        asked = [routes.log(answer.headers["X-Request-Id"])["upstream"] for answer in answers]
        assert any(":8080 : " in upstream for upstream in asked), "the frozen one was asked"
        later = [one(100 + number) for number in range(2 * READERS)]
        assert {answer.status_code for answer in later} == {200}
        for answer in later:
            assert " : " not in routes.log(answer.headers["X-Request-Id"])["upstream"], "it is not asked again so soon"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_that_takes_long_is_run_once_and_gets_504(routes: Routes, method: str) -> None:
    routes.configure(**QUICK)
    query = {"GET": "sleep 3", "POST": "sleep 4"}[method]
    answer = routes.get(f"/q/{query}") if method == "GET" else routes.query(query)
    assert answer.status_code == 504
    assert "longer than 1s (ingress.readTimeout)" in answer.text
    assert len(routes.notes(query)) == 1, "run on every reader in turn, it would bring all of them to a halt"


def test_queries_that_take_long_on_every_reader_do_not_shut_others_out(routes: Routes) -> None:
    routes.configure(**{**QUICK, "retryInterval": "60s"})
    with ThreadPoolExecutor(4 * READERS) as threads:
        slow = list(threads.map(lambda number: routes.query(f"sleep 2.{number}"), range(4 * READERS)))
    assert {answer.status_code for answer in slow} == {504}
    assert [routes.query("after all were slow").status_code for _ in range(2 * READERS)] == [200] * 2 * READERS


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_that_brings_its_reader_down_is_run_on_one_more_and_no_other(routes: Routes, method: str) -> None:
    query = f"drop {method}"
    answer = routes.get(f"/q/{query}") if method == "GET" else routes.query(query)
    assert answer.status_code == 502
    assert len(routes.notes(query)) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_one_reader_alone_answers_with_400_is_no_answer(routes: Routes, method: str) -> None:
    def one(number: int) -> requests.Response:
        query = f"ill {method} {number} of {node.name}"
        return routes.get(f"/q/{query}") if method == "GET" else routes.query(query)

    for node in routes.readers:
        with ill(node), ThreadPoolExecutor(CLIENTS) as threads:
            answers = list(threads.map(one, range(4 * CLIENTS)))
        assert {answer.status_code for answer in answers} == {200}
        asked = [routes.log(answer.headers["X-Request-Id"])["upstream"] for answer in answers]
        assert any(" : " in upstream for upstream in asked), "the ill one was asked"


def test_a_reader_that_hangs_is_left_alone_by_wrong_queries_too(routes: Routes) -> None:
    routes.configure(**{**QUICK, "retryInterval": "60s"})
    for number, node in enumerate(routes.readers):
        with frozen(node):
            # It may cost one query its time in each of the ways in which readers are asked.
            for warming in range(2 * READERS):
                routes.query(f"status 400 {number} {warming}")
            answers = [routes.query(f"status 400 {number} {later}") for later in range(100, 100 + 2 * READERS)]
            assert {(answer.status_code, answer.text) for answer in answers} == {(400, "as asked\n")}
        routes.configure(**{**QUICK, "retryInterval": f"{59 - number}s"})  # forgets who failed
        routes.await_nodes()


def test_the_last_reader_s_400_is_passed_on_and_so_is_that_of_three(routes: Routes) -> None:
    answer = routes.query("status 400")
    assert (answer.status_code, answer.text) == (400, "as asked\n")
    assert 2 <= len(routes.notes("status 400")) <= 3
    with stopped(*routes.readers[1:]):
        for number in range(READERS):
            answer = routes.query(f"status 400 {number}")
            assert (answer.status_code, answer.text) == (400, "as asked\n")


def test_readers_that_are_gone_are_passed_over(routes: Routes) -> None:
    with stopped(*routes.readers[1:]):
        assert {routes.query("the last reader").status_code for _ in range(4 * READERS)} == {200}
        assert len(routes.notes("the last reader", routes.readers[0])) == 4 * READERS


def test_a_wide_result_passes(routes: Routes) -> None:
    routes.configure(cache=LONG)
    assert len(routes.query("columns 300").headers["Content-Type"]) > 300 * 180
    for expected in ("MISS", "HIT"):
        answer = routes.get("/q/columns 300")
        assert answer.headers["X-Cache"] == expected
        assert len(answer.headers["Content-Type"]) > 300 * 180


# Writes


def test_a_write_reaches_the_writer_alone_under_the_path_as_it_was_sent(routes: Routes) -> None:
    assert routes.get("/w/q/SELECT%2F1%25?x=%20").status_code == 200
    (note,) = routes.notes("SELECT/1%?x= ", routes.writer)
    assert note["request"] == "GET /q/SELECT%2F1%25?x=%20"
    assert routes.notes("SELECT/1%?x= ") == []


def test_a_write_that_may_have_been_executed_gets_502_and_is_not_sent_again(routes: Routes) -> None:
    answer = routes.query("drop it", path="/w/q")
    assert answer.status_code == 502
    assert "Retry-After" not in answer.headers
    assert len(routes.notes("drop it", routes.writer)) == 1
    routes.configure(writeTimeout="1s")
    answer = routes.query("sleep 2.5", path="/w/q")
    assert answer.status_code == 502
    assert "Retry-After" not in answer.headers
    assert len(routes.notes("sleep 2.5", routes.writer)) == 1


def test_while_the_writer_is_away_a_write_gets_503_and_when_to_try_again(routes: Routes) -> None:
    with stopped(routes.writer):
        for path in ("/w/q", "/w/upload/public/t"):
            answer = routes.query("a write", path=path)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "1"
        assert routes.query("a read meanwhile").status_code == 200
    wait(lambda: routes.query("again", path="/w/q").status_code == 200, "the writer is not found again")
    assert routes.notes("a write", routes.writer) == []


def test_an_upload_is_passed_on_while_it_arrives(routes: Routes) -> None:
    head = b"POST /w/upload/public/streamed HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", routes.port), timeout=30) as connection:
        connection.sendall(head + b"a" * 1_000_000)
        wait(lambda: "/upload/public/streamed" in ask(routes.writer, "/heads"), "NGINX waits for the whole body")
        connection.sendall(b"a" * 2_000_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert len(routes.notes("3000000 bytes", routes.writer)) == 1


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_gets_413(routes: Routes, declared: bool) -> None:
    routes.configure(uploadLimit="1MiB")
    body = b"a" * (1024 * 1024 + 1)
    for path in ("/w/upload/public/large", "/w/q"):
        data = body if declared else iter([body])
        assert requests.post(f"{routes.url}{path}", data=data, timeout=30).status_code == 413
    assert routes.notes(f"{len(body)} bytes", routes.writer) == []


# The cache


def test_a_repeated_query_is_answered_without_a_reader(routes: Routes) -> None:
    routes.configure(cache=LONG)
    first = routes.get("/q/repeated")
    second = routes.get("/q/repeated")
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert second.text == first.text
    assert len(routes.notes("repeated")) == 1
    assert second.headers["Cache-Control"] == "no-cache", "a cache further on would add its own age"
    assert routes.log(second.headers["X-Request-Id"])["upstream"] == ""


def test_each_query_has_its_own_answer_also_under_another_database_or_a_wrong_hash(routes: Routes) -> None:
    def ask_for(path: str, query: str) -> str:
        return routes.get(path, headers={"X-Seafowl-Query": query}).text

    answers = {ask_for("/q/hash", "one"), ask_for("/q/hash", "two"), ask_for("/other/q/hash", "one")}
    assert len(answers) == 3


def proven(order: str) -> str:
    """A query whose ETag tells all, that is answered by the fake as it is ordered to."""
    return f"SELECT n FROM t /* {order} */"


def at(query: str) -> str:
    """The path of a query."""
    return f"/q/{quote(query, safe='')}"


def test_an_answer_is_asked_for_anew_with_its_etag_after_the_ttl(routes: Routes) -> None:
    for ttl in (1, 3):
        routes.configure(cache={"ttl": f"{ttl}s"})
        for _ in range(3):
            query = proven(f"kept {uuid.uuid4()}")
            first = routes.get(at(query))
            time.sleep(ttl + 1)  # a quiet time: there is nothing to await
            answer = routes.get(at(query))
            assert answer.headers["X-Cache"] == "REVALIDATED", "no answer is older than ttl and one second"
            assert answer.text == first.text
            assert [note["if-none-match"] for note in routes.notes(query)] == ["", first.headers["ETag"]]


@pytest.mark.parametrize("ttl", [1, 3])
@pytest.mark.parametrize("query", ["SELECT count(*) FROM t", "SELECT (SELECT count(*) FROM t)"])
def test_an_answer_whose_etag_does_not_tell_all_is_fetched_anew_after_the_ttl(
    routes: Routes, query: str, ttl: int
) -> None:
    routes.configure(cache={"ttl": f"{ttl}s"})
    is_nested = "(SELECT" in query
    query = f"{query} -- {uuid.uuid4()}"
    first = routes.get(at(query))
    assert routes.get(at(query), headers={"If-None-Match": "e2e0"}).status_code == (200 if is_nested else 304)
    time.sleep(ttl + 1)  # a quiet time: there is nothing to await
    # A client that has an ETag from elsewhere gets no word from Seafowl that its answer still holds.
    answer = routes.get(at(query), headers={"If-None-Match": "e2e0"} if is_nested else {})
    assert answer.headers["X-Cache"] == ("EXPIRED" if is_nested else "REVALIDATED")
    assert (answer.text != first.text) is is_nested
    assert ("ETag" in first.headers, "ETag" in answer.headers) == (not is_nested, not is_nested)
    assert [note["if-none-match"] for note in routes.notes(query)] == ["", "" if is_nested else "e2e0"]


@pytest.mark.parametrize(
    ("ttl", "query"),
    [
        (1, proven("plan 100ms")),
        (3, proven("plan 100ms")),
        (1, proven("plan 100ms changing")),
        (1, "plan 100ms"),
        (3, "sleep 100ms"),
    ],
)
def test_under_load_one_visitor_at_a_time_asks_anew_and_nobody_waits_for_it(
    routes: Routes, ttl: int, query: str
) -> None:
    routes.configure(cache={"ttl": f"{ttl}s"})
    is_proven = query.startswith("SELECT")
    query = f"{query} -- {ttl}"
    visits = under_load(routes, query, seconds=3 * ttl + 2)
    asked = routes.notes(query)
    assert {cache for _, cache, _ in visits[CLIENTS:]} == {"HIT", "STALE", "UPDATING"}, "nobody waits"
    for one, next_one in itertools.pairwise(asked):
        assert one.get("until", time.time()) <= next_one["from"], "a reader is asked by one visitor at a time"
    assert len(asked) >= 3, "or it was never asked anew"
    assert [note["if-none-match"] != "" for note in asked] == [False] + [is_proven] * (len(asked) - 1)


@pytest.mark.parametrize(
    ("query", "ttl"),
    [
        (proven("plan 100ms"), 1),
        (proven("plan 100ms changing"), 1),
        (proven("sleep 1500ms changing"), 1),
        (proven("stream 1500ms changing"), 1),
        (proven("stream 1500ms changing"), 2),
        ("plan 100ms", 1),
        ("sleep 1500ms", 1),
        ("stream 1500ms", 2),
    ],
)
def test_under_load_no_answer_is_older_than_ttl_and_a_second(routes: Routes, query: str, ttl: int) -> None:
    routes.configure(cache={"ttl": f"{ttl}s"})
    makes_new = "changing" in query or not query.startswith("SELECT")
    query = f"{query} -- aging {ttl}"
    visits = under_load(routes, query, seconds=ttl + 4)
    answered = [note["until"] for note in routes.notes(query) if "until" in note]
    for sent_at, _, made_at in visits:
        confirmed_at = made_at if makes_new else max(at for at in answered if at <= sent_at + 1)
        assert sent_at - confirmed_at < ttl + 1 + ON_THE_WAY


def under_load(routes: Routes, query: str, seconds: float) -> list[tuple[float, str, float]]:
    """Visits of several clients at once: when each was sent, what the cache did, and when its answer was made."""
    until = time.time() + seconds

    def visit(session: requests.Session) -> tuple[float, str, float]:
        sent_at = time.time()
        answer = session.get(f"{routes.url}{at(query)}", timeout=60)
        assert answer.status_code == 200
        return sent_at, answer.headers["X-Cache"], answer.json()["at"]

    def client(_: int) -> list[tuple[float, str, float]]:
        with requests.Session() as session:
            found: list[tuple[float, str, float]] = []
            while time.time() < until:
                found.append(visit(session))
            return found

    with ThreadPoolExecutor(CLIENTS) as threads:
        return sorted(itertools.chain.from_iterable(threads.map(client, range(CLIENTS))))


@pytest.mark.parametrize("query", ["sleep 100ms", proven("sleep 1"), proven("sleep 2500ms"), proven("stream 2500ms")])
def test_a_new_query_that_many_ask_at_once_is_run_once(routes: Routes, query: str) -> None:
    routes.configure(cache={"ttl": "2s"})
    for number in range(2):
        query = f"{query} -- {number}"
        with ThreadPoolExecutor(CLIENTS) as threads:
            answers = list(threads.map(lambda _, query=query: routes.get(at(query)), range(CLIENTS)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        runs = [note for note in routes.notes(query) if not note["if-none-match"]]
        assert len(runs) == 1, "whoever asks whether the answer still holds does not run it"


@pytest.mark.parametrize("query", ["status 400", "status 404", "status 500", "half of it"])
def test_an_error_is_not_kept(routes: Routes, query: str) -> None:
    before = len(routes.notes(query))
    for _ in range(2):
        try:
            assert routes.get(f"/q/{query}").headers["X-Cache"] in ("MISS", "BYPASS")
        except requests.RequestException:
            assert query == "half of it", "an answer that breaks off is an error for the client too"
    assert len(routes.notes(query)) - before >= 2


@pytest.mark.parametrize("query", ["fail end", "fail between", "fail first"])
def test_an_answer_that_ends_with_an_error_breaks_off_and_is_not_kept(routes: Routes, query: str) -> None:
    kept = routes.get("/q/SELECT n FROM before_and_after")
    for number in (1, 2):
        head, _, rest = sent(routes, b"GET /q/%s HTTP/1.1\r\nHost: x\r\n\r\n" % quote(query).encode()).partition(
            "\r\n\r\n"
        )
        assert head.startswith("HTTP/1.1 200"), "Seafowl had sent it when the query failed"
        assert "Divide by zero" in rest, "the client can read what happened"
        assert not rest.endswith("0\r\n\r\n"), "and knows that this is not the whole answer"
        assert len(routes.notes(query)) == number
    assert routes.get("/q/SELECT n FROM before_and_after").text == kept.text


@pytest.mark.parametrize("rows", [0, 1, 100_000])
def test_an_answer_of_however_many_rows_is_kept(routes: Routes, rows: int) -> None:
    routes.configure(cache=LONG)
    for expected in ("MISS", "HIT"):
        answer = routes.get(f"/q/rows {rows}")
        assert answer.headers["X-Cache"] == expected
        assert len(answer.text.splitlines()) == rows


@pytest.mark.parametrize(
    "query",
    ["SELECT now()", "select CURRENT_DATE", "SELECT random()", "SHOW TABLES", "SELECT 1 FROM information_schema"],
)
def test_an_answer_that_depends_on_more_than_the_rows_of_tables_is_not_kept(routes: Routes, query: str) -> None:
    # Seafowl's ETag knows these only: asked whether it still holds, Seafowl would say yes for ever.
    before = len(routes.notes(query))
    for _ in range(2):
        assert routes.get(f"/q/{query}").headers["X-Cache"] == "BYPASS"
        assert routes.get("/q/h", headers={"X-Seafowl-Query": query.replace("(", "%28")}).status_code == 200
    assert len(routes.notes(query)) - before == 4


def lasting(routes: Routes, path: str, header: str | None = None) -> bool:
    """Whether the answer has an ETag; the path and X-Seafowl-Query go as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", routes.port, timeout=60)
    with closing(connection):
        connection.request("GET", path, headers={} if header is None else {"X-Seafowl-Query": header})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer.getheader("ETag") is not None


def test_only_an_answer_whose_etag_is_proven_to_tell_all_has_one(routes: Routes) -> None:
    assert [query for query in PROVEN if not lasting(routes, "/q/hash", quote(query))] == []
    assert [query for query in NOT_PROVEN if lasting(routes, "/q/hash", quote(query))] == []


@settings(max_examples=300, deadline=None)
@given(data=st.data(), query=st.sampled_from([*PROVEN, *NOT_PROVEN]), in_path=st.booleans())
def test_how_a_query_is_encoded_does_not_change_the_proof(
    running: Routes, data: st.DataObject, query: str, in_path: bool
) -> None:
    plain = ALWAYS_PLAIN if in_path else ALWAYS_PLAIN | set('"#/?.<>[]{}|^`\\ ')
    kept = data.draw(st.sets(st.sampled_from(sorted(plain))))
    lower = data.draw(st.booleans())
    encoded = "".join(
        letter if letter in kept else "".join(f"%{byte:02x}" if lower else f"%{byte:02X}" for byte in letter.encode())
        for letter in query
    )
    # A header's blanks at its ends are not part of it, and change no query.
    found = lasting(running, f"/q/{encoded}?v=1.5") if in_path else lasting(running, "/other/q/hash", encoded)
    assert found is (query in PROVEN)


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/q/SELECT%201", {"Content-Type": "application/json"}, b'{"query": "SELECT (SELECT 1)"}'),
        (
            "/q/SELECT%201",
            {"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
            b'7\r\n{"a":1}\r\n0\r\n\r\n',
        ),
        ("/q/hash", {"X-Seafowl-Query": "SELECT%201%"}, b""),
        ("/q/SELECT%201%ff", {}, b""),
        ("/q/SELECT%201%C3", {}, b""),
        ("/q/hash", {"X-Seafowl-Query": "SELECT%201%00"}, b""),
        ("/q/SELECT%201/2", {}, b""),
        ("/q/SELECT%201%0D%2C2", {}, b""),
    ],
)
def test_what_is_not_certainly_the_query_that_seafowl_runs_is_not_proven(
    routes: Routes, path: str, headers: dict[str, str], body: bytes
) -> None:
    length = {} if "Transfer-Encoding" in headers else {"Content-Length": str(len(body))}
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in {**headers, **length}.items()]
    for _ in range(2):
        answer = sent(routes, "\r\n".join([*lines, "", ""]).encode() + body)
        assert answer.startswith("HTTP/1.1 200")
        assert "\r\nETag:" not in answer
        assert ("X-Cache: BYPASS" in answer) is (body != b""), "the key does not know the body"


@pytest.mark.parametrize("path", ["/q/SELECT%201.5", "/q/SELECT%20*%20FROM%20public.t", "/w/q/SELECT%201.5"])
def test_a_query_of_which_seafowl_would_run_a_part_is_refused(routes: Routes, path: str) -> None:
    # Not by `requests`, which takes the liberty of writing %2E as a dot.
    ask = "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    refused = sent(routes, ask.format(path).encode())
    assert refused.startswith("HTTP/1.1 400")
    assert "write each dot as %2E" in refused
    assert sent(routes, ask.format(path.replace(".", "%2E")).encode()).startswith("HTTP/1.1 200")


def test_when_every_reader_is_down_an_old_answer_is_given_for_the_time_that_the_config_says(routes: Routes) -> None:
    routes.configure(cache={"staleWhenDown": "60s"})
    fresh = routes.get("/q/kept for bad times")
    with stopped(*routes.readers):
        for _ in range(3):
            time.sleep(2)  # longer than ttl and a second: there is nothing to await
            old = routes.get("/q/kept for bad times")
            assert (old.status_code, old.headers["X-Cache"]) == (200, "STALE")
            assert old.text == fresh.text
        assert routes.get("/q/never asked").status_code in (502, 504)
    routes.await_nodes()
    routes.configure(cache={"staleWhenDown": "0s"})
    assert routes.get("/q/not kept for bad times").status_code == 200
    with stopped(*routes.readers):
        wait(lambda: routes.get("/q/not kept for bad times").status_code in (502, 504), "an old answer is given")


def test_with_a_ttl_of_0s_nothing_is_kept(routes: Routes) -> None:
    routes.configure(cache={"ttl": "0s"})
    for _ in range(2):
        assert "X-Cache" not in routes.get("/q/without cache").headers
    assert len(routes.notes("without cache")) == 2


# Access


def test_with_public_reads_a_stray_token_reaches_nobody(routes: Routes) -> None:
    for token in ("one", "two"):
        headers = {"Authorization": f"Bearer {token}"}
        assert routes.get("/q/public", headers=headers).status_code == 200
        assert routes.query("public", headers=headers).status_code == 200
    assert {note["authorization"] for note in routes.notes("public")} == {""}


def test_with_read_tokens_nobody_gets_an_answer_that_was_kept_for_another(routes: Routes) -> None:
    routes.configure(access={"read": "token"}, cache=LONG)
    seen = set()
    for headers in ({"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}, {}):
        for expected in ("MISS", "HIT"):
            answer = routes.get("/q/private", headers=headers)
            assert answer.headers["X-Cache"] == expected
        seen.add(answer.text)
    assert len(seen) == 3, "each one's own"
    assert {note["authorization"] for note in routes.notes("private")} == {"Bearer one", "Bearer two", ""}


def test_the_write_token_reaches_the_writer(routes: Routes) -> None:
    routes.configure(access={"write": "token"})
    headers = {"Authorization": "Bearer write"}
    assert routes.query("with token", path="/w/q", headers=headers).status_code == 200
    assert [note["authorization"] for note in routes.notes("with token", routes.writer)] == ["Bearer write"]
    assert routes.query("with token", headers=headers).status_code == 200
    assert [note["authorization"] for note in routes.notes("with token")] == [""]


# Limits of clients, and clients that misbehave


def test_a_client_over_its_limits_gets_429_and_health_checks_do_not(routes: Routes) -> None:
    routes.configure(limits={"requestsPerSecond": 1, "burst": 2})
    codes = [routes.query("often").status_code for _ in range(6)]
    assert codes[:3] == [200, 200, 200]
    assert 429 in codes
    assert [routes.get(path).status_code for path in ("/healthz", "/w/healthz") for _ in range(5)] == [200] * 10
    routes.configure(limits={"connections": 2})
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda number: routes.query(f"sleep 1.{number}").status_code, range(6)))
    assert sorted(set(together)) == [200, 429]
    assert together.count(200) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /q/1 HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /w/q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /w/q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
        b"POST /w/q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /w/q HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /w/../../etc/passwd HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /q/../w/q HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"POST /w%2fq HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"POST //w/q HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"POST /w/q HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=[
        "large header",
        "long path",
        "unknown transfer encoding",
        "broken chunk",
        "two lengths",
        "negative length",
        "path out of the root",
        "path back into /w/",
        "encoded slash",
        "two slashes",
        "no host",
    ],
)
def test_a_request_that_is_none_gets_4xx_and_does_not_reach_the_writer(routes: Routes, raw: bytes) -> None:
    before = (len(ask(routes.writer, "/heads")), len(ask(routes.writer, "/notes")))
    assert sent(routes, raw).startswith("HTTP/1.1 4")
    assert (len(ask(routes.writer, "/heads")), len(ask(routes.writer, "/notes"))) == before


def test_clients_that_do_not_finish_their_request_are_closed_and_hold_nobody_up(routes: Routes) -> None:
    before = len(ask(routes.writer, "/heads"))
    slow = [socket.create_connection(("127.0.0.1", routes.port), timeout=30) for _ in range(200)]
    for number, connection in enumerate(slow):
        connection.sendall(b"POST /w/q HTTP/1.1\r\nHost: x\r\nX-Request-Id: unfinished-%d\r\n" % number)
    assert [routes.query("beside slow clients").status_code for _ in range(20)] == [200] * 20
    assert routes.query("beside slow clients", path="/w/q").status_code == 200
    for connection in slow:
        assert connection.recv(1024) == b"", "the connection is closed"
        connection.close()
    wait(lambda: routes.ingress.logs().count(b'"status":"408"') >= 200, "they are not in the log")
    assert len(ask(routes.writer, "/heads")) == before + 1, "only the whole request reached the writer"


# What can be seen


def test_the_log_tells_who_answered_and_what_the_cache_did(routes: Routes) -> None:
    routes.configure(cache=LONG)
    answers = [routes.get("/q/logged") for _ in range(2)]
    first, second = (routes.log(answer.headers["X-Request-Id"]) for answer in answers)
    columns = "time id client request status bytes seconds cache upstream upstream_status upstream_seconds"
    assert " ".join(first) == columns
    addresses = [reader.attrs["NetworkSettings"]["Networks"][NAME]["IPAddress"] for reader in routes.readers]
    assert first["upstream"] in [f"{address}:8080" for address in addresses]
    assert (first["cache"], second["cache"]) == ("MISS", "HIT")
    assert first["request"] == "GET /q/logged"


def test_a_request_id_is_kept_passed_on_and_returned(routes: Routes) -> None:
    answer = routes.query("with an id", headers={"X-Request-Id": "dashboard-17.a"})
    assert answer.headers["X-Request-Id"] == "dashboard-17.a"
    assert [note["id"] for note in routes.notes("with an id")] == ["dashboard-17.a"]
    answer = routes.query("with another id", headers={"X-Request-Id": 'no "id" at all'})
    assert [note["id"] for note in routes.notes("with another id")] == [answer.headers["X-Request-Id"]]
    assert len(answer.headers["X-Request-Id"]) == 32


def test_health_is_that_of_the_nodes(routes: Routes) -> None:
    with stopped(*routes.readers[1:]):
        assert routes.get("/healthz").status_code == 200, "one reader is enough"
        with stopped(routes.readers[0], routes.writer):
            assert routes.get("/healthz").status_code == 503
            assert routes.get("/w/healthz").status_code == 503
    wait(lambda: routes.get("/healthz").status_code == 200, "the readers are not found again")
    wait(lambda: routes.get("/w/healthz").status_code == 200, "the writer is not found again")


def test_the_status_page_is_inside_the_ingress_only(routes: Routes) -> None:
    inside = routes.ingress.exec_run(["curl", "-s", "http://127.0.0.1:8081/status"]).output.decode()
    assert "Active connections" in inside
    address = routes.ingress.attrs["NetworkSettings"]["Networks"].get(NAME, {}).get("IPAddress")
    routes.ingress.reload()
    address = routes.ingress.attrs["NetworkSettings"]["Networks"][NAME]["IPAddress"]
    with pytest.raises(OSError):
        socket.create_connection((address, 8081), timeout=2)
    assert "Active connections" not in routes.get("/status").text


# New configurations


def test_a_configuration_that_nginx_refuses_changes_nothing_and_says_why(routes: Routes) -> None:
    routes.put(routes.conf().replace("keepalive 16;", "keepalive lots;", 1))
    wait(lambda: "invalid value" in routes.refusal(), "NGINX's own message is not kept")
    assert routes.query("as before").status_code == 200
    routes.configure(uploadLimit="2MiB")
    assert routes.refusal() == "", "it is forgotten once another is accepted"


def test_after_a_restart_the_last_good_configuration_runs(routes: Routes) -> None:
    routes.put(routes.conf().replace("keepalive 16;", "keepalive lots;", 1))
    wait(lambda: "invalid value" in routes.refusal(), "NGINX's own message is not kept")
    routes.ingress.restart()
    wait(lambda: _served(routes), "the ingress does not come back")
    routes.ingress.kill()
    routes.ingress.start()
    wait(lambda: _served(routes), "the ingress does not come back after a crash")


def _served(routes: Routes) -> bool:
    try:
        return routes.query("after a restart").status_code == 200
    except requests.RequestException:
        return False
