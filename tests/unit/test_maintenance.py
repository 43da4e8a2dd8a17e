"""The care for one table, on tables in a folder. (S3 differs in its listing and its errors: see the e2e tests.)"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, Field, QueryBuilder, Schema, write_deltalake
from maintenance.care import CHECKPOINT_AFTER, FILE_GRACE, READ_GRACE, Care, Keep, look, store_now
from maintenance.claim import ALIVE, StrangerError, claim, release
from maintenance.log import BrokenLogError, GoneError, Log
from maintenance.rewrite import LEAST, merged_stats
from maintenance.store import Store

from tests.unit.seafowl_tables import NOTHING_ELSE, SeafowlTable

ROOT = Path(__file__).parents[2]
NUMBERS = Schema([Field("n", "long"), Field("s", "string")])
KEEP = Keep(timedelta(hours=24), 20)


class Died(Exception):
    """The process was killed."""


class FolderStore(Store):
    """Counts the changes of the store; the process dies at the `dies_at`th: before it, after it, or in its middle."""

    changes = 0
    dies_at: int | None = None
    how = "before"

    def put(self, path: str, content: bytes) -> None:
        if path.startswith("_writers/"):
            super().put(path, content)
        else:
            self._change(lambda: super(FolderStore, self).put(path, content), lambda: None)

    def create(self, path: str, content: bytes) -> bool:
        return self._change(lambda: super(FolderStore, self).create(path, content), lambda: None)

    def delete(self, paths: Sequence[str]) -> None:
        if paths:
            half = [*paths][::2]
            self._change(lambda: super(FolderStore, self).delete(paths), lambda: super(FolderStore, self).delete(half))

    def write_checkpoint(self, table: str, version: int) -> None:
        def without_hint() -> None:
            hint = Path(self._root) / table / "_delta_log/_last_checkpoint"
            before = hint.read_bytes() if hint.exists() else None
            super(FolderStore, self).write_checkpoint(table, version)
            hint.unlink() if before is None else hint.write_bytes(before)

        self._change(lambda: super(FolderStore, self).write_checkpoint(table, version), without_hint)

    def _change(self, change: Callable[[], Any], half: Callable[[], Any]) -> Any:
        self.changes += 1
        if self.changes == self.dies_at:
            {"before": lambda: None, "half": half, "after": change}[self.how]()
            raise Died
        return change()


class Client:
    """The parent, which lets a client's change in before it gives the table away."""

    def __init__(self, change: Callable[[], object] = lambda: None) -> None:
        self.told: list[dict[str, Any]] = []
        self._change: Callable[[], object] | None = change

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    @contextmanager
    def alone(self) -> Generator[None]:
        if self._change is not None:
            change, self._change = self._change, None
            change()
        yield

    @property
    def steps(self) -> list[str]:
        return [message["step"] for message in self.told if "step" in message]

    @property
    def done(self) -> dict[str, Any]:
        return self.told[-1]["done"]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "tables").mkdir()
    config = tmp_path / "writer.toml"
    config.write_text(f'[object_store]\ntype = "local"\ndata_dir = "{tmp_path / "tables"}"\n')
    return FolderStore.of(config)


@pytest.fixture
def numbers(store: FolderStore, tmp_path: Path) -> SeafowlTable:
    return SeafowlTable(tmp_path / "tables", "numbers", NUMBERS)


def care(store: Store, table: SeafowlTable, keep: Keep = KEEP, client: Client | None = None) -> Client:
    client = client or Client()
    Care(store, table.name, keep, client).run(sweep=True)
    return client


def becomes_older(table: SeafowlTable, by: timedelta) -> None:
    """Let the time `by` pass for all that lies there, and for what the log says of removed files."""
    for path in [*table.folder.glob("*.parquet"), *table.log.iterdir()]:
        if path.suffix == ".json":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for line in lines:
                if "remove" in line:
                    line["remove"]["deletionTimestamp"] -= round(by.total_seconds() * 1000)
            modified = path.stat().st_mtime
            path.write_text("\n".join(map(json.dumps, lines)))
            os.utime(path, (modified, modified))
        modified = path.stat().st_mtime - by.total_seconds()
        os.utime(path, (modified, modified))


def assert_readable(table: SeafowlTable, rows: list[Any], since: int) -> None:
    """The newest version has these rows; each one since `since` has what it had when it was made."""
    assert table.rows() == rows
    for version, then in table.rows_of.items():
        if version >= since:
            assert table.rows(version) == then, f"version {version} changed"


