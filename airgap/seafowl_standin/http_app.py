"""The HTTP frontend: the original's routes, rules and headers (src/frontend/http.rs) as an ASGI application."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from . import cors
from .access import Principal, hex_hash
from .catalog import DEFAULT_DATABASE
from .config import Http
from .errors import ApiError
from .logs import LOG
from .upload import check_upload, receive_upload
from .version import BANNER, VERSION

if TYPE_CHECKING:
    from .service import Answer, Service

T = TypeVar("T")

QUERY_HEADER = "x-seafowl-query"
QUERY_TIME_HEADER = "X-Seafowl-Query-Time"
VARY = "Authorization, Content-Type, Origin, X-Seafowl-Query"
WORKERS = 8
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Route:
    """What a path leads to: `method` and, from the path, the database and what else it names."""

    method: str
    handler: Callable[[Request, str, list[str]], Awaitable[Response]]
    database: str
    arguments: list[str]


class App:
    """The ASGI application. Queries run in a fixed number of threads, everything else on the event loop."""

    def __init__(self, settings: Http, load: "Callable[[], Service]") -> None:
        """`load` imports the engine; it runs in a thread, so that `/healthz` answers before it is done."""
        self._settings = settings
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="query")
        self._service = self._threads.submit(load)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.monotonic()
        request = Request(scope, receive)
        response = await self._respond(request)
        self._log(request, response, time.monotonic() - started)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            response = cors.preflight(request) or await self._route(request)
        except ApiError as error:
            response = _text(error.status, error.body)
        except ClientDisconnect:
            response = _text(400, "")
        except Exception:
            LOG.exception("Unexpected error")
            response = _text(500, "Internal error of the stand-in: see its log")
        cors.allow_origin(request, response)
        response.headers["X-Seafowl-Standin"] = VERSION
        return response

    async def _route(self, request: Request) -> Response:
        routes = self._routes(request.scope["raw_path"].decode("latin-1"))
        if not routes:
            return _text(404, "")
        for route in routes:
            if route.method == request.method:
                response = await route.handler(request, route.database, route.arguments)
                response.headers["Vary"] = VARY
                return response
        return _text(405, "HTTP method not allowed")

    def _routes(self, raw_path: str) -> list[Route]:
        """The routes of a path, whose parts stay percent-encoded; one slash at the end changes nothing."""
        match raw_path.removeprefix("/").removesuffix("/").split("/"):
            case ["healthz" | "readyz"]:
                return [Route("GET", self._health, "", [])]
            case ["q"]:
                return [Route("POST", self._post_query, DEFAULT_DATABASE, [])]
            case [first, second] if "q" in (first, second):
                by_path = [Route("GET", self._get_query, DEFAULT_DATABASE, [second])] if first == "q" else []
                return [*by_path, *([Route("POST", self._post_query, first, [])] if second == "q" else [])]
            case [database, "q", query]:
                return [Route("GET", self._get_query, database, [query])]
            case ["upload", schema, table]:
                return [Route("POST", self._upload, DEFAULT_DATABASE, [schema, table])]
            case [database, "upload", schema, table]:
                return [Route("POST", self._upload, database, [schema, table])]
        return []

    async def _health(self, request: Request, database: str, arguments: list[str]) -> Response:
        return _text(200, BANNER)

    async def _post_query(self, request: Request, database: str, arguments: list[str]) -> Response:
        principal = self._principal(request)
        query = _query_in(await request.body(), request)
        if query is None:
            raise ApiError(400, 'No query found in the request: expected a JSON body {"query": "…"}')
        started = time.monotonic()
        answer = await self._run(
            lambda service: service.execute(
                database,
                query,
                may_read=self._settings.access.may_read(principal),
                may_write=self._settings.access.may_write(principal),
            )
        )
        return await self._result(answer, started)

    async def _get_query(self, request: Request, database: str, arguments: list[str]) -> Response:
        principal = self._principal(request)
        if self._settings.access.read == "off":
            raise ApiError(405, "READ_ONLY_ENDPOINT_DISABLED")
        if not self._settings.access.may_read(principal):
            raise ApiError(403, "READ_FORBIDDEN")
        encoded = _query_in(await request.body(), request) or request.headers.get(QUERY_HEADER)
        query = _requested_query(arguments[0], encoded)
        started = time.monotonic()
        match = request.headers.get("if-none-match")
        answer = await self._run(lambda service: service.read(database, query, match))
        if answer is None:
            response = Response(status_code=304)
        else:
            response = await self._result(answer, started)
            response.headers["ETag"] = answer.etag
        response.headers["Cache-Control"] = self._settings.cache_control
        return response

    async def _upload(self, request: Request, database: str, arguments: list[str]) -> Response:
        principal = self._principal(request)
        limit = self._settings.upload_data_max_length
        check_upload(request, limit)
        if not self._settings.access.may_write(principal):
            raise ApiError(403, "WRITE_FORBIDDEN")
        schema, table = arguments
        async with await receive_upload(request, limit) as upload:
            message = await self._run(lambda service: service.upload(database, schema, table, upload))
        return _text(200, message)

    def _principal(self, request: Request) -> Principal:
        return self._settings.access.principal(request.headers.get("authorization"))

    async def _run(self, job: "Callable[[Service], T]") -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: job(self._service.result()))

    async def _result(self, answer: "Answer", started: float) -> Response:
        """Small results go out whole, larger ones piece by piece."""
        first, is_all = await self._run(lambda _: _take(answer.chunks))
        response = Response(first) if is_all else StreamingResponse(self._stream(first, answer))
        if answer.content_type is not None:
            response.headers["Content-Type"] = answer.content_type
        response.headers[QUERY_TIME_HEADER] = str(int((time.monotonic() - started) * 1000))
        return response

    async def _stream(self, first: bytes, answer: "Answer") -> AsyncIterator[bytes]:
        piece, is_last = first, False
        while not is_last:
            yield piece
            piece, is_last = await self._run(lambda _: _take(answer.chunks))
        yield piece

    def _log(self, request: Request, response: Response, seconds: float) -> None:
        client = f"{request.client.host}:{request.client.port}" if request.client else "-"
        path = request.scope["raw_path"].decode("latin-1")
        LOG.info('%s "%s %s" %d %.1f ms', client, request.method, path, response.status_code, seconds * 1000)


def _query_in(body: bytes, request: Request) -> str | None:
    """The query of a JSON body, or None where the body has none."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        return None
    try:
        document = json.loads(body)
    except ValueError:
        return None
    query = document.get("query") if isinstance(document, dict) else None
    return query if isinstance(query, str) else None


def _requested_query(part: str, encoded: str | None) -> str:
    """The query of a GET: in the path itself, or elsewhere with its hash in the path. Dots end that part."""
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


def _text(status: int, body: str) -> Response:
    return Response(body, status, headers={"Content-Type": "text/plain; charset=utf-8"})


def _take(chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """The next piece of a result, and whether it is the last."""
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size >= PIECE_BYTES:
            return b"".join(taken), False
    return b"".join(taken), True
