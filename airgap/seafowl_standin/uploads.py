"""Storing an upload: the file's rows are appended to a table, which is made where it is missing."""

import json
import shutil
import tempfile
from typing import Any

import pyarrow as pa
from datafusion import DataFrame

from .catalog import TableRef
from .engine import Engine
from .errors import ApiError, engine_error
from .schemas import delta_schema
from .scratch import scratch
from .upload import Upload
from .upload_schema import parse_schema
from .writes import Writer


def store_upload(engine: Engine, writer: Writer, database: str, schema: str, table: str, upload: Upload) -> str:
    """Append the file; returns the original's sentence about it. Raises ApiError."""
    target = TableRef(database, schema, table)
    given = _schema(upload)
    session = engine.session(database)
    uuid = session.snapshot.uuid(target)
    if uuid is not None:
        given = pa.schema(session.snapshot.table(uuid).schema().to_arrow())
    elif schema not in session.snapshot.tree.get(database, {}):
        engine.catalog.create_schema(database, schema)
    with tempfile.NamedTemporaryFile(suffix=f".{upload.format}") as copy:
        shutil.copyfileobj(upload.file, copy)
        copy.flush()
        try:
            frame = _read(copy.name, upload, given)
            if uuid is None:
                uuid = writer.create(target, delta_schema(frame.schema()))
            version = writer.append(uuid, frame)
        except ApiError:
            raise
        except Exception as error:
            raise engine_error(error) from error
    return f"{upload.filename} appended to table {table} version {version}\n"


def _read(path: str, upload: Upload, schema: pa.Schema | None) -> DataFrame:
    context = scratch()
    if upload.format == "csv":
        return context.read_csv(path, schema=schema, has_header=upload.has_header)
    return context.read_parquet(path, schema=schema)


def _schema(upload: Upload) -> pa.Schema | None:
    if upload.schema is None:
        return None
    try:
        document: Any = json.loads(upload.schema)
    except ValueError as error:
        raise ApiError(400, f"Error deserializing the file schema: {error}") from error
    return parse_schema(document)
