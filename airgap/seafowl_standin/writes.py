"""Running the statements that write: to the catalog, the object store, or both."""

import threading
import uuid as uuids
from collections import defaultdict

import pyarrow as pa
from datafusion import DataFrame
from deltalake import DeltaTable, Schema, write_deltalake

from .catalog import Catalog, TableRef
from .engine import Engine, Session
from .errors import ApiError, QueryError, engine_error, plan_error
from .garbage import collect
from .schemas import as_stored, delta_schema
from .scratch import scratch
from .statements import STAGING_SCHEMA, Statement, Verb
from .store import ObjectStore
from .updates import split_update
from .version import BANNER

# No external table is likely to have this name; it is in the staging schema of one statement only.
INSERT_TARGET = "insert target"


class Writer:
    """Runs writing statements one at a time per table: renames in S3 do not notice a second writer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @property
    def _catalog(self) -> Catalog:
        return self._engine.catalog

    @property
    def _store(self) -> ObjectStore:
        return self._engine.store

    def run(self, statement: Statement, database: str) -> None:
        """Run one writing statement; raises ApiError."""
        session = self._engine.session(database)
        actions = {
            Verb.CREATE_DATABASE: self._create_database,
            Verb.CREATE_SCHEMA: self._create_schema,
            Verb.CREATE_TABLE: self._create_table,
            Verb.CREATE_TABLE_AS: self._create_table_as,
            Verb.CREATE_EXTERNAL_TABLE: self._create_external_table,
            Verb.INSERT: self._insert,
            Verb.UPDATE: self._update,
            Verb.DELETE: self._delete,
            Verb.TRUNCATE: self._truncate,
            Verb.DROP_TABLE: self._drop_table,
            Verb.DROP_SCHEMA: self._drop_schema,
            Verb.RENAME_TABLE: self._rename_table,
            Verb.VACUUM_TABLE: self._vacuum_table,
            Verb.VACUUM_DATABASE: self._vacuum_database,
        }
        try:
            actions[statement.verb](statement, session)
        except ApiError:
            raise
        except Exception as error:
            raise engine_error(error) from error

    def create(self, table: TableRef, schema: pa.Schema) -> str:
        """Make an empty table; returns its UUID."""
        self._catalog.check_free(table)
        uuid = str(uuids.uuid4())
        DeltaTable.create(
            self._store.uri(uuid),
            schema=Schema.from_arrow(schema),
            name=table.table,
            description=f"Created by {BANNER}",
            storage_options=self._store.options,
        )
        self._catalog.create_table(table, uuid)
        return uuid

    def append(self, uuid: str, frame: DataFrame) -> int:
        """Append a query's rows to a table, in the table's own types; returns the new version."""
        with self._locks[uuid]:
            table = self._store.open(uuid)
            target = pa.schema(table.schema().to_arrow())
            write_deltalake(table, as_stored(frame, target), mode="append")
            version = self._store.open(uuid).version()
            self._catalog.add_version(uuid, version)
        return version

    def _create_database(self, statement: Statement, session: Session) -> None:
        self._catalog.create_database(statement.target.parts[-1], statement.if_not_exists)

    def _create_schema(self, statement: Statement, session: Session) -> None:
        *database, schema = statement.target.parts
        self._catalog.create_schema(database[-1] if database else session.database, schema)

    def _create_table(self, statement: Statement, session: Session) -> None:
        context = scratch()
        context.sql(f"CREATE TABLE new {statement.text[statement.rest :]}")
        self.create(session.resolve(statement.target), delta_schema(context.table("new").schema()))

    def _create_table_as(self, statement: Statement, session: Session) -> None:
        table = session.resolve(statement.target)
        if statement.if_not_exists and session.snapshot.uuid(table) is not None:
            return
        frame = session.plan(statement.text[statement.rest :])
        # The table comes first and stays, empty, where its rows cannot be had: as in the original.
        self.append(self.create(table, delta_schema(frame.schema())), frame)

    def _create_external_table(self, statement: Statement, session: Session) -> None:
        self._engine.staging.create(session.database, statement)

    def _insert(self, statement: Statement, session: Session) -> None:
        """datafusion fills a table in memory (its rules for columns, types and nulls), which is then appended."""
        uuid = session.uuid(session.resolve(statement.target))
        schema = pa.schema(session.snapshot.table(uuid).schema().to_arrow())
        context = scratch()
        context.register_record_batches(INSERT_TARGET, [[pa.RecordBatch.from_pylist([], schema=schema)]])
        session.staged[INSERT_TARGET] = context.catalog().schema().table(INSERT_TARGET)
        rest = statement.text[statement.rest :]
        session.context.sql(f'INSERT INTO {STAGING_SCHEMA}."{INSERT_TARGET}" {rest}').collect()
        self.append(uuid, context.table(INSERT_TARGET))

    def _update(self, statement: Statement, session: Session) -> None:
        uuid = session.uuid(session.resolve(statement.target))
        assignments, predicate = split_update(statement)
        with self._locks[uuid]:
            table = self._store.open(uuid)
            table.update(updates=assignments, predicate=predicate)
            self._catalog.add_version(uuid, table.version())

    def _delete(self, statement: Statement, session: Session) -> None:
        uuid = session.uuid(session.resolve(statement.target))
        with self._locks[uuid]:
            table = self._store.open(uuid)
            table.delete(statement.text[statement.rest :] or None)
            self._catalog.add_version(uuid, table.version())

    def _truncate(self, statement: Statement, session: Session) -> None:
        uuid = session.uuid(session.resolve(statement.target))
        with self._locks[uuid]:
            table = self._store.open(uuid)
            table.delete()
            self._catalog.add_version(uuid, table.version())

    def _drop_table(self, statement: Statement, session: Session) -> None:
        table = session.resolve(statement.target)
        if table.schema == STAGING_SCHEMA:
            if not self._engine.staging.drop(table.database, table.table) and not statement.if_exists:
                raise plan_error(f"table '{table}' not found")
            return
        uuid = session.snapshot.uuid(table)
        if uuid is None:
            if statement.if_exists:
                return
            raise QueryError(f"Execution error: Table '{statement.target}' doesn't exist.")
        self._catalog.drop_tables({table: uuid})
        collect(self._catalog, self._store, table.database)

    def _drop_schema(self, statement: Statement, session: Session) -> None:
        *database, schema = statement.target.parts
        if database and database[-1] != session.database:
            raise QueryError("Execution error: Cannot delete schemas in other catalogs")
        tables = session.snapshot.tree.get(session.database, {}).get(schema)
        if tables is None:
            if statement.if_exists:
                return
            raise QueryError(f"Execution error: Schema {schema} does not exist")
        refs = {TableRef(session.database, schema, name): uuid for name, uuid in tables.items()}
        self._catalog.drop_tables(refs, (session.database, schema))
        collect(self._catalog, self._store, session.database)

    def _rename_table(self, statement: Statement, session: Session) -> None:
        assert statement.new_name is not None
        old, new = session.resolve(statement.target), session.resolve(statement.new_name)
        uuid = session.snapshot.uuid(old)
        if uuid is None:
            raise plan_error(f'Source table "{statement.target}" doesn\'t exist')
        if session.snapshot.uuid(new) is not None:
            raise plan_error(f'Target table "{statement.new_name}" already exists')
        if new.database != session.database:
            raise plan_error("Changing the table's database is not supported!")
        self._catalog.rename_table(uuid, new)

    def _vacuum_table(self, statement: Statement, session: Session) -> None:
        uuid = session.uuid(session.resolve(statement.target))
        with self._locks[uuid]:
            self._store.open(uuid).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
            self._catalog.forget_versions(uuid)

    def _vacuum_database(self, statement: Statement, session: Session) -> None:
        collect(self._catalog, self._store, statement.target.parts[-1])
