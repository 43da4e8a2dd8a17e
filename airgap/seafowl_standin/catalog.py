"""The catalog: which tables there are and where, in a SQLite file that LiteFS may replicate.

Its tables are the original's (`migration.py`), and so are the transactions: each statement commits by itself, so a node
that dies or a reader that looks in between sees a table without its version. One connection a thread. Nothing is
remembered between statements, so that a reader sees what the writer has changed.
"""

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from . import journal, migration
from .config import Catalog as CatalogSettings
from .errors import Fatal, QueryError, plan_error
from .statements import STAGING_SCHEMA

DEFAULT_DATABASE = "default"
DEFAULT_SCHEMA = "public"
BUSY_TIMEOUT_S = 5.0
USED_STAGING = "The staging schema can only be referenced via CREATE EXTERNAL TABLE"

# Each statement of the original reads the columns of each table's last version, and uses none of them: what many
# versions cost there, they cost here.
TABLES = """
    WITH latest AS (SELECT max(id) AS id, table_id FROM table_version GROUP BY table_id)
    SELECT d.name, c.name, t.name, t.uuid, table_column.name, table_column.type
    FROM database d
    LEFT JOIN collection c ON c.database_id = d.id
    LEFT JOIN "table" t ON t.collection_id = c.id
    LEFT JOIN latest ON latest.table_id = t.id
    LEFT JOIN table_column ON table_column.table_version_id = latest.id
"""
# The same for a catalog whose writer has not moved it to the original's tables yet: a reader may be new before it.
OLD_TABLES = """
    SELECT d.name, c.name, t.name, t.uuid FROM database d
    LEFT JOIN collection c ON c.database_id = d.id LEFT JOIN "table" t ON t.collection_id = c.id
"""
COLLECTION = "SELECT c.id FROM collection c JOIN database d ON d.id = c.database_id WHERE d.name = ? AND c.name = ?"
TABLE_ID = f'SELECT id FROM "table" WHERE collection_id = ({COLLECTION}) AND name = ?'


@dataclass(frozen=True)
class TableRef:
    """A table's full name."""

    database: str
    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.database}.{self.schema}.{self.table}"


# Databases, their schemas, their tables with the UUID that names a table's folder in the object store.
Tree = dict[str, dict[str, dict[str, str]]]


