"""External tables: files behind a URL, readable as `staging.<name>` in this process until they are dropped."""

import threading
from dataclasses import dataclass
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from datafusion import SessionContext
from datafusion.catalog import Table
from datafusion.object_store import Http

from .errors import QueryError, engine_error, plan_error
from .scratch import scratch
from .statements import STAGING_SCHEMA, Name, Statement

PROBE_TIMEOUT_S = 30
SCRATCH_NAME = "external"


@dataclass(frozen=True)
class External:
    """An external table, and the base of its URL where that is a web server."""

    table: Table
    base_url: str | None


class StagingArea:
    """The external tables of the process, by database and name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._externals: dict[tuple[str, str], External] = {}

    def tables(self, database: str) -> dict[str, Table]:
        """The external tables that a statement in this database sees."""
        with self._lock:
            return {name: e.table for (owner, name), e in self._externals.items() if owner == database}

    def register_stores(self, context: SessionContext) -> None:
        """Make the web servers of all external tables known to a session."""
        with self._lock:
            bases = {external.base_url for external in self._externals.values()}
        for base in bases:
            if base is not None:
                context.register_object_store(base, Http(base), None)

    def create(self, database: str, statement: Statement) -> None:
        """Run CREATE EXTERNAL TABLE; the name stays taken until it is dropped."""
        name = staging_name(statement.target)
        if (database, name) in self._externals:
            if statement.if_not_exists:
                return
            raise QueryError(f"Execution error: Table '{STAGING_SCHEMA}.{name}' already exists")
        base = _base_url(statement.location)
        if base is not None:
            _require_ranges(statement.location)
        context = scratch()
        if base is not None:
            context.register_object_store(base, Http(base), None)
        target = statement.target
        sql = f"{statement.text[: target.start]}{SCRATCH_NAME}{statement.text[target.end :]}"
        try:
            context.sql(sql)
            table = context.catalog().schema().table(SCRATCH_NAME)
        except Exception as error:
            raise engine_error(error) from error
        with self._lock:
            self._externals[(database, name)] = External(table, base)

    def drop(self, database: str, name: str) -> bool:
        """Forget an external table; False where there is none."""
        with self._lock:
            return self._externals.pop((database, name), None) is not None


def staging_name(name: Name) -> str:
    """The table's name in the staging schema, the only one that takes external tables."""
    if len(name.parts) > 1 and name.parts[-2] != STAGING_SCHEMA:
        raise plan_error(f"Can only create external tables in the {STAGING_SCHEMA} schema")
    return name.parts[-1]


def _base_url(location: str) -> str | None:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else None


def _require_ranges(location: str) -> None:
    """The original reads files in byte ranges and refuses servers that do not offer them."""
    try:
        with urlopen(Request(location, method="HEAD"), timeout=PROBE_TIMEOUT_S) as response:
            ranges = response.headers.get("Accept-Ranges", "")
    except (URLError, OSError, ValueError) as error:
        raise QueryError(f"Object Store error: Generic http error: {error}") from error
    if ranges.lower() != "bytes":
        raise QueryError("Object Store error: Generic http error: This server does not support byte range fetches")
