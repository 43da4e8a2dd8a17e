"""The order in which changes of tables run: one after the other where they touch one table, side by side elsewhere.

Seafowl 0.5.8 needs it. Its commits to S3 overwrite whatever is there (src/object_store/wrapped.rs), so of two changes
of one table that run at the same time, one is lost, although both were answered with 200.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple


class TableName(NamedTuple):
    """A table by its full name, in lower case: names that differ by case alone wait for each other needlessly."""

    database: str
    schema: str
    table: str

    @classmethod
    def of(cls, database: str, schema: str, table: str) -> "TableName":
        """The table of these names, as they were written."""
        return cls(database.casefold(), schema.casefold(), table.casefold())


Tables = frozenset[TableName]

NO_TABLE: Tables = frozenset()
EVERY_TABLE: Tables = frozenset({TableName("", "", "")})
"""Stands for all tables there are, and will be: no table has an empty name."""


class QueueFullError(Exception):
    """Too many changes wait."""


class OrderClosedError(Exception):
    """This node takes no more changes."""


class Place:
    """A place in the order, by its arrival."""

    def __init__(self, tables: Tables, is_client: bool) -> None:
        self.tables = tables
        self.is_client = is_client
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class TableOrder:
    """Lets changes in by table, in the order of their arrival.

    A change enters when no change that arrived before it, and is still there, touches one of its tables. So none is
    overtaken by a later one that it conflicts with, and one for all tables is not passed over for ever.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: how many clients' changes may wait at the same time."""
        self._limit = limit
        self._places: dict[Place, None] = {}
        self._closed = False

    @asynccontextmanager
    async def enter(self, tables: Tables, seconds: float | None = None) -> AsyncGenerator[Place, None]:
        """Wait until a client's change of `tables` may run, for at most `seconds`; it runs until the block ends.

        Raises QueueFullError at once, OrderClosedError, and asyncio.TimeoutError; the change must not run then.
        """
        if sum(place.is_client for place in self._waiting()) >= self._limit:
            raise QueueFullError
        async with self._taken(tables, is_client=True, seconds=seconds) as place:
            yield place

    @asynccontextmanager
    async def place(self, tables: Tables) -> AsyncGenerator[None, None]:
        """The same for what is no client's: it waits as long as it takes. Raises OrderClosedError."""
        async with self._taken(tables, is_client=False, seconds=None):
            yield

    def narrow(self, place: Place, tables: Tables) -> None:
        """Let those in that wait for other tables than `tables`, which are some of those that `place` has."""
        place.tables = tables
        self._let_in()

    def waiting(self, tables: Tables) -> int:
        """How many clients' changes wait for one of `tables`."""
        return sum(place.is_client and _conflict(place.tables, tables) for place in self._waiting())

    def close(self) -> None:
        """Let in nobody any more: who waits gets OrderClosedError."""
        self._closed = True
        for place in list(self._waiting()):
            place.turn.set_exception(OrderClosedError())

    @asynccontextmanager
    async def _taken(self, tables: Tables, *, is_client: bool, seconds: float | None) -> AsyncGenerator[Place, None]:
        if self._closed:
            raise OrderClosedError
        place = Place(tables, is_client)
        self._places[place] = None
        try:
            self._let_in()
            # (Not wait_for, which may swallow a cancellation that comes together with the turn: Python 3.10.)
            await asyncio.wait({place.turn}, timeout=seconds)
            if not place.turn.done():
                raise asyncio.TimeoutError
            place.turn.result()
            yield place
        finally:
            del self._places[place]
            self._let_in()

    def _waiting(self) -> Iterator[Place]:
        return (place for place in self._places if not place.turn.done())

    def _let_in(self) -> None:
        if self._closed:
            return
        before: set[TableName] = set()
        for place in self._places:
            if not place.turn.done() and not _conflict(place.tables, before):
                place.turn.set_result(None)
            before |= place.tables
            if before >= EVERY_TABLE:
                return


def _conflict(one: Tables, other: Tables | set[TableName]) -> bool:
    if not one or not other:
        return False
    return one >= EVERY_TABLE or other >= EVERY_TABLE or not one.isdisjoint(other)
