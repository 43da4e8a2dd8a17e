"""What clients of a cluster do while its writer changes: write and read at a steady pace, and remember every answer.

What an answer says of a write: 200, it is there exactly once; 503, it is not there; anything else, it may be there,
once.
"""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from ops.waiting import await_true

Kind = Literal["ddl", "insert"]
KINDS: tuple[Kind, Kind] = ("ddl", "insert")

_PATIENCE_SECONDS = 30
"""Longest wait for one answer."""

_EXPECTED = (http.HTTPStatus.OK, http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.SERVICE_UNAVAILABLE)
"""Of other answers the text is of interest, too."""

_NEXT_SECONDS = 2
"""After which the next write is sent, though the one before it is not answered."""

_BOUNDARY = "end-of-the-rows"

_READERS = 5
"""Connections that reads come over: one that waits does not hold the others up."""


def ask(port: int, path: str, query: str, host: str = "127.0.0.1") -> tuple[str, str]:
    """What came of one request to the ingress, or to a node: the status (with the text, where it is an odd one), or the
    error met instead; and the text.

    "503 without Retry-After" where an ingress that sent nothing to a writer does not say when to try again.
    """
    return _once(port, path, json.dumps({"query": query}), "application/json", host)


def upload(port: int, table: str, csv: str) -> tuple[str, str]:
    """The same of an upload of rows into a table of the schema `public`."""
    body = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="data"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\n'
        f"{csv}\r\n--{_BOUNDARY}--\r\n"
    )
    return _once(port, f"/w/upload/public/{table}", body, f"multipart/form-data; boundary={_BOUNDARY}")


def _once(port: int, path: str, body: str, content_type: str, host: str = "127.0.0.1") -> tuple[str, str]:
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_SECONDS)
    try:
        return _exchange(connection, path, body, content_type)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}", ""
    finally:
        connection.close()


def _exchange(
    connection: http.client.HTTPConnection, path: str, body: str, content_type: str = "application/json"
) -> tuple[str, str]:
    connection.request("POST", path, body, {"Content-Type": content_type})
    answer = connection.getresponse()
    text = answer.read().decode()
    outcome = str(answer.status)
    if answer.status not in _EXPECTED:
        outcome += f" {text[:200]}"
    if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE and answer.headers["Retry-After"] is None:
        outcome += " without Retry-After"
    return outcome, text


@dataclass(frozen=True)
class Write:
    """One write, and what came of it. Times are `time.monotonic`."""

    kind: Kind
    number: int
    sent: float
    ended: float
    outcome: str

    @property
    def acknowledged(self) -> bool:
        """Whether the cluster has promised to keep it."""
        return self.outcome == "200"

    @property
    def refused(self) -> bool:
        """Whether the cluster has said that nothing of it was executed."""
        return is_refusal(self.outcome)


def is_refusal(outcome: str) -> bool:
    """Whether the cluster says by its answer that nothing of a write was executed."""
    return outcome.startswith(str(http.HTTPStatus.SERVICE_UNAVAILABLE.value))


@dataclass(frozen=True)
class Kept:
    """What is there of the writes, and should not be, or the other way round."""

    lost_ddl: Sequence[int]
    lost_inserts: Sequence[int]
    """Numbers of the acknowledged ones that are not there."""

    twice: Sequence[int]
    """Numbers of the INSERTs that are there more than once: none was sent twice."""

    refused: Sequence[int] = field(default_factory=list[int])
    """Numbers of the writes that are there though they were answered with 503."""


