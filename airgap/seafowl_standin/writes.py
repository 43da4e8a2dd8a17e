"""Running the statements that write: to the catalog, the object store, or both."""

from collections.abc import Callable

from .catalog import TableRef
from .client import ClientGone
from .engine import Engine
from .errors import ApiError, QueryError, engine_error, plan_error
from .garbage import collect
from .plans import EnginePanic
from .session import SCRATCH_SCHEMA, Session
from .statements import STAGING_SCHEMA, Statement, Verb
from .updates import split_update


class Writer:
    """Runs writing statements."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._catalog = engine.catalog
        self._tables = engine.tables

    def run(self, statement: Statement, session: Session) -> None:
        """Run one writing statement; raises ApiError, ClientGone between its steps, and EnginePanic."""
        actions: dict[Verb, Callable[[Statement, Session], object]] = {
            Verb.CREATE_DATABASE: self._create_database,
            Verb.CREATE_SCHEMA: self._create_schema,
            Verb.CREATE_TABLE: self._create_table,
            Verb.CREATE_TABLE_AS: self._create_table_as,
            Verb.CREATE_EXTERNAL_TABLE: lambda statement, session: self._engine.staging.create(session, statement),
            Verb.INSERT: self._insert,
            Verb.UPDATE: self._update,
            Verb.DELETE: self._delete,
            # The original's parser smuggles VACUUM through its word for TRUNCATE, and so takes that for VACUUM.
            Verb.TRUNCATE: self._vacuum_table,
            Verb.DROP_TABLE: self._drop_table,
            Verb.DROP_SCHEMA: self._drop_schema,
            Verb.RENAME_TABLE: self._rename_table,
            Verb.VACUUM_TABLE: self._vacuum_table,
            Verb.VACUUM_DATABASE: self._vacuum_database,
        }
        try:
            actions[statement.verb](statement, session)
        except (ApiError, ClientGone, EnginePanic):
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
        assignments, condition = split_update(statement.body)
        self._tables.update(session, session.resolve(statement.target), assignments, condition)

    def _delete(self, statement: Statement, session: Session) -> None:
        self._tables.delete(session, session.resolve(statement.target), statement.body or None)

    def _drop_table(self, statement: Statement, session: Session) -> None:
        """With IF EXISTS an external table stays: the original looks for a table of its own."""
        table = session.resolve(statement.target)
        if statement.if_exists and session.uuid(table) is None:
            return
        if table.schema == STAGING_SCHEMA:
            self._engine.staging.drop(table)
            return
        self._tables.drop(session, table, objects_may_stay=True)

    def _drop_schema(self, statement: Statement, session: Session) -> None:
        *database, schema = statement.target.parts
        if database and database[-1] != session.database:
            raise QueryError("Execution error: Cannot delete schemas in other catalogs")
        tables = session.tree.get(session.database, {}).get(schema)
        if tables is None:
            if statement.if_exists:
                return
            raise QueryError(f"Execution error: Schema {schema} does not exist")
        for name in tables:
            self._tables.drop(session, TableRef(session.database, schema, name), objects_may_stay=False)
        self._catalog.drop_schema(session.database, schema)

    def _rename_table(self, statement: Statement, session: Session) -> None:
        old, new = session.resolve(statement.target), session.resolve(statement.renamed)
        if session.uuid(old) is None:
            raise plan_error(f'Source table "{statement.target}" doesn\'t exist')
        if session.uuid(new) is not None:
            raise plan_error(f'Target table "{statement.renamed}" already exists')
        if new.database != session.database:
            raise plan_error("Changing the table's database is not supported!")
        self._catalog.rename_table(old, new)

    def _vacuum_table(self, statement: Statement, session: Session) -> None:
        self._tables.vacuum(session, session.resolve(statement.target))

    def _vacuum_database(self, statement: Statement, _: Session) -> None:
        collect(self._catalog, self._engine.store, statement.target.parts[-1])
