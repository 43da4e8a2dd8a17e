"""What several clients write into the same tables at once, while things go wrong; and a count of all their rows."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from bench.clients import ask, is_refusal, rows_of, upload
from ops.waiting import await_true

WRITERS = 4
TABLES = 2
SHARED = "shared"
"""Begins the names of the tables."""

_PERIOD_SECONDS = 1.0
"""From one write of a client to its next. All clients write at the same moment: so they meet in each table."""

_UPLOAD_EVERY = 5
"""Of so many writes of a client, one is an upload, the others are INSERTs."""


@dataclass(frozen=True)
class Row:
    """One write of one row, and what came of it. No other row has its id."""

    id: int
    outcome: str

    @property
    def acknowledged(self) -> bool:
        """Whether the cluster has promised to keep it."""
        return self.outcome == "200"


@dataclass(frozen=True)
class Counted:
    """What a count of the rows came to. What an earlier count told is not told again."""

    rows: int
    """How many acknowledged rows there are to count."""

    lost: Sequence[int] = field(default_factory=list[int])
    """Ids of acknowledged rows that are not there."""

    twice: Sequence[int] = field(default_factory=list[int])
    """Ids that are there more than once, whatever was answered: none was sent twice."""

    refused: Sequence[int] = field(default_factory=list[int])
    """Ids that are there though their write was answered with 503."""


def compared(done: Iterable[Row], there: Counter[int]) -> Counted:
    """What was answered beside what is there: id → how often."""
    written = list(done)
    acknowledged = {row.id for row in written if row.acknowledged}
    refused = {row.id for row in written if is_refusal(row.outcome)}
    return Counted(
        rows=len(acknowledged),
        lost=sorted(acknowledged - there.keys()),
        twice=sorted(number for number, count in there.items() if count > 1),
        refused=sorted(refused & there.keys()),
    )


@dataclass
class SharedWrites:
    """So many clients that write single rows into the same few tables, until it is left.

    None is tried again. Entered again, it goes on with the tables of before.
    """

    port: int
    done: list[Row] = field(default_factory=list[Row])

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []
        self._made: set[str] = set()
        self._told: set[tuple[str, int]] = set()

    def __enter__(self) -> Self:
        """Begin: once the tables are there, and rows were acknowledged. A fault meets rows that can be lost."""
        for table in self.tables:
            await_true(lambda table=table: self._is_made(table), "no table is made")
        self._end = threading.Event()
        began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._write, args=(client, began), daemon=True) for client in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()
        self.resumed()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with an answer to each write that was sent."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def tables(self) -> Sequence[str]:
        """Names of the tables."""
        return [f"{SHARED}_{number}" for number in range(TABLES)]

    def resumed(self, seconds: float = 60) -> None:
        """Wait until as many more rows are acknowledged as there are clients. Raises TimeoutError."""
        before = len(self.done)
        await_true(
            lambda: sum(row.acknowledged for row in self.done[before:]) >= WRITERS,
            f"no rows of {WRITERS} clients in {seconds:.0f} seconds",
            seconds,
        )

    def outcomes(self, since: int = 0) -> Counter[str]:
        """Outcome → how often, of the writes behind the first `since` that were answered."""
        return Counter(row.outcome for row in self.done[since:])

    def counted(self, seconds: float = 60) -> Counted:
        """Compare all that is there with all that was answered before this call, while the clients may go on.

        The readers get `seconds` to catch up.
        """
        done = list(self.done)
        end = time.monotonic() + seconds
        while True:
            there = Counter(
                int(row["id"]) for table in self.tables for row in rows_of(self.port, f"SELECT id FROM {table}")
            )
            found = compared(done, there)
            if not found.lost or time.monotonic() > end:
                return Counted(
                    found.rows,
                    lost=self._new("lost", found.lost),
                    twice=self._new("twice", found.twice),
                    refused=self._new("refused", found.refused),
                )
            time.sleep(0.5)

    def _new(self, what: str, ids: Iterable[int]) -> list[int]:
        new = [one for one in ids if (what, one) not in self._told]
        self._told |= {(what, one) for one in new}
        return new

    def _is_made(self, table: str) -> bool:
        if table in self._made or ask(self.port, "/w/q", f"CREATE TABLE {table} (id BIGINT)")[0] == "200":
            self._made.add(table)
        # It may have been made by a try that nobody acknowledged.
        return table in self._made or ask(self.port, "/q", f"SELECT id FROM {table} LIMIT 1")[0] == "200"

    def _write(self, client: int, began: float) -> None:
        for number in itertools.count(client):
            table = self.tables[number % TABLES]
            # (Of an iterator that ends in C, two threads never get the same.)
            one = next(self._ids)
            if number % _UPLOAD_EVERY == 0:
                outcome, _ = upload(self.port, table, f"id\n{one}\n")
            else:
                outcome, _ = ask(self.port, "/w/q", f"INSERT INTO {table} VALUES ({one})")
            self.done.append(Row(one, outcome))
            passed = time.monotonic() - began
            if self._end.wait(_PERIOD_SECONDS - passed % _PERIOD_SECONDS):
                return
