"""Results as the original encodes them: JSON lines, and the Arrow schema in the Content-Type header."""

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import arro3.io
import pyarrow as pa
from datafusion import RecordBatch
from pyarrow import types

UNITS = {"s": "SECOND", "ms": "MILLISECOND", "us": "MICROSECOND", "ns": "NANOSECOND"}
# What urllib leaves alone and the original's encoder (every character but ASCII letters and digits) does not.
UNRESERVED = {"_": "%5F", ".": "%2E", "-": "%2D", "~": "%7E"}


def lines(batch: RecordBatch) -> bytes:
    """A record batch as JSON lines by arrow's own writer: nulls left out, timestamps in ISO 8601."""
    buffer = io.BytesIO()
    arro3.io.write_ndjson(batch.to_pyarrow(), buffer)
    return buffer.getvalue()


def content_type(schema: pa.Schema) -> str:
    """The Content-Type of a result with this schema; about 180 bytes a column."""
    document = {"fields": [_field(field) for field in schema], "metadata": {}}
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    encoded = quote(text, safe="").translate(str.maketrans(UNRESERVED))
    return f"application/json; arrow-schema={encoded}"


def _field(field: pa.Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "nullable": field.nullable,
        "type": _type(field.type),
        "children": [_field(child) for child in _children(field.type)],
    }


def _children(type_: pa.DataType) -> list[pa.Field]:
    if types.is_struct(type_):
        return [type_.field(index) for index in range(type_.num_fields)]
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return [type_.value_field]
    if types.is_map(type_):
        entries = pa.struct([type_.key_field, type_.item_field])
        return [pa.field("entries", entries, nullable=False)]
    return []


def _type(type_: pa.DataType) -> dict[str, Any]:
    for test, describe in TYPES:
        if test(type_):
            return describe(type_)
    raise ValueError(f"no JSON description of the Arrow type {type_}")


def _named(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda _: {"name": name}


def _integer(type_: Any) -> dict[str, Any]:
    return {"name": "int", "bitWidth": type_.bit_width, "isSigned": types.is_signed_integer(type_)}


def _float(type_: Any) -> dict[str, Any]:
    return {"name": "floatingpoint", "precision": {16: "HALF", 32: "SINGLE", 64: "DOUBLE"}[type_.bit_width]}


def _timestamp(type_: Any) -> dict[str, Any]:
    zone = {} if type_.tz is None else {"timezone": type_.tz}
    return {"name": "timestamp", "unit": UNITS[type_.unit]} | zone


def _decimal(type_: Any) -> dict[str, Any]:
    width = {"bitWidth": 256} if types.is_decimal256(type_) else {}
    return {"name": "decimal", "precision": type_.precision, "scale": type_.scale} | width


# Views are a way of holding text and bytes in memory: described as what they hold.
TYPES: tuple[tuple[Callable[[Any], bool], Callable[[Any], dict[str, Any]]], ...] = (
    (types.is_null, _named("null")),
    (types.is_boolean, _named("bool")),
    (types.is_integer, _integer),
    (types.is_floating, _float),
    (lambda t: types.is_string(t) or types.is_string_view(t), _named("utf8")),
    (types.is_large_string, _named("largeutf8")),
    (lambda t: types.is_binary(t) or types.is_binary_view(t), _named("binary")),
    (types.is_large_binary, _named("largebinary")),
    (types.is_fixed_size_binary, lambda t: {"name": "fixedsizebinary", "byteWidth": t.byte_width}),
    (types.is_decimal, _decimal),
    (types.is_timestamp, _timestamp),
    (types.is_date32, lambda _: {"name": "date", "unit": "DAY"}),
    (types.is_date64, lambda _: {"name": "date", "unit": "MILLISECOND"}),
    (types.is_time, lambda t: {"name": "time", "bitWidth": t.bit_width, "unit": UNITS[t.unit]}),
    (types.is_duration, lambda t: {"name": "duration", "unit": UNITS[t.unit]}),
    (types.is_interval, lambda _: {"name": "interval", "unit": "MONTH_DAY_NANO"}),
    (types.is_struct, _named("struct")),
    (types.is_list, _named("list")),
    (types.is_large_list, _named("largelist")),
    (types.is_fixed_size_list, lambda t: {"name": "fixedsizelist", "listSize": t.list_size}),
    (types.is_map, lambda t: {"name": "map", "keysSorted": t.keys_sorted}),
    (types.is_dictionary, lambda t: _type(t.value_type)),
)
