"""What `make chaos` makes of what it saw: what counts as lost, late or wrong, what misses a goal, how it is told."""

import itertools
import json
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import APIError

from bench.chaos.cluster import Cluster
from bench.chaos.judgement import Ending, Goal, Seen, missed, of_reads, of_writes, pause
from bench.chaos.report import Run, markdown, with_run
from bench.clients import Kept, Kind, Read, Write, Writes, unexpected
from bench.shared_writes import TABLES, WRITERS, Counted, Row, SharedWrites, compared
from ops.waiting import await_true

WELL = Seen(
    fault="a reader killed",
    goal=Goal(),
    writes={"200": 9, "503": 1},
    kept=Kept([], [], []),
    shared=Counted(rows=7),
    reads=20,
    failed={},
    wrong=0,
    slowest=0.5,
    pause=1.5,
    recovered=2.0,
)
ENDING = Ending("static", faults=2, acknowledged=19, kept=WELL.kept, shared=WELL.shared)
RUN = Run(
    command="make chaos",
    seed=1,
    when=datetime(2026, 2, 3, tzinfo=UTC),
    versions={"minio": "minio:1"},
    stand_ins=["Seafowl"],
    not_tried={"clock skew": "it cannot be faked"},
)


def write(kind: Kind, ended: float, outcome: str = "200") -> Write:
    return Write(kind, 1, ended - 0.1, ended, outcome)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kept": Kept([3, 4], [], [])}, "2 acknowledged CREATE TABLE lost"),
        ({"kept": Kept([], [3], [])}, "1 acknowledged INSERT lost"),
        ({"kept": Kept([], [], [3])}, "1 writes executed twice"),
        ({"kept": Kept([], [], [], refused=[3])}, "1 writes executed though refused with 503"),
        ({"shared": Counted(9, lost=[3, 4])}, "2 acknowledged rows of several clients lost"),
        ({"shared": Counted(9, twice=[3])}, "1 writes executed twice"),
        ({"shared": Counted(9, refused=[3])}, "1 writes executed though refused with 503"),
        ({"wrong": 2}, "2 wrong answers"),
        ({"failed": {"502": 2, "444": 1}}, "3 reads failed: 2 times 502, 1 times 444"),
        ({"recovered": None}, "it did not recover"),
        ({"left": ["network front-1"]}, "left behind: network front-1"),
        ({"commands": ["pulumi up"]}, "a person had to do more than nothing: pulumi up"),
        ({"writes": {"503": 4}}, "no write was acknowledged, so nothing was proved"),
    ],
)
def test_what_falls_short_is_named_and_is_all_that_is(change: dict[str, Any], problem: str) -> None:
    assert missed(WELL) == []
    assert missed(replace(WELL, **change)) == [problem]


@pytest.mark.parametrize(
    ("goal", "change"),
    [
        (Goal(reads_may_fail=True), {"failed": {"502": 2}}),
        (Goal(commands=["pulumi cancel", "pulumi up"]), {"commands": ["pulumi up"]}),
        (Goal(read_seconds=5), {"slowest": 6.0}),
        (Goal(), {"slowest": 60.0}),
    ],
)
def test_what_a_goal_allows_is_no_problem(goal: Goal, change: dict[str, Any]) -> None:
    assert missed(replace(WELL, goal=goal, **change)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"kept": Kept([], [1], [])},
        {"shared": Counted(9, lost=[1])},
        {"shared": Counted(9, twice=[1])},
        {"shared": Counted(9, refused=[1])},
        {"wrong": 1},
        {"left": ["volume v"]},
    ],
)
def test_no_goal_allows_a_lost_write_a_wrong_answer_or_something_left(change: dict[str, Any]) -> None:
    generous = Goal(reads_may_fail=True, commands=["pulumi up"], read_seconds=1000)
    assert missed(replace(WELL, goal=generous, **change))


