"""Start-up: command line, configuration, catalog, object store, then the HTTP server."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from .catalog import Catalog
from .client import Client
from .config import Settings, load
from .errors import Fatal
from .logs import LOG, set_up
from .store import ObjectStore
from .version import BANNER

SECONDS_PER_HOUR = 3600


def main(arguments: list[str]) -> int:
    """Run the node; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="seafowl", description=BANNER)
    parser.add_argument("-c", "--config-path", type=Path, default=Path("seafowl.toml"), help="path of seafowl.toml")
    parser.add_argument("-V", "--version", action="version", version=BANNER, help="print the version and exit")
    parser.add_argument("-o", "--one-off", metavar="SQL", help="run one query, print its result and exit")
    options = parser.parse_args(arguments)
    set_up()
    # As the first process of a container this one would otherwise ignore the signal until it serves.
    signal.signal(signal.SIGTERM, _end)
    try:
        return _run(options.config_path, options.one_off)
    except Fatal as error:
        print(f"seafowl-standin: {error}", file=sys.stderr)
        return error.exit_code


def _run(config_path: Path, one_off: str | None) -> int:
    LOG.info("Starting %s", BANNER)
    settings = load(config_path)
    if settings.unused:
        LOG.warning("These settings do nothing in the stand-in: %s", ", ".join(settings.unused))
    _set_environment(settings)
    catalog = Catalog(settings.catalog)
    store = ObjectStore(settings.object_store)
    if one_off is not None:
        from .service import Service

        answer = Service(catalog, store).execute(Client(), "default", one_off, may_read=True, may_write=True)
        for chunk in answer.chunks:
            sys.stdout.write(chunk.decode())
        return 0
    from .server import serve

    threading.Thread(target=_collect_garbage, args=(settings, catalog, store), daemon=True).start()
    return serve(settings, catalog, store)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _set_environment(settings: Settings) -> None:
    """The object store's settings come from the configuration alone; deltalake would look at AWS_… too."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    if settings.ssl_cert_file is not None:
        os.environ["SSL_CERT_FILE"] = settings.ssl_cert_file
    if settings.temp_dir is not None:
        os.environ["TMPDIR"] = settings.temp_dir


def _collect_garbage(settings: Settings, catalog: Catalog, store: ObjectStore) -> None:
    """Once at start, then every interval."""
    from .garbage import collect

    pause = threading.Event()
    while True:
        collect(catalog, store)
        if settings.gc_interval == 0:
            return
        pause.wait(settings.gc_interval * SECONDS_PER_HOUR)
