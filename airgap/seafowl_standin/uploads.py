"""Storing an upload: the file's rows are appended to a table, which is made where it is missing."""

import json
import shutil
import tempfile
from typing import Any

from arro3.core import Schema

from .arrow_types import fields, parse_schema, sql_type
from .catalog import DEFAULT_SCHEMA, TableRef
from .client import Client, ClientGone
from .engine import Engine
from .errors import ApiError, engine_error
from .session import SCRATCH_SCHEMA, Session, quote
from .upload import Upload


def store_upload(engine: Engine, client: Client, table: TableRef, upload: Upload) -> str:
    """Append the file; returns the original's sentence about it. Raises ApiError, and ClientGone between its steps.

    The original looks for the table by its bare name, in lower case and in the schema `public`, whatever schema the
    upload names: a second upload into a table of another schema finds its name taken.
    """
    given = _schema(upload)
    session = engine.session(table.database, client)
    if table.schema not in session.tree.get(table.database, {}):
        engine.catalog.create_schema(table.database, table.schema)
        session = engine.session(table.database, client)
        twin = None
    else:
        twin = TableRef(table.database, DEFAULT_SCHEMA, table.table.lower())
    exists = twin is not None and session.uuid(twin) is not None
    with tempfile.NamedTemporaryFile(prefix="seafowl-upload-", suffix=f".{upload.format}") as copy:
        shutil.copyfileobj(upload.file, copy)
        copy.flush()
        try:
            if twin is not None and exists:
                given = session.run(f"SELECT * FROM {session.add(twin)}").schema
            rows = f"SELECT * FROM {_attach(session, copy.name, upload, given)}"
            store = engine.tables.insert if exists else engine.tables.create_from
            version = store(session, table, rows)
        except (ApiError, ClientGone):
            raise
        except Exception as error:
            raise engine_error(error) from error
    return f"{upload.filename} appended to table {table.table} version {version}\n"


def _attach(session: Session, path: str, upload: Upload, schema: Schema | None) -> str:
    """Make the file a table of the session; returns its name. Columns of a CSV file go by position."""
    name = session.make_place(TableRef(session.database, SCRATCH_SCHEMA, "file"))
    if upload.format == "parquet":
        session.run(f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{path}'")
        return name
    has_header = str(upload.has_header).lower()
    columns = "" if schema is None else f"({', '.join(f'{quote(f.name)} VARCHAR' for f in fields(schema))})"
    session.run(
        f"CREATE EXTERNAL TABLE {name} {columns} STORED AS CSV LOCATION '{path}' OPTIONS ('has_header' '{has_header}')"
    )
    if schema is None:
        return name
    casts = [f"arrow_cast({quote(f.name)}, '{sql_type(f.type)}') AS {quote(f.name)}" for f in fields(schema)]
    return f"(SELECT {', '.join(casts)} FROM {name})"


def _schema(upload: Upload) -> Schema | None:
    if upload.schema is None:
        return None
    try:
        document: Any = json.loads(upload.schema)
    except ValueError as error:
        raise ApiError(400, f"Error deserializing the file schema: {error}") from error
    return parse_schema(document)
