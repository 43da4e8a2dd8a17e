"""The JSON form of an Arrow schema, read: the inverse of what the Content-Type header carries."""

from typing import Any

import pyarrow as pa

from .errors import ApiError

UNITS = {"SECOND": "s", "MILLISECOND": "ms", "MICROSECOND": "us", "NANOSECOND": "ns"}
PLAIN = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "utf8": pa.string(),
    "largeutf8": pa.large_string(),
    "binary": pa.binary(),
    "largebinary": pa.large_binary(),
}
FLOATS = {"HALF": pa.float16(), "SINGLE": pa.float32(), "DOUBLE": pa.float64()}
DATES = {"DAY": pa.date32(), "MILLISECOND": pa.date64()}


def parse_schema(document: Any) -> pa.Schema:
    """The schema that a document {"fields": […]} describes; raises ApiError 400."""
    try:
        return pa.schema([_field(field) for field in document["fields"]])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(400, f"Error parsing the file schema: {error!r}") from error


def _field(field: Any) -> pa.Field:
    children = [_field(child) for child in field.get("children", [])]
    return pa.field(field["name"], _type(field["type"], children), nullable=field["nullable"])


def _type(type_: Any, children: list[pa.Field]) -> pa.DataType:
    name = type_["name"]
    if name in PLAIN:
        return PLAIN[name]
    match name:
        case "int":
            sign = "" if type_["isSigned"] else "u"
            return pa.type_for_alias(f"{sign}int{type_['bitWidth']}")
        case "floatingpoint":
            return FLOATS[type_["precision"]]
        case "decimal":
            return pa.decimal128(type_["precision"], type_["scale"])
        case "date":
            return DATES[type_["unit"]]
        case "timestamp":
            return pa.timestamp(UNITS[type_["unit"]], type_.get("timezone"))
        case "list":
            return pa.list_(children[0])
        case "struct":
            return pa.struct(children)
        case _:
            raise ValueError(f"unknown type {name}")
