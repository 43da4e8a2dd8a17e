"""Serves the provider: prints its port for the engine and runs until it is told to stop."""

import asyncio
import os
import signal
import sys

import grpc.aio
from pulumi.runtime.proto import provider_pb2_grpc

from . import VERSION
from .engine_log import EngineLog
from .provider import DockerProvider
from .servicer import DockerServicer, ErrorTelling

_OPTIONS = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]
_GRACE_SECONDS = 10


async def _serve(engine_address: str) -> None:
    log = EngineLog(engine_address)
    provider = DockerProvider(log.status)
    server = grpc.aio.server(options=_OPTIONS, interceptors=[ErrorTelling()])
    servicer = DockerServicer(sys.argv[1:], VERSION, provider, engine_address)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(port, flush=True)
    await stop.wait()
    await provider.cancel()
    await server.stop(_GRACE_SECONDS)


def main() -> None:
    """The engine passes its address first; other arguments are the engine's own logging flags."""
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not arguments:
        sys.exit("pulumi-resource-docker is started by pulumi, which passes its engine's address")
    asyncio.run(_serve(arguments[0]))
    # Threads that still wait for Docker must not hold the process.
    os._exit(0)


if __name__ == "__main__":
    main()
