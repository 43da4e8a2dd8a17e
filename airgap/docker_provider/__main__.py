"""Serves the provider: prints its port for the engine and runs until it is told to stop."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from . import protocol
from .engine_log import EngineLog
from .servicer import DockerServicer

_OPTIONS = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]
_PARALLEL_CALLS = 64
_GRACE_SECONDS = 10


def _serve(engine_address: str) -> None:
    servicer = DockerServicer(EngineLog(engine_address).status)
    server = grpc.server(ThreadPoolExecutor(_PARALLEL_CALLS), options=_OPTIONS)
    protocol.provider_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    stop = threading.Event()

    def ask_to_stop(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    server.start()
    print(port, flush=True)
    stop.wait()
    servicer.cancel()
    server.stop(_GRACE_SECONDS).wait()


def main() -> None:
    """The engine passes its address last; what is before it are the engine's own logging flags."""
    address = sys.argv[-1]
    if ":" not in address:
        sys.exit("pulumi-resource-docker is started by pulumi, which passes its engine's address")
    _serve(address)
    # Threads that still wait for Docker must not hold the process.
    os._exit(0)


if __name__ == "__main__":
    main()