def test_a_read_that_takes_much_longer_than_the_read_timeout_falls_short() -> None:
    assert missed(replace(WELL, goal=Goal(read_seconds=5), slowest=9.0)) == ["a read took 9.0 s, and may take 5"]


def test_an_error_behind_the_rows_is_a_failed_read_and_another_result_a_wrong_answer() -> None:
    assert (
        unexpected('{"n":1}\nGeneric S3 error: connection refused')
        == "200, and then: Generic S3 error: connection refused"
    )
    assert unexpected('{"n":2}\n') == unexpected("") == "wrong"


def test_a_wrong_answer_is_not_a_failed_read_and_the_slowest_read_is_found() -> None:
    done = [Read(0, 0.1, "200"), Read(1, 4, "502"), Read(2, 2.5, "wrong"), Read(3, 3.1, "502")]
    assert of_reads(done) == ({"502": 2}, 1, 3)
    assert of_reads([]) == ({}, 0, 0.0)


def test_errors_that_differ_in_their_details_are_one_kind() -> None:
    done = [Read(0, 1, f"400 Generic S3 error\nafter {number} retries") for number in range(3)]
    assert of_reads(done)[0] == {"400 Generic S3 error": 3}


def test_writes_are_counted_by_what_came_of_them() -> None:
    assert of_writes([write("ddl", 1), write("insert", 2), write("insert", 3, "503")]) == {"200": 2, "503": 1}


def test_a_pause_is_the_longest_silence_of_one_kind_of_write() -> None:
    ddl = [write("ddl", one) for one in (11, 12, 13, 14, 15, 16, 17, 18, 19)]
    inserts = [write("insert", one) for one in (12, 18)]
    refused = [write("insert", one, "503") for one in (14, 16)]
    assert pause([*ddl, *inserts, *refused], 10, 20) == 6


def test_a_kind_that_is_never_acknowledged_pauses_all_the_time() -> None:
    assert pause([write("ddl", 11)], 10, 20) == 10


def test_the_report_says_what_was_run_on_what_and_what_was_not() -> None:
    late = replace(WELL, fault="the writer killed", kept=Kept([7], [], []), remarks=["it was late"])
    text = markdown(RUN, [WELL, late], [ENDING])
    for told in (
        "make chaos",
        "seed 1",
        "2026-02-03",
        "cores",
        "GiB",
        "minio minio:1",
        "Stand-ins: Seafowl",
        "clock skew",
    ):
        assert told in text
    assert "| a reader killed | 9 of 10 | 0 | 0 | 0 | 7 | 20 | 0 | 0 | 0.5 s | 1.5 s | 2.0 s | nothing | met |" in text
    assert "**missed: 1 acknowledged CREATE TABLE lost**" in text
    assert "- the writer killed: it was late" in text


def test_the_report_says_what_was_there_of_a_stack_at_its_end_and_judges_it() -> None:
    text = markdown(RUN, [WELL], [ENDING, replace(ENDING, stack="consul", shared=Counted(7, lost=[1], refused=[2]))])
    assert "| static | 2 | 19 | 7 | 0 | 0 | 0 | met |" in text
    missed_goal = "acknowledged rows of several clients lost; 1 writes executed though refused with 503"
    assert f"| consul | 2 | 19 | 7 | 1 | 0 | 1 | **missed: 1 {missed_goal}** |" in text


def test_a_new_run_takes_the_place_of_the_last_one_and_of_nothing_else() -> None:
    begin, end = "<!-- what was seen: made by `make chaos` -->", "<!-- end of what was seen -->"
    once = with_run(f"# Title\n\n{begin}\nold\n{end}\n\nwritten by hand\n", RUN, [WELL], [ENDING])
    assert once.startswith(f"# Title\n\n{begin}\n")
    assert once.endswith(f"{end}\n\nwritten by hand\n")
    assert "old" not in once
    assert with_run(once, RUN, [WELL], [ENDING]) == once


def test_a_document_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        with_run("# Title\n", RUN, [WELL], [ENDING])


# Several clients that write into the same tables


