"""The tables that the process has registered with its engine: those of the statement that began last.

The original registers all tables of the catalog anew as each statement begins, for all statements that run. CREATE
TABLE registers its own table when its rows in the catalog are written, and fails where a statement that began meanwhile
has read them already and registered it: the client is told 400, the table is there, empty.
"""

from .catalog import TableRef, Tree
from .errors import QueryError


class Registered:
    """Shared by all threads."""

    def __init__(self) -> None:
        self._tree: Tree = {}

    def replace(self, tree: Tree) -> None:
        """Register the tables of a statement that begins, in place of all others."""
        self._tree = tree

    def add(self, table: TableRef, uuid: str) -> None:
        """Register a new table; raises QueryError where another statement has done so."""
        tables = self._tree.get(table.database, {}).get(table.schema, {})
        if tables.setdefault(table.table, uuid) is not uuid:
            raise QueryError(f"Execution error: The table {table.table} already exists")
