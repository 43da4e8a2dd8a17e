"""External tables: files behind a URL, readable as `staging.<name>` in this process until they are dropped."""

import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from .catalog import TableRef
from .errors import QueryError, not_implemented, plan_error
from .statements import STAGING_SCHEMA, Statement
from .version import VERSION

if TYPE_CHECKING:
    from .session import Session

TIMEOUT_S = 30
NO_RANGES = "This server does not support byte range fetches"
FORBIDDEN, PARTIAL_CONTENT = 403, 206


@dataclass(frozen=True)
class External:
    """An external table: its statement around the name, and the copy of its file where that came from the web."""

    head: str
    tail: str
    copy: IO[bytes] | None

    def sql(self, name: str) -> str:
        """The statement that makes the table under this name."""
        return f"{self.head}{name}{self.tail}"


class StagingArea:
    """The external tables of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._externals: dict[TableRef, External] = {}

    def create(self, session: "Session", statement: Statement) -> None:
        """Run CREATE EXTERNAL TABLE: copies the file, infers its columns. The name stays taken until dropped."""
        table = _staged(session, statement)
        if table in self._externals:
            if statement.if_not_exists:
                return
            raise QueryError(f"Execution error: Table '{STAGING_SCHEMA}.{table.table}' already exists")
        external = _fetch(statement)
        session.run(external.sql(session.make_place(table)))
        with self._lock:
            self._externals[table] = external

    def get(self, table: TableRef) -> External | None:
        """The external table of this name, if there is one."""
        with self._lock:
            return self._externals.get(table)

    def drop(self, table: TableRef) -> bool:
        """Forget an external table; False where there is none."""
        with self._lock:
            external = self._externals.pop(table, None)
        if external is not None and external.copy is not None:
            external.copy.close()
        return external is not None


def _staged(session: "Session", statement: Statement) -> TableRef:
    """The table's name in the staging schema, the only one that takes external tables."""
    name = statement.target
    *place, table = name.parts
    if place and place[-1] != STAGING_SCHEMA:
        raise plan_error(f"Can only create external tables in the {STAGING_SCHEMA} schema")
    return TableRef(session.database, STAGING_SCHEMA, table)


def _fetch(statement: Statement) -> External:
    location = statement.file
    text, name = statement.text, statement.target
    scheme = urlsplit(location.text).scheme
    copy: IO[bytes] | None = None
    path = location.text
    if scheme in ("http", "https"):
        copy = _download(location.text)
        path = copy.name
    elif scheme not in ("", "file"):
        raise not_implemented(f"CREATE EXTERNAL TABLE with a location of scheme {scheme}; use http, https or a path")
    escaped = path.replace("'", "''")
    tail = f"{text[name.end : location.start]}'{escaped}'{text[location.end :]}"
    return External(text[: name.start], tail, copy)


def _download(url: str) -> IO[bytes]:
    """A copy of the file. The original reads byte ranges and refuses servers without them, and so does this."""
    suffix = PurePosixPath(urlsplit(url).path).suffix
    copy = tempfile.NamedTemporaryFile(prefix="seafowl-external-", suffix=suffix)  # noqa: SIM115 - kept open
    try:
        _require_ranges(url)
        with urlopen(_request(url), timeout=TIMEOUT_S) as response:
            shutil.copyfileobj(response, copy)
        copy.flush()
    except (OSError, ValueError) as error:
        copy.close()
        raise QueryError(f"Object Store error: Generic http error: {error}") from error
    except QueryError:
        copy.close()
        raise
    return copy


def _require_ranges(url: str) -> None:
    """Ask with HEAD; signed URLs of S3 refuse that and are asked for one byte instead."""
    try:
        with urlopen(_request(url, method="HEAD"), timeout=TIMEOUT_S) as response:
            has_ranges = response.headers.get("Accept-Ranges", "").lower() == "bytes"
    except HTTPError as error:
        if error.code != FORBIDDEN:
            raise
        with urlopen(_request(url, headers={"Range": "bytes=0-0"}), timeout=TIMEOUT_S) as response:
            has_ranges = response.status == PARTIAL_CONTENT
    if not has_ranges:
        raise QueryError(f"Object Store error: Generic http error: {NO_RANGES}")


def _request(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> Request:
    return Request(url, method=method, headers={"User-Agent": f"seafowl-standin/{VERSION}"} | (headers or {}))
