"""Writes of many clients at once: no acknowledged row is lost to another, with either lease.

What this does not prove: that the original Seafowl overwrites in no other way than the stand-in does. The first test
shows that the stand-in loses rows where nobody orders the writes.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from config.layout import GATED_SEAFOWL_PORT
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

CLIENTS = 8
NUMBERS = itertools.count()

# Asks the writer's Seafowl from inside its container, past the gate, with so many clients at once.
PAST_THE_GATE = """
import http.client, json, sys, threading
port, clients, statements = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
statuses, lock = [], threading.Lock()
def work(share):
    for sql in share:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/q", json.dumps({"query": sql}), {"Content-Type": "application/json"})
        status = connection.getresponse().status
        with lock:
            statuses.append(status)
threads = [threading.Thread(target=work, args=(statements[n::clients],)) for n in range(clients)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(statuses))
"""


@pytest.fixture(scope="module", params=["static", "consul"])
def stack(request: pytest.FixtureRequest, new_stack: Callable[[str], Stack]) -> Iterator[Stack]:
    made = new_stack(f"writers-{request.param}")
    made.configure(lease=request.param, readers=1)
    made.up()
    return made


@pytest.fixture
def table(stack: Stack) -> str:
    """A new table with the columns `id` and `text`, without rows."""
    name = f"t{next(NUMBERS)}"
    stack.write(f"CREATE TABLE {name} (id BIGINT, text VARCHAR)")
    return name


def post(stack: Stack, sql: str) -> requests.Response:
    return requests.post(f"{stack.url}/w/q", json={"query": sql}, timeout=120)


def at_once(stack: Stack, statements: list[str]) -> list[int]:
    """Statuses of statements that so many clients send, each of them one after the other."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        return [answer.status_code for answer in clients.map(lambda sql: post(stack, sql), statements)]


def ids(stack: Stack, table: str) -> list[int]:
    return sorted(row["id"] for row in stack.read(f"SELECT id FROM {table}"))


def primary(stack: Stack) -> Any:
    """The container of the writer that takes writes."""
    for container in stack.containers("writer"):
        if container.exec_run(["curl", "-sf", "http://127.0.0.1:8081/healthz"])[0] == 0:
            return container
    raise AssertionError("no writer takes writes")


def test_past_the_gate_clients_overwrite_each_other_s_rows(stack: Stack, table: str) -> None:
    statements = [f"INSERT INTO {table} VALUES ({number}, 'x')" for number in range(40)]
    command = ["python3", "-c", PAST_THE_GATE, str(GATED_SEAFOWL_PORT), str(CLIENTS), json.dumps(statements)]
    code, output = primary(stack).exec_run(command)
    assert code == 0, output
    assert json.loads(output) == [200] * 40
    found = ids(stack, table)
    assert len(found) < 40, "Seafowl orders the writes itself: the gate's order is not needed any more"


def test_through_the_ingress_no_acknowledged_row_is_lost(stack: Stack, table: str) -> None:
    statuses = at_once(stack, [f"INSERT INTO {table} VALUES ({number}, 'x')" for number in range(80)])
    assert statuses == [200] * 80
    assert ids(stack, table) == list(range(80))


def test_changes_of_every_kind_leave_each_other_s_work_alone(stack: Stack, table: str) -> None:
    """Each client changes rows of its own by INSERT, UPDATE, DELETE, upload and requests of several statements."""

    def client(number: int) -> None:
        first = number * 1000
        for step in range(4):
            rows = ", ".join(f"({first + step * 10 + row}, 'new')" for row in range(4))
            upload = {"data": ("rows.csv", f"id,text\n{first + step * 10 + 4},new\n")}
            answers = [
                post(stack, f"INSERT INTO {table} VALUES {rows}"),
                post(stack, f"UPDATE {table} SET text = 'old' WHERE id = {first + step * 10}"),
                post(stack, f"DELETE FROM {table} WHERE id = {first + step * 10 + 1}"),
                requests.post(f"{stack.url}/w/upload/public/{table}", files=upload, timeout=120),
                post(stack, f"VACUUM TABLE {table}; INSERT INTO {table} VALUES ({first + step * 10 + 5}, 'new')"),
            ]
            assert [answer.status_code for answer in answers] == [200] * 5, [answer.text for answer in answers]

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(client, range(4)))
    rows = {row["id"]: row["text"] for row in stack.read(f"SELECT id, text FROM {table}")}
    expected = {
        number * 1000 + step * 10 + row: "old" if row == 0 else "new"
        for number in range(4)
        for step in range(4)
        for row in (0, 2, 3, 4, 5)
    }
    assert rows == expected


def test_a_table_that_is_renamed_and_dropped_under_writers_loses_none_that_was_acknowledged(
    stack: Stack, table: str
) -> None:
    """Writers of the old name get an error after the renaming, never a 200 without a row."""
    statements = [f"INSERT INTO {table} VALUES ({number}, 'x')" for number in range(40)]
    statements.insert(20, f"ALTER TABLE {table} RENAME TO {table}_new")
    statuses = at_once(stack, statements)
    assert statuses[20] == 200
    acknowledged = [number for number, status in enumerate(statuses[:20] + statuses[21:]) if status == 200]
    assert ids(stack, f"{table}_new") == acknowledged
    stack.write(f"DROP TABLE {table}_new")


def test_texts_that_tell_no_table_and_names_of_every_form_lose_nothing(stack: Stack, table: str) -> None:
    schema = f"s{next(NUMBERS)}"
    stack.write(f"CREATE SCHEMA {schema}")
    stack.write(f'CREATE TABLE {schema}."Odd Name" (id BIGINT, text VARCHAR)')
    forms = [
        f"INSERT INTO {table} VALUES ({{}}, 'x')",
        f"INSERT INTO public.{table.upper()} VALUES ({{}}, 'it''s; INSERT INTO {table} VALUES (0, 1)')",
        f"INSERT /* a; comment */ INTO default.public.{table} VALUES ({{}}, '\\')",
        f"-- {table}\nINSERT INTO \"{table}\" VALUES ({{}}, 'x');;",
        f"INSERT INTO {table} SELECT {{}}, 'x' WHERE 1 = 1",
    ]
    statements = [forms[number % len(forms)].format(number) for number in range(60)]
    odd = [f"INSERT INTO {schema}.\"Odd Name\" VALUES ({number}, 'x')" for number in range(20)]
    assert at_once(stack, statements + odd) == [200] * 80
    assert ids(stack, table) == list(range(60))
    assert ids(stack, f'{schema}."Odd Name"') == list(range(20))


def test_when_a_statement_fails_those_before_it_stay_and_those_behind_it_do_not_run(stack: Stack, table: str) -> None:
    insert = f"INSERT INTO {table}"
    answer = post(stack, f"{insert} VALUES (1, 'x'); {insert} SELECT no_column; {insert} VALUES (2, 'x')")
    assert answer.status_code == 400
    assert ids(stack, table) == [1]
