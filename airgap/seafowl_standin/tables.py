"""A table's data: making tables, and changing their rows, step by step as the original does.

What a client that leaves, or another writer, can do between two steps is part of what is imitated.
"""

import json
import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass

from arro3.core import RecordBatchReader, Schema
from deltalake import DeltaTable
from deltalake import Schema as DeltaSchema

from . import commits
from .arrow_types import delta_schema, field_json, fields, sql_type
from .catalog import Catalog, TableRef
from .commits import APPEND, DELETE, VACUUM_END, VACUUM_START, Action, Operation
from .errors import QueryError
from .logs import LOG
from .registered import Registered
from .session import SCRATCH_SCHEMA, Session, quote
from .statements import has_subquery
from .store import ObjectStore
from .version import BANNER


@dataclass(frozen=True)
class Rewriting:
    """How an UPDATE or a DELETE makes a table's rows new, as SQL; no condition is true for every row."""

    operation: Operation
    columns: str
    condition: str | None
    kept: str = "true"


class Tables:
    """Changes of one table know nothing of each other: see `commits`."""

    def __init__(self, catalog: Catalog, store: ObjectStore, registered: Registered) -> None:
        self._catalog = catalog
        self._store = store
        self._registered = registered

    def create(self, table: TableRef, schema: Schema) -> tuple[str, DeltaSchema]:
        """Make an empty table: its log, its rows in the catalog, its registration; returns its UUID and its schema.

        Where the name is taken, the log stays behind.
        """
        self._catalog.schema_id(table)
        target = delta_schema(schema)
        uuid = str(uuids.uuid4())
        made = DeltaSchema.from_arrow(target)
        DeltaTable.create(
            self._store.uri(uuid),
            schema=made,
            name=table.table,
            description=f"Created by {BANNER}",
            storage_options=self._store.options,
        )
        columns = [(field.name, json.dumps(field_json(field), separators=(",", ":"))) for field in fields(target)]
        self._catalog.create_table(table, uuid, columns)
        self._registered.add(table, uuid)
        return uuid, made

    def create_from(self, session: Session, table: TableRef, query: str) -> int:
        """Make a table of a query's rows in two steps and two versions; returns the second.

        The empty table stays where the rows then cannot be had, or the client has left.
        """
        source = session.query(query).schema
        target = delta_schema(source)
        if source != target:
            query = _cast(query, target)
        uuid, made = self.create(table, source)
        session.client.check()
        return self._append(session, uuid, made, session.query(query))

    def insert(self, session: Session, table: TableRef, rest: str) -> int:
        """Run INSERT INTO table `rest`; returns the table's new version.

        DataFusion fills a table in memory, by its rules for columns, types and nulls; its rows are then appended.
        """
        uuid = session.known(table)
        memory = session.make_place(TableRef(session.database, SCRATCH_SCHEMA, "insert"))
        session.run(f"CREATE TABLE {memory} AS SELECT * FROM {session.add(table)} WHERE false")
        list(session.query(f"INSERT INTO {memory} {rest}"))
        return self._append(session, uuid, session.opened(table).schema(), session.run(f"SELECT * FROM {memory}"))

    def update(self, session: Session, table: TableRef, assignments: dict[str, str], condition: str | None) -> int:
        """Write the table anew with these columns changed where the condition is true; returns the new version."""
        _refuse_subqueries([*assignments.values(), condition or ""])
        delta = _latest(session, table)
        schema = Schema(delta.schema().to_arrow())
        missing = set(assignments) - {field.name for field in fields(schema)}
        if missing:
            raise QueryError(f"Schema error: No field named {', '.join(sorted(missing))}.")
        columns: list[str] = []
        for field in fields(schema):
            name = quote(field.name)
            if field.name in assignments:
                new = f"arrow_cast(({assignments[field.name]}), '{sql_type(field.type)}')"
                columns.append(f"CASE WHEN {condition or 'true'} THEN {new} ELSE {name} END AS {name}")
            else:
                columns.append(name)
        return self._rewrite(session, table, delta, Rewriting(APPEND, ", ".join(columns), condition))

    def delete(self, session: Session, table: TableRef, condition: str | None) -> int:
        """Take out the rows where the condition is true; returns the new version.

        The original keeps those where NOT condition is true, so rows where it is NULL go too, if any other does. And it
        looks for the condition in the optimised plan: where that has none left, all rows go.
        """
        delta = _latest(session, table)
        if condition is None or _loses_condition(session, table, condition):
            return self._commit(session, session.known(table), delta, DELETE, commits.removals(delta))
        return self._rewrite(session, table, delta, Rewriting(DELETE, "*", condition, f"NOT ({condition})"))

    def vacuum(self, session: Session, table: TableRef) -> None:
        """Remove every data file that was taken out of the table, just now too; then forget the catalog's old versions.

        The log keeps them. Both notes of the clean-up go after the same version: in S3 the second one takes the place
        of the first, and of what another writer has committed meanwhile.
        """
        uuid = session.uuid(table)
        if uuid is not None:
            delta = _latest(session, table)
            read = delta.version()
            if unused := delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=True):
                commits.commit(self._store, uuid, read, VACUUM_START, [])
                self._store.remove(uuid, unused)
                commits.commit(self._store, uuid, read, VACUUM_END, [])
        try:
            self._catalog.forget_versions(table)
        except QueryError as error:
            raise QueryError(f"Internal error: Failed to delete old table versions: {error}") from error

    def drop(self, session: Session, table: TableRef, objects_may_stay: bool) -> None:
        """Remove a table's objects, then its row in the catalog.

        Where objects cannot be removed and may stay, nothing but the log will know of them.
        """
        uuid = session.uuid(table)
        if uuid is not None:
            try:
                self._store.remove(uuid)
            except Exception as error:
                if not objects_may_stay:
                    raise
                LOG.info("Failed to cleanup table %s: %s", table, str(error).splitlines()[0])
        session.client.check()
        self._catalog.drop_table(table)

    def _append(self, session: Session, uuid: str, schema: DeltaSchema, rows: RecordBatchReader) -> int:
        """The data goes first, then the log is read and the commit made after what it says."""
        adds = commits.write_rows(self._store, uuid, schema, rows)
        session.client.check()
        return self._commit(session, uuid, self._store.open(uuid), APPEND, adds)

    def _rewrite(self, session: Session, table: TableRef, delta: DeltaTable, rewriting: Rewriting) -> int:
        """Replace the table's files by rewritten ones, if the condition is true for any row; commit in any case."""
        rows = f"FROM {session.put('target', delta)} AS {quote(table.table)}"
        uuid = session.known(table)
        touched = session.query(f"SELECT 1 {rows} WHERE {rewriting.condition or 'true'} LIMIT 1").read_all().num_rows
        actions: list[Action] = []
        if touched:
            new = session.query(f"SELECT {rewriting.columns} {rows} WHERE {rewriting.kept}")
            actions = commits.write_rows(self._store, uuid, delta.schema(), new) + commits.removals(delta)
        session.client.check()
        return self._commit(session, uuid, delta, rewriting.operation, actions)

    def _commit(
        self, session: Session, uuid: str, read: DeltaTable, operation: Operation, actions: list[Action]
    ) -> int:
        version = commits.commit(self._store, uuid, read.version(), operation, actions)
        session.client.check()
        self._catalog.add_version(uuid, version)
        return version


