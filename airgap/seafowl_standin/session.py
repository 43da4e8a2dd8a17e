"""One statement's engine: a fresh DataFusion session (deltalake's QueryBuilder) with the tables that it names.

deltalake brings its own DataFusion. The PyPI package datafusion cannot read Delta tables in S3 through it (their
object store does not cross the foreign function interface) and would double the memory.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .catalog import DEFAULT_SCHEMA, TableRef, Tree
from .errors import engine_error, plan_error
from .requested import etag
from .statements import MAX_PARTS, STAGING_SCHEMA, Name
from .tokens import Kind, Token, tokenize

if TYPE_CHECKING:
    from arro3.core import RecordBatchReader

    from .external import StagingArea
    from .store import ObjectStore

# Names are the original's; a CSV file has no header unless the statement says so.
OPTIONS = {
    "datafusion.catalog.default_schema": DEFAULT_SCHEMA,
    "datafusion.catalog.information_schema": "true",
    "datafusion.catalog.has_header": "false",
}
INFORMATION_SCHEMA = "information_schema"


class Session:
    """Views the catalog as it was when the session was made. Methods raise ApiError."""

    def __init__(self, database: str, tree: Tree, store: "ObjectStore", staging: "StagingArea") -> None:
        from deltalake import QueryBuilder

        self.database = database
        self.tree = tree
        self._store = store
        self._staging = staging
        self._builder = QueryBuilder(OPTIONS | {"datafusion.catalog.default_catalog": database})
        self._schemas = {(database, DEFAULT_SCHEMA)}
        self._databases = {database}
        self._versions: dict[str, int] = {}
        self._named: set[str] = set()
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
        """Plan a statement that reads and start it; batches are computed as they are taken."""
        self._add_tables(tokenize(sql))
        return self.run(sql)

    def run(self, sql: str) -> "RecordBatchReader":
        """Run a statement on what is in the session already."""
        try:
            return self._builder.execute(sql)
        except Exception as error:
            raise engine_error(error) from error

    def etag(self) -> str:
        """The ETag of the tables that were named so far.

        As the original's, it knows nothing else that a query reads: not what information_schema says.
        """
        return etag((uuid, version) for uuid, version in self._versions.items() if uuid in self._named)

    def add(self, table: TableRef) -> str:
        """Put a table into the session; returns its quoted full name."""
        uuid = self.known(table)
        name = self.make_place(table)
        if uuid in self._versions:
            return name
        try:
            with self._store.opened(uuid) as delta:
                self._builder.register(name, delta)
                self._versions[uuid] = delta.version()
        except Exception as error:
            raise engine_error(error) from error
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
        for table in {self._resolve(parts) for parts in dotted_names(tokens)}:
            if table.schema == STAGING_SCHEMA:
                self._add_external(table)
            elif (uuid := self.uuid(table)) is not None:
                self.add(table)
                self._named.add(uuid)

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
