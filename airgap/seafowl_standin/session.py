"""One statement's engine: a fresh DataFusion session (deltalake's QueryBuilder) with the tables that it names.

deltalake brings its own DataFusion. The PyPI package datafusion cannot read Delta tables in S3 through it (their
object store does not cross the foreign function interface) and would double the memory.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .catalog import DEFAULT_SCHEMA, TableRef, Tree
from .errors import engine_error, plan_error
from .plans import Node, check_supported, parse_plan, scanned
from .requested import etag
from .statements import MAX_PARTS, QUERY_STARTS, STAGING_SCHEMA, Name
from .time_travel import parse_time, versioned_names
from .tokens import Kind, Token, tokenize

if TYPE_CHECKING:
    from arro3.core import RecordBatchReader
    from deltalake import DeltaTable

    from .client import Client
    from .external import StagingArea
    from .store import ObjectStore

# Names are the original's; a CSV file has no header unless the statement says so.
OPTIONS = {
    "datafusion.catalog.default_schema": DEFAULT_SCHEMA,
    "datafusion.catalog.information_schema": "true",
    "datafusion.catalog.has_header": "false",
}
INFORMATION_SCHEMA = "information_schema"
# A schema that no statement names by accident, for tables that the stand-in makes for itself.
SCRATCH_SCHEMA = "stand-in"


class Session:
    """Views the catalog as it was when the session was made. Methods raise ApiError."""

    def __init__(
        self, database: str, tree: Tree, store: "ObjectStore", staging: "StagingArea", client: "Client"
    ) -> None:
        from deltalake import QueryBuilder

        self.database = database
        self.tree = tree
        self.client = client
        self._store = store
        self._staging = staging
        self._builder = QueryBuilder(OPTIONS | {"datafusion.catalog.default_catalog": database})
        self._schemas = {(database, DEFAULT_SCHEMA)}
        self._databases = {database}
        self._opened: dict[str, DeltaTable] = {}
        # UUID and version of the tables of the original's ETag, by their names in a query as plans print them.
        self._named: dict[str, tuple[str, int]] = {}
        self._added: set[TableRef] = set()
        self._externals: set[TableRef] = set()

    def resolve(self, name: Name) -> TableRef:
        """The full name of a table."""
        return self._resolve(name.parts)

    def uuid(self, table: TableRef) -> str | None:
        """Where the table's data lies, or None where there is no such table."""
        return self.tree.get(table.database, {}).get(table.schema, {}).get(table.table)

    def known(self, table: TableRef) -> str:
        """Where the table's data lies; raises QueryError where there is no such table."""
        uuid = self.uuid(table)
        if uuid is None:
            raise plan_error(f"table '{table}' not found")
        return uuid

    def query(self, sql: str) -> "RecordBatchReader":
        """Plan a statement that reads and start it; batches are computed as they are taken.

        Raises EnginePanic where the original's engine breaks down.
        """
        sql = self._at_their_times(sql)
        tokens = tokenize(sql)
        self._add_tables(tokens)
        if any(token.is_word("EXISTS") or token.is_word("HAVING") for token in tokens):
            check_supported(self._plan(sql), set(self._named))
        return self.run(sql)

    def run(self, sql: str) -> "RecordBatchReader":
        """Run a statement on what is in the session already."""
        try:
            return self._builder.execute(sql)
        except Exception as error:
            raise engine_error(error) from error

    def etag(self, sql: str) -> str:
        """The ETag of a query whose tables were added before.

        It is made of the tables that the query scans outside of expressions and of nothing else, as the original's:
        not of tables in nested queries (`plans`), of external ones, of what information_schema says.
        """
        plan = self._plan(self._at_their_times(sql))
        return etag(self._named[name] for name in scanned(plan) if name in self._named)

    def put(self, name: str, delta: "DeltaTable") -> str:
        """Put an open table into the session, under a name that no statement means; returns that, quoted."""
        place = self.make_place(TableRef(self.database, SCRATCH_SCHEMA, name))
        self._builder.register(place, delta)
        return place

    def opened(self, table: TableRef) -> "DeltaTable":
        """The table as it was when this statement first read its log."""
        uuid = self.known(table)
        if uuid not in self._opened:
            try:
                self._opened[uuid] = self._store.open(uuid)
            except Exception as error:
                raise engine_error(error) from error
        return self._opened[uuid]

    def add(self, table: TableRef) -> str:
        """Put a table into the session; returns its quoted full name."""
        name = self.make_place(table)
        if table not in self._added:
            delta = self.opened(table)
            try:
                self._builder.register(name, delta)
            except Exception as error:
                raise engine_error(error) from error
            self._added.add(table)
        return name

    def make_place(self, table: TableRef) -> str:
        """Make the database and the schema that a table goes into; returns its quoted full name."""
        if table.database not in self._databases:
            self.run(f"CREATE DATABASE {quote(table.database)}")
            self._databases.add(table.database)
        place = (table.database, table.schema)
        if place not in self._schemas:
            self.run(f"CREATE SCHEMA IF NOT EXISTS {quote(*place)}")
            self._schemas.add(place)
        return quote(table.database, table.schema, table.table)

    def _add_tables(self, tokens: list[Token]) -> None:
        """Add every table that some name in the statement could mean; one too many does no harm."""
        if any(token.identifier == INFORMATION_SCHEMA or token.is_word("SHOW") for token in tokens):
            self._add_all()
        for parts in set(dotted_names(tokens)):
            table = self._resolve(parts)
            if table.schema == STAGING_SCHEMA:
                self._add_external(table)
            elif (uuid := self.uuid(table)) is not None:
                self.add(table)
                self._named[".".join(parts)] = (uuid, self.opened(table).version())

    def optimised(self, sql: str) -> str:
        """The text of the plan of a query on what is in the session, after all optimisations."""
        return str(self.run(f"EXPLAIN {sql}").read_all().column(1)[0].as_py())

    def _plan(self, sql: str) -> Node:
        """The plan of a query, or of one that is explained, before any optimisation: EXPLAIN VERBOSE's first row."""
        tokens = tokenize(sql)
        if tokens[0].is_word("EXPLAIN"):
            sql = sql[next(token.start for token in tokens if token.text.upper() in QUERY_STARTS) :]
        rows = self.run(f"EXPLAIN VERBOSE {sql}").read_all()
        return parse_plan(str(rows.column(1)[0].as_py()))

    def _at_their_times(self, sql: str) -> str:
        """Put the tables at a time that the query names into the session; returns the query with names for them."""
        for found in reversed(list(versioned_names(tokenize(sql), MAX_PARTS))):
            table = self._resolve(found.parts)
            uuid = self.uuid(table)
            if uuid is None:
                continue
            versioned = TableRef(table.database, table.schema, f"{table.table}:{found.time.lower()}")
            name = self.make_place(versioned)
            if versioned not in self._added:
                delta = self._store.open(uuid, parse_time(found.time))
                self._builder.register(name, delta)
                self._added.add(versioned)
                self._named[str(versioned)] = (uuid, delta.version())
            sql = f"{sql[: found.start]}{name}{sql[found.end :]}"
        return sql

    def _add_external(self, table: TableRef) -> None:
        if table not in self._externals and (external := self._staging.get(table)) is not None:
            self.run(external.sql(self.make_place(table)))
            self._externals.add(table)

    def _add_all(self) -> None:
        for database, schemas in self.tree.items():
            for schema, tables in schemas.items():
                for table in tables:
                    self.add(TableRef(database, schema, table))

    def _resolve(self, parts: Iterable[str]) -> TableRef:
        given = list(parts)
        missing = [self.database, DEFAULT_SCHEMA][: MAX_PARTS - len(given)]
        return TableRef(*missing, *given)


def dotted_names(tokens: list[Token]) -> Iterator[tuple[str, ...]]:
    """Every run of one to three names with dots between them, and its beginnings: `a.b` gives `a` and `a.b`."""
    for start in range(len(tokens)):
        if start > 0 and tokens[start - 1].is_mark("."):
            continue
        parts: list[str] = []
        for dot, token in zip([None, *tokens[start + 1 :: 2]], tokens[start::2], strict=False):
            is_joined = dot is None or dot.is_mark(".")
            if not is_joined or token.kind not in (Kind.WORD, Kind.QUOTED) or len(parts) == MAX_PARTS:
                break
            parts.append(token.identifier)
            yield tuple(parts)


def quote(*parts: str) -> str:
    """A quoted SQL name."""
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in parts)
