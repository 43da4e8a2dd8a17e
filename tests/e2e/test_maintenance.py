"""A table that is written to all the time, on a real stack: it is cared for meanwhile, and no row is lost.

What this does not prove: that the original Seafowl reads what deltalake writes as the stand-in does, which reads with
deltalake, too.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from config.layout import CATALOG_FILE
from ops.waiting import await_true
from tests.e2e.stack import ROOT, Stack

pytestmark = pytest.mark.e2e

CLIENTS = 4
INSERTS = 300
VERSIONS = 100
# A checkpoint each 50 commits, and what is written while the newest one is too young to cut the log off there.
MOST_ENTRIES = 2 * VERSIONS + 100

# How many versions of a table a node's catalog has noted.
NOTES = f"""
import sqlite3, sys
catalog = sqlite3.connect("file:{CATALOG_FILE}?mode=ro", uri=True)
query = 'SELECT count(*) FROM table_version v JOIN "table" t ON t.id = v.table_id WHERE t.name = ?'
print(catalog.execute(query, sys.argv[1:]).fetchone()[0])
"""


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[str], Stack]) -> Iterator[Stack]:
    made = new_stack("maintenance")
    made.configure(readers=1, maintenance={"interval": "1s", "versions": VERSIONS})
    made.up()
    return made


@dataclass
class Written:
    """A table that several clients wrote to, and what the first of its INSERTs saw."""

    name: str
    slowest: float


@pytest.fixture(scope="module")
def written(stack: Stack) -> Written:
    stack.write("CREATE TABLE busy (id BIGINT, text VARCHAR)")

    def insert(number: int) -> float:
        started = time.monotonic()
        stack.write(f"INSERT INTO busy VALUES ({number}, 'row {number}')")
        return time.monotonic() - started

    with ThreadPoolExecutor(CLIENTS) as clients:
        took = list(clients.map(insert, range(INSERTS)))
    return Written("busy", max(took))


def tables(stack: Stack) -> dict[str, dict[str, Any]]:
    """What the supervisor says of each table."""
    code, output = stack.container("writer").exec_run(["seafowl-supervisor", "tables"])
    assert code == 0, output
    return {one["table"]: one for one in map(json.loads, output.decode().splitlines())}


def ops(stack: Stack, module: str) -> subprocess.CompletedProcess[str]:
    """A command of a user who stands before this stack."""
    return subprocess.run(
        [ROOT / ".venv/bin/python", "-m", module],
        cwd=ROOT,
        env={**os.environ, **stack.environment(), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_row_is_lost_to_the_care(stack: Stack, written: Written) -> None:
    rows = stack.read(f"SELECT id, text FROM {written.name}")
    assert sorted((row["id"], row["text"]) for row in rows) == [(n, f"row {n}") for n in range(INSERTS)]
    assert stack.read(f"SELECT count(*) AS n FROM {written.name}") == [{"n": INSERTS}]


def test_a_table_that_was_written_to_often_is_read_from_a_checkpoint_and_few_files(
    stack: Stack, written: Written
) -> None:
    def is_cared_for() -> bool:
        busy = tables(stack)[f"default.public.{written.name}"]
        return busy["checkpoint"] is not None and busy["commits"] < 50 and busy["small"] < 32

    await_true(is_cared_for, "the table gets no care", 30)

    def is_short() -> bool:
        return tables(stack)[f"default.public.{written.name}"]["entries"] <= MOST_ENTRIES

    await_true(is_short, "the log stays as long as it is", 90)
    assert len(stack.read(f"SELECT id FROM {written.name}")) == INSERTS


def test_the_catalogs_notes_do_not_pile_up(stack: Stack, written: Written) -> None:
    def notes(role: str) -> int:
        code, output = stack.container(role).exec_run(["python3", "-c", NOTES, written.name])
        assert code == 0, output
        return int(output)

    await_true(lambda: notes("writer") <= VERSIONS + 50, "the catalog keeps all notes", 30)
    await_true(lambda: notes("reader") == notes("writer"), "the readers' catalogs keep them", 10)


def test_the_table_can_still_be_changed_and_dropped(stack: Stack, written: Written) -> None:
    stack.write(f"DELETE FROM {written.name} WHERE id < 100")
    stack.write(f"UPDATE {written.name} SET text = 'changed' WHERE id = 200")
    assert stack.read(f"SELECT count(*) AS n FROM {written.name}") == [{"n": INSERTS - 100}]
    assert stack.read(f"SELECT text FROM {written.name} WHERE id = 200") == [{"text": "changed"}]


def test_a_user_sees_what_tables_need_and_gives_it_at_once(stack: Stack) -> None:
    stack.configure(maintenance={"enabled": False, "versions": VERSIONS})
    stack.up()
    stack.write("CREATE TABLE neglected (id BIGINT)")
    for number in range(60):
        stack.write(f"INSERT INTO neglected VALUES ({number})")
    shown = ops(stack, "ops.status")
    assert shown.returncode == 0, shown.stdout
    assert "default.public.neglected: compaction, checkpoint" in shown.stdout
    done = ops(stack, "ops.maintain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "default.public.neglected (" in done.stdout
    assert "60 small files are one" in done.stdout
    assert "checkpoint of version 61" in done.stdout
    assert "neglected" not in ops(stack, "ops.status").stdout
    assert stack.read("SELECT count(*) AS n, sum(id) AS s FROM neglected") == [{"n": 60, "s": sum(range(60))}]


def test_a_second_cluster_at_the_same_place_takes_no_writes(stack: Stack) -> None:
    writer = stack.container("writer")
    claim = ["seafowl-maintenance", "claim", "--config", "/etc/seafowl/writer.toml", "--id"]
    code, output = writer.exec_run([*claim, "LFSCstranger"])
    assert code == 3, output
    assert b"another cluster writes to the same bucket and prefix: LFSC" in output
    answer = requests.post(f"{stack.url}/w/q", json={"query": "CREATE TABLE still_mine (id BIGINT)"}, timeout=60)
    assert answer.status_code == 200
