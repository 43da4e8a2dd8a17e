"""A small HTTP client: one request a connection, bounded in time and size, names resolved where it cannot block."""

import asyncio
import functools
import json
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_MAX_BYTES = 4 * 1024 * 1024


class HttpError(Exception):
    """A request that got no answer, or one that is not as expected."""


@dataclass(frozen=True)
class Answer:
    """What the server answered; the headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body of a successful answer; raises HttpError."""
        if self.status != 200:  # noqa: PLR2004 (OK)
            raise HttpError(f"status {self.status}: {self.body[:200].decode(errors='replace').strip()}")
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise HttpError("the answer is not JSON") from error


class Names:
    """Resolves names in threads of its own, and each name in one of them only.

    With the network away, a look-up can hang for many seconds: those must neither pile up nor hold up anything else.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="names")
        self._pending: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, name: str) -> list[str]:
        """IPv4 addresses of `name`, sorted; raises OSError."""
        pending = self._pending.get(name)
        if pending is None:
            pending = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, name)
            self._pending[name] = pending
            pending.add_done_callback(lambda done: self._done(name, done))
        return await asyncio.shield(pending)

    def _done(self, name: str, pending: "asyncio.Future[list[str]]") -> None:
        del self._pending[name]
        if not pending.cancelled():
            pending.exception()  # seen, also when nobody waits for it any more


def _look_up(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    return sorted({str(address[4][0]) for address in found})


@dataclass
class Server:
    """A server by its URL. After a request that failed, the next one takes its name's next address."""

    url: str
    names: Names
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent with every request."""

    _failures: int = 0

    async def request(self, method: str, path: str, timeout: float, body: bytes = b"") -> Answer:
        """The answer to `method` `path`, within `timeout` seconds; raises HttpError."""
        try:
            return await asyncio.wait_for(self._request(method, path, body), timeout)
        except asyncio.TimeoutError:
            self._failures += 1
            raise HttpError(f"{self.url} did not answer within {timeout:g} s") from None
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self._failures += 1
            raise HttpError(f"{self.url}: {error}") from error

    async def _request(self, method: str, path: str, body: bytes) -> Answer:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        encrypted = parts.scheme == "https"
        addresses = await self.names.addresses(host)
        reader, writer = await asyncio.open_connection(
            addresses[self._failures % len(addresses)],
            parts.port or (443 if encrypted else 80),
            ssl=_trusted() if encrypted else None,
            server_hostname=host if encrypted else None,
        )
        try:
            # HTTP/1.0: the answer ends where the connection does, and is never chunked.
            lines = [f"{method} {path} HTTP/1.0", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            received = bytearray()
            while piece := await reader.read(65536):
                received += piece
                if len(received) > _MAX_BYTES:
                    raise ValueError("the answer is too long")
        finally:
            writer.transport.abort()
        return _parse(bytes(received))


@functools.cache
def _trusted() -> ssl.SSLContext:
    """What the system trusts: reading it takes long, so once."""
    return ssl.create_default_context()


def _parse(received: bytes) -> Answer:
    head, end, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    words = status.split(" ", 2)
    if not end or not words[0].startswith("HTTP/"):
        raise ValueError("the answer is not HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if len(body) < int(headers.get("content-length", 0)):
        raise ValueError("the answer was cut off")
    return Answer(int(words[1]), headers, body)
