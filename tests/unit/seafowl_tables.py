"""Delta tables as Seafowl leaves them: a commit for each statement, and never a checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arro3.core import Array, DataType, Field, RecordBatch
from arro3.core import Schema as ArrowSchema
from deltalake import DeltaTable, PostCommitHookProperties, QueryBuilder, Schema, write_deltalake

# Neither does Seafowl (0.5.8).
NOTHING_ELSE = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

Row = tuple[Any, ...]

_NUMBERS = ArrowSchema([Field("n", DataType.int64()), Field("s", DataType.utf8())])


class SeafowlTable:
    """A table in a folder."""

    def __init__(self, root: Path, name: str, schema: Schema) -> None:
        self.name = name
        self.folder = root / name
        self.log = self.folder / "_delta_log"
        self._table = DeltaTable.create(self.folder, schema=schema)
        self.rows_of: dict[int, list[Row]] = {0: []}
        """What each version holds, as it was read right after it was made."""

    def insert(self, query: str) -> None:
        """Append the rows of a query."""
        self._append(QueryBuilder().execute(query))
        self.rows_of[self.version] = self.rows()

    def insert_numbers(self, numbers: Sequence[int]) -> None:
        """One commit for each number, into a table of numbers and texts."""
        if not self.rows_of.get(self.version):
            self.rows_of[self.version] = self.rows()
        for number in numbers:
            before = self.rows_of[self.version]
            row = (number, f"row {number}")
            columns = [Array([value], type=field.type) for value, field in zip(row, _NUMBERS, strict=True)]
            self._append(RecordBatch.from_arrays(columns, schema=_NUMBERS))
            self.rows_of[self.version] = sorted([*before, row], key=repr)

    def delete(self, predicate: str) -> None:
        """Delete rows."""
        self._table.update_incremental()
        self._table.delete(predicate, post_commithook_properties=NOTHING_ELSE)
        self.rows_of[self.version] = self.rows()

    def reopen(self) -> None:
        """After the folder was replaced."""
        self._table = DeltaTable(self.folder)

    def _append(self, rows: Any) -> None:
        self._table.update_incremental()
        write_deltalake(self._table, rows, mode="append", post_commithook_properties=NOTHING_ELSE)

    @property
    def version(self) -> int:
        """The newest version."""
        return self.commits()[-1]

    def rows(self, version: int | None = None) -> list[Row]:
        """All rows, sorted; of an older version, too."""
        return sorted(rows_of(DeltaTable(self.folder, version)), key=repr)

    def count(self) -> int:
        """The number of rows as the log's statistics have it."""
        stats = DeltaTable(self.folder).get_add_actions(flatten=True).column("num_records")
        return sum(one.as_py() for chunk in stats.chunks for one in chunk)

    def commits(self) -> list[int]:
        """The versions whose log entries are there."""
        return sorted(int(one.stem) for one in self.log.glob("*.json"))

    def checkpoints(self) -> list[int]:
        """The versions that have a checkpoint."""
        return sorted(int(one.name.partition(".")[0]) for one in self.log.glob("*.checkpoint.parquet"))

    def data_files(self) -> set[str]:
        """The data files that are there, needed or not."""
        return {one.name for one in self.folder.glob("*.parquet")}


def rows_of(table: DeltaTable) -> list[Row]:
    """All rows of a table."""
    found = QueryBuilder().register("t", table).execute("SELECT * FROM t").read_all()
    return [tuple(values) for values in zip(*(column.to_pylist() for column in found.columns), strict=True)]
