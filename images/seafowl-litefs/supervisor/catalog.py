"""Seafowl's catalog, in the file that LiteFS replicates: which tables there are, and the notes of their versions.

The schema is Seafowl's (0.5.8, migrations/sqlite).
"""

import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from supervisor.table_order import TableName, Tables

_BUSY_SECONDS = 5.0
"""Longest wait for Seafowl's own transactions, which are short."""

_BATCH = 1000
"""Notes that one transaction deletes at most: Seafowl waits for it."""

_TABLES = """\
SELECT database.name, collection.name, "table".name, "table".uuid, max(table_version.version)
FROM "table"
JOIN collection ON collection.id = "table".collection_id
JOIN database ON database.id = collection.database_id
JOIN table_version ON table_version.table_id = "table".id
GROUP BY "table".id
"""

_MADE = """\
SELECT DISTINCT database.name, collection.name, "table".name
FROM "table"
JOIN collection ON collection.id = "table".collection_id
JOIN database ON database.id = collection.database_id
JOIN table_version ON table_version.table_id = "table".id
JOIN table_column ON table_column.table_version_id = table_version.id
"""

_OLD = """\
SELECT id FROM (
  SELECT table_version.id AS id, table_version.creation_time AS made,
    row_number() OVER (ORDER BY table_version.id DESC) AS age
  FROM table_version JOIN "table" ON "table".id = table_version.table_id
  WHERE "table".uuid = :uuid
) WHERE age > 1 AND (age > :versions OR made < :before)
ORDER BY id LIMIT :batch
"""
"""By the number of the note, not of the version: Seafowl copies the columns of the newest note for the next one."""


@dataclass(frozen=True)
class CatalogTable:
    """A table as the catalog has it."""

    folder: str
    """Where it lies in the object store: its UUID."""

    name: TableName
    shown: str
    version: int
    """The newest version of its data that Seafowl has noted."""


class Catalog:
    """The catalog at `path`. Every method raises sqlite3.Error, OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tables(self) -> list[CatalogTable]:
        """All tables."""
        with self._opened("ro") as connection:
            rows = connection.execute(_TABLES).fetchall()
        return [
            CatalogTable(str(UUID(bytes=uuid)), TableName.of(*names), ".".join(names), version)
            for *names, uuid, version in rows
        ]

    def name_of(self, folder: str) -> TableName | None:
        """What a table is called now; None where it was dropped."""
        return next((one.name for one in self.tables() if one.folder == folder), None)

    def has(self, tables: Tables) -> bool:
        """Whether all of `tables` are there, with their columns: Seafowl enters those last."""
        with self._opened("ro") as connection:
            there = {TableName.of(*names) for names in connection.execute(_MADE)}
        return tables <= there

    def has_old_versions(self, folder: str, history: float, versions: int) -> bool:
        """Whether there are notes of versions that are kept no more."""
        with self._opened("ro") as connection:
            return bool(_old(connection, folder, history, versions))

    def forget_old_versions(self, folder: str, history: float, versions: int, *, journal_mode: str) -> int:
        """Delete the notes of versions older than `history` seconds, or beyond the newest `versions`; the newest stays.

        Returns how many notes. `journal_mode`: what Seafowl opens the catalog with. The table must be nobody else's
        meanwhile: Seafowl makes a note in several transactions.
        """
        deleted = 0
        with self._opened("rw") as connection:
            connection.execute(f"PRAGMA journal_mode = {journal_mode}")
            while True:
                connection.execute("BEGIN IMMEDIATE")
                old = _old(connection, folder, history, versions)
                # (The columns by themselves: there is no index for a deletion that cascades.)
                holes = ", ".join("?" * len(old))
                connection.execute(f"DELETE FROM table_column WHERE table_version_id IN ({holes})", old)
                connection.execute(f"DELETE FROM table_version WHERE id IN ({holes})", old)
                connection.execute("COMMIT")
                deleted += len(old)
                if len(old) < _BATCH:
                    return deleted

    @contextmanager
    def _opened(self, mode: str) -> Generator[sqlite3.Connection]:
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, _BUSY_SECONDS, uri=True, isolation_level=None)) as connection:
            yield connection


def _old(connection: sqlite3.Connection, folder: str, history: float, versions: int) -> list[int]:
    values = {"uuid": UUID(folder).bytes, "before": time.time() - history, "versions": versions, "batch": _BATCH}
    return [number for (number,) in connection.execute(_OLD, values)]
