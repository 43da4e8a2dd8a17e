"""The write port: on the primary an HTTP proxy to the read-write Seafowl, elsewhere nothing that listens.

A standby refuses the connection, so an ingress may go on to the next candidate without sending a write twice.

What the gate sees to:

- Changes of one table run one after the other, in the order in which they were received whole (`table_order`).
  Changes of different tables run side by side. Reads wait for nobody.
- An answer passes only when what it acknowledges is safe, and while this node has the lease.
- Nothing is sent to Seafowl twice.
- A client that leaves while it waits is taken out, and nothing of its request runs. One that leaves later changes
  nothing: Seafowl cancels a request whose connection ends, halfway through, so the gate keeps that connection.
"""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import h11

from supervisor.changes import (
    DEFAULT_DATABASE,
    EVERYTHING,
    NOTHING,
    Changes,
    RefusedError,
    changed_by_sql,
    changed_by_upload,
)
from supervisor.http_connection import BrokenOffError, Client, NotAllowedError, Server, passed_on
from supervisor.log import say
from supervisor.table_order import EVERY_TABLE, OrderClosedError, Place, QueueFullError, TableOrder, Tables

_BACKLOG = 1024

MAX_WAITING = 500
"""Changes that wait for their tables at the same time. Another one gets 503, and nothing of it is executed."""

MAX_STATEMENT_BYTES = 32 * 1024 * 1024
"""The longest body of statements, which is kept in memory while it waits."""

_ROOM_BYTES = 32 * 1024 * 1024
"""All long bodies together that wait: one that comes when there is no room is not read until there is."""

_SHORT_BODY_BYTES = 16 * 1024
"""A body up to this size needs no room: not to wait matters more for it, and all of them together are small."""

_LONG_SQL_BYTES = 16 * 1024
"""Statements longer than this are split into tokens in a thread, so that all else goes on meanwhile."""

_LONGEST_BOUNDARY = 200
"""Bytes; RFC 2046 allows 70."""

_HELD_BACK_BYTES = 1024
"""Of an upload, until the client has sent all of it: more than the longest end of a form (a boundary has 70 bytes)."""

_PIECE_BYTES = 1024 * 1024
"""Of an upload, that are passed on at once."""

_MAX_END_BYTES = 64 * 1024
"""What a client may send behind the end of an upload's form."""

_LOOK_SECONDS = 0.05
"""Between two looks whether a table is in the catalog; Seafowl takes less to take it into its session then."""

_WAIT_HEADER = b"x-seconds-to-wait"
_WAIT_SECONDS = 240.0
"""How long a change waits for its tables, where the ingress does not say for how long its client does."""


