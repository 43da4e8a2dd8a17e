"""What a request asks for and what makes a kept answer still right: query, hash, ETag, route. Pure functions."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from urllib.parse import unquote_to_bytes

from .access import hex_hash
from .catalog import DEFAULT_DATABASE
from .errors import ApiError


class Action(Enum):
    """What a path leads to, with the one method that it takes."""

    HEALTH = "GET"
    READ = "GET by hash"
    EXECUTE = "POST"
    UPLOAD = "POST form"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.value.partition(" ")[0]


@dataclass(frozen=True)
class Route:
    """An action on a database; `rest` is what else the path names: the query part, or schema and table."""

    action: Action
    database: str = DEFAULT_DATABASE
    rest: tuple[str, ...] = ()


def routes(raw_path: str) -> list[Route]:
    """The routes of a path, whose parts stay percent-encoded; one slash at the end changes nothing."""
    match raw_path.removeprefix("/").removesuffix("/").split("/"):
        case ["healthz" | "readyz"]:
            return [Route(Action.HEALTH)]
        case ["q"]:
            return [Route(Action.EXECUTE)]
        case ["q", "q"]:
            return [Route(Action.READ, rest=("q",)), Route(Action.EXECUTE, "q")]
        case ["q", query]:
            return [Route(Action.READ, rest=(query,))]
        case [database, "q"]:
            return [Route(Action.EXECUTE, database)]
        case [database, "q", query]:
            return [Route(Action.READ, database, (query,))]
        case ["upload", schema, table]:
            return [Route(Action.UPLOAD, rest=(schema, table))]
        case [database, "upload", schema, table]:
            return [Route(Action.UPLOAD, database, (schema, table))]
        case _:
            return []


def query_in_body(body: bytes, content_type: str | None) -> str | None:
    """The query of a JSON body {"query": "…"}, or None where it is no such body."""
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        return None
    try:
        document = json.loads(body)
    except ValueError:
        return None
    match document:
        case {"query": str(query)}:
            return query
        case _:
            return None


def query_to_read(part: str, encoded: str | None) -> str:
    """The query of a GET: in the path itself, or elsewhere with its hash in the path.

    Both are percent-encoded. A dot ends the path's part, as in the original: encode it as %2E. Raises ApiError 400.
    """
    part = part.partition(".")[0]
    try:
        if encoded is None:
            return unquote_to_bytes(part).decode()
        query = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError as error:
        raise ApiError(400, "QUERY_DECODE_ERROR") from error
    expected = hex_hash(query)
    if part != expected:
        text = f'Invalid hash: expected "{expected}", got "{part}". Resend your query with "{expected}"'
        raise ApiError(400, text)
    return query


def etag(versions: Iterable[tuple[str, int]]) -> str:
    """A hash, without quotes, of the UUID and version of each table that a query names: not of the query."""
    return sha256(repr(sorted(versions)).encode()).hexdigest()