def test_an_answer_tells_what_may_be_there() -> None:
    done = [
        Row(1, "200"),
        Row(2, "200"),
        Row(3, "502"),
        Row(4, "502"),
        Row(5, "503"),
        Row(6, "503 without Retry-After"),
    ]
    assert compared(done, Counter([1, 2, 3])) == Counted(rows=2), "a 502 may be there, and may not"
    found = compared(done, Counter([2, 2, 3, 3, 5, 6]))
    assert (found.lost, found.twice, found.refused) == ([1], [2, 3], [5, 6])


class OddCluster:
    """A cluster that keeps tables in memory, and answers `SELECT`, `INSERT`, `CREATE TABLE` and uploads.

    `executed`: of the so many-th write of a row, how often it is executed, and the status of its answer.
    """

    def __init__(self, executed: Callable[[int], tuple[int, int]]) -> None:
        self.tables: defaultdict[str, list[int]] = defaultdict(list)
        self._executed = executed
        self._numbers = itertools.count(1)

    def answer(self, path: str, body: str) -> tuple[int, list[dict[str, Any]]]:
        """Status and rows."""
        if "/upload/" in path:
            found = re.search(r"id\n(\d+)\n", body)
            assert found is not None
            return self._write(path.rpartition("/")[2], int(found[1])), []
        words = re.sub(r"[(),]", " ", json.loads(body)["query"]).split()
        match words:
            case ["CREATE", "TABLE", name, "AS", "SELECT", value, "AS", "v"]:
                self.tables[name] = [int(value)]
            case ["CREATE", "TABLE", name, *_]:
                self.tables[name] = []
            case ["INSERT", "INTO", name, "VALUES", value]:
                return self._write(name, int(value)), []
            case ["SELECT", "table_name", *_]:
                return 200, [{"table_name": name} for name in self.tables]
            case ["SELECT", column, "FROM", name, *_] if name in self.tables:
                return 200, [{column: value} for value in self.tables[name]]
            case _:
                return 400, []
        return 200, []

    def _write(self, table: str, value: int) -> int:
        if value == 0:  # tells whether writes are taken
            return 200
        times, status = self._executed(next(self._numbers))
        self.tables[table] += [value] * times
        return status