def _latest(session: Session, table: TableRef) -> DeltaTable:
    """A table that its statement has opened, with what its log says by now: from here to the commit is the gap."""
    delta = session.opened(table)
    delta.update_incremental()
    return delta


def _cast(query: str, target: Schema) -> str:
    """The query with its timestamps cast to the table's precision."""
    columns: list[str] = []
    for field in fields(target):
        name = quote(field.name)
        cast = f"arrow_cast({name}, '{sql_type(field.type)}') AS {name}"
        columns.append(cast if field.type.time_unit is not None else name)
    return f"SELECT {', '.join(columns)} FROM ({query}\n)"


def _loses_condition(session: Session, table: TableRef, condition: str) -> bool:
    """Whether the optimiser leaves no filter: a nested query becomes a join, what is never true an empty relation."""
    if has_subquery(condition):
        return True
    select = f"SELECT * FROM {session.add(table)} AS {quote(table.table)} WHERE {condition}"
    return session.optimised(select).startswith("EmptyRelation")


def _refuse_subqueries(expressions: Iterable[str]) -> None:
    """The original's UPDATE makes its expressions without a plan for subqueries."""
    if any(has_subquery(expression) for expression in expressions):
        raise QueryError("This feature is not implemented: Physical plan does not support logical expression Subquery")
