"""Sessions of datafusion over the catalog: planning and running what reads."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Table

from .catalog import DEFAULT_SCHEMA, Catalog, TableRef
from .config import Settings
from .errors import engine_error, plan_error
from .external import StagingArea
from .scratch import TYPES
from .statements import Name
from .store import ObjectStore
from .tables import Database, Snapshot

MB = 1000 * 1000
READ_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)


@dataclass
class Session:
    """One statement's view of the catalog, scoped to a database."""

    context: SessionContext
    snapshot: Snapshot
    database: str
    staged: dict[str, Table]

    def plan(self, sql: str) -> DataFrame:
        """Plan a statement that reads; raises ApiError."""
        try:
            return self.context.sql_with_options(sql, READ_ONLY)
        except Exception as error:
            raise engine_error(error) from error

    def etag(self) -> str:
        """A hash of the versions of the tables that were planned with: not of the query."""
        return sha256(repr(self.snapshot.versions()).encode()).hexdigest()

    def resolve(self, name: Name) -> TableRef:
        """The full name of a table."""
        database, schema, table = [self.database, DEFAULT_SCHEMA, *name.parts][-3:]
        if len(name.parts) == 2:
            database = self.database
        return TableRef(database, schema, table)

    def uuid(self, table: TableRef) -> str:
        """Where a table's data lies; raises QueryError where there is no such table."""
        uuid = self.snapshot.uuid(table)
        if uuid is None:
            raise plan_error(f"table '{table}' not found")
        return uuid


class Engine:
    """What the statements of one process share."""

    def __init__(self, settings: Settings, catalog: Catalog, store: ObjectStore, staging: StagingArea) -> None:
        self.catalog = catalog
        self.store = store
        self.staging = staging
        self._settings = settings

    def session(self, database: str) -> Session:
        """A new view of the catalog as it is now."""
        snapshot = Snapshot(self.catalog.tree(), self.store.open)
        context = SessionContext(_config(database), self._runtime())
        self.staging.register_stores(context)
        staged = {name: self.staging.tables(name) for name in {database, *snapshot.tree}}
        for name, tables in staged.items():
            context.register_catalog_provider(name, Database(snapshot, name, tables))
        return Session(context, snapshot, database, staged[database])

    def _runtime(self) -> RuntimeEnvBuilder:
        """The memory limit counts per statement: datafusion's Python sessions cannot share a pool."""
        runtime = RuntimeEnvBuilder()
        if self._settings.max_memory is not None:
            runtime = runtime.with_fair_spill_pool(int(self._settings.max_memory * MB * 0.7))
        if self._settings.temp_dir is not None:
            runtime = runtime.with_disk_manager_specified(self._settings.temp_dir)
        return runtime


@lru_cache(maxsize=16)
def _config(database: str) -> SessionConfig:
    return (
        # Tables come through a foreign function interface, where splitting a small scan costs more than it gains:
        # a quarter of a small aggregate's time.
        SessionConfig(TYPES | {"datafusion.optimizer.enable_round_robin_repartition": "false"})
        .with_information_schema(True)
        .with_default_catalog_and_schema(database, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(False)
    )
