"""A table's data: making tables and committing changes to them, one at a time per table."""

import threading
import uuid as uuids
from collections import defaultdict
from collections.abc import Callable

from arro3.core import RecordBatchReader, Schema
from deltalake import DeltaTable, write_deltalake
from deltalake import Schema as DeltaSchema

from .arrow_types import delta_schema, fields, sql_type
from .catalog import Catalog, TableRef
from .session import Session, quote
from .store import ObjectStore
from .version import BANNER

# A schema that no statement names by accident, for tables in memory.
SCRATCH_SCHEMA = "stand-in"


class Tables:
    """Changes of one table wait for each other: the renames that commit them in S3 notice no second writer."""

    def __init__(self, catalog: Catalog, store: ObjectStore) -> None:
        self._catalog = catalog
        self._store = store
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def create(self, table: TableRef, schema: Schema) -> str:
        """Make an empty table; returns its UUID."""
        self._catalog.check_free(table)
        uuid = str(uuids.uuid4())
        DeltaTable.create(
            self._store.uri(uuid),
            schema=DeltaSchema.from_arrow(delta_schema(schema)),
            name=table.table,
            description=f"Created by {BANNER}",
            storage_options=self._store.options,
        )
        self._catalog.create_table(table, uuid)
        return uuid

    def create_from(self, session: Session, table: TableRef, query: str) -> int:
        """Make a table of a query's rows; returns its version.

        The empty table comes first, and stays where the rows then cannot be had: as in the original.
        """
        source = session.query(query).schema
        target = delta_schema(source)
        if source != target:
            query = _cast(query, target)
        uuid = self.create(table, source)
        return self._append(uuid, session.query(query))

    def insert(self, session: Session, table: TableRef, rest: str) -> int:
        """Run INSERT INTO table `rest`; returns the table's new version.

        DataFusion fills a table in memory, by its rules for columns, types and nulls; its rows are then appended.
        """
        uuid = session.known(table)
        memory = session.make_place(TableRef(session.database, SCRATCH_SCHEMA, "insert"))
        session.run(f"CREATE TABLE {memory} AS SELECT * FROM {session.add(table)} WHERE false")
        list(session.query(f"INSERT INTO {memory} {rest}"))
        return self._append(uuid, session.run(f"SELECT * FROM {memory}"))

    def change(self, uuid: str, change: Callable[[DeltaTable], object]) -> int:
        """Commit one change to a table's data; returns the new version."""
        with self._locks[uuid], self._store.opened(uuid) as delta:
            change(delta)
            version = delta.version()
            self._catalog.add_version(uuid, version)
        return version

    def _append(self, uuid: str, rows: RecordBatchReader) -> int:
        return self.change(uuid, lambda delta: write_deltalake(delta, rows, mode="append"))


def _cast(query: str, target: Schema) -> str:
    """The query with its timestamps cast to the table's precision."""
    columns: list[str] = []
    for field in fields(target):
        name = quote(field.name)
        cast = f"arrow_cast({name}, '{sql_type(field.type)}') AS {name}"
        columns.append(cast if field.type.time_unit is not None else name)
    return f"SELECT {', '.join(columns)} FROM ({query}\n)"
