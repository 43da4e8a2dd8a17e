"""Making the catalog's tables, which are the original's, and moving the rows of earlier versions there."""

import sqlite3
from uuid import UUID

TABLES = (
    "CREATE TABLE database (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL UNIQUE)",
    "CREATE TABLE collection (id INTEGER NOT NULL PRIMARY KEY,"
    " database_id BIGINT NOT NULL REFERENCES database(id) ON DELETE CASCADE,"
    " name VARCHAR NOT NULL, CONSTRAINT collection_name_unique UNIQUE(name, database_id))",
    'CREATE TABLE "table" (id INTEGER NOT NULL PRIMARY KEY,'
    " collection_id BIGINT NOT NULL REFERENCES collection(id) ON DELETE CASCADE,"
    " name VARCHAR NOT NULL, uuid BLOB NOT NULL DEFAULT x'00000000000000000000000000000000',"
    " CONSTRAINT table_name_unique UNIQUE(name, collection_id))",
    "CREATE TABLE table_version (id INTEGER NOT NULL PRIMARY KEY,"
    ' table_id BIGINT NOT NULL REFERENCES "table"(id) ON DELETE CASCADE,'
    " creation_time INTEGER(4) NOT NULL DEFAULT((strftime('%s','now'))), version INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE table_column (id INTEGER NOT NULL PRIMARY KEY,"
    " table_version_id BIGINT NOT NULL REFERENCES table_version(id) ON DELETE CASCADE,"
    " name VARCHAR NOT NULL, type VARCHAR NOT NULL, CONSTRAINT column_name_unique UNIQUE(name, table_version_id))",
    'CREATE TABLE "function" (id INTEGER NOT NULL PRIMARY KEY,'
    " database_id BIGINT NOT NULL REFERENCES database(id) ON DELETE CASCADE, name VARCHAR NOT NULL,"
    " entrypoint VARCHAR NOT NULL, language VARCHAR NOT NULL, input_types VARCHAR NOT NULL,"
    " return_type VARCHAR NOT NULL, data VARCHAR NOT NULL, volatility VARCHAR NOT NULL,"
    " CONSTRAINT function_name_unique UNIQUE(name, database_id))",
    "CREATE TABLE dropped_table (database_name VARCHAR NOT NULL, collection_name VARCHAR NOT NULL,"
    " table_name VARCHAR NOT NULL, uuid BLOB NOT NULL,"
    " deletion_status VARCHAR DEFAULT 'PENDING' CHECK (deletion_status in ('PENDING', 'RETRY', 'FAILED')),"
    " drop_time INTEGER(4) NOT NULL DEFAULT((strftime('%s','now'))))",
    "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,"
    " installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL,"
    " execution_time BIGINT NOT NULL)",
)
# What the original notes about each migration: number, name, SHA-384 of the file.
APPLIED = (
    (
        20220728071524,
        "create tables",
        "bf4b9fedfe146b96da2c4b410bfb987c04b5221e8593725b64c69640d595ff712c733ef35a7682f956c86a361fb1cbb6",
    ),
    (
        20220921081323,
        "arrow datatype storage",
        "a380c77fe02a13a16a8651d21edd16680d7f68fc14a2e910a104712dd9c3965cf5e65c6222705aafdff1fd4e207f0777",
    ),
    (
        20230221081928,
        "delta lake integration",
        "2e14ce6b72955293db7a5339373cfea5b5b0e2c6e56a786b8f2c963585d9312b3c9592878a565cadb7a890f9bd5c167d",
    ),
    (
        20230505071716,
        "remove legacy tables",
        "6d543033f2af8969d818bf9f13e35b9afc03f4e644ae8306e72bfeff833c5ee1647782b3d293e7cd6c46691f6fc95428",
    ),
)
# The tables of the stand-in until version 0.1.1, those that refer to others first.
OLD_TABLES = ("table_version", "table", "collection", "database", "dropped_table")


def migrate(connection: sqlite3.Connection) -> None:
    """Make the tables where they are missing, in the caller's transaction; keeps the rows of an old catalog."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "table_column" in there:
        return
    old = _take_old(connection) if "database" in there else {}
    for statement in TABLES:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)"
        " VALUES (?, ?, TRUE, ?, 0)",
        [(number, name, bytes.fromhex(checksum)) for number, name, checksum in APPLIED],
    )
    _put_old(connection, old)


def _take_old(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Read the rows of an old catalog and drop its tables."""
    rows = {
        "database": connection.execute("SELECT id, name FROM database").fetchall(),
        "collection": connection.execute("SELECT id, database_id, name FROM collection").fetchall(),
        "table": connection.execute('SELECT id, collection_id, name, uuid FROM "table"').fetchall(),
        "table_version": connection.execute(
            "SELECT table_id, creation_time, version FROM table_version ORDER BY table_id, version"
        ).fetchall(),
        "dropped_table": connection.execute(
            "SELECT database_name, collection_name, table_name, uuid, drop_time FROM dropped_table"
        ).fetchall(),
    }
    for table in OLD_TABLES:
        connection.execute(f'DROP TABLE "{table}"')
    return rows


def _put_old(connection: sqlite3.Connection, rows: dict[str, list[tuple[object, ...]]]) -> None:
    """Columns were not noted before: a table's versions have none, and neither have those that are copied from them."""
    inserts = {
        "database": "INSERT INTO database (id, name) VALUES (?, ?)",
        "collection": "INSERT INTO collection (id, database_id, name) VALUES (?, ?, ?)",
        "table": 'INSERT INTO "table" (id, collection_id, name, uuid) VALUES (?, ?, ?, ?)',
        "table_version": "INSERT INTO table_version (table_id, creation_time, version) VALUES (?, ?, ?)",
        "dropped_table": "INSERT INTO dropped_table (database_name, collection_name, table_name, uuid, drop_time)"
        " VALUES (?, ?, ?, ?, ?)",
    }
    for table, statement in inserts.items():
        for row in rows.get(table, []):
            values = [
                _blob(value) if index == 3 and table != "table_version" else value for index, value in enumerate(row)
            ]
            connection.execute(statement, values)


def _blob(uuid: object) -> bytes:
    return UUID(str(uuid)).bytes
