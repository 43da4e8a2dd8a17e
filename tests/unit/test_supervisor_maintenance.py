"""When the supervisor looks after which table, and how it keeps the order with the clients' changes.

The program is a script that speaks the same lines; the work itself is tested in test_maintenance.py.
"""

import asyncio
import json
import sqlite3
import sys
import textwrap
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from supervisor import maintenance as module
from supervisor.catalog import Catalog
from supervisor.control import NOT_THE_PRIMARY, ask
from supervisor.maintenance import Maintenance, MaintenanceSettings
from supervisor.table_order import TableName, TableOrder

from tests.unit.seafowl_catalog import COLUMNS, SeafowlCatalog

NAME = TableName.of("default", "public", "t")
LIMIT = 20.0

# `plan` says what it does: an exit code and a text for each command, and the lines for `table`.
PROGRAM = """
import json, pathlib, signal, sys, time
folder = pathlib.Path({folder!r})
plan = json.loads((folder / "plan.json").read_text())
arguments = sys.argv[1:]
def note(text):
    with (folder / "calls").open("a") as calls:
        calls.write(text + "\\n")
if arguments[0] == "look":
    for line in sys.stdin:
        note("look " + line.strip())
        print(json.dumps({{"uuid": line.strip(), "needs": plan["needs"], "commits": 1, "entries": 2}}))
    sys.exit(0)
note(" ".join(one for one in arguments if not one.startswith("/")))
if arguments[0] == "claim":
    code, text = plan["claim"]
    if text: print(text, file=sys.stderr)
    sys.exit(code)
for line in plan["lines"]:
    if line == "hang":
        note("hangs")
        time.sleep(1000)
    print(json.dumps(line), flush=True)
    if "wants" in line:
        note("go " + sys.stdin.readline().strip())
code, text = plan["table"]
if text: print(text, file=sys.stderr)
sys.exit(code)
"""
WORKS = [
    {"wants": "table"},
    {"releases": "table"},
    {"step": "checkpoint", "version": 60, "commits": 60},
    {"done": {"version": 60, "needs": []}},
]


class Setting:
    """A catalog, a program and the supervisor's part."""

    def __init__(self, folder: Path, journal_mode: str = "delete") -> None:
        self.folder = folder
        self.catalog = SeafowlCatalog(folder / "seafowl.sqlite", journal_mode)
        self.table = self.catalog.create("t")
        self.strangers: list[str | None] = []
        self.plans(lines=WORKS)
        program = folder / "program"
        program.write_text(f"#!{sys.executable}\n{textwrap.dedent(PROGRAM.format(folder=str(folder)))}")
        program.chmod(0o755)
        (folder / "writer.toml").write_text(f'[catalog]\njournal_mode = "{journal_mode}"\n')
        (folder / "clusterid").write_text("LFSC0123\n")
        self.settings = MaintenanceSettings(
            config=folder / "writer.toml",
            catalog=self.catalog.path,
            cluster_id=folder / "clusterid",
            enabled=True,
            interval=0.05,
            history=3600,
            versions=100,
            program=str(program),
            socket=folder / "socket",
        )

    def plans(self, **plan: Any) -> None:
        path = self.folder / "plan.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        default = {"needs": [], "claim": [0, ""], "table": [0, ""], "lines": []}
        new = path.with_suffix(".new")
        new.write_text(json.dumps({**default, **before, **plan}))
        new.replace(path)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def cares(self) -> int:
        return sum(call.startswith("table") for call in self.calls)

    def run(self, test: "Callable[[Maintenance, TableOrder], Coroutine[Any, Any, None]]") -> None:
        """Run a test beside the maintenance of a primary."""

        async def both() -> None:
            order = TableOrder(100)
            maintenance = Maintenance(self.settings, order, self.strangers.append)
            running = asyncio.create_task(maintenance.run())
            try:
                await asyncio.wait_for(test(maintenance, order), LIMIT)
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

        asyncio.run(both())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_a_new_primary_looks_at_every_table_and_cares_for_those_that_need_it(setting: Setting) -> None:
    async def test(_maintenance: Maintenance, _order: TableOrder) -> None:
        await until(lambda: f"look {setting.table}" in setting.calls)
        assert setting.cares() == 0
        setting.plans(needs=["checkpoint"])
        other = setting.catalog.create("other")
        await until(lambda: setting.cares() == 1)
        assert f"table --config --uuid {other} --history 3600 --versions 100 --sweep" in setting.calls
        assert f"look {setting.table}" in setting.calls
        assert setting.calls.count(f"look {setting.table}") == 1, "it is looked at once"

    setting.run(test)


