"""The catalog: which tables there are and where, in a SQLite file that LiteFS may replicate.

Ordinary locking, short transactions, one connection a thread. Nothing is remembered between statements, so that a
reader sees what the writer has changed.
"""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from . import journal
from .config import Catalog as CatalogSettings
from .errors import Fatal, QueryError, plan_error

DEFAULT_DATABASE = "default"
DEFAULT_SCHEMA = "public"
BUSY_TIMEOUT_S = 5.0

SCHEMA = (
    "CREATE TABLE database (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE collection (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " database_id INTEGER NOT NULL REFERENCES database (id), UNIQUE (database_id, name))",
    'CREATE TABLE "table" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, uuid TEXT NOT NULL UNIQUE,'
    " collection_id INTEGER NOT NULL REFERENCES collection (id), UNIQUE (collection_id, name))",
    'CREATE TABLE table_version (table_id INTEGER NOT NULL REFERENCES "table" (id) ON DELETE CASCADE,'
    " version INTEGER NOT NULL, creation_time INTEGER NOT NULL DEFAULT (unixepoch()), PRIMARY KEY (table_id, version))",
    "CREATE TABLE dropped_table (uuid TEXT PRIMARY KEY, database_name TEXT NOT NULL, collection_name TEXT NOT NULL,"
    " table_name TEXT NOT NULL, drop_time INTEGER NOT NULL DEFAULT (unixepoch()))",
)

TABLES = (
    "SELECT d.name, c.name, t.name, t.uuid FROM database d LEFT JOIN collection c ON c.database_id = d.id"
    ' LEFT JOIN "table" t ON t.collection_id = c.id'
)
COLLECTION = "SELECT c.id FROM collection c JOIN database d ON d.id = c.database_id WHERE d.name = ? AND c.name = ?"


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
        """Open the catalog; a writer creates what is missing. Raises Fatal where the node cannot run."""
        self.read_only = settings.read_only
        self._settings = settings
        self._local = threading.local()
        # An in-memory catalog lives as long as one connection to it.
        self._first = self._connect()
        try:
            if not self.read_only:
                self._create()
            self.tree()
        except (sqlite3.Error, QueryError) as error:
            raise Fatal(f"Error setting up the catalog {settings.dsn}: {error}") from error

    def tree(self) -> Tree:
        """All databases, schemas and tables as they are now."""
        tree: Tree = {}
        with self._errors():
            rows = self._connection().execute(TABLES).fetchall()
        for database, schema, table, uuid in rows:
            schemas = tree.setdefault(database, {})
            if schema is not None:
                tables = schemas.setdefault(schema, {})
                if table is not None:
                    tables[table] = uuid
        return tree

    def create_database(self, name: str, missing_only: bool) -> None:
        """Add a database with its default schema."""
        with self._transaction() as connection:
            if connection.execute("SELECT 1 FROM database WHERE name = ?", (name,)).fetchone():
                if missing_only:
                    return
                raise plan_error(f"Database {name} already exists")
            added = connection.execute("INSERT INTO database (name) VALUES (?)", (name,))
            connection.execute(
                "INSERT INTO collection (database_id, name) VALUES (?, ?)", (added.lastrowid, DEFAULT_SCHEMA)
            )

    def create_schema(self, database: str, name: str) -> None:
        """Add a schema."""
        with self._transaction() as connection:
            found = connection.execute("SELECT id FROM database WHERE name = ?", (database,)).fetchone()
            if found is None:
                raise plan_error(f"Database {database} not found!")
            if connection.execute(COLLECTION, (database, name)).fetchone():
                raise plan_error(f'Schema "{name}" already exists')
            connection.execute("INSERT INTO collection (database_id, name) VALUES (?, ?)", (found[0], name))

    def create_table(self, table: TableRef, uuid: str) -> None:
        """Add a table whose first version lies under `uuid` in the object store."""
        with self._transaction() as connection:
            added = connection.execute(
                'INSERT INTO "table" (collection_id, name, uuid) VALUES (?, ?, ?)',
                (self._free_name(connection, table), table.table, uuid),
            )
            connection.execute("INSERT INTO table_version (table_id, version) VALUES (?, 0)", (added.lastrowid,))

    def check_free(self, table: TableRef) -> None:
        """Raise QueryError where a table of this name cannot be added."""
        with self._errors():
            self._free_name(self._connection(), table)

    def add_version(self, uuid: str, version: int) -> None:
        """Note a new version of a table's data."""
        with self._transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO table_version (table_id, version) SELECT id, ? FROM "table" WHERE uuid = ?',
                (version, uuid),
            )

    def forget_versions(self, uuid: str) -> None:
        """Drop the note of all versions but the latest."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM table_version WHERE rowid IN (SELECT v.rowid FROM table_version v"
                ' JOIN "table" t ON t.id = v.table_id WHERE t.uuid = ? AND v.version <'
                " (SELECT max(version) FROM table_version WHERE table_id = t.id))",
                (uuid,),
            )

    def rename_table(self, uuid: str, new: TableRef) -> None:
        """Give a table another name, in another schema too."""
        with self._transaction() as connection:
            connection.execute(
                'UPDATE "table" SET name = ?, collection_id = ? WHERE uuid = ?',
                (new.table, self._free_name(connection, new), uuid),
            )

    def drop_tables(self, tables: dict[TableRef, str], schema: tuple[str, str] | None = None) -> None:
        """Forget tables, and the schema (database, name) that held them; garbage collection finds their objects."""
        with self._transaction() as connection:
            for table, uuid in tables.items():
                connection.execute(
                    "INSERT INTO dropped_table (uuid, database_name, collection_name, table_name) VALUES (?, ?, ?, ?)",
                    (uuid, table.database, table.schema, table.table),
                )
                connection.execute('DELETE FROM "table" WHERE uuid = ?', (uuid,))
            if schema is not None:
                connection.execute(f"DELETE FROM collection WHERE id = ({COLLECTION})", schema)

    def dropped(self, database: str | None = None) -> list[str]:
        """UUIDs of the dropped tables whose objects may still be there."""
        with self._errors():
            rows = self._connection().execute(
                "SELECT uuid FROM dropped_table WHERE ? IS NULL OR database_name = ?", (database, database)
            )
            return [uuid for (uuid,) in rows.fetchall()]

    def forget_dropped(self, uuid: str) -> None:
        """A dropped table's objects are gone."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM dropped_table WHERE uuid = ?", (uuid,))

    def _free_name(self, connection: sqlite3.Connection, table: TableRef) -> int:
        """The id of the schema in which this table name is free."""
        found = connection.execute(COLLECTION, (table.database, table.schema)).fetchone()
        if found is None:
            raise plan_error(f'Schema "{table.schema}" doesn\'t exist')
        taken = 'SELECT 1 FROM "table" WHERE collection_id = ? AND name = ?'
        if connection.execute(taken, (found[0], table.table)).fetchone():
            raise plan_error(f'Table "{table.table}" already exists')
        return found[0]

    def _create(self) -> None:
        with self._transaction() as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'database'").fetchone():
                return
            for statement in SCHEMA:
                connection.execute(statement)
        self.create_database(DEFAULT_DATABASE, missing_only=True)

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
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._errors():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise QueryError(f"Error in the catalog: {error}") from error
