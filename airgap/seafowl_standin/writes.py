"""Running the statements that write: to the catalog, the object store, or both."""

from collections.abc import Callable

from .catalog import TableRef
from .engine import Engine
from .errors import ApiError, QueryError, engine_error, plan_error
from .garbage import collect
from .session import Session
from .statements import STAGING_SCHEMA, Statement, Verb
from .tables import SCRATCH_SCHEMA
from .updates import split_update


class Writer:
    """Runs writing statements."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._catalog = engine.catalog
        self._tables = engine.tables

    def run(self, statement: Statement, database: str) -> None:
        """Run one writing statement; raises ApiError."""
        actions: dict[Verb, Callable[[Statement, Session], object]] = {
            Verb.CREATE_DATABASE: self._create_database,
            Verb.CREATE_SCHEMA: self._create_schema,
            Verb.CREATE_TABLE: self._create_table,
            Verb.CREATE_TABLE_AS: self._create_table_as,
            Verb.CREATE_EXTERNAL_TABLE: lambda statement, session: self._engine.staging.create(session, statement),
            Verb.INSERT: self._insert,
            Verb.UPDATE: self._update,
            Verb.DELETE: self._delete,
            Verb.TRUNCATE: self._delete,
            Verb.DROP_TABLE: self._drop_table,
            Verb.DROP_SCHEMA: self._drop_schema,
            Verb.RENAME_TABLE: self._rename_table,
            Verb.VACUUM_TABLE: self._vacuum_table,
            Verb.VACUUM_DATABASE: self._vacuum_database,
        }
        try:
            actions[statement.verb](statement, self._engine.session(database))
        except ApiError:
            raise
        except Exception as error:
            raise engine_error(error) from error

    def _create_database(self, statement: Statement, _: Session) -> None:
        self._catalog.create_database(statement.target.parts[-1], statement.if_not_exists)

    def _create_schema(self, statement: Statement, session: Session) -> None:
        """IF NOT EXISTS changes nothing here, and neither does it for CREATE TABLE: as in the original."""
        *database, schema = statement.target.parts
        self._catalog.create_schema(database[-1] if database else session.database, schema)

    def _create_table(self, statement: Statement, session: Session) -> None:
        """DataFusion reads the columns by making the table in memory."""
        memory = session.make_place(TableRef(session.database, SCRATCH_SCHEMA, "new"))
        session.run(f"CREATE TABLE {memory} {statement.body}")
        columns = session.run(f"SELECT * FROM {memory}").schema
        self._tables.create(session.resolve(statement.target), columns)

    def _create_table_as(self, statement: Statement, session: Session) -> None:
        table = session.resolve(statement.target)
        if not statement.if_not_exists or session.uuid(table) is None:
            self._tables.create_from(session, table, statement.body)

    def _insert(self, statement: Statement, session: Session) -> None:
        self._tables.insert(session, session.resolve(statement.target), statement.body)

    def _update(self, statement: Statement, session: Session) -> None:
        assignments, predicate = split_update(statement.body)
        uuid = session.known(session.resolve(statement.target))
        self._tables.change(uuid, lambda delta: delta.update(updates=assignments, predicate=predicate))

    def _delete(self, statement: Statement, session: Session) -> None:
        """DELETE FROM and, without a condition, TRUNCATE."""
        predicate = statement.body or None
        uuid = session.known(session.resolve(statement.target))
        self._tables.change(uuid, lambda delta: delta.delete(predicate))

    def _drop_table(self, statement: Statement, session: Session) -> None:
        table = session.resolve(statement.target)
        if table.schema == STAGING_SCHEMA:
            if not self._engine.staging.drop(table) and not statement.if_exists:
                raise plan_error(f"table '{table}' not found")
            return
        uuid = session.uuid(table)
        if uuid is None:
            if statement.if_exists:
                return
            raise QueryError(f"Execution error: Table '{statement.target}' doesn't exist.")
        self._catalog.drop_tables({table: uuid})
        collect(self._catalog, self._engine.store, table.database)

    def _drop_schema(self, statement: Statement, session: Session) -> None:
        *database, schema = statement.target.parts
        if database and database[-1] != session.database:
            raise QueryError("Execution error: Cannot delete schemas in other catalogs")
        tables = session.tree.get(session.database, {}).get(schema)
        if tables is None:
            if statement.if_exists:
                return
            raise QueryError(f"Execution error: Schema {schema} does not exist")
        refs = {TableRef(session.database, schema, name): uuid for name, uuid in tables.items()}
        self._catalog.drop_tables(refs, (session.database, schema))
        collect(self._catalog, self._engine.store, session.database)

    def _rename_table(self, statement: Statement, session: Session) -> None:
        old, new = session.resolve(statement.target), session.resolve(statement.renamed)
        uuid = session.uuid(old)
        if uuid is None:
            raise plan_error(f'Source table "{statement.target}" doesn\'t exist')
        if session.uuid(new) is not None:
            raise plan_error(f'Target table "{statement.renamed}" already exists')
        if new.database != session.database:
            raise plan_error("Changing the table's database is not supported!")
        self._catalog.rename_table(uuid, new)

    def _vacuum_table(self, statement: Statement, session: Session) -> None:
        uuid = session.known(session.resolve(statement.target))
        self._tables.change(
            uuid, lambda delta: delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        )
        self._catalog.forget_versions(uuid)

    def _vacuum_database(self, statement: Statement, _: Session) -> None:
        collect(self._catalog, self._engine.store, statement.target.parts[-1])