@dataclass
class Writes:
    """Ten writes a second through the ingress, until it is left: half CREATE TABLE, half INSERT.

    None is tried again. `prefix` begins the names of its tables. Entered again, it goes on with the tables of before.
    """

    port: int
    prefix: str
    per_second: float = 10
    done: list[Write] = field(default_factory=list[Write])

    def __post_init__(self) -> None:
        self._numbers = {kind: itertools.count(1) for kind in KINDS}
        self._has_table = False
        self._looked_into: set[int] = set()
        self._told: set[tuple[str, int]] = set()

    def __enter__(self) -> Self:
        """Begin: once a table for the rows is there, and both kinds were acknowledged."""
        await_true(self._table_made, "no write is taken")
        began = time.monotonic()
        self._end = threading.Event()
        self._threads = ThreadPoolExecutor(2 + 2 * _PATIENCE_SECONDS // _NEXT_SECONDS)
        for kind in KINDS:
            self._threads.submit(self._write, kind)
        self.resumed(began)
        return self

    def __exit__(self, *_: object) -> None:
        """End, with an answer to each write that was sent."""
        self._end.set()
        self._threads.shutdown()

    def acknowledged(self, since: float = 0) -> list[Write]:
        """The acknowledged ones that were sent after `since`."""
        return [write for write in list(self.done) if write.acknowledged and write.sent >= since]

    def resumed(self, since: float, seconds: float = 60) -> None:
        """Wait until writes of both kinds that were sent after `since` are acknowledged."""
        await_true(
            lambda: {write.kind for write in self.acknowledged(since)} == set(KINDS),
            f"no writes in {seconds:.0f} seconds",
            seconds,
        )

    def refused(self, since: float, seconds: float = 60) -> None:
        """Wait until a write that was sent after `since` is answered by the ingress itself: there is no writer."""
        await_true(
            lambda: any(write.sent >= since and write.outcome == "503" for write in list(self.done)),
            f"no write was refused in {seconds:.0f} seconds",
            seconds,
        )

    def outcomes(self) -> dict[str, int]:
        """Outcome → how often."""
        return dict(Counter(write.outcome for write in list(self.done)))

    def kept(self, seconds: float = 30, *, look_into_all: bool = False) -> Kept:
        """What is there of all writes that have ended, as the readers tell: they get `seconds` to catch up.

        What was told before is not told again. Of tables that were looked into before, the names alone are looked for,
        but with `look_into_all`.
        """
        done = list(self.done)
        tables, rows = ({one.number for one in done if one.acknowledged and one.kind == kind} for kind in KINDS)
        refused = {kind: {one.number for one in done if one.refused and one.kind == kind} for kind in KINDS}
        known: set[int] = set() if look_into_all else self._looked_into & tables
        end = time.monotonic() + seconds
        there: set[int] = set()
        while True:
            names = self._names()
            there |= self._tables(tables - known - there)
            counts = self._rows()
            lost_ddl, lost_inserts = tables - there - (known & names), rows - counts.keys()
            if not (lost_ddl or lost_inserts) or time.monotonic() > end:
                break
            time.sleep(0.5)
        self._looked_into |= there
        return Kept(
            self._new("ddl", lost_ddl),
            self._new("insert", lost_inserts),
            twice=self._new("twice", {number for number, count in counts.items() if count > 1}),
            refused=[
                *self._new("refused ddl", refused["ddl"] & names),
                *self._new("refused insert", refused["insert"] & counts.keys()),
            ],
        )

    def _new(self, what: str, numbers: set[int]) -> list[int]:
        """Those that were not told before, in order; they are from now on."""
        new = sorted(number for number in numbers if (what, number) not in self._told)
        self._told |= {(what, number) for number in new}
        return new

    def _table_made(self) -> bool:
        if not self._has_table:
            ask(self.port, "/w/q", f"CREATE TABLE {self._row_table} (v BIGINT)")
        # It may have been made by a try that nobody acknowledged.
        if ask(self.port, "/w/q", f"INSERT INTO {self._row_table} VALUES (0)")[0] != "200":
            return False
        self._has_table = True
        return True

    @property
    def _row_table(self) -> str:
        return f"{self.prefix}_rows"

    def _write(self, kind: Kind) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            number = next(self._numbers[kind])
            statement = (
                f"CREATE TABLE {self.prefix}_{number} AS SELECT {number} AS v"
                if kind == "ddl"
                else f"INSERT INTO {self._row_table} VALUES ({number})"
            )
            # One of a kind at a time, but one that is not answered does not keep all others from being sent.
            sent = self._threads.submit(self._send, kind, number, statement)
            wait([sent], _NEXT_SECONDS)
            # A slow answer is not made up for with a burst.
            due = max(due + 2 / self.per_second, time.monotonic())
            self._end.wait(due - time.monotonic())

    def _send(self, kind: Kind, number: int, statement: str) -> None:
        sent = time.monotonic()
        outcome, _ = ask(self.port, "/w/q", statement)
        self.done.append(Write(kind, number, sent, time.monotonic(), outcome))

    def _tables(self, numbers: Iterable[int]) -> set[int]:
        """Those of these tables that are there, with what was put into them."""

        def there(number: int) -> bool:
            return self._read(f"SELECT v FROM {self.prefix}_{number}") == [{"v": number}]

        asked = list(numbers)
        with ThreadPoolExecutor(_READERS) as threads:
            return {number for number, found in zip(asked, threads.map(there, asked), strict=True) if found}

    def _names(self) -> set[int]:
        """Numbers of the tables that are there by name."""
        prefix = f"{self.prefix}_"
        names = (str(row["table_name"]) for row in self._read("SELECT table_name FROM information_schema.tables"))
        numbers = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
        return {int(number) for number in numbers if number.isdigit()}

    def _rows(self) -> Counter[int]:
        return Counter(int(row["v"]) for row in self._read(f"SELECT v FROM {self._row_table} WHERE v > 0"))

    def _read(self, query: str) -> list[dict[str, Any]]:
        return rows_of(self.port, query)


def rows_of(port: int, query: str) -> list[dict[str, Any]]:
    """The rows of a query, as the readers tell; none where it is not answered."""
    outcome, text = ask(port, "/q", query)
    try:
        return [json.loads(line) for line in text.splitlines()] if outcome == "200" else []
    except ValueError:  # an error's text behind some of the rows
        return []


def unexpected(text: str) -> str:
    """What an answer of status 200 is that is not the expected one: "wrong" where it is another result, else the error
    that Seafowl met when it had sent the status, which it writes behind the rows so far.
    """
    for line in text.splitlines():
        try:
            json.loads(line)
        except ValueError:
            return f"200, and then: {line}"
    return "wrong"


@dataclass(frozen=True)
class Read:
    """One read, and what came of it: "200", "wrong" with another result than the expected one, or the error. Times are
    `time.monotonic`.
    """

    sent: float
    ended: float
    outcome: str


@dataclass
class Reads:
    """Reads of one query at a steady pace, over connections that stay open, until it is left; none is tried again."""

    port: int
    query: str
    expected: str
    """The answer's text."""

    per_second: float = 50
    count: int = 0
    failed: Counter[str] = field(default_factory=Counter[str])
    done: list[Read] = field(default_factory=list[Read])

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(_READERS)]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with an answer to each read that was sent."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def slowest(self) -> float:
        """Seconds of the answer that was waited for longest."""
        return max((read.ended - read.sent for read in list(self.done)), default=0)

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)
        body, due = json.dumps({"query": self.query}), time.monotonic()
        while not self._end.is_set():
            sent = time.monotonic()
            try:
                outcome, text = _exchange(connection, "/q", body)
                if outcome == "200" and text != self.expected:
                    outcome = unexpected(text)
            except (OSError, http.client.HTTPException) as error:
                outcome = f"{type(error).__name__}: {error}"
                connection.close()
            with self._lock:
                self.count += 1
                self.done.append(Read(sent, time.monotonic(), outcome))
                if outcome != "200":
                    self.failed[outcome] += 1
            due = max(due + _READERS / self.per_second, time.monotonic())
            self._end.wait(due - time.monotonic())
        connection.close()
