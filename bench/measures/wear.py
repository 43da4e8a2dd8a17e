"""Whether a table wears out: what its INSERTs and a count of its rows take as commits pile up, with the maintenance of
tables and without; and what readers notice of the maintenance.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from statistics import median

from bench.clients import Reads, ask
from bench.deployments import Deployment
from bench.figures import Record, percentile
from bench.measures.replication import Connection
from cluster.engine import Engine
from ops.waiting import await_true

TOPIC = "wear"
ENDS = 20
"""So many at the beginning, and at the end, are compared."""

STEP = 50
"""Commits between two points of the plot."""

INSERT, COUNT = "INSERT", "count(*)"
WITH, WITHOUT = "with maintenance", "without"

READS_ALONE = "reads while nothing else runs: p99"
READS_MEANWHILE = "reads while tables are maintained: p99"
MAINTAINED = "maintaining all tables"
FAILED_READS = "failed reads while tables are maintained"

_COUNT_EVERY = 5
_READS_PER_SECOND = 30
_READ_SECONDS = 15.0
_COMMITS = 60
_IN_ONE_REQUEST = 10
_CLIENTS = 4
"""Neglect so many tables at the same time."""

_names = itertools.count()


def first(what: str, how: str) -> str:
    """Name of the figure of the first ones."""
    return f"{what}, {how}: the first {ENDS}"


def last(what: str, how: str) -> str:
    """Name of the figure of the last ones."""
    return f"{what}, {how}: the last {ENDS}"


def number_of(how: str) -> str:
    """Name of the figure of how many INSERTs there were."""
    return f"{INSERT}, {how}: in a row"


def by_commits(what: str, how: str) -> str:
    """Name of the figure whose values are medians of so many commits, one after the other."""
    return f"{what}, {how}: each {STEP} commits"


def wear(deployment: Deployment, inserts: int, how: str, record: Record) -> None:
    """One client, one new table, so many INSERTs of a row, as fast as they are taken; and counts in between."""
    table = f"worn_{next(_names)}"
    writes, reads = Connection("127.0.0.1", deployment.port), Connection("127.0.0.1", deployment.port)
    count = f"SELECT count(*) AS n FROM {table}"
    took: dict[str, list[tuple[int, float]]] = {INSERT: [], COUNT: []}
    try:
        _timed(writes, "/w/q", f"CREATE TABLE {table} (id BIGINT)")
        await_true(lambda: reads.status("/q", count) == HTTPStatus.OK, "a reader has not got the table")
        for number in range(inserts):
            took[INSERT].append((number, _timed(writes, "/w/q", f"INSERT INTO {table} VALUES ({number})")))
            if number % _COUNT_EVERY == 0 or not ENDS <= number < inserts - ENDS:
                took[COUNT].append((number, _timed(reads, "/q", count)))
        outcome, text = ask(deployment.port, "/w/q", count)
        if (outcome, text.strip()) != ("200", f'{{"n":{inserts}}}'):
            raise TimeoutError(f"of {inserts} rows, one after the other, there is: {outcome} {text.strip()}")
        _timed(writes, "/w/q", f"DROP TABLE {table}")
    finally:
        writes.close()
        reads.close()
    record.add(TOPIC, number_of(how), "ours", "writes", inserts)
    for what, each in took.items():
        record.add(TOPIC, first(what, how), "ours", "ms", median(one for _, one in each[:ENDS]))
        record.add(TOPIC, last(what, how), "ours", "ms", median(one for _, one in each[-ENDS:]))
        for value in steps(each, inserts):
            record.add(TOPIC, by_commits(what, how), "ours", "ms", value)


def steps(took: Sequence[tuple[int, float]], inserts: int) -> list[float]:
    """Medians of what was measured in each `STEP` of so many commits."""
    return [median(one for number, one in took if begin <= number < begin + STEP) for begin in range(0, inserts, STEP)]


def reads_meanwhile(deployment: Deployment, query: str, neglected: int, record: Record) -> None:
    """Reads while nothing else runs, then while every table is maintained; so many of them need it.

    The deployment maintains none by itself.
    """
    outcome, expected = ask(deployment.port, "/q", query)
    if outcome != "200":
        raise TimeoutError(f"the readers do not answer: {outcome}")
    tables = [f"neglected_{next(_names)}" for _ in range(neglected)]

    def neglect(table: str) -> None:
        _must_be_ok(deployment, f"CREATE TABLE {table} (id BIGINT)")
        for _ in range(_COMMITS // _IN_ONE_REQUEST):
            _must_be_ok(deployment, "; ".join([f"INSERT INTO {table} VALUES (1)"] * _IN_ONE_REQUEST))

    with ThreadPoolExecutor(_CLIENTS) as clients:
        list(clients.map(neglect, tables))

    def p99(meanwhile: Callable[[], None]) -> float:
        with Reads(deployment.port, query, expected, per_second=_READS_PER_SECOND) as reads:
            meanwhile()
        record.add(TOPIC, FAILED_READS, "ours", "requests", reads.failed.total())
        return percentile([read.ended - read.sent for read in reads.done], 0.99) * 1000

    record.add(TOPIC, READS_ALONE, "ours", "ms", p99(lambda: time.sleep(_READ_SECONDS)))
    record.add(TOPIC, READS_MEANWHILE, "ours", "ms", p99(lambda: _maintain(deployment, record)))
    for table in tables:
        _must_be_ok(deployment, f"DROP TABLE {table}")


def _maintain(deployment: Deployment, record: Record) -> None:
    said: list[str] = []
    began = time.monotonic()
    with Engine(deployment.docker) as engine:
        code = engine.follow(deployment.one("writer").id, ["seafowl-supervisor", "maintain"], said.append)
    record.add(TOPIC, MAINTAINED, "ours", "s", time.monotonic() - began)
    if code != 0:
        raise TimeoutError(f"the maintenance of tables ended with {code}:\n" + "\n".join(said))


def _timed(connection: Connection, path: str, statement: str) -> float:
    """Milliseconds until the answer."""
    sent = time.monotonic()
    status = connection.status(path, statement)
    if status != HTTPStatus.OK:
        raise TimeoutError(f"{statement} was answered with {status}")
    return (time.monotonic() - sent) * 1000


def _must_be_ok(deployment: Deployment, statements: str) -> None:
    outcome, _ = ask(deployment.port, "/w/q", statements)
    if outcome != "200":
        raise TimeoutError(f"{statements[:60]} was answered with {outcome}")
