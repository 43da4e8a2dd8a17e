"""From the acknowledgement of a CREATE TABLE to every reader's seeing it, and from its commit to every reader's having
it in the catalog, which is LiteFS's part of that; and how fast one client writes.
"""

import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from bench.deployments import Deployment, Part
from bench.figures import Record
from config.layout import LITEFS_PORT, SEAFOWL_PORT
from ops.waiting import await_true

_PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.005
"""Pause before a reader is asked again: without one, asking takes the cores that replication needs."""
_names = itertools.count()


class Connection:
    """One connection to a node, which stays open where the node lets it (a gate does not): what it takes to connect is
    not what is measured.
    """

    def __init__(self, host: str, port: int) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=_PATIENCE_SECONDS)

    def status(self, path: str, query: str) -> int:
        """The status of the answer to a query."""
        self._http.request("POST", path, json.dumps({"query": query}), {"Content-Type": "application/json"})
        answer = self._http.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        """Close it."""
        self._http.close()


class Applied:
    """When a node had applied which transaction of the catalog, as its LiteFS tells while this is entered."""

    def __init__(self, node: Part) -> None:
        self._http = _litefs(node)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.at: dict[str, float] = {}
        """Number of the transaction → `time.monotonic`."""

    def __enter__(self) -> Self:
        self._http.request("GET", "/events")
        # The connection's own time-out is for an answer; there may be nothing to tell for longer.
        self._http.sock.settimeout(None)
        self._events = self._http.getresponse()
        # How the node is now. What comes after it is not missed.
        self._events.readline()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._http.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._http.close()

    def _listen(self) -> None:
        # It may see the end as an error.
        with suppress(OSError):
            while line := self._events.readline():
                event = json.loads(line)
                if event["type"] == "tx":
                    self.at[event["data"]["txID"]] = time.monotonic()


def _litefs(node: Part) -> http.client.HTTPConnection:
    """A connection to the node's LiteFS, which listens on one of its networks only."""
    for address in node.addresses:
        connection = http.client.HTTPConnection(address, LITEFS_PORT, timeout=_PATIENCE_SECONDS)
        with suppress(ConnectionRefusedError):
            connection.connect()
            return connection
    raise TimeoutError(f"LiteFS of {node.role} does not answer")


def in_catalog(label: str) -> str:
    """Name of the figure of LiteFS's part of a journal mode's replication."""
    return f"{label}: committed → in every reader's catalog"


def visible(label: str) -> str:
    """Name of the figure of a journal mode."""
    return f"{label}: acknowledged → visible on every reader"


def replication(deployment: Deployment, label: str, writes: int, record: Record) -> None:
    """So many CREATE TABLE in a row: how long after each answer every reader has the table."""
    writer = deployment.one("writer")
    readers = [part.address for part in deployment.readers()]
    with (
        _connections([writer.address], deployment.writer_port) as (to_writer,),
        _connections(readers, SEAFOWL_PORT) as to_readers,
        ThreadPoolExecutor(len(readers)) as pool,
    ):
        lags: list[float] = []
        for _ in range(writes):
            table = _new_table(to_writer, "/q")
            acknowledged = time.monotonic()
            seen = pool.map(_seen, to_readers, [table] * len(to_readers))
            lags.append((max(seen) - acknowledged) * 1000)
    record.sample("replication", visible(label), deployment.side, "ms", lags)


def copied(deployment: Deployment, label: str, writes: int, record: Record) -> None:
    """So many CREATE TABLE in a row, while nobody reads: how long after each commit every reader's LiteFS has it."""
    writer = deployment.one("writer")
    with _connections([writer.address], deployment.writer_port) as (to_writer,), ExitStack() as listening:
        committed, *applied = [listening.enter_context(Applied(node)) for node in (writer, *deployment.readers())]
        for _ in range(writes):
            _new_table(to_writer, "/q")
        await_true(lambda: all(node.at.keys() >= committed.at.keys() for node in applied), "LiteFS has not told it all")
        lags = [(max(node.at[number] for node in applied) - at) * 1000 for number, at in committed.at.items()]
    record.sample("replication", in_catalog(label), deployment.side, "ms", lags)


def writes_per_second(deployment: Deployment, label: str, seconds: float, record: Record) -> None:
    """One client that writes through the ingress, and waits for each answer: CREATE TABLE, then INSERT."""
    with _connections(["127.0.0.1"], deployment.port) as (connection,):
        table = _new_table(connection, "/w/q")
        began, made = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            _new_table(connection, "/w/q")
            made += 1
        ended = time.monotonic()
        record.add("writes", f"{label}: CREATE TABLE", deployment.side, "writes/s", made / (ended - began))
        began, made = ended, 0
        while time.monotonic() < began + seconds:
            _must_be_ok(connection.status("/w/q", f"INSERT INTO {table} VALUES ({made})"), "an INSERT")
            made += 1
        record.add("writes", f"{label}: INSERT", deployment.side, "writes/s", made / (time.monotonic() - began))


def _new_table(connection: Connection, path: str) -> str:
    table = f"t_{next(_names)}"
    _must_be_ok(connection.status(path, f"CREATE TABLE {table} AS SELECT 1 AS n"), "a CREATE TABLE")
    return table


def _seen(reader: Connection, table: str) -> float:
    """When a reader first answered for a table."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while reader.status("/q", f"SELECT n FROM {table}") != http.HTTPStatus.OK:
        if time.monotonic() > end:
            raise TimeoutError(f"a reader has not got table {table} within {_PATIENCE_SECONDS} s")
        time.sleep(_POLL_SECONDS)
    return time.monotonic()


def _must_be_ok(status: int, what: str) -> None:
    if status != http.HTTPStatus.OK:
        raise TimeoutError(f"{what} was answered with {status}")


@contextmanager
def _connections(hosts: Sequence[str], port: int) -> Generator[list[Connection]]:
    with ExitStack() as open_ones:
        connections = [Connection(host, port) for host in hosts]
        for connection in connections:
            open_ones.callback(connection.close)
        yield connections
