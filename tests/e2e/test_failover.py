"""A writer that can die: LiteFS's lease in Consul, on a whole cluster, under writes and reads.

Seafowl may be the kit's stand-in here; LiteFS, Consul, NGINX, MinIO, Docker and the engine are the real ones.
Whether an acknowledged write survives a crash is a matter of chance, too: `make chaos-failover` kills more often.
"""

import http.client
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from bench.candidates import Candidates, Place, elections, why_nothing_can_be_cut, writes_inside
from bench.clients import Writes
from cluster import labels
from tests.e2e.load import Load
from tests.e2e.routes import wait
from tests.e2e.stack import PROJECT, Stack

NewStack = Callable[[str], Stack]
ROWS = "SELECT n FROM numbers ORDER BY n"
ANSWER = '{"n":1}\n{"n":2}\n'
ANSWER_ROWS = [{"n": 1}, {"n": 2}]
_names = itertools.count()


@pytest.fixture(scope="module")
def plain(new_stack: NewStack) -> Stack:
    """A running stack with a static lease and two rows."""
    made = new_stack("failover")
    made.up()
    made.write("CREATE TABLE numbers AS SELECT 1 AS n; INSERT INTO numbers VALUES (2)")
    wait(lambda: made.read(ROWS) == ANSWER_ROWS, "the readers do not get the table")
    return made


@pytest.fixture(scope="module")
def stack(plain: Stack) -> Stack:
    """The same with two candidates, and their lease in Consul; a test leaves it healthy."""
    plain.configure(lease="consul")
    plain.up()
    return plain


@pytest.fixture(scope="module")
def candidates(stack: Stack) -> Candidates:
    return Candidates(PROJECT, stack.name)


class Reads(Load):
    """A load that leaves some of the machine to those who are to be watched."""

    def _request(self, index: int) -> tuple[str, str, bytes | None, dict[str, str]]:
        time.sleep(0.1)
        return super()._request(index)


@contextmanager
def reads_that_never_fail(stack: Stack) -> Iterator[Reads]:
    """Constant reads; none may fail."""
    with Reads(stack.port, ROWS, ANSWER) as reads:
        yield reads
        reads.some_more()
    assert reads.failed == {}, f"of {len(reads.answers)} reads"


@dataclass
class Clients:
    """Who uses the cluster meanwhile."""

    writes: Writes
    reads: Reads


@contextmanager
def clients(stack: Stack) -> Iterator[Clients]:
    """Constant writes and reads: no read may fail, no acknowledged write be lost, none be there twice."""
    writes = Writes(stack.port, f"w{next(_names)}")
    with reads_that_never_fail(stack) as reads, writes:
        yield Clients(writes, reads)
        writes.resumed(time.monotonic())
    kept = writes.kept()
    told = f"of {writes.outcomes()}"
    assert (kept.lost_ddl, kept.lost_inserts) == ([], []), f"acknowledged, and not there, {told}"
    assert kept.twice == [], f"a write was executed twice, {told}"
    assert "503 without Retry-After" not in writes.outcomes()


def ends_green_and_unchanged(stack: Stack, *flags: str) -> None:
    stack.up(*flags)
    assert stack.steps() == {}, "a second preview has nothing to do"


def member(container: Any) -> str:
    return container.labels[labels.MEMBER]