@contextmanager
def served(cluster: OddCluster) -> Generator[int]:
    """The port of a server that answers as the cluster does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, rows = cluster.answer(self.path, body)
            self.send_response(status)
            self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write("".join(f"{json.dumps(row)}\n" for row in rows).encode())

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def odd_third(times: int, status: int) -> Callable[[int], tuple[int, int]]:
    """A cluster that does something else with the third row."""
    return lambda number: (times, status) if number == 3 else (1, 200)


def kept_once(_: int) -> tuple[int, int]:
    """What becomes of each row in a cluster without faults."""
    return 1, 200


ODD = [
    (odd_third(1, 200), (0, 0, 0)),
    (odd_third(0, 502), (0, 0, 0)),
    (odd_third(1, 502), (0, 0, 0)),
    (odd_third(0, 503), (0, 0, 0)),
    (odd_third(0, 200), (1, 0, 0)),
    (odd_third(2, 200), (0, 1, 0)),
    (odd_third(2, 502), (0, 1, 0)),
    (odd_third(1, 503), (0, 0, 1)),
]
"""What happens to one row, and how many are told as lost, there twice, and there though refused."""


@pytest.mark.parametrize(("executed", "wrong"), ODD)
def test_what_a_cluster_does_to_one_row_of_many_in_shared_tables_is_told_once(
    executed: Callable[[int], tuple[int, int]], wrong: tuple[int, int, int]
) -> None:
    cluster = OddCluster(executed)
    with served(cluster) as port:
        shared = SharedWrites(port)
        with shared:
            await_true(lambda: len(shared.done) >= 2 * WRITERS, "too few writes")
        found, again = shared.counted(seconds=0), shared.counted(seconds=0)
    assert (len(found.lost), len(found.twice), len(found.refused)) == wrong
    assert again == Counted(found.rows), "it is told once"
    assert found.rows == shared.outcomes()["200"]
    assert len(cluster.tables) == TABLES
    assert all(len(rows) >= WRITERS - 1 for rows in cluster.tables.values()), "all write into all tables"


def test_writers_that_go_on_after_a_pause_keep_their_tables_and_never_use_an_id_again() -> None:
    cluster = OddCluster(kept_once)
    with served(cluster) as port:
        shared, writes = SharedWrites(port), Writes(port, "alone", per_second=50)
        for _ in range(2):
            before, rows = len(writes.done), sum(len(cluster.tables[table]) for table in shared.tables)
            with shared, writes:
                await_true(lambda before=before: len(writes.done) > before + 4, "too few writes")
            assert sum(len(cluster.tables[table]) for table in shared.tables) > rows
            assert writes.kept(seconds=0) == Kept([], [], [])
        ids = [value for table in shared.tables for value in cluster.tables[table]]
    assert len(set(ids)) == len(ids) == len(shared.done)


@pytest.mark.parametrize(("executed", "wrong"), ODD)
def test_what_a_cluster_does_to_one_insert_of_a_single_client_is_told_once(
    executed: Callable[[int], tuple[int, int]], wrong: tuple[int, int, int]
) -> None:
    with served(OddCluster(executed)) as port:
        writes = Writes(port, "alone", per_second=50)
        with writes:
            await_true(lambda: len(writes.done) > 12, "too few writes")
        found, again = writes.kept(seconds=0), writes.kept(seconds=0)
    assert (len(found.lost_inserts), len(found.twice), len(found.refused)) == wrong
    assert again == Kept([], [], []), "it is told once"


def test_a_table_that_was_there_and_is_not_any_more_is_lost() -> None:
    cluster = OddCluster(kept_once)
    with served(cluster) as port:
        writes = Writes(port, "alone", per_second=50)
        with writes:
            await_true(lambda: len(writes.done) > 12, "too few writes")
        assert writes.kept(seconds=0).lost_ddl == []
        del cluster.tables["alone_2"]
        cluster.tables["alone_3"] = []
        assert writes.kept(seconds=0).lost_ddl == [2], "its name is looked for"
        assert writes.kept(seconds=0, look_into_all=True).lost_ddl == [3], "its rows are looked for"


def network(refusal: str, containers: dict[str, Any]) -> Any:
    """A network that Docker does not remove."""

    def remove() -> None:
        raise APIError(refusal)

    return SimpleNamespace(
        id="61ace", name="front-1", attrs={"Containers": containers}, remove=remove, reload=lambda: None
    )


def cluster(monkeypatch: pytest.MonkeyPatch, *networks: Any) -> Cluster:
    def listed(*found: Any) -> Any:
        return SimpleNamespace(list=lambda **_: list(found))

    engine = SimpleNamespace(containers=listed(), volumes=listed(), networks=listed(*networks))
    monkeypatch.setattr("docker.DockerClient.from_env", lambda **_: engine)
    monkeypatch.setattr("bench.chaos.cluster._NETWORK_SECONDS", 0)
    return Cluster(cast(Any, SimpleNamespace(name="chaos-1")), 1)


def test_a_network_that_docker_wrongly_takes_for_used_is_passed_over_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = cluster(monkeypatch, network("network front-1 id 61ace has active endpoints", {}))
    assert made.everything() == {"61ace": "network front-1"}
    made.remove_everything()
    assert made.stuck == {"61ace": "front-1"}
    assert made.everything() == {}, "it is nothing that a fault left behind"


@pytest.mark.parametrize(
    "refused", [network("it has active endpoints", {"a1": {"Name": "mine"}}), network("no permission", {})]
)
def test_any_other_network_that_is_not_removed_ends_the_run(monkeypatch: pytest.MonkeyPatch, refused: Any) -> None:
    with pytest.raises(APIError):
        cluster(monkeypatch, refused).remove_everything()
