"""Results as the original encodes them: JSON lines, and the Arrow schema in the Content-Type header."""

import io
import json
from urllib.parse import quote

import arro3.io
from arro3.core import RecordBatch, Schema

from .arrow_types import UnknownType, schema_json

# What urllib leaves alone and the original's encoder (every character but ASCII letters and digits) does not.
UNRESERVED = str.maketrans({"_": "%5F", ".": "%2E", "-": "%2D", "~": "%7E"})


def lines(batch: RecordBatch) -> bytes:
    """A record batch as JSON lines by arrow's own writer: nulls written out, timestamps in ISO 8601."""
    buffer = io.BytesIO()
    arro3.io.write_ndjson(batch, buffer, explicit_nulls=True)
    return buffer.getvalue()


def content_type(schema: Schema) -> str:
    """The Content-Type of a result with this schema; about 180 bytes a column."""
    try:
        document = schema_json(schema)
    except UnknownType:
        return "application/json"
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return f"application/json; arrow-schema={quote(text, safe='').translate(UNRESERVED)}"
