"""HTTP/1.1 over plain sockets, one request a connection, with h11 for the protocol.

Plain sockets, not asyncio's streams: those buffer, and would send later what was allowed when it was written.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import h11

_T = TypeVar("_T")

_CHUNK = 256 * 1024
_MAX_HEAD = 1024 * 1024
"""Bytes of a request's or an answer's head: queries come in headers, and schemas, about 180 bytes a column."""

_SILENCE_SECONDS = 60.0
"""How long a client may pause while it sends its request."""

_LINGER_SECONDS = 5.0
"""How long a client may take to close its side after it got its answer."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST and drop what is unsent: the client must not take what it has for an answer."""

_OF_THE_CONNECTION = {b"connection", b"keep-alive", b"expect", b"upgrade", b"proxy-connection", b"te"}
"""Headers that concern one connection, not the request (RFC 9110, 7.6.1)."""


class NotAllowedError(Exception):
    """Nothing may be sent to a client any more."""


class BrokenOffError(Exception):
    """The other side ended the connection, or does not speak HTTP."""


def passed_on(message: h11.Request | h11.Response) -> list[tuple[bytes, bytes]]:
    """The headers of `message` for the next connection, which is closed after one request."""
    kept = [(name, value) for name, value in message.headers if name not in _OF_THE_CONNECTION]
    return [*kept, (b"connection", b"close")]


class _Peer:
    """One side of an HTTP connection. Every method raises BrokenOffError, or OSError, where the other side has gone."""

    def __init__(self, connection: socket.socket, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._http = h11.Connection(role, max_incomplete_event_size=_MAX_HEAD)
        self._silence: float | None = None
        """Seconds for which the other side may be silent."""

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The pieces of the message's body, as they come; it ends only where the message is whole."""
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise BrokenOffError("the message ends early")
            yield bytes(event.data)

    async def _next_event(self) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise BrokenOffError(str(error)) from error
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:
                raise BrokenOffError("more than one message")
            self._http.receive_data(await self._in_time(_receive(self._socket)))

    async def _in_time(self, receiving: Awaitable[_T]) -> _T:
        """What is received, where the other side is not silent for too long."""
        try:
            return await asyncio.wait_for(receiving, self._silence)
        except asyncio.TimeoutError:
            raise BrokenOffError(f"silent for {self._silence} s") from None


class Client(_Peer):
    """A client's connection."""

    def __init__(self, connection: socket.socket, allowed: Callable[[], bool]) -> None:
        """`allowed` tells whether anything may be sent to the client at this very moment."""
        super().__init__(connection, h11.SERVER)
        # A client that vanished without a word must not keep its connection for ever.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._silence = _SILENCE_SECONDS
        self._allowed = allowed
        self._early: bytes | None = None

    async def request(self) -> h11.Request | None:
        """The head of its request; None where the client closes without one."""
        event = await self._next_event()
        if isinstance(event, h11.ConnectionClosed):
            return None
        if not isinstance(event, h11.Request):
            raise BrokenOffError("no request")
        if self._http.they_are_waiting_for_100_continue:
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        return event

    async def body_into(self, buffer: memoryview) -> int:
        """Receive a piece of the request's body past h11, which copies each several times; returns its size in bytes.

        Only for a body of known length, whose bytes the caller counts. Raises BrokenOffError where it ends early.
        """
        if self._early is None:
            # What came together with the head.
            self._early = self._http.trailing_data[0]
        if self._early:
            size = min(len(self._early), len(buffer))
            buffer[:size] = self._early[:size]
            self._early = self._early[size:]
            return size
        size = await self._in_time(asyncio.get_running_loop().sock_recv_into(self._socket, buffer))
        if not size:
            raise BrokenOffError("the message ends early")
        return size

    async def left(self) -> None:
        """Return when the client has closed its side, or is gone; call it when its whole request is there."""
        with suppress(OSError):
            while await _receive(self._socket):
                pass

    async def send(self, event: h11.Event) -> None:
        """Send one part of the answer. Raises NotAllowedError, and then nothing more is sent."""
        rest = memoryview(self._http.send(event) or b"")
        while rest:
            # Directly before each send, with nothing between: what waits for a slow client is asked about again.
            if not self._allowed():
                raise NotAllowedError
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await _writable(self._socket)

    async def finish(self) -> None:
        """Close the connection after a whole answer."""
        # The end of the stream ends an answer of unknown length.
        if not self._allowed():
            raise NotAllowedError
        self._socket.shutdown(socket.SHUT_WR)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.left(), _LINGER_SECONDS)

    def close(self, *, whole: bool) -> None:
        """Close the connection; reset it where the answer is not whole."""
        if not whole:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()


class Server(_Peer):
    """A connection to Seafowl."""

    def __init__(self) -> None:
        super().__init__(socket.socket(), h11.CLIENT)

    async def connect(self, port: int) -> None:
        """Connect to 127.0.0.1:`port`."""
        await asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", port))

    async def send(self, event: h11.Event) -> None:
        """Send one part of a request."""
        await asyncio.get_running_loop().sock_sendall(self._socket, self._http.send(event) or b"")

    async def send_body(self, piece: memoryview) -> None:
        """Send a piece of a request's body past h11, which copies it; the head must tell the body's length."""
        await asyncio.get_running_loop().sock_sendall(self._socket, piece)

    async def response(self) -> h11.Response:
        """The head of the answer."""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise BrokenOffError("no answer")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


async def _receive(source: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(source, _CHUNK)


async def _writable(target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(target, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(target)