# From a static lease


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"consul": {"ttl": "1s"}}, "seafowl:consul.ttl must be at least 2s"),
        ({"consul": {"ttl": "61s"}}, "seafowl:consul.ttl must be at most 60s"),
        ({"consul": {"ttl": "9s", "address": "http://consul.example.org:8500"}}, "consul.ttl must be at least 10s"),
        ({"consul": {"address": "consul.example.org"}}, "seafowl:consul.address must be the URL of a Consul"),
        ({"consul": {"servers": 2}}, "seafowl:consul.servers must be one of 1, 3 or 5"),
        ({"writerCandidates": 0}, "seafowl:writerCandidates must be at least 1"),
        ({"lease": "etcd"}, "seafowl:lease must be one of"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_a_lease_that_cannot_work_is_refused_at_preview(plain: Stack, config: dict[str, Any], message: str) -> None:
    before = {key: plain.configuration(key) for key in ("lease", *config)}
    plain.configure(**{"lease": "consul", **config})
    outcome = plain.pulumi("preview")
    plain.configure(**before)
    assert outcome.code != 0
    assert message in outcome.text
    assert "Traceback" not in outcome.text


def test_a_consul_that_nobody_reaches_fails_the_up_with_the_reason_and_costs_no_read(plain: Stack) -> None:
    with reads_that_never_fail(plain):
        plain.configure(lease="consul", consul={"address": "http://127.0.0.1:1"})
        outcome = plain.try_up()
        assert outcome.code != 0
        assert "writer-0 is not healthy" in outcome.text
        assert "127.0.0.1:1" in outcome.text, "the log lines in the error say which address does not answer"
        assert "connection refused" in outcome.text
        assert "Traceback" not in outcome.text
        plain.configure(lease=None, consul=None)
        ends_green_and_unchanged(plain)
    plain.write("CREATE TABLE after_it AS SELECT 1 AS n; DROP TABLE after_it")


def test_a_static_lease_becomes_one_in_consul_and_keeps_the_data(plain: Stack) -> None:
    catalog = plain.volumes()
    plain.configure(lease="consul")
    steps = plain.steps()
    assert steps["writer-0"] == "replace", "the preview says what is replaced"
    assert steps["writer-1"] == steps["consul-0"] == "create"
    assert not [name for name, step in steps.items() if "catalog" in name and step != "create"]
    with reads_that_never_fail(plain):
        ends_green_and_unchanged(plain)
    assert set(catalog) < set(plain.volumes())
    plain.write("INSERT INTO numbers VALUES (3); DELETE FROM numbers WHERE n = 3")
    assert plain.read(ROWS) == ANSWER_ROWS


# The primary ends


def test_a_killed_primary_is_succeeded_by_a_standby_and_comes_back_as_one(stack: Stack, candidates: Candidates) -> None:
    with clients(stack) as using:
        old = candidates.settled_primary()
        killed_at = time.monotonic()
        old.kill()
        using.writes.resumed(killed_at)
        assert member(candidates.primary()) != member(old)
        old.start()
        assert member(candidates.settled_primary()) != member(old), "it has rejoined, and is in step"
    ends_green_and_unchanged(stack)
    stack.up("--refresh")
    assert stack.steps() == {}
    assert old.id in {container.id for container in stack.containers("writer")}, "nothing was replaced for it"


def test_a_primary_that_is_stopped_hands_over_before_it_ends(stack: Stack, candidates: Candidates) -> None:
    with clients(stack) as using:
        old = candidates.settled_primary()
        stopped_at = time.monotonic()
        old.stop(timeout=15)
        using.writes.resumed(stopped_at)
        new = candidates.primary()
        assert member(new) != member(old)
        old.start()
        assert member(candidates.settled_primary()) == member(new)
    assert "handed the lease over" in old.logs(tail=200).decode()
    ends_green_and_unchanged(stack)


def test_an_up_replaces_candidates_one_at_a_time(stack: Stack, candidates: Candidates) -> None:
    with clients(stack):
        for values in (
            {"resources": {"writer": {"memory": "1GiB"}}, "standbyReads": True},
            {"resources": None, "standbyReads": None},
        ):
            primary = member(candidates.settled_primary())
            before = {container.id for container in stack.containers("writer")}
            stack.configure(**values)
            assert {"writer-0", "writer-1"} <= {name for name, step in stack.steps().items() if step == "replace"}
            with watched(candidates) as seen:
                stack.up()
            assert [states for states in seen if "running" not in states.values()] == [], "all were away at one time"
            assert not before & {container.id for container in stack.containers("writer")}
            assert member(candidates.settled_primary()) != primary, "it was changed last, so writes paused once"
    assert stack.steps() == {}


@contextmanager
def watched(candidates: Candidates) -> Iterator[list[dict[str, str]]]:
    """The candidates' states, time and again until it is left."""
    seen: list[dict[str, str]] = []
    watching = [True]

    def watch() -> None:
        while watching:
            seen.append(candidates.states())

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(watch)
        try:
            yield seen
        finally:
            watching.clear()
        done.result()


def test_without_a_primary_writes_are_told_to_wait_and_reads_go_on(stack: Stack, candidates: Candidates) -> None:
    with clients(stack) as using:
        nodes = candidates.members()
        for node in nodes:
            node.kill()
        using.writes.refused(time.monotonic())
        answer = requests.post(f"{stack.url}/w/q", json={"query": "SELECT 1"}, timeout=30)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert requests.get(f"{stack.url}/w/healthz", timeout=30).status_code == 503
        using.reads.some_more()
        for node in nodes:
            node.start()
        using.writes.resumed(time.monotonic())
        candidates.settled_primary()
    ends_green_and_unchanged(stack)


# Consul and the network


def test_consul_may_die_and_come_back(stack: Stack, candidates: Candidates) -> None:
    with clients(stack) as using:
        candidates.settled_primary()
        consul = stack.container("consul")
        killed_at = time.monotonic()
        consul.kill()
        using.writes.refused(killed_at)
        using.reads.some_more()
        started_at = time.monotonic()
        consul.start()
        using.writes.resumed(started_at)
        candidates.settled_primary()
    ends_green_and_unchanged(stack)


@pytest.mark.skipif(why_nothing_can_be_cut() is not None, reason=why_nothing_can_be_cut() or "")
@pytest.mark.parametrize("place", ["Consul", "replication"])
def test_a_primary_that_is_cut_off_acknowledges_nothing_once_another_is_elected(
    stack: Stack, candidates: Candidates, place: Place
) -> None:
    with clients(stack) as using:
        old = candidates.settled_primary()
        since = time.time()
        with writes_inside(old, f"i{next(_names)}") as inside:
            with candidates.cut_off(old, place):
                new = candidates.await_other_primary(old, since)
                using.writes.resumed(time.monotonic())
            # Healed, or restarted with a network of its own: it is a standby, and still asked.
            assert member(candidates.settled_primary()) == member(new)
        elected_at = elections(new, since)[0]
        late = [table for at, table in inside.acknowledged if at > elected_at]
        assert late == [], "acknowledged by the old primary when there was another"
        tables = {row["table_name"] for row in stack.read("SELECT table_name FROM information_schema.tables")}
        assert {table for _, table in inside.acknowledged} <= tables, "what it acknowledged before is in the history"
    ends_green_and_unchanged(stack)


# Uploads


def test_an_upload_is_applied_once_or_not_at_all_while_the_primary_changes(
    stack: Stack, candidates: Candidates
) -> None:
    rows = 500
    outcomes: dict[str, str] = {}
    changing = [True]

    def upload(lane: int) -> None:
        while changing:
            table = f"up{lane}_{next(_names)}"
            outcomes[table] = send(stack, table, rows)

    with clients(stack) as using, ThreadPoolExecutor(3) as threads:
        running = [threads.submit(upload, lane) for lane in range(2)]
        try:
            old = candidates.settled_primary()
            # One more, of which half has been sent when its node dies.
            killed_at: list[float] = []

            def kill() -> None:
                killed_at.append(time.monotonic())
                old.kill()
                using.writes.resumed(killed_at[0])

            halved = threads.submit(send, stack, "halved", rows, kill)
            outcomes["halved"] = halved.result()
            wait(lambda: list(outcomes.values())[-3:].count("200") >= 2, f"uploads do not go on: {outcomes}")
            old.start()
            new = candidates.settled_primary()
            new.stop(timeout=15)
            using.writes.resumed(time.monotonic())
            new.start()
            candidates.settled_primary()
        finally:
            changing.clear()
        for one in running:
            one.result()
    assert outcomes["halved"] != "200", "nobody had the whole of it"
    assert "503 without Retry-After" not in outcomes.values()
    assert list(outcomes.values()).count("200") > 5
    wait(lambda: acknowledged_uploads(outcomes) <= counted(stack, outcomes, rows), f"uploads are lost: {outcomes}")
    ends_green_and_unchanged(stack)


def acknowledged_uploads(outcomes: dict[str, str]) -> set[str]:
    return {table for table, outcome in outcomes.items() if outcome == "200"}


def counted(stack: Stack, outcomes: dict[str, str], rows: int) -> set[str]:
    """The tables that were uploaded, each once."""
    names = {row["table_name"] for row in stack.read("SELECT table_name FROM information_schema.tables")}
    there = sorted(names & outcomes.keys())
    whole: set[str] = set()
    for table in there:
        (row,) = stack.read(f"SELECT COUNT(*) AS n FROM {table}")
        assert row["n"] in (0, rows), f"{table} has {row['n']} rows after one upload of {rows}: {outcomes[table]}"
        whole |= {table} if row["n"] == rows else set()
    return whole


def send(stack: Stack, table: str, rows: int, halfway: Callable[[], None] = lambda: None) -> str:
    """Upload a CSV file, once; `halfway` is called when half of it is sent. The status, or the error that was met."""
    csv = "a\n" + "".join(f"{number}\n" for number in range(rows))
    head = '--border\r\nContent-Disposition: form-data; name="data"; filename="a.csv"\r\n\r\n'
    body = f"{head}{csv}\r\n--border--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    try:
        connection.putrequest("POST", f"/w/upload/public/{table}")
        connection.putheader("Content-Type", "multipart/form-data; boundary=border")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.send(body[: len(body) // 2])
        halfway()
        connection.send(body[len(body) // 2 :])
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    missing = answer.status == 503 and answer.headers["Retry-After"] is None
    return f"{answer.status} without Retry-After" if missing else str(answer.status)


# Back to a static lease


def test_a_lease_in_consul_becomes_a_static_one_in_two_steps_and_keeps_the_data(
    stack: Stack, candidates: Candidates
) -> None:
    # The data's last state is with the candidate that would go.
    primary = candidates.settled_primary()
    if member(primary) == "writer-0":
        primary.stop(timeout=15)
        primary.start()
        assert member(candidates.settled_primary()) == "writer-1"
    stack.write("CREATE TABLE lately AS SELECT 7 AS n")
    before = {container.id for container in stack.containers()}
    with reads_that_never_fail(stack):
        stack.configure(lease=None)
        direct = stack.try_up()
        assert direct.code != 0
        assert "pulumi config set writerCandidates 1" in direct.text
        assert "Traceback" not in direct.text
        assert {container.id for container in stack.containers()} == before, "nothing was changed"
        # A standby that Docker has not found healthy again yet: the ingress is asked for the primary.
        candidates.members()[0].restart(timeout=15)
        stack.configure(lease="consul", writerCandidates=1)
        ends_green_and_unchanged(stack)
        assert member(candidates.settled_primary()) == "writer-0"
        assert stack.read("SELECT n FROM lately") == [{"n": 7}]
        stack.configure(lease=None, writerCandidates=None)
        ends_green_and_unchanged(stack)
    assert stack.containers("consul") == []
    assert stack.read("SELECT n FROM lately") == [{"n": 7}]
    stack.write("INSERT INTO lately VALUES (8)")
    assert stack.read("SELECT n FROM lately ORDER BY n") == [{"n": 7}, {"n": 8}]