def test_a_table_is_cared_for_again_when_it_has_changed_often_enough(setting: Setting) -> None:
    async def test(_maintenance: Maintenance, _order: TableOrder) -> None:
        await until(lambda: f"look {setting.table}" in setting.calls)
        setting.catalog.add_versions(setting.table, *range(1, 50))
        looks = setting.catalog.create("another")
        await until(lambda: f"look {looks}" in setting.calls)
        assert setting.cares() == 0, "49 commits"
        setting.catalog.add_versions(setting.table, 50)
        await until(lambda: setting.cares() == 1)
        looks = setting.catalog.create("third")
        await until(lambda: f"look {looks}" in setting.calls)
        assert setting.cares() == 1
        setting.catalog.add_versions(setting.table, *range(51, 111))
        await until(lambda: setting.cares() == 2)

    setting.run(test)


def test_the_process_has_the_table_to_itself_between_go_and_its_release(setting: Setting) -> None:
    setting.plans(needs=["checkpoint"])

    async def test(_maintenance: Maintenance, order: TableOrder) -> None:
        async with order.enter(frozenset({NAME})):
            await until(lambda: setting.cares() == 1)
            other = frozenset({TableName.of("default", "public", "other")})
            async with order.enter(other):
                assert "go go" not in setting.calls
        await until(lambda: "go go" in setting.calls)
        async with order.enter(frozenset({NAME})):
            pass

    setting.run(test)


def test_a_client_waits_for_a_process_that_hangs_no_longer_than_it_must(setting: Setting) -> None:
    setting.plans(needs=["checkpoint"], lines=[{"wants": "table"}, "hang"])

    async def test(_maintenance: Maintenance, order: TableOrder) -> None:
        await until(lambda: "hangs" in setting.calls)
        async with order.enter(frozenset({NAME})):
            assert setting.cares() == 1

    setting.run(test)


