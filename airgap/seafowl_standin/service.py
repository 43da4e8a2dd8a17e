"""What the HTTP frontend asks for: running queries and taking uploads. Imports the engine, so it loads late."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from arro3.core import RecordBatchReader

from . import arrow_json
from .catalog import Catalog, TableRef
from .client import Client
from .engine import Engine
from .errors import ApiError, engine_error, not_implemented
from .requested import etag as etag_of
from .statements import ANSWERING, CACHEABLE, LOCAL, READING, Statement, Verb, parse
from .store import ObjectStore
from .upload import Upload
from .uploads import store_upload
from .writes import Writer

# What is asked with SHOW and DESCRIBE is in no table.
NO_TABLES = etag_of([])
ONE_READ_LAST = "Only one read statement is allowed and it must be at the end of a multi-statement query"


@dataclass
class Answer:
    """A result as chunks of JSON lines, made as they are taken. Without a content type where nothing was read."""

    chunks: Iterator[bytes] = field(default_factory=lambda: iter(()))
    content_type: str | None = None
    etag: str = ""


class Service:
    """Runs in worker threads; every method raises ApiError, ClientGone between steps, and EnginePanic."""

    def __init__(self, catalog: Catalog, store: ObjectStore) -> None:
        self._catalog = catalog
        self._engine = Engine(catalog, store)
        self._writer = Writer(self._engine)

    def execute(self, client: Client, database: str, query: str, may_read: bool, may_write: bool) -> Answer:
        """Run all statements of a POSTed query, one after the other; the answer is the last one's result."""
        statements = parse(query)
        if not statements:
            raise ApiError(400, "Empty query received")
        reads = [statement for statement in statements if statement.verb in READING]
        only_reads = len(reads) == len(statements)
        if not (may_read if only_reads else may_write):
            raise ApiError(403, "WRITE_FORBIDDEN")
        if self._catalog.read_only and any(statement.verb not in LOCAL for statement in statements):
            raise ApiError(403, "WRITE_FORBIDDEN")
        if len(reads) > 1 or (reads and statements[-1] is not reads[0]):
            raise ApiError(400, ONE_READ_LAST)
        answer = Answer()
        for statement in statements:
            client.check()
            session = self._engine.session(database, client)
            if statement.verb in ANSWERING:
                answer = _answer(session.query(statement.text))
                if statement.verb not in READING:
                    answer.content_type = None
            else:
                self._writer.run(statement, session)
                answer = Answer()
        return answer

    def read(self, client: Client, database: str, query: str, if_none_match: str | None) -> Answer | None:
        """Run the one reading statement of a GET; None where the client's ETag is still right (only planned)."""
        statement = _only(parse(query))
        if statement.verb not in CACHEABLE:
            raise ApiError(405, "NOT_READ_ONLY_QUERY")
        client.check()
        session = self._engine.session(database, client)
        rows = session.query(statement.text)
        etag = session.etag(statement.text) if statement.verb in (Verb.QUERY, Verb.EXPLAIN) else NO_TABLES
        if if_none_match == etag:
            return None
        answer = _answer(rows)
        answer.etag = etag
        return answer

    def upload(self, client: Client, database: str, schema: str, table: str, upload: Upload) -> str:
        """Append an uploaded file to a table, which is made where it is missing."""
        if self._catalog.read_only:
            raise ApiError(403, "WRITE_FORBIDDEN")
        client.check()
        return store_upload(self._engine, client, TableRef(database, schema, table), upload)


def _answer(rows: RecordBatchReader) -> Answer:
    return Answer(_chunks(rows), arrow_json.content_type(rows.schema))


def _chunks(rows: RecordBatchReader) -> Iterator[bytes]:
    """An error in mid-stream arrives as text in the result, as from the original: the status is long sent."""
    try:
        for batch in rows:
            yield arrow_json.lines(batch)
    except Exception as error:
        yield str(engine_error(error)).encode()


def _only(statements: list[Statement]) -> Statement:
    if len(statements) != 1:
        raise not_implemented("The context currently only supports a single SQL statement")
    return statements[0]
