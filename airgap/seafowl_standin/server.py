"""Serving HTTP with uvicorn until SIGTERM, then draining."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from .catalog import Catalog
from .config import Settings
from .connections import Connection
from .errors import Fatal
from .http_app import App
from .logs import LOG
from .store import ObjectStore
from .version import VERSION

DRAIN_S = 5
KEEP_ALIVE_S = 24 * 60 * 60
# Queries come in headers and paths: as much as the original takes.
MAX_HEAD_BYTES = 400_000


class Server(uvicorn.Server):
    """uvicorn ends itself by the signal that stopped it; the original exits with 0."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop serving at SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve(settings: Settings, catalog: Catalog, store: ObjectStore) -> int:
    """Serve until told to stop; returns the exit code. Raises Fatal where the port cannot be had."""

    def load():
        from .service import Service

        return Service(catalog, store)

    http = settings.http
    config = uvicorn.Config(
        App(http, load),
        host=http.bind_host,
        port=http.bind_port,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        headers=[("Server", f"seafowl-standin/{VERSION}")],
        timeout_graceful_shutdown=DRAIN_S,
        # The original never closes an idle connection: a day stands for that.
        timeout_keep_alive=KEEP_ALIVE_S,
        http=Connection,
        # Nobody's headers say who the client is, as with the original.
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    LOG.info("Starting the HTTP frontend on %s:%d", http.bind_host, http.bind_port)
    LOG.info("HTTP access settings: %s", http.access)
    try:
        Server(config).run()
    except SystemExit as error:
        if not error.code:
            return 0
        raise Fatal(f"Cannot listen on {http.bind_host}:{http.bind_port}: is the port taken?") from error
    LOG.info("Exiting cleanly.")
    return 0
