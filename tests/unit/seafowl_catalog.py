"""A catalog as Seafowl's own migrations make it (0.5.8), and what an INSERT does to it."""

import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path

_SCHEMA = """
CREATE TABLE database (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL UNIQUE);
CREATE TABLE collection (
  id INTEGER NOT NULL PRIMARY KEY, database_id BIGINT NOT NULL REFERENCES database(id) ON DELETE CASCADE,
  name VARCHAR NOT NULL, CONSTRAINT collection_name_unique UNIQUE(name, database_id));
CREATE TABLE "table" (
  id INTEGER NOT NULL PRIMARY KEY, collection_id BIGINT NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
  name VARCHAR NOT NULL, uuid BLOB NOT NULL, CONSTRAINT table_name_unique UNIQUE(name, collection_id));
CREATE TABLE table_version (
  id INTEGER NOT NULL PRIMARY KEY, table_id BIGINT NOT NULL REFERENCES "table"(id) ON DELETE CASCADE,
  creation_time INTEGER(4) NOT NULL DEFAULT((strftime('%s','now'))), version INTEGER NOT NULL DEFAULT 0);
CREATE TABLE table_column (
  id INTEGER NOT NULL PRIMARY KEY,
  table_version_id BIGINT NOT NULL REFERENCES table_version(id) ON DELETE CASCADE,
  name VARCHAR NOT NULL, type VARCHAR NOT NULL, CONSTRAINT column_name_unique UNIQUE(name, table_version_id));
"""
COLUMNS = ("n", "s")


class SeafowlCatalog:
    """The file, and what Seafowl does with it."""

    def __init__(self, path: Path, journal_mode: str = "delete") -> None:
        self.path = path
        self.journal_mode = journal_mode
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA journal_mode = {journal_mode}")
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO database (name) VALUES ('default')")
            connection.execute("INSERT INTO collection (database_id, name) VALUES (1, 'public')")
            connection.commit()

    def create(self, name: str) -> str:
        """A new table; returns its folder."""
        folder = uuid.uuid4()
        with closing(sqlite3.connect(self.path)) as connection:
            added = connection.execute(
                'INSERT INTO "table" (collection_id, name, uuid) VALUES (1, ?, ?)', (name, folder.bytes)
            )
            version = connection.execute("INSERT INTO table_version (table_id) VALUES (?)", (added.lastrowid,))
            connection.executemany(
                "INSERT INTO table_column (table_version_id, name, type) VALUES (?, ?, '{}')",
                [(version.lastrowid, column) for column in COLUMNS],
            )
            connection.commit()
        return str(folder)

    def add_versions(self, folder: str, *versions: int, age: float = 0) -> None:
        """What as many writes note, `age` seconds ago."""
        with closing(sqlite3.connect(self.path)) as connection:
            for version in versions:
                (last,) = connection.execute(
                    'SELECT max(v.id) FROM table_version v JOIN "table" t ON t.id = v.table_id WHERE t.uuid = ?',
                    (uuid.UUID(folder).bytes,),
                ).fetchone()
                new = connection.execute(
                    "INSERT INTO table_version (table_id, version, creation_time)"
                    " SELECT table_id, ?, ? FROM table_version WHERE id = ?",
                    (version, int(time.time() - age), last),
                ).lastrowid
                connection.execute(
                    "INSERT INTO table_column (table_version_id, name, type)"
                    " SELECT ?, name, type FROM table_column WHERE table_version_id = ?",
                    (new, last),
                )
            connection.commit()

    def versions(self, folder: str) -> list[int]:
        """The versions that are noted."""
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(
                'SELECT v.version FROM table_version v JOIN "table" t ON t.id = v.table_id'
                " WHERE t.uuid = ? ORDER BY v.id",
                (uuid.UUID(folder).bytes,),
            )
            return [version for (version,) in found]

    def column_notes(self) -> int:
        """How many notes of columns there are."""
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT count(*) FROM table_column").fetchone()[0])

    def columns(self, folder: str) -> set[str]:
        """A table's columns, as Seafowl lists them: those of its newest note."""
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(
                "SELECT name FROM table_column WHERE table_version_id = (SELECT max(v.id) FROM table_version v"
                ' JOIN "table" t ON t.id = v.table_id WHERE t.uuid = ?)',
                (uuid.UUID(folder).bytes,),
            )
            return {name for (name,) in found}

    def change(self, statement: str, *values: object) -> None:
        """Run any statement."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(statement, values)
            connection.commit()