class Catalog:
    """The catalog of one node. Methods raise QueryError, wrapped where SQLite itself refuses."""

    def __init__(self, settings: CatalogSettings) -> None:
        """Open the catalog; a writer creates and migrates what it must. Raises Fatal where the node cannot run."""
        self.read_only = settings.read_only
        self._settings = settings
        self._local = threading.local()
        # An in-memory catalog lives as long as one connection to it.
        self._first = self._connect()
        try:
            if not self.read_only:
                self._set_up()
            self.tree()
        except (sqlite3.Error, QueryError) as error:
            raise Fatal(f"Error setting up the catalog {settings.dsn}: {error}") from error

    def tree(self) -> Tree:
        """All databases, schemas and tables as they are now."""
        tree: Tree = {}
        for database, schema, table, uuid, *_ in self._table_rows():
            schemas = tree.setdefault(database, {})
            if schema is not None:
                tables = schemas.setdefault(schema, {})
                if table is not None:
                    tables[table] = str(UUID(bytes=uuid)) if isinstance(uuid, bytes) else uuid
        return tree

    def create_database(self, name: str, missing_only: bool) -> None:
        """Add a database, then its default schema."""
        if self._one("SELECT id FROM database WHERE name = ?", name) is not None:
            if missing_only:
                return
            raise plan_error(f"Database {name} already exists")
        self._run("INSERT INTO database (name) VALUES (?)", name)
        self.create_schema(name, DEFAULT_SCHEMA)

    def create_schema(self, database: str, name: str) -> None:
        """Add a schema."""
        if name == STAGING_SCHEMA:
            raise plan_error(USED_STAGING)
        found = self._one("SELECT id FROM database WHERE name = ?", database)
        if found is None:
            raise plan_error(f'Catalog "{database}" doesn\'t exist')
        with _taken(f'Schema "{name}" already exists'):
            self._run("INSERT INTO collection (database_id, name) VALUES (?, ?)", found, name)

    def create_table(self, table: TableRef, uuid: str, columns: Sequence[tuple[str, str]]) -> None:
        """Add a table, its version 0, then that version's columns (name, Arrow field as JSON): three commits."""
        collection = self.schema_id(table)
        with _taken(f'Table "{table.table}" already exists'):
            added = self._run(
                'INSERT INTO "table" (collection_id, name, uuid) VALUES (?, ?, ?)', collection, table.table, _blob(uuid)
            )
        version = self._run("INSERT INTO table_version (table_id) VALUES (?)", added)
        if columns:
            values = ", ".join(["(?, ?, ?)"] * len(columns))
            parameters = [value for name, kind in columns for value in (version, name, kind)]
            self._run(f"INSERT INTO table_column (table_version_id, name, type) VALUES {values}", *parameters)

    def schema_id(self, table: TableRef) -> int:
        """The id of a table's schema; raises QueryError where there is none that takes tables."""
        if table.schema == STAGING_SCHEMA:
            raise plan_error(USED_STAGING)
        found = self._one(COLLECTION, table.database, table.schema)
        if found is None:
            raise plan_error(f'Schema "{table.schema}" doesn\'t exist')
        return found

    def add_version(self, uuid: str, version: int) -> None:
        """Note a new version of a table's data with the columns of the last one; raises QueryError where it is gone."""
        last = self._one(
            'SELECT max(v.id) FROM table_version v JOIN "table" t ON t.id = v.table_id WHERE t.uuid = ?', _blob(uuid)
        )
        if last is None:
            raise plan_error(f"Table with UUID {uuid} doesn't exist")
        added = self._run(
            "INSERT INTO table_version (table_id, version) SELECT table_id, ? FROM table_version WHERE id = ?",
            version,
            last,
        )
        self._run(
            "INSERT INTO table_column (table_version_id, name, type)"
            " SELECT ?, name, type FROM table_column WHERE table_version_id = ?",
            added,
            last,
        )

    def forget_versions(self, table: TableRef) -> None:
        """Drop the note of all versions of a table but the latest; raises QueryError where there is no such table."""
        self._run(
            "DELETE FROM table_version WHERE table_id = ?1 AND id !="
            " (SELECT id FROM table_version WHERE table_id = ?1 ORDER BY creation_time DESC, id DESC LIMIT 1)",
            self._table_id(table),
        )

    def rename_table(self, old: TableRef, new: TableRef) -> None:
        """Give a table another name, in another schema too."""
        table, collection = self._table_id(old), self.schema_id(new)
        with _taken(f'Table "{new.table}" already exists'):
            self._run('UPDATE "table" SET name = ?, collection_id = ? WHERE id = ?', new.table, collection, table)

    def drop_table(self, table: TableRef) -> None:
        """Forget a table; raises QueryError where there is no such table."""
        self._run('DELETE FROM "table" WHERE id = ?', self._table_id(table))

    def drop_schema(self, database: str, name: str) -> None:
        """Forget a schema."""
        self._run(f"DELETE FROM collection WHERE id = ({COLLECTION})", database, name)

    def dropped(self, database: str | None = None) -> list[tuple[str, str]]:
        """UUID and status of the dropped tables whose objects may still be there. The original notes none any more."""
        with _errors():
            rows = self._connection().execute(
                "SELECT uuid, deletion_status FROM dropped_table WHERE ?1 IS NULL OR database_name = ?1", (database,)
            )
            return [(str(UUID(bytes=uuid)), status) for uuid, status in rows.fetchall()]

    def set_dropped(self, uuid: str, status: str) -> None:
        """Note what came of removing a dropped table's objects: PENDING, RETRY or FAILED."""
        self._run("UPDATE dropped_table SET deletion_status = ? WHERE uuid = ?", status, _blob(uuid))

    def forget_dropped(self, uuid: str) -> None:
        """A dropped table's objects are gone."""
        self._run("DELETE FROM dropped_table WHERE uuid = ?", _blob(uuid))

    def _table_id(self, table: TableRef) -> int:
        found = self._one(TABLE_ID, table.database, table.schema, table.table)
        if found is None:
            raise plan_error(f'Table "{table.table}" doesn\'t exist')
        return found

    def _set_up(self) -> None:
        """Tables and rows of an earlier version move in one transaction: a node that dies meanwhile leaves the old."""
        with _errors():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                migration.migrate(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        self.create_database(DEFAULT_DATABASE, missing_only=True)

    def _table_rows(self) -> list[tuple[str, str | None, str | None, bytes | str]]:
        with _errors():
            try:
                return self._connection().execute(TABLES).fetchall()
            except sqlite3.OperationalError as error:
                if not self.read_only or "no such table" not in str(error):
                    raise
                return self._connection().execute(OLD_TABLES).fetchall()

    def _one(self, statement: str, *parameters: object) -> int | None:
        with _errors():
            row = self._connection().execute(statement, parameters).fetchone()
        return None if row is None else row[0]

    def _run(self, statement: str, *parameters: object) -> int:
        """Run and commit one statement; returns the id of the row that it added, if it did."""
        with _errors():
            return self._connection().execute(statement, parameters).lastrowid or 0

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                connection = self._local.connection = self._connect()
            except Fatal as error:
                raise QueryError(str(error)) from error
        return connection

    def _connect(self) -> sqlite3.Connection:
        return journal.connect(self._settings, BUSY_TIMEOUT_S)


@contextmanager
def _errors() -> Generator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise QueryError(f"Error in the catalog: {error}") from error


@contextmanager
def _taken(message: str) -> Generator[None]:
    """Say it with this message where a name is taken."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise plan_error(message) from error


def _blob(uuid: str) -> bytes:
    return UUID(uuid).bytes
