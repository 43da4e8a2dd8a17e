"""Stand-ins for LiteFS and Consul, as the supervisor meets them: HTTP servers on the loopback network."""

import base64
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

DATABASE = "seafowl.sqlite"
Answer = tuple[int, bytes]


_PORTS = iter(random.sample(range(20000, 32000), 12000))
_PORTS_LOCK = threading.Lock()


def free_port() -> int:
    """A port that nobody listens on, that no outgoing connection is given meanwhile, and that is given out once."""
    while True:
        with _PORTS_LOCK:
            port = next(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port


class FakeServer:
    """Answers with `answer`; while `hangs` is set it answers nothing, and keeps the connections."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.hangs = threading.Event()
        self.requests: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.tokens: list[str | None] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                while fake.hangs.is_set():
                    time.sleep(0.01)
                fake.requests.append((self.command, self.path))
                fake.tokens.append(self.headers.get("X-Consul-Token"))
                status, content = fake.answer(self.command, self.path, body)
                self.send_response(status)
                for name, value in fake.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that gave up

        self._server = Server((address, port), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://{address}:{self.port}"
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        # (Not serve_forever, which looks a hundred times a second whether it should end.)
        while not self._closing.is_set():
            self._server.handle_request()

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        raise NotImplementedError

    def close(self) -> None:
        self.hangs.clear()
        self._closing.set()
        with socket.create_connection(self._server.server_address[:2]):
            self._thread.join()
        self._server.server_close()


class FakeLiteFS(FakeServer):
    """One node's LiteFS."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(address, port)
        self.headers = {"Litefs-Id": f"ID-{address}"}
        self.is_primary = False
        self.primary = ""
        self.position = (0, "")
        self.on_handoff: Callable[[str], None] = lambda node_id: None

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        parts = urlsplit(path)
        match parts.path:
            case "/info":
                info = {"isPrimary": self.is_primary, "candidate": True, "primary": {"hostname": self.primary}}
                return 200, json.dumps(info).encode()
            case "/debug/vars":
                txid, checksum = self.position
                dbs = {DATABASE: {"txid": f"{txid:016x}", "checksum": checksum}} if txid else {}
                return 200, json.dumps({"store": {"dbs": dbs}}).encode()
            case "/handoff":
                self.on_handoff(parse_qs(parts.query)["nodeID"][0])
                return 200, b""
            case _:
                return 404, b""


class FakeConsul(FakeServer):
    """The part of Consul's API that a lease needs."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, dict[str, Any]] = {}
        self.sessions: set[str] = set()
        self.index = 0

    def give_lease(self, hostname: str, session: str = "session-1", key: str = "test/primary") -> None:
        """What LiteFS does when it becomes the primary."""
        self.sessions.add(session)
        self._set(key, json.dumps({"hostname": hostname, "advertise-url": "…"}).encode(), session)

    def end_session(self, session: str) -> None:
        self.sessions.discard(session)
        self.keys = {key: entry for key, entry in self.keys.items() if entry["Session"] != session}

    def confirm(self, session: str = "session-1", key: str = "test/primary") -> None:
        """What the supervisor of another node does."""
        self._set(f"{key}/confirmed", str(self.index).encode(), session)

    def put(self, key: str, value: bytes) -> None:
        self._set(key, value, None)

    def _set(self, key: str, value: bytes, session: str | None) -> None:
        old = self.keys.get(key)
        if old is not None and (old["Value"], old.get("Session")) == (base64.b64encode(value).decode(), session):
            return  # as in Consul: a write that changes nothing is none
        self.index += 1
        self.keys[key] = {
            "Key": key,
            "Value": base64.b64encode(value).decode(),
            "Session": session,
            "ModifyIndex": self.index,
        }

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        parts = urlsplit(path)
        query = parse_qs(parts.query, keep_blank_values=True)
        name = parts.path.split("/", 3)[-1]
        if parts.path.startswith("/v1/session/"):
            action, session = parts.path.split("/")[3:]
            if session not in self.sessions:
                return 404, b""
            if action == "destroy":
                self.end_session(session)
            return 200, b"true"
        if method == "GET":
            found = [entry for key, entry in self.keys.items() if key.startswith(name)]
            return (200, json.dumps(found).encode()) if found else (404, b"")
        if "release" in query:
            self._set(name, b"", None)
            return 200, b"true"
        session = query["acquire"][0]
        if session not in self.sessions:
            return 500, b"invalid session"
        self._set(name, body, session)
        return 200, b"true"


@contextmanager
def closing(*servers: FakeServer) -> Iterator[None]:
    """Close the servers in the end."""
    try:
        yield
    finally:
        for server in servers:
            server.close()


def eventually(condition: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """Wait until `condition` holds; returns its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.01)
    return value


def write_transaction(data: Path, first: int, last: int, before: int, after: int) -> Path:
    """An LTX file as LiteFS writes it, as far as the supervisor reads it: header, trailer and name."""
    folder = data / "dbs" / DATABASE / "ltx"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{first:016x}-{last:016x}.ltx"
    header = struct.pack(">4sIIIQQQQ", b"LTX1", 0, 4096, 1, first, last, 0, before)
    file.write_bytes(header.ljust(100, b"\0") + struct.pack(">QQ", after, 0))
    return file
