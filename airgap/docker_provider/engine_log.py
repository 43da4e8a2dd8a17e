"""Lines shown in Pulumi's display beside a resource while it is worked on."""

import contextlib
import threading
from typing import Any

import grpc

from . import protocol

_TIMEOUT_SECONDS = 5


class EngineLog:
    """A connection to Pulumi's engine, made at the first line."""

    def __init__(self, address: str) -> None:
        """Connects to nothing yet."""
        self._address = address
        self._lock = threading.Lock()
        self._stub: Any = None

    def status(self, urn: str, line: str) -> None:
        """Shows a passing line; an engine that is gone is no error."""
        with self._lock:
            if self._stub is None:
                self._stub = protocol.engine_stub(grpc.insecure_channel(self._address))
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(protocol.log_request(urn, line), timeout=_TIMEOUT_SECONDS)
