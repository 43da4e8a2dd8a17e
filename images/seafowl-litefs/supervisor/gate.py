"""The write port: on the primary a TCP proxy to the read-write Seafowl, elsewhere nothing that listens.

A standby refuses the connection, so an ingress may go on to the next candidate without sending a write twice. An answer
passes the gate only when what it acknowledges is safe. The gate knows nothing of HTTP: all bytes from Seafowl count.

Plain sockets, not asyncio's streams: those buffer, and would send later what was allowed when it was written.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

_CHUNK = 65536
_BACKLOG = 128
_LINGER_SECONDS = 5.0
"""How long a client may take to close its side after Seafowl closed the other."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST and drop what is unsent: the client must not take what it has for an answer."""


class NotAllowedError(Exception):
    """Nothing may be sent to a client any more."""


class _Connection:
    """One client's connection, and the one to Seafowl that belongs to it."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.asks = False
        """Whether the client has sent something since Seafowl did."""

    async def run(self, port: int, settle: Callable[[], Awaitable[None]], allowed: Callable[[], bool]) -> None:
        """Pass bytes in both directions until both have ended, or anything goes wrong: then reset the client."""
        loop = asyncio.get_running_loop()
        seafowl = socket.socket()
        pumps: list[asyncio.Task[None]] = []
        whole = False
        try:
            for end in (self.client, seafowl):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A client that vanished without a word must not keep its connection for ever.
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            await loop.sock_connect(seafowl, ("127.0.0.1", port))
            to_seafowl = asyncio.create_task(self._to_seafowl(seafowl))
            to_client = asyncio.create_task(self._to_client(seafowl, settle, allowed))
            pumps = [to_seafowl, to_client]
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
            if to_client in done:
                await asyncio.wait_for(to_seafowl, _LINGER_SECONDS)
            await to_client
            whole = True
        except (OSError, NotAllowedError, asyncio.TimeoutError, asyncio.CancelledError):
            pass
        finally:
            if not whole:
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            seafowl.close()
            self.client.close()

    async def _to_seafowl(self, seafowl: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while piece := await loop.sock_recv(self.client, _CHUNK):
            self.asks = True
            await loop.sock_sendall(seafowl, piece)
        seafowl.shutdown(socket.SHUT_WR)

    async def _to_client(
        self, seafowl: socket.socket, settle: Callable[[], Awaitable[None]], allowed: Callable[[], bool]
    ) -> None:
        loop = asyncio.get_running_loop()
        while piece := await loop.sock_recv(seafowl, _CHUNK):
            await settle()
            rest = memoryview(piece)
            while rest:
                # Directly before each send, with nothing between: what waits for a slow client is asked about again.
                if not allowed():
                    raise NotAllowedError
                try:
                    rest = rest[self.client.send(rest) :]
                except BlockingIOError:
                    await _writable(self.client)
            self.asks = False
        # The end of the stream is an answer's end, too.
        await settle()
        if not allowed():
            raise NotAllowedError
        with suppress(OSError):  # the client may be gone already
            self.client.shutdown(socket.SHUT_WR)


async def _writable(target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(target, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(target)


class Gate:
    """The write port.

    `port`: where it listens, on all addresses; `seafowl_port`: where the read-write Seafowl does, on 127.0.0.1.
    `settle` returns when all that Seafowl has committed by now may be acknowledged; `allowed` tells whether anything
    may be sent to a client at this very moment.
    """

    def __init__(
        self, port: int, seafowl_port: int, settle: Callable[[], Awaitable[None]], allowed: Callable[[], bool]
    ) -> None:
        self._port = port
        self._seafowl_port = seafowl_port
        self._settle = settle
        self._allowed = allowed
        self._listener: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    @property
    def is_open(self) -> bool:
        """Whether it takes connections."""
        return self._listener is not None

    def open(self) -> None:
        """Take connections. Raises OSError where the port is taken."""
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("0.0.0.0", self._port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take all connections that the kernel has for us."""
        with suppress(OSError):  # none is left, or one is gone already
            while True:
                self._take(listener.accept()[0])

    def _take(self, client: socket.socket) -> None:
        connection = _Connection(client)
        task = asyncio.create_task(connection.run(self._seafowl_port, self._settle, self._allowed))
        self._connections[task] = connection
        task.add_done_callback(lambda ended: self._connections.pop(ended, None))

    def stop_accepting(self) -> None:
        """Refuse new connections; those that are there go on, also those that the kernel has taken for us."""
        if self._listener is not None:
            self._accept(self._listener)
            self._close()

    def abort(self) -> None:
        """Refuse new connections, reset all that are there. Nothing is sent to a client after this."""
        self._close()
        for task in self._connections:
            task.cancel()

    def _close(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def answered(self, seconds: float) -> None:
        """Wait until no client waits for an answer to begin, for at most `seconds`."""
        end = time.monotonic() + seconds
        while any(connection.asks for connection in self._connections.values()) and time.monotonic() < end:
            await asyncio.sleep(0.02)