def test_a_process_that_hangs_while_nobody_waits_is_left_alone(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    setting.plans(needs=["checkpoint"], lines=[{"wants": "table"}, "hang"])

    async def test(_maintenance: Maintenance, order: TableOrder) -> None:
        await until(lambda: "hangs" in setting.calls)
        other = setting.catalog.create("other")
        entering = asyncio.create_task(_enter(order, TableName.of("default", "public", "other")))
        await entering
        assert setting.cares() == 1
        assert f"look {other}" not in setting.calls, "it is still at work with the first one"

    setting.run(test)


async def _enter(order: TableOrder, name: TableName) -> None:
    async with order.enter(frozenset({name})):
        pass


def test_a_table_that_is_renamed_while_its_process_waits_is_taken_under_its_new_name(setting: Setting) -> None:
    new = TableName.of("default", "public", "renamed")
    setting.plans(needs=["checkpoint"], lines=[{"wants": "table"}, "hang"])

    async def test(_maintenance: Maintenance, order: TableOrder) -> None:
        async with order.enter(frozenset({NAME, new})):
            await until(lambda: setting.cares() == 1)
            setting.catalog.change("UPDATE \"table\" SET name = 'Renamed' WHERE name = 't'")
        await until(lambda: "hangs" in setting.calls)
        await _enter(order, NAME)
        entering = asyncio.create_task(_enter(order, new))
        await until(lambda: order.waiting(frozenset({new})) == 1)
        await entering

    setting.run(test)


def test_a_table_that_is_dropped_while_its_process_waits_gets_no_care(setting: Setting) -> None:
    setting.plans(needs=["checkpoint"])

    async def test(_maintenance: Maintenance, order: TableOrder) -> None:
        async with order.enter(frozenset({NAME})):
            await until(lambda: setting.cares() == 1)
            setting.catalog.change('DELETE FROM "table"')
        other = setting.catalog.create("other")
        await until(lambda: any(other in call and call.startswith("table") for call in setting.calls))
        assert setting.calls.count("go go") <= 1

    setting.run(test)


def test_what_fails_is_said_once_and_tried_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_AFTER_FAILURE", 0.0)
    setting.plans(needs=["checkpoint"], table=[1, f"the store does not answer: {setting.table}"], lines=[])

    async def test(_maintenance: Maintenance, _order: TableOrder) -> None:
        await until(lambda: setting.cares() >= 3)
        setting.plans(table=[0, ""], lines=WORKS)
        await until(lambda: "go go" in setting.calls)

    setting.run(test)
    assert capfd.readouterr().out.count("the store does not answer") == 1


def test_a_table_that_is_gone_is_no_failure(setting: Setting, capfd: pytest.CaptureFixture[str]) -> None:
    setting.plans(needs=["checkpoint"], table=[2, "the table is not there"], lines=[])

    async def test(_maintenance: Maintenance, _order: TableOrder) -> None:
        await until(lambda: setting.cares() == 1)
        looks = setting.catalog.create("another")
        await until(lambda: f"look {looks}" in setting.calls)

    setting.run(test)
    assert capfd.readouterr().out == ""


def test_without_care_tables_are_left_alone_until_somebody_asks(setting: Setting) -> None:
    setting.plans(needs=["checkpoint"])
    setting.settings = replace(setting.settings, enabled=False)

    async def test(maintenance: Maintenance, _order: TableOrder) -> None:
        await until(lambda: any(call.startswith("claim") for call in setting.calls))
        said: list[dict[str, Any]] = []
        assert await maintenance.maintain(_into(said))
        assert setting.cares() == 1
        assert said == [{"table": "default.public.t", "number": 1, "of": 1}, WORKS[2]]

    setting.run(test)


def _into(said: list[dict[str, Any]]) -> Callable[[dict[str, Any]], Awaitable[None]]:
    async def report(message: dict[str, Any]) -> None:
        said.append(message)

    return report


def test_who_asks_hears_what_is_done_and_whether_it_succeeded(
    setting: Setting, capfd: pytest.CaptureFixture[str]
) -> None:
    async def test(_maintenance: Maintenance, _order: TableOrder) -> None:
        await until(setting.settings.socket.exists)
        assert await asyncio.to_thread(ask, "maintain", setting.settings.socket) == 0
        setting.plans(table=[1, "the bucket is gone"], lines=[])
        assert await asyncio.to_thread(ask, "maintain", setting.settings.socket) == 1
        assert await asyncio.to_thread(ask, "tables", setting.settings.socket) == 0
        assert await asyncio.to_thread(ask, "nothing", setting.settings.socket) == 1

    setting.run(test)
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    begin = {"table": "default.public.t", "number": 1, "of": 1}
    assert said[:4] == [begin, WORKS[2], begin, {"problem": "default.public.t: the bucket is gone"}]
    assert said[4] == {"needs": [], "commits": 1, "entries": 2, "table": "default.public.t"}
    assert not setting.settings.socket.exists()
    assert ask("tables", setting.settings.socket) == NOT_THE_PRIMARY


def test_a_stranger_is_told_of_until_it_is_gone(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLAIM_SECONDS", 0.02)
    setting.plans(claim=[3, "another cluster writes there"])

    async def test(maintenance: Maintenance, _order: TableOrder) -> None:
        await until(lambda: bool(setting.strangers))
        assert set(setting.strangers) == {"another cluster writes there"}
        # What cannot be asked says nothing.
        setting.plans(claim=[4, "no answer"])
        seen = len([call for call in setting.calls if call.startswith("claim")])
        await until(lambda: len([call for call in setting.calls if call.startswith("claim")]) >= seen + 3)
        assert set(setting.strangers) == {"another cluster writes there"}
        setting.plans(claim=[0, ""])
        await until(lambda: setting.strangers[-1] is None)
        await maintenance.withdraw()
        assert "claim --config --id LFSC0123 --release" in setting.calls

    setting.run(test)


def test_the_end_of_a_primary_leaves_no_process(setting: Setting) -> None:
    setting.plans(needs=["checkpoint"], lines=[{"wants": "table"}, "hang"])

    async def test(_maintenance: Maintenance, _order: TableOrder) -> None:
        await until(lambda: "hangs" in setting.calls)

    setting.run(test)
    program = str(setting.folder / "program")
    left = [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if program.encode() in _read(path)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# The catalog's own notes.


@pytest.mark.parametrize("journal_mode", ["delete", "truncate", "persist", "wal"])
def test_notes_of_versions_that_are_kept_no_more_go(tmp_path: Path, journal_mode: str) -> None:
    seafowl = SeafowlCatalog(tmp_path / "seafowl.sqlite", journal_mode)
    table, other = seafowl.create("t"), seafowl.create("other")
    seafowl.add_versions(table, *range(1, 30), age=7200)
    seafowl.add_versions(table, *range(30, 60))
    seafowl.add_versions(other, 1, 2, age=7200)
    catalog = Catalog(seafowl.path)
    assert catalog.has_old_versions(table, 3600, 1000)
    assert catalog.forget_old_versions(table, 3600, 1000, journal_mode=journal_mode) == 29
    assert seafowl.versions(table) == [0, *range(30, 60)]
    assert catalog.forget_old_versions(table, 3600, 10, journal_mode=journal_mode) == 21
    assert seafowl.versions(table) == list(range(50, 60))
    assert not catalog.has_old_versions(table, 3600, 10)
    assert seafowl.versions(other) == [0, 1, 2]
    assert seafowl.column_notes() == (10 + 3) * len(COLUMNS)
    # Seafowl goes on where it was.
    seafowl.add_versions(table, 60)
    assert seafowl.columns(table) == set(COLUMNS)
    with closing(sqlite3.connect(seafowl.path)) as connection:
        expected = "delete" if journal_mode in ("truncate", "persist") else journal_mode
        assert connection.execute("PRAGMA journal_mode").fetchone() == (expected,), "a file knows wal alone"
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_the_newest_note_stays_however_old_it_is(tmp_path: Path) -> None:
    seafowl = SeafowlCatalog(tmp_path / "seafowl.sqlite")
    table = seafowl.create("t")
    seafowl.add_versions(table, 1, 2, 3, age=7200)
    assert Catalog(seafowl.path).forget_old_versions(table, 0, 1, journal_mode="delete") == 3
    assert seafowl.versions(table) == [3]
    assert seafowl.columns(table) == set(COLUMNS)


def test_more_notes_than_one_transaction_takes_go_one_after_the_other(tmp_path: Path) -> None:
    seafowl = SeafowlCatalog(tmp_path / "seafowl.sqlite")
    table = seafowl.create("t")
    seafowl.add_versions(table, *range(1, 2501), age=7200)
    assert Catalog(seafowl.path).forget_old_versions(table, 3600, 1000, journal_mode="delete") == 2500
    assert seafowl.versions(table) == [2500]


def test_tables_have_the_names_that_the_order_knows(tmp_path: Path) -> None:
    seafowl = SeafowlCatalog(tmp_path / "seafowl.sqlite")
    folder = seafowl.create("Mixed Case")
    seafowl.add_versions(folder, 1, 2)
    (found,) = Catalog(seafowl.path).tables()
    assert found.folder == folder
    assert found.name == TableName.of("default", "public", "mixed case")
    assert found.shown == "default.public.Mixed Case"
    assert found.version == 2


def test_old_notes_go_with_the_care_for_their_table(setting: Setting) -> None:
    setting.catalog.add_versions(setting.table, *range(1, 10), age=7200)

    async def test(maintenance: Maintenance, order: TableOrder) -> None:
        said: list[dict[str, Any]] = []
        async with order.enter(frozenset({NAME})):
            maintaining = asyncio.create_task(maintenance.maintain(_into(said)))
            await until(lambda: setting.cares() == 1)
            assert len(setting.catalog.versions(setting.table)) == 10
        assert await maintaining
        assert said[-1] == {"step": "catalog", "versions": 8}

    setting.run(test)
    assert setting.catalog.versions(setting.table) == [0, 9], "the first note is as young as the table"


def test_the_catalog_is_read_while_seafowl_writes_to_it(tmp_path: Path) -> None:
    seafowl = SeafowlCatalog(tmp_path / "seafowl.sqlite")
    folder = seafowl.create("t")
    with closing(sqlite3.connect(seafowl.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE \"table\" SET name = 'other'")
        assert Catalog(seafowl.path).name_of(folder) == TableName.of("default", "public", "t")
        writer.execute("ROLLBACK")
    assert [path.name for path in tmp_path.iterdir()] == ["seafowl.sqlite"]
