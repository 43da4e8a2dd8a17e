"""The connections that clients have opened, so that one of them can be broken off without an answer."""

import asyncio
from typing import Any, ClassVar

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """One client's connection, found again by the client's address."""

    _open: ClassVar[dict[Any, asyncio.BaseTransport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Note the connection."""
        super().connection_made(transport)
        self._open[transport.get_extra_info("peername")] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._open.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)

    @classmethod
    def close(cls, client: tuple[str, int]) -> None:
        """Close the connection of the client at this address, if it is open."""
        for peer, transport in cls._open.items():
            if peer is not None and tuple(peer[:2]) == client:
                transport.close()
                return


async def break_off(request: Request) -> None:
    """Close the connection that a request came on, and wait until it is closed. Its body must have arrived."""
    if request.client is not None:
        Connection.close((request.client.host, request.client.port))
        while (await request.receive())["type"] != "http.disconnect":
            pass