class _Refusal(Exception):
    """An answer of the gate's own: nothing of the request was executed."""

    def __init__(self, status: int, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after

    def response(self) -> tuple[h11.Response, bytes]:
        """The answer's head and body."""
        body = f"{self}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        if self.retry_after is not None:
            headers.append(("Retry-After", str(self.retry_after)))
        return h11.Response(status_code=self.status, headers=headers), body


class _Room:
    """Memory for bodies. Who does not fit waits, in the order of arrival."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: dict[asyncio.Future[None], int] = {}

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncGenerator[None, None]:
        """Wait until there is room for `size` bytes; it is taken until the block ends."""
        if size <= _SHORT_BODY_BYTES:
            yield
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = size
        try:
            self._let_in()
            await asyncio.wait({turn})
            yield
        finally:
            if self._waiting.pop(turn, None) is None:
                self._free += size
            self._let_in()

    def _let_in(self) -> None:
        for turn, size in list(self._waiting.items()):
            if size > self._free:
                return
            self._free -= size
            del self._waiting[turn]
            turn.set_result(None)


class _Exchange:
    """One request and its answer."""

    def __init__(self, gate: "Gate", client: Client, order: TableOrder) -> None:
        self._gate = gate
        self._client = client
        self._order = order
        self._server = Server()
        self.is_asked = False
        """Whether a request has come."""

    async def run(self) -> None:
        """Answer the client, and close its connection; whatever goes wrong after a request was passed on resets it."""
        whole = False
        try:
            request = await self._client.request()
            if request is not None:
                self.is_asked = True
                try:
                    response = await self._passed(request)
                except _Refusal as refusal:
                    await self._send_own(*refusal.response())
                else:
                    await self._send(response)
            await self._client.finish()
            whole = True
        except (OSError, BrokenOffError, NotAllowedError, h11.LocalProtocolError, asyncio.CancelledError):
            pass
        finally:
            self._server.close()
            self._client.close(whole=whole)

    async def _send_own(self, response: h11.Response, body: bytes) -> None:
        await self._client.send(response)
        await self._client.send(h11.Data(data=body))
        await self._client.send(h11.EndOfMessage())

    async def _send(self, response: h11.Response) -> None:
        """Pass Seafowl's answer on, when all that was committed by now may be acknowledged."""
        await self._gate.settle()
        head = h11.Response(status_code=response.status_code, reason=response.reason, headers=passed_on(response))
        await self._client.send(head)
        async for piece in self._server.body():
            await self._client.send(h11.Data(data=piece))
        await self._client.send(h11.EndOfMessage())

    async def _passed(self, request: h11.Request) -> h11.Response:
        """Pass the request to Seafowl when its turn has come; returns the head of the answer: all has run by then."""
        if self._gate.refusal is not None:
            raise _Refusal(503, f"{self._gate.refusal}. Nothing was executed.")
        path = request.target.decode("ascii", errors="replace").partition("?")[0]
        if request.method == b"POST" and "/upload/" in path:
            return await self._upload(request, changed_by_upload(path))
        size = _body_size(request)
        _check_size(size)
        async with self._gate.room.taken(size):
            body = await self._whole_body()
            try:
                changes = await _changed(request.method, path, body)
            except RefusedError as error:
                raise _Refusal(400, str(error)) from None
            if changes.sql is not None:
                body = bytearray(json.dumps({"query": changes.sql}).encode())
            async with self._turn(request, changes):
                await self._begin(request, length=len(body))
                await self._server.send(h11.Data(data=bytes(body)))
                await self._server.send(h11.EndOfMessage())
                return await self._server.response()

    async def _whole_body(self) -> bytearray:
        body = bytearray()
        async for piece in self._client.body():
            body += piece
            _check_size(len(body))
        return body

    async def _upload(self, request: h11.Request, changes: Changes) -> h11.Response:
        """Pass an upload on as it comes, but for its end: Seafowl does nothing before it has the whole form, so the
        table is not held while bytes arrive.
        """
        marker = _end_of_form(request)
        length = dict(request.headers).get(b"content-length")
        if length is None:
            raise _Refusal(411, "An upload needs its Content-Length. Nothing was executed.")
        await self._begin(request)
        answer = asyncio.create_task(self._server.response())
        try:
            end = await self._pass_until_end(int(length), marker, answer)
            if answer.done():  # a refusal: Seafowl reads no more
                return await answer
            async with self._turn(request, changes):
                await self._pass_on(memoryview(end), answer)
                return await answer
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)

    async def _pass_until_end(self, length: int, marker: bytes, answer: "asyncio.Task[h11.Response]") -> bytes:
        """Receive a form of `length` bytes, and pass on what stands before its end, which is returned.

        Ends early where Seafowl answers before it has all.
        """
        buffer = bytearray(_HELD_BACK_BYTES + _PIECE_BYTES)
        view = memoryview(buffer)
        # (A form may begin with its end, and then no line goes before it.)
        view[:2] = b"\r\n"
        begins, filled = 2, 2
        while length:
            size = await self._client.body_into(view[filled : filled + length])
            length -= size
            filled += size
            if answer.done():
                return b""
            at = buffer.find(marker, 0, filled)
            if at >= 0:
                await self._pass_on(view[begins : max(at, begins)], answer)
                return bytes(view[max(at, begins) : filled]) + await self._rest(length)
            passed = filled - _HELD_BACK_BYTES
            if passed > begins:
                await self._pass_on(view[begins:passed], answer)
                buffer[:_HELD_BACK_BYTES] = buffer[passed:filled]
                begins, filled = 0, _HELD_BACK_BYTES
        return bytes(view[begins:filled])

    async def _rest(self, length: int) -> bytes:
        """What the client sends behind the end of a form."""
        if length > _MAX_END_BYTES:
            raise _Refusal(400, "The form goes on behind its end. Nothing was executed.")
        rest = memoryview(bytearray(length))
        filled = 0
        while filled < length:
            filled += await self._client.body_into(rest[filled:])
        return bytes(rest)

    async def _pass_on(self, piece: memoryview, answer: "asyncio.Task[h11.Response]") -> None:
        """Send a piece of an upload; where Seafowl has closed its side, what counts is the answer that it gave."""
        try:
            await self._server.send_body(piece)
        except OSError:
            await asyncio.wait({answer})
            if answer.exception() is not None:
                raise

    async def _begin(self, request: h11.Request, length: int | None = None) -> None:
        """Pass the head of a request on; `length`: bytes of its body, where that is known."""
        headers = passed_on(request)
        if length is not None:
            framing = (b"content-length", b"transfer-encoding")
            headers = [one for one in headers if one[0] not in framing]
            headers += [(b"content-length", str(length).encode())] if length else []
        try:
            await self._server.connect(self._gate.seafowl_port)
        except OSError:
            raise _Refusal(503, "Seafowl is away. Nothing was executed: try again.", retry_after=1) from None
        await self._server.send(h11.Request(method=request.method, target=request.target, headers=headers))

    @asynccontextmanager
    async def _turn(self, request: h11.Request, changes: Changes) -> AsyncGenerator[None, None]:
        """Wait for the tables. Raises _Refusal, and BrokenOffError where the client leaves meanwhile.

        What makes a table begins alone, until the table is there: Seafowl fails otherwise, with the table made and
        empty, where another statement begins in the moment between the catalog's entry and the session's (0.5.8,
        src/context/delta.rs).
        """
        if not changes.tables:
            yield
            return
        begins_alone = bool(changes.made) and not await self._gate.are_made(changes.made)
        async with AsyncExitStack() as stack:
            tables = EVERY_TABLE if begins_alone else changes.tables
            entering = asyncio.create_task(
                stack.enter_async_context(self._order.enter(tables, _seconds_to_wait(request)))
            )
            leaving = asyncio.create_task(self._client.left())
            try:
                await asyncio.wait({entering, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    raise BrokenOffError("the client left")
                place = await entering
            except QueueFullError:
                raise _Refusal(
                    503, f"{MAX_WAITING} changes wait already. Nothing was executed: try again.", retry_after=5
                ) from None
            except OrderClosedError:
                raise _Refusal(503, "The writer stops. Nothing was executed: try again.", retry_after=1) from None
            except asyncio.TimeoutError:
                raise _Refusal(
                    503,
                    "Other changes of the same tables took too long. Nothing was executed: try again.",
                    retry_after=5,
                ) from None
            finally:
                entering.cancel()
                leaving.cancel()
                await asyncio.wait({entering, leaving})
            if begins_alone:
                narrowing = asyncio.create_task(self._narrow(place, changes))
                stack.callback(narrowing.cancel)
            yield

    async def _narrow(self, place: Place, changes: Changes) -> None:
        while not await self._gate.are_made(changes.made):
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(_LOOK_SECONDS)
        self._order.narrow(place, changes.tables)


def _check_size(size: int) -> None:
    """Refuse statements of more bytes than are kept in memory."""
    if size > MAX_STATEMENT_BYTES:
        raise _Refusal(413, f"Statements take at most {MAX_STATEMENT_BYTES} bytes: upload rows instead.")


async def _changed(method: bytes, path: str, body: bytearray) -> Changes:
    """The tables that a request, which is no upload, changes."""
    if method in (b"GET", b"HEAD", b"OPTIONS"):
        return NOTHING
    parts = [part for part in path.split("/") if part]
    if method != b"POST" or parts[-1:] != ["q"] or len(parts) > 2 or "%" in path:  # noqa: PLR2004 (Seafowl's routes)
        return EVERYTHING
    database = parts[0] if len(parts) > 1 else DEFAULT_DATABASE
    if len(body) > _LONG_SQL_BYTES:
        return await asyncio.get_running_loop().run_in_executor(None, _changed_by_body, body, database)
    return _changed_by_body(body, database)


def _changed_by_body(body: bytearray, database: str) -> Changes:
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return EVERYTHING
    match document:
        case {"query": str(query)}:
            return changed_by_sql(query, database)
        case _:
            return EVERYTHING


def _body_size(request: h11.Request) -> int:
    """Bytes of memory that the body may need."""
    headers = dict(request.headers)
    if b"transfer-encoding" in headers:
        return MAX_STATEMENT_BYTES
    return int(headers.get(b"content-length", 0))


def _end_of_form(request: h11.Request) -> bytes:
    """What ends the multipart form: Seafowl has the whole of the form only behind it."""
    content_type = dict(request.headers).get(b"content-type", b"")
    boundaries = re.findall(rb'boundary\s*=\s*(?:"([^"]*)"|([^\s;"]+))', content_type, re.IGNORECASE)
    if len(boundaries) != 1 or len(b"".join(boundaries[0])) > _LONGEST_BOUNDARY:
        raise _Refusal(400, "An upload is one multipart/form-data with one short boundary. Nothing was executed.")
    return b"\r\n--" + b"".join(boundaries[0]) + b"--"


def _seconds_to_wait(request: h11.Request) -> float:
    given = dict(request.headers).get(_WAIT_HEADER, b"")
    return float(given) if given.isdigit() else _WAIT_SECONDS


class Gate:
    """The write port.

    `port`: where it listens, on all addresses; `seafowl_port`: where the read-write Seafowl does, on 127.0.0.1.
    `settle` returns when all that Seafowl has committed by now may be acknowledged; `allowed` tells whether anything
    may be sent to a client at this very moment; `are_made` tells whether all of these tables are in the catalog.
    """

    def __init__(
        self,
        port: int,
        seafowl_port: int,
        *,
        settle: Callable[[], Awaitable[None]],
        allowed: Callable[[], bool],
        are_made: Callable[[Tables], Awaitable[bool]],
    ) -> None:
        self._port = port
        self._allowed = allowed
        self._listener: socket.socket | None = None
        self._order: TableOrder | None = None
        self._exchanges: dict[asyncio.Task[None], _Exchange] = {}
        self.seafowl_port = seafowl_port
        self.settle = settle
        self.are_made = are_made
        self.refusal: str | None = None
        """Why nothing is passed on now; None where it is."""

        self.room = _Room(_ROOM_BYTES)

    def refuse(self, reason: str | None) -> None:
        """Answer everything, the health check too, with 503 and `reason`; with None, pass requests on again."""
        if reason is not None and reason != self.refusal:
            say(f"takes no requests: {reason}")
        self.refusal = reason

    @property
    def is_open(self) -> bool:
        """Whether it takes connections."""
        return self._listener is not None

    def open(self, order: TableOrder) -> None:
        """Take connections, and let changes in by `order`. Raises OSError where the port is taken."""
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("0.0.0.0", self._port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self._order = order
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener, order)

    def _accept(self, listener: socket.socket, order: TableOrder) -> None:
        """Take all connections that the kernel has for us."""
        with suppress(OSError):  # none is left, or one is gone already
            while True:
                exchange = _Exchange(self, Client(listener.accept()[0], self._allowed), order)
                task = asyncio.create_task(exchange.run())
                self._exchanges[task] = exchange
                task.add_done_callback(lambda ended: self._exchanges.pop(ended, None))

    def stop_accepting(self) -> None:
        """Refuse new connections, and changes that wait; what Seafowl was asked goes on, also by connections that the
        kernel has taken for us.
        """
        if self._listener is not None and self._order is not None:
            self._accept(self._listener, self._order)
            self._close()
            self._order.close()

    def abort(self) -> None:
        """Refuse new connections, reset all that are there. Nothing is sent to a client after this."""
        self._close()
        for task in self._exchanges:
            task.cancel()

    def _close(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def answered(self, seconds: float) -> None:
        """Wait until every client that has asked something has its answer, for at most `seconds`."""
        end = time.monotonic() + seconds
        while any(exchange.is_asked for exchange in self._exchanges.values()) and time.monotonic() < end:
            await asyncio.sleep(0.02)