def test_a_table_that_was_written_often_has_a_checkpoint_and_few_files_then(
    store: FolderStore, numbers: SeafowlTable
) -> None:
    numbers.insert_numbers(range(70))
    rows = numbers.rows()
    client = care(store, numbers)
    assert client.steps == ["compaction", "checkpoint"]
    assert_readable(numbers, rows, since=0)
    assert numbers.checkpoints() == [71 - KEEP.versions + 1, 71]
    assert len(DeltaTable(numbers.folder).file_uris()) == 1
    assert numbers.count() == 70
    assert client.done == {
        "version": 71,
        "checkpoint": 71,
        "commits": 0,
        "entries": 74,
        "files": 1,
        "small": 1,
        "bytes": client.done["bytes"],
        "needs": [],
        "again": (READ_GRACE + timedelta(seconds=5)).total_seconds(),
    }


def test_a_table_that_needs_nothing_is_left_as_it_is(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert_numbers(range(LEAST - 1))
    before = {path: path.read_bytes() for path in numbers.folder.rglob("*") if path.is_file()}
    client = care(store, numbers)
    assert client.steps == []
    assert store.changes == 0
    assert {path: path.read_bytes() for path in numbers.folder.rglob("*") if path.is_file()} == before


def test_the_log_keeps_as_many_versions_as_it_should_and_time_travel_reaches_them(
    store: FolderStore, numbers: SeafowlTable
) -> None:
    numbers.insert_numbers(range(60))
    care(store, numbers)
    numbers.insert_numbers(range(60, 130))
    rows = numbers.rows()
    becomes_older(numbers, READ_GRACE)
    care(store, numbers)
    becomes_older(numbers, READ_GRACE)
    client = care(store, numbers)
    kept = range(numbers.version - KEEP.versions + 1, numbers.version + 1)
    assert min(numbers.commits()) <= kept.start
    assert len(numbers.commits()) <= KEEP.versions + 2 * CHECKPOINT_AFTER
    assert client.done["entries"] == len(numbers.commits()) + len(numbers.checkpoints())
    assert min(numbers.checkpoints()) == min(numbers.commits()), "the oldest kept version can be read"
    assert_readable(numbers, rows, since=min(numbers.commits()))


def test_time_travel_reaches_back_as_long_as_it_should(store: FolderStore, numbers: SeafowlTable) -> None:
    keep = Keep(timedelta(hours=2), 1000)
    numbers.insert_numbers(range(60))
    care(store, numbers, keep)
    becomes_older(numbers, timedelta(hours=1))
    numbers.insert_numbers(range(60, 70))
    assert care(store, numbers, keep).steps == [], "all of it is younger than two hours"
    becomes_older(numbers, timedelta(minutes=90))
    numbers.insert_numbers(range(70, 120))
    rows = numbers.rows()
    assert "trimming" in care(store, numbers, keep).steps
    assert min(numbers.commits()) == 61, "the version that was there two hours ago, and its checkpoint"
    assert_readable(numbers, rows, since=61)
    by_time = DeltaTable(numbers.folder)
    by_time.load_as_version(datetime.now(UTC) - timedelta(hours=2))
    assert by_time.version() == 61


def test_a_query_that_began_before_the_checkpoint_finds_the_log_that_it_reads(
    store: FolderStore, numbers: SeafowlTable
) -> None:
    numbers.insert_numbers(range(60))
    client = care(store, numbers, Keep(timedelta(0), 1))
    assert numbers.commits() == list(range(62))
    assert client.done["again"] == (READ_GRACE + timedelta(seconds=5)).total_seconds()
    becomes_older(numbers, READ_GRACE)
    assert care(store, numbers, Keep(timedelta(0), 1)).steps == ["trimming"]
    assert numbers.commits() == numbers.checkpoints() == [61]


def test_a_file_goes_an_hour_after_the_last_kept_version_lost_it(store: FolderStore, numbers: SeafowlTable) -> None:
    keep = Keep(timedelta(0), 1)
    numbers.insert_numbers(range(60))
    becomes_older(numbers, timedelta(hours=3))
    care(store, numbers, keep)
    becomes_older(numbers, READ_GRACE)
    client = care(store, numbers, keep)
    assert client.steps == ["trimming"], "the files are old, but a query may read them: they were removed just now"
    assert len(numbers.data_files()) == 61
    assert client.done["again"] == (FILE_GRACE + timedelta(minutes=1)).total_seconds()
    numbers.insert_numbers([60])
    numbers.delete("n < 0")
    rows = numbers.rows()
    with pytest.MonkeyPatch.context() as patch:
        later = datetime.now(UTC) + FILE_GRACE + timedelta(minutes=1)
        patch.setattr("maintenance.care.store_now", lambda _store: later)  # pyright: ignore[reportUnknownLambdaType]
        assert "files" in care(store, numbers, keep).steps
    assert len(numbers.data_files()) == 2
    assert_readable(numbers, rows, since=numbers.version)


def test_a_file_whose_commit_is_still_to_come_stays(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert_numbers(range(3))
    uploaded = numbers.folder / "part-00000-6f6eb5a0-c000.snappy.parquet"
    uploaded.write_bytes(b"the rows of a statement that is not done")
    foreign = numbers.folder / "notes.txt"
    foreign.write_text("not Seafowl's")
    becomes_older(numbers, timedelta(minutes=50))
    assert care(store, numbers).steps == []
    assert uploaded.exists()
    becomes_older(numbers, timedelta(minutes=20))
    assert care(store, numbers).steps == ["files"]
    assert not uploaded.exists()
    assert foreign.exists()
    assert len(numbers.rows()) == 3


def test_rows_that_were_deleted_long_ago_leave_the_store_even_from_a_table_that_nobody_writes_to(
    store: FolderStore, numbers: SeafowlTable
) -> None:
    numbers.insert_numbers(range(5))
    numbers.delete("n >= 0")
    assert care(store, numbers).steps == []
    becomes_older(numbers, KEEP.history + timedelta(hours=1))
    assert care(store, numbers).steps == ["checkpoint"]
    becomes_older(numbers, READ_GRACE + KEEP.history)
    assert care(store, numbers).steps == ["trimming", "files"]
    assert numbers.data_files() == set()
    assert numbers.rows() == []


@pytest.mark.parametrize("how", ["before", "half", "after"])
def test_death_at_any_change_of_the_store_costs_nothing(store: FolderStore, numbers: SeafowlTable, how: str) -> None:
    # A table with all there is to do: an older checkpoint, a log to trim, files to delete and to compact.
    keep = Keep(timedelta(hours=24), 10)
    numbers.insert_numbers(range(60))
    care(store, numbers, keep)
    becomes_older(numbers, timedelta(hours=5))
    numbers.delete("n < 3")
    numbers.insert_numbers(range(60, 115))
    becomes_older(numbers, timedelta(hours=5))
    care(store, numbers, keep)
    becomes_older(numbers, timedelta(hours=5))
    numbers.insert_numbers(range(115, 160))
    rows = numbers.rows()
    saved = numbers.folder.with_name("saved")
    shutil.copytree(numbers.folder, saved)

    def restore() -> None:
        shutil.rmtree(numbers.folder)
        shutil.copytree(saved, numbers.folder)
        numbers.reopen()

    store.changes = 0
    assert {"compaction", "checkpoint", "trimming", "files"} == set(care(store, numbers, keep).steps)
    changes = store.changes
    assert changes >= 5
    for number in range(1, changes + 1):
        restore()
        store.changes, store.dies_at, store.how = 0, number, how
        with pytest.raises(Died):
            care(store, numbers, keep)
        oldest = numbers.version - keep.versions + 1
        assert_readable(numbers, rows, since=oldest)
        store.dies_at = None
        # A client goes on, then the next process comes.
        numbers.insert_numbers([1000])
        care(store, numbers, keep)
        assert_readable(numbers, numbers.rows_of[max(numbers.rows_of)], since=numbers.version - keep.versions + 1)
        assert len(numbers.rows()) == len(rows) + 1
        del numbers.rows_of[max(numbers.rows_of)]


def test_rows_that_are_written_while_files_are_rewritten_stay(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert_numbers(range(40))
    client = care(store, numbers, client=Client(lambda: numbers.insert_numbers([100, 101])))
    assert "compaction" in client.steps
    assert len(numbers.rows()) == 42
    assert numbers.count() == 42


def test_rows_that_are_deleted_while_files_are_rewritten_do_not_come_back(
    store: FolderStore, numbers: SeafowlTable
) -> None:
    numbers.insert_numbers(range(40))
    client = care(store, numbers, client=Client(lambda: numbers.delete("n = 7")))
    assert "compaction" not in client.steps
    assert len(numbers.rows()) == 39
    assert len(numbers.data_files()) == 40, "the new file is gone: nothing refers to it"


def test_a_version_that_was_overwritten_meanwhile_is_not_built_upon(store: FolderStore, numbers: SeafowlTable) -> None:
    # As Seafowl's commits do with one that it had not seen: src/object_store/wrapped.rs of 0.5.8.
    numbers.insert_numbers(range(40))
    newest = numbers.log / f"{40:020}.json"

    def overwrite() -> None:
        newest.write_text(newest.read_text().replace("part-00000", "part-00001"))
        for file in numbers.folder.glob("part-00000*"):
            if file.name.replace("part-00000", "part-00001") in newest.read_text():
                file.rename(file.with_name(file.name.replace("part-00000", "part-00001")))

    assert "compaction" not in care(store, numbers, client=Client(overwrite)).steps
    assert numbers.count() == len(numbers.rows()) == 40


def test_a_commit_never_overwrites_one_that_is_there(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert_numbers([1])
    log = Log(store, numbers.name)
    assert log.commit(1, "OPTIMIZE", datetime.now(UTC), []) is False
    assert len(numbers.rows()) == 1


def test_checkpoints_do_not_tell_for_ever_of_files_that_are_gone(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert_numbers(range(10))
    numbers.delete("n >= 0")
    becomes_older(numbers, timedelta(hours=3))
    numbers.insert_numbers(range(50))
    care(store, numbers)
    log = Log(store, numbers.name)
    listing = log.listing()
    assert listing.hint == listing.version
    removed = log.state(listing, listing.version).removed
    assert len(removed) == 50, "the files that were compacted just now, and none of those from hours ago"


MANY_TYPES = """
SELECT CAST({n} AS TINYINT) AS tiny, CAST({n} AS SMALLINT) AS small, CAST({n} AS INT) AS "int",
  CAST({n} AS BIGINT) AS "Big Int", CAST({n} AS FLOAT) AS f, CAST({n} AS DOUBLE) / 3 AS d,
  CAST({n} AS DECIMAL(12, 3)) AS dec, {n} % 2 = 0 AS b, 'text ü {n}' AS "naïve, column", NULL AS nothing,
  arrow_cast('text', 'Binary') AS bin, CAST('2024-02-29' AS DATE) AS day,
  arrow_cast('2024-02-29T12:00:00.000001', 'Timestamp(Microsecond, None)') AS at,
  arrow_cast('2024-02-29T12:00:00.5', 'Timestamp(Microsecond, Some("UTC"))') AS at_utc,
  CASE WHEN {n} % 3 = 0 THEN NULL ELSE 'x' END AS "select", make_array({n}, 2) AS list,
  named_struct('a', {n}, 'b', 'x') AS nested
"""


def test_columns_of_every_type_and_name_stay_as_they_are(store: FolderStore, tmp_path: Path) -> None:
    query = MANY_TYPES.replace("NULL AS nothing", "CAST(NULL AS BIGINT) AS nothing")
    types = {
        "tiny": "byte",
        "small": "short",
        "int": "integer",
        "Big Int": "long",
        "f": "float",
        "d": "double",
        "dec": "decimal(12,3)",
        "b": "boolean",
        "naïve, column": "string",
        "nothing": "long",
        "bin": "binary",
        "day": "date",
        "at": "timestamp_ntz",
        "at_utc": "timestamp",
        "select": "string",
    }
    nested = [
        {"name": "list", "type": {"type": "array", "elementType": "long", "containsNull": True}},
        {
            "name": "nested",
            "type": {
                "type": "struct",
                "fields": [
                    {"name": "a", "type": "long", "nullable": True, "metadata": {}},
                    {"name": "b", "type": "string", "nullable": True, "metadata": {}},
                ],
            },
        },
    ]
    fields = [{"name": name, "type": kind} for name, kind in types.items()] + nested
    schema = Schema.from_json(
        json.dumps({"type": "struct", "fields": [{**one, "nullable": True, "metadata": {}} for one in fields]})
    )
    table = SeafowlTable(tmp_path / "tables", "types", schema)
    for number in range(60):
        table.insert(query.format(n=number))
    rows = table.rows()
    before = merged_bounds(table)
    assert care(store, table).steps == ["compaction", "checkpoint"]
    assert_readable(table, rows, since=0)
    assert len(DeltaTable(table.folder).file_uris()) == 1
    assert merged_bounds(table).items() <= before.items(), "what statistics there are, are right"
    assert merged_bounds(table).keys() >= {"min.Big Int", "max.naïve, column", "null_count.select", "max.day"}
    assert [field.to_json() for field in DeltaTable(table.folder).schema().fields] == [
        field.to_json() for field in schema.fields
    ]


def merged_bounds(table: SeafowlTable) -> dict[str, Any]:
    """The statistics of the whole table."""
    actions = DeltaTable(table.folder).get_add_actions(flatten=True)
    merge: dict[str, Callable[[list[Any]], Any]] = {"min": min, "max": max, "null_count": sum}
    found: dict[str, Any] = {}
    for name in actions.schema.names:
        kind = name.partition(".")[0]
        values = [value for chunk in actions.column(name).chunks for one in chunk if (value := one.as_py()) is not None]
        if kind in merge and values:
            found[name] = merge[kind](values)
    return found


@pytest.mark.parametrize(
    ("stats", "merged"),
    [
        (
            ['{"numRecords":1,"minValues":{"n":2},"maxValues":{"n":2},"nullCount":{"n":0}}'] * 2,
            {"numRecords": 2, "minValues": {"n": 2}, "maxValues": {"n": 2}, "nullCount": {"n": 0}},
        ),
        # One that knows no least value may have a lesser one.
        (
            [
                '{"numRecords":1,"minValues":{"n":2},"maxValues":{},"nullCount":{"n":0}}',
                '{"numRecords":3,"minValues":{},"maxValues":{},"nullCount":{"n":3}}',
            ],
            {"numRecords": 4, "minValues": {}, "maxValues": {}, "nullCount": {"n": 3}},
        ),
        (
            [
                '{"numRecords":0}',
                '{"numRecords":1,"minValues":{"n":-1},"maxValues":{"n":9},"nullCount":{"n":0}}',
            ],
            {"numRecords": 1, "minValues": {"n": -1}, "maxValues": {"n": 9}, "nullCount": {"n": 0}},
        ),
        # Two notations of a time are not compared as texts.
        (
            [
                '{"numRecords":1,"minValues":{"t":"2024-01-01T00:00:00Z"},"maxValues":{},"nullCount":{}}',
                '{"numRecords":1,"minValues":{"t":"2024-01-01T00:00:00.5Z"},"maxValues":{},"nullCount":{}}',
            ],
            {"numRecords": 2, "minValues": {}, "maxValues": {}, "nullCount": {}},
        ),
        ([None, '{"numRecords":1}'], None),
        (['{"minValues":{}}'], None),
    ],
)
def test_statistics_of_files_together_claim_no_more_than_each_of_them(stats: list[Any], merged: Any) -> None:
    schema = json.dumps({"fields": [{"name": "n", "type": "long"}, {"name": "t", "type": "timestamp"}]})
    found = merged_stats(stats, schema)
    assert (None if found is None else json.loads(found)) == merged


def test_a_large_file_is_left_alone(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert("SELECT value AS n, CAST(random() AS TEXT) AS s FROM range(200000)")
    (large,) = numbers.data_files()
    assert (numbers.folder / large).stat().st_size > 1024 * 1024
    numbers.insert_numbers(range(LEAST))
    assert "compaction" in care(store, numbers).steps
    assert large in {Path(uri).name for uri in DeltaTable(numbers.folder).file_uris()}
    assert numbers.count() == 200000 + LEAST


def test_a_table_with_partitions_gets_its_checkpoint_and_keeps_its_files(store: FolderStore, tmp_path: Path) -> None:
    # Seafowl makes none, but takes a Delta table that another program made.
    folder = tmp_path / "tables/partitioned"
    for _ in range(60):
        write_deltalake(
            folder,
            QueryBuilder().execute("SELECT CAST(1 AS BIGINT) AS n, 'x' AS s"),
            mode="append",
            partition_by=["s"],
            post_commithook_properties=NOTHING_ELSE,
        )
    client = Client()
    Care(store, "partitioned", KEEP, client).run(sweep=True)
    assert client.steps == ["checkpoint"]
    table = DeltaTable(folder)
    assert len(table.file_uris()) == 60
    # With a checkpoint, Seafowl's commits delete entries older than a month, needed or not, unless told so before.
    assert table.metadata().configuration == {
        "delta.enableExpiredLogCleanup": "false",
        "delta.deletedFileRetentionDuration": "interval 2 hours",
    }


def test_an_empty_table_needs_nothing(store: FolderStore, numbers: SeafowlTable) -> None:
    # So is one whose CREATE TABLE AS was cut off between its two steps.
    assert care(store, numbers).steps == []
    assert numbers.rows() == []


def test_a_table_whose_rows_were_all_deleted_stays_a_table(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert_numbers(range(60))
    numbers.delete("n >= 0")
    assert care(store, numbers).steps == ["checkpoint"]
    assert numbers.rows() == []
    numbers.insert_numbers([5])
    assert len(numbers.rows()) == 1


def test_a_table_that_is_not_there_is_told_from_one_that_is_damaged(store: FolderStore, numbers: SeafowlTable) -> None:
    with pytest.raises(GoneError):
        Care(store, "nowhere", KEEP, Client()).run(sweep=True)
    numbers.insert_numbers(range(5))
    (numbers.log / f"{3:020}.json").unlink()
    with pytest.raises(BrokenLogError, match="3"):
        care(store, numbers)
    assert len(numbers.data_files()) == 5


def test_a_table_that_is_dropped_while_it_is_cared_for_does_not_come_back(
    store: FolderStore, numbers: SeafowlTable
) -> None:
    numbers.insert_numbers(range(60))
    with pytest.raises(GoneError):
        care(store, numbers, client=Client(lambda: shutil.rmtree(numbers.folder)))
    assert not numbers.log.exists() or not list(numbers.log.iterdir())


def test_a_table_that_is_dropped_while_its_checkpoint_is_written_does_not_come_back(
    store: FolderStore, numbers: SeafowlTable
) -> None:
    numbers.insert_numbers(range(60))

    class Dropping(FolderStore):
        def write_checkpoint(self, table: str, version: int) -> None:
            super().write_checkpoint(table, version)
            for entry in numbers.log.glob("*.json"):
                entry.unlink()

    dropping = Dropping(store._objects, store._root, {})
    with pytest.raises(GoneError):
        care(dropping, numbers)
    assert list(numbers.log.iterdir()) == []


def test_a_look_tells_what_a_table_needs_and_changes_nothing(store: FolderStore, numbers: SeafowlTable) -> None:
    numbers.insert_numbers(range(80))
    found = look(Log(store, numbers.name), KEEP, store_now(store))
    assert found.needs == ("compaction", "checkpoint")
    assert (found.version, found.checkpoint, found.entries, found.files, found.small) == (80, None, 81, 80, 80)
    assert store.changes == 0
    care(store, numbers)
    assert look(Log(store, numbers.name), KEEP, store_now(store)).needs == ()
    assert look(Log(store, numbers.name), KEEP, store_now(store) + READ_GRACE).needs == ("trimming",)


def test_a_table_with_600_commits_is_read_from_two_files(store: FolderStore, numbers: SeafowlTable) -> None:
    (entry,) = _commit_once(numbers)
    # Copies of one commit, each with a file of its own: writing them all takes a minute.
    text, file = entry.read_text(), next(iter(numbers.data_files()))
    for version in range(2, 601):
        other = file.replace("part-00000", f"part-{version:05}")
        shutil.copy(numbers.folder / file, numbers.folder / other)
        (numbers.log / f"{version:020}.json").write_text(text.replace(file, other))
    care(store, numbers)
    becomes_older(numbers, READ_GRACE)
    client = care(store, numbers)
    assert numbers.count() == 600
    assert client.done["commits"] <= 1
    assert client.done["files"] == 1
    assert client.done["entries"] <= KEEP.versions + 5


def _commit_once(table: SeafowlTable) -> list[Path]:
    table.insert_numbers([1])
    return [table.log / f"{1:020}.json"]


# The program itself.

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "images/seafowl-litefs")}


def program(tmp_path: Path, *arguments: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "maintenance",
        arguments[0],
        "--config",
        str(tmp_path / "writer.toml"),
        *arguments[1:],
    ]


def kept(keep: Keep = KEEP) -> list[str]:
    return ["--history", str(keep.history.total_seconds()), "--versions", str(keep.versions)]


@pytest.mark.parametrize("line", range(6))
def test_a_process_that_is_killed_after_any_line_costs_nothing(
    store: FolderStore, numbers: SeafowlTable, tmp_path: Path, line: int
) -> None:
    # (After all but the last, which it writes when all is done.)
    numbers.insert_numbers(range(70))
    rows = numbers.rows()
    command = program(tmp_path, "table", "--uuid", numbers.name, "--sweep", *kept())
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for number, said in enumerate(process.stdout):
            if number == line:
                process.kill()
                break
            if "wants" in json.loads(said):
                process.stdin.write("go\n")
                process.stdin.flush()
    assert_readable(numbers, rows, since=0)
    care(store, numbers)
    assert_readable(numbers, rows, since=0)
    assert numbers.checkpoints() != []


def test_a_process_whose_parent_is_gone_changes_nothing(numbers: SeafowlTable, tmp_path: Path) -> None:
    numbers.insert_numbers(range(70))
    before = numbers.commits()
    command = program(tmp_path, "table", "--uuid", numbers.name, *kept())
    done = subprocess.run(command, env=ENVIRONMENT, input="", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "the supervisor is gone\n"
    assert numbers.commits() == before
    assert numbers.checkpoints() == []


def test_the_program_looks_at_many_tables_and_says_which_are_gone_or_damaged(
    numbers: SeafowlTable, tmp_path: Path
) -> None:
    numbers.insert_numbers(range(60))
    damaged = SeafowlTable(tmp_path / "tables", "damaged", NUMBERS)
    damaged.insert_numbers(range(3))
    (damaged.log / f"{2:020}.json").unlink()
    done = subprocess.run(
        program(tmp_path, "look", *kept()),
        env=ENVIRONMENT,
        input="numbers\nnowhere\ndamaged\n",
        capture_output=True,
        text=True,
        check=True,
    )
    found = {one["uuid"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert found["numbers"]["needs"] == ["compaction", "checkpoint"]
    assert found["nowhere"] == {"uuid": "nowhere", "needs": [], "gone": True}
    assert "2" in found["damaged"]["problem"]


def test_a_store_that_cannot_be_reached_is_told_from_a_stranger(tmp_path: Path) -> None:
    (tmp_path / "writer.toml").write_text(
        '[object_store]\ntype = "s3"\nbucket = "b"\nendpoint = "http://127.0.0.1:9"\nprefix = "p"\n'
    )
    done = subprocess.run(
        program(tmp_path, "claim", "--id", "LFSC1"), env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1


# Who writes there.


def ages(tmp_path: Path, owner: str, by: timedelta) -> None:
    path = tmp_path / f"tables/_writers/{owner}.json"
    then = path.stat().st_mtime - by.total_seconds()
    path.write_text(json.dumps({"since": datetime.fromtimestamp(then, UTC).isoformat()}))
    os.utime(path, (then, then))


def test_the_cluster_that_came_later_withdraws(store: FolderStore, tmp_path: Path) -> None:
    claim(store, "first")
    ages(tmp_path, "first", timedelta(seconds=30))
    with pytest.raises(StrangerError, match="first"):
        claim(store, "second")
    claim(store, "first")
    claim(store, "first")
    assert [path.name for path in (tmp_path / "tables/_writers").glob("*.json")] == ["first.json"]


def test_a_cluster_that_is_gone_or_has_withdrawn_keeps_nobody_away(store: FolderStore, tmp_path: Path) -> None:
    claim(store, "first")
    ages(tmp_path, "first", ALIVE + timedelta(seconds=1))
    claim(store, "second")
    ages(tmp_path, "second", timedelta(seconds=30))
    with pytest.raises(StrangerError, match="second"):
        claim(store, "first")
    release(store, "second")
    claim(store, "first")


def test_a_cluster_goes_on_under_its_name_from_another_node(store: FolderStore) -> None:
    claim(store, "first")
    claim(store, "first")


def test_the_times_of_a_claim_are_those_of_the_one_who_keeps_it_alive(store: FolderStore, tmp_path: Path) -> None:
    claim(store, "first")
    ages(tmp_path, "first", timedelta(minutes=2))
    since = json.loads((tmp_path / "tables/_writers/first.json").read_text())["since"]
    claim(store, "first")
    assert json.loads((tmp_path / "tables/_writers/first.json").read_text())["since"] == since
