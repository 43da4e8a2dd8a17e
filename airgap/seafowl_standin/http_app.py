"""The HTTP frontend: the original's routes, rules and headers (src/frontend/http.rs) as an ASGI application."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from . import cors
from .access import OFF, Principal
from .client import Client, ClientGone
from .config import Http
from .connections import break_off
from .errors import ApiError
from .logs import LOG
from .plans import EnginePanic
from .requested import Action, Route, query_in_body, query_to_read, routes
from .upload import check_upload, receive_upload
from .version import BANNER, VERSION

if TYPE_CHECKING:
    from .service import Answer, Service

T = TypeVar("T")

VARY = "Authorization, Content-Type, Origin, X-Seafowl-Query"
WORKERS = 16
PIECE_BYTES = 1024 * 1024


class App:
    """The ASGI application. Queries run in a fixed number of threads, everything else on the event loop."""

    def __init__(self, settings: Http, load: "Callable[[], Service]") -> None:
        """`load` imports the engine; it runs in a thread, so that `/healthz` answers before it is done."""
        self._settings = settings
        self._access = settings.access
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="query")
        self._service = self._threads.submit(load)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except EnginePanic:
            LOG.error("Panicked, as the original does on this query; its connection breaks")
            await break_off(request)
            return
        _log(request, response, time.monotonic() - started)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        response = cors.preflight(request)
        if response is None:
            response = await self._answer(request)
            cors.allow_origin(request, response)
        response.headers["Vary"] = VARY
        response.headers["X-Seafowl-Standin"] = VERSION
        return response

    async def _answer(self, request: Request) -> Response:
        found = routes(request.scope["raw_path"].decode("latin-1"))
        route = next((route for route in found if route.action.method == request.method), None)
        if route is None:
            return _text(405, "HTTP method not allowed") if found else _text(404, "")
        try:
            match route.action:
                case Action.HEALTH:
                    return _text(200, BANNER)
                case Action.EXECUTE:
                    return await self._execute(request, route)
                case Action.READ:
                    return await self._read(request, route)
                case Action.UPLOAD:
                    return await self._upload(request, route)
        except ApiError as error:
            return _text(error.status, error.body)
        except (ClientDisconnect, ClientGone):
            return _text(400, "")
        except EnginePanic:
            raise
        except Exception:
            LOG.exception("Unexpected error")
            return _text(500, "Internal error of the stand-in: see its log")

    async def _execute(self, request: Request, route: Route) -> Response:
        """POST /q: any statements."""
        principal = self._principal(request)
        query = query_in_body(await request.body(), request.headers.get("content-type"))
        if query is None:
            raise ApiError(400, 'No query found in the request: send {"query": "…"} as application/json')
        may_read, may_write = self._access.may_read(principal), self._access.may_write(principal)
        started = time.monotonic()
        answer = await self._run_for(
            request, lambda service, client: service.execute(client, route.database, query, may_read, may_write)
        )
        return await self._result(answer, started)

    async def _read(self, request: Request, route: Route) -> Response:
        """GET /q/…: one statement that reads, to be cached."""
        principal = self._principal(request)
        if self._access.read == OFF:
            raise ApiError(405, "READ_ONLY_ENDPOINT_DISABLED")
        if not self._access.may_read(principal):
            raise ApiError(403, "READ_FORBIDDEN")
        encoded = query_in_body(await request.body(), request.headers.get("content-type"))
        query = query_to_read(route.rest[0], encoded or request.headers.get("x-seafowl-query"))
        kept = request.headers.get("if-none-match")
        started = time.monotonic()
        answer = await self._run_for(request, lambda service, client: service.read(client, route.database, query, kept))
        if answer is None:
            response = Response(status_code=304)
        else:
            response = await self._result(answer, started)
            response.headers["ETag"] = answer.etag
        response.headers["Cache-Control"] = self._settings.cache_control
        return response

    async def _upload(self, request: Request, route: Route) -> Response:
        """POST /upload/<schema>/<table>: a file for a table."""
        principal = self._principal(request)
        limit = self._settings.upload_data_max_length
        check_upload(request, limit)
        if not self._access.may_write(principal):
            raise ApiError(403, "WRITE_FORBIDDEN")
        schema, table = route.rest
        async with await receive_upload(request, limit) as upload:
            message = await self._run_for(
                request, lambda service, client: service.upload(client, route.database, schema, table, upload)
            )
        return _text(200, message)

    def _principal(self, request: Request) -> Principal:
        return self._access.principal(request.headers.get("authorization"))

    async def _run_for(self, request: Request, job: "Callable[[Service, Client], T]") -> T:
        """Run a job whose request has arrived; one whose client leaves ends at its next step, with ClientGone."""
        client = Client()
        running = asyncio.ensure_future(self._run(lambda service: job(service, client)))
        leaving = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                client.leave()
            return await running
        finally:
            leaving.cancel()

    async def _run(self, job: "Callable[[Service], T]") -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: job(self._service.result()))

    async def _result(self, answer: "Answer", started: float) -> Response:
        """Small results go out whole, larger ones piece by piece."""
        first, is_all = await self._run(lambda _: _take(answer.chunks))
        response = Response(first) if is_all else StreamingResponse(self._stream(first, answer))
        if answer.content_type is not None:
            response.headers["Content-Type"] = answer.content_type
        response.headers["X-Seafowl-Query-Time"] = str(int((time.monotonic() - started) * 1000))
        return response

    async def _stream(self, first: bytes, answer: "Answer") -> AsyncIterator[bytes]:
        piece, is_last = first, False
        while not is_last:
            yield piece
            piece, is_last = await self._run(lambda _: _take(answer.chunks))
        yield piece


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


def _text(status: int, body: str) -> Response:
    return Response(body, status, headers={"Content-Type": "text/plain; charset=utf-8"})


def _log(request: Request, response: Response, seconds: float) -> None:
    client = f"{request.client.host}:{request.client.port}" if request.client else "-"
    path = request.scope["raw_path"].decode("latin-1")
    LOG.info('%s "%s %s" %d %.1f ms', client, request.method, path, response.status_code, seconds * 1000)
