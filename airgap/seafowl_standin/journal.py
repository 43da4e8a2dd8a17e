"""Opening the catalog's file in a journal mode, and refusing a mode that does not fit the file.

A reader cannot change the file, so its mode must fit the writer's: `wal` on a wal database and only there.
The bare SQLite library is laxer (it reads a wal database with `off` too); the original dies, and so does this.
"""

import sqlite3
from pathlib import Path

from .config import Catalog
from .errors import Fatal

WAL_FORMAT = 2
# Bytes 18 and 19 of a database file: its write and read format versions, 2 for wal (the SQLite file format).
FORMAT_OFFSET, FORMAT_END = 18, 20


def connect(settings: Catalog, timeout_s: float) -> sqlite3.Connection:
    """A connection in autocommit mode with the journal mode set; raises Fatal where that cannot be."""
    path = file_path(settings.dsn)
    if settings.read_only and path is not None:
        check_reader(path, settings.journal_mode)
    try:
        connection = sqlite3.connect(
            _uri(path, settings.read_only), timeout_s, uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        took = str(connection.execute(f"PRAGMA journal_mode = {settings.journal_mode}").fetchone()[0])
    except sqlite3.Error as error:
        raise Fatal(
            f"Error opening the catalog {settings.dsn} with journal mode {settings.journal_mode}: {error}"
        ) from error
    # SQLite answers `memory` for every database in memory.
    if path is not None and took != settings.journal_mode:
        raise Fatal(f"The catalog {settings.dsn} stays in journal mode {took}, asked was {settings.journal_mode}")
    return connection


def file_path(dsn: str) -> Path | None:
    """The file that a dsn names, or None for a database in memory."""
    if ":memory:" in dsn:
        return None
    for scheme in ("sqlite://", "sqlite:"):
        if dsn.startswith(scheme):
            return Path(dsn.removeprefix(scheme).partition("?")[0])
    return Path(dsn)


def check_reader(path: Path, journal_mode: str) -> None:
    """Raise Fatal unless the file is there and a reader in this mode can use it."""
    try:
        with path.open("rb") as file:
            header = file.read(FORMAT_END)
    except OSError as error:
        raise Fatal(f"Error opening the catalog {path}: {error.strerror}: start readers after the writer") from error
    if len(header) < FORMAT_END:
        raise Fatal(f"The catalog {path} is empty: start readers after the writer")
    is_wal = WAL_FORMAT in header[FORMAT_OFFSET:FORMAT_END]
    if is_wal and journal_mode != "wal":
        raise Fatal(f"The catalog {path} is in wal mode: a reader with journal mode {journal_mode} cannot leave it")
    if journal_mode == "wal" and not is_wal:
        raise Fatal(f"The catalog {path} is not in wal mode: a reader cannot change that (attempt to write)")


def _uri(path: Path | None, read_only: bool) -> str:
    if path is None:
        return "file:catalog?mode=memory&cache=shared"
    return f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
