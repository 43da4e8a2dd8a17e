"""Receiving an upload: a multipart form with a file, and perhaps its schema and whether it has a header."""

from types import TracebackType
from typing import BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from .errors import ApiError

MIB = 1024 * 1024
FORMATS = ("csv", "parquet")


class Upload:
    """The parts of the form; `file` is on disk when large. Close it by leaving `async with`."""

    def __init__(self, form: FormData, filename: str, file: BinaryIO, schema: bytes | None, has_header: bool) -> None:
        self._form = form
        self.filename = filename
        self.file = file
        self.schema = schema
        self.has_header = has_header

    @property
    def format(self) -> str:
        """`csv` or `parquet`, from the file's name."""
        return self.filename.rpartition(".")[2]

    async def __aenter__(self) -> "Upload":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._form.close()


def check_upload(request: Request, limit_mib: int) -> None:
    """Look at the headers only; raises ApiError: 411 without a length, 413 above the limit, 400 for no form."""
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise ApiError(411, "A content-length header is required")
    if int(length) > limit_mib * MIB:
        raise ApiError(413, "The request payload is too large")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ApiError(400, 'Invalid request header "content-type"')


async def receive_upload(request: Request, limit_mib: int) -> Upload:
    """Read the form; raises ApiError 400 for a wrong one."""
    parser = MultiPartParser(request.headers, request.stream(), max_part_size=limit_mib * MIB)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, f"Error loading the upload body: {error.message}") from error
    try:
        return await _upload(form)
    except BaseException:
        await form.close()
        raise


async def _upload(form: FormData) -> Upload:
    data = form.get("data") or form.get("file")
    if not isinstance(data, UploadFile) or not data.filename:
        raise ApiError(400, "No part containing file found in the request!")
    if data.filename.rpartition(".")[2] not in FORMATS:
        raise ApiError(400, f"File {data.filename} not supported")
    schema = await _bytes(form, "schema")
    has_header = await _bytes(form, "has_header")
    return Upload(form, data.filename, data.file, schema, has_header is None or has_header.startswith(b"true"))


async def _bytes(form: FormData, name: str) -> bytes | None:
    part = form.get(name)
    if isinstance(part, UploadFile):
        return await part.read()
    return None if part is None else part.encode()
