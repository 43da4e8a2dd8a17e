"""The catalog as datafusion sees it while one statement runs: tables are opened when the planner asks for them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from .catalog import TableRef, Tree
from .statements import STAGING_SCHEMA

if TYPE_CHECKING:
    from deltalake import DeltaTable

Staged = Mapping[str, Table]


class Snapshot:
    """One reading of the catalog, and the tables that were opened from it."""

    def __init__(self, tree: Tree, open_table: Callable[[str], "DeltaTable"]) -> None:
        self.tree = tree
        self._open_table = open_table
        self._opened: dict[str, DeltaTable] = {}

    def table(self, uuid: str) -> "DeltaTable":
        """The table, the same one each time the statement names it."""
        if uuid not in self._opened:
            self._opened[uuid] = self._open_table(uuid)
        return self._opened[uuid]

    def uuid(self, table: TableRef) -> str | None:
        """Where the table's data lies, or None where there is no such table."""
        return self.tree.get(table.database, {}).get(table.schema, {}).get(table.table)

    def versions(self) -> list[tuple[str, int]]:
        """UUID and version of each opened table, in a fixed order."""
        return sorted((uuid, table.version()) for uuid, table in self._opened.items())


class Database(CatalogProvider):
    """A database of the snapshot, with its staging schema."""

    def __init__(self, snapshot: Snapshot, name: str, staged: Staged) -> None:
        self._snapshot = snapshot
        self._schemas = snapshot.tree.get(name, {})
        self._staged = staged

    def schema_names(self) -> set[str]:
        """Every schema's name."""
        return {*self._schemas, STAGING_SCHEMA}

    def schema(self, name: str) -> SchemaProvider | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A schema, or None. The base class's annotation is narrower than what datafusion takes."""
        if name == STAGING_SCHEMA:
            return Staging(self._staged)
        return Tables(self._snapshot, self._schemas[name]) if name in self._schemas else None


class Tables(SchemaProvider):
    """The Delta tables of one schema."""

    def __init__(self, snapshot: Snapshot, uuids: Mapping[str, str]) -> None:
        self._snapshot = snapshot
        self._uuids = uuids

    @property
    def table_names(self) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Every table's name. datafusion 55 reads an attribute here where its base class declares a method."""
        return list(self._uuids)

    def table(self, name: str) -> "DeltaTable | None":  # pyright: ignore[reportIncompatibleMethodOverride]
        """The table as it is now."""
        return self._snapshot.table(self._uuids[name]) if name in self._uuids else None

    def table_exist(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return name in self._uuids


class Staging(SchemaProvider):
    """External tables: they are in this process only."""

    def __init__(self, staged: Staged) -> None:
        self._staged = staged

    @property
    def table_names(self) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Every table's name; an attribute for the reason given in `Tables`."""
        return list(self._staged)

    def table(self, name: str) -> Table | None:
        """The external table, or None."""
        return self._staged.get(name)

    def table_exist(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return name in self._staged
