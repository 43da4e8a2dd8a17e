"""Arrow types in three languages: the JSON of schemas, SQL, and what a Delta table can hold."""

import re
from typing import Any

from arro3.core import DataType, Field, Schema

from .errors import ApiError, QueryError

UNIT_NAMES = {"s": "Second", "ms": "Millisecond", "us": "Microsecond", "ns": "Nanosecond"}
UNITS = {long: short for short, long in UNIT_NAMES.items()}
DECIMAL = re.compile(r"Decimal\d+\((\d+), (-?\d+)\)")
# Views are a way of holding text and bytes in memory: described as what they hold.
PLAIN = (
    (DataType.is_null, "Null"),
    (DataType.is_boolean, "Boolean"),
    (DataType.is_string, "Utf8"),
    (DataType.is_string_view, "Utf8"),
    (DataType.is_large_string, "LargeUtf8"),
    (DataType.is_binary, "Binary"),
    (DataType.is_binary_view, "Binary"),
    (DataType.is_large_binary, "LargeBinary"),
    (DataType.is_date32, "Date32"),
    (DataType.is_date64, "Date64"),
)
# The types without parameters that a column of a CSV file can have, by their names in JSON.
PARSED = {
    "Boolean": DataType.bool,
    "Utf8": DataType.string,
    "LargeUtf8": DataType.string,
    "Binary": DataType.binary,
    "LargeBinary": DataType.binary,
    "Date32": DataType.date32,
    "Date64": DataType.date64,
    "Float16": DataType.float16,
    "Float32": DataType.float32,
    "Float64": DataType.float64,
    "Int8": DataType.int8,
    "Int16": DataType.int16,
    "Int32": DataType.int32,
    "Int64": DataType.int64,
    "UInt8": DataType.uint8,
    "UInt16": DataType.uint16,
    "UInt32": DataType.uint32,
    "UInt64": DataType.uint64,
}


def fields(schema: Schema) -> list[Field]:
    """The columns of a schema, in order."""
    return [schema.field(index) for index in range(len(schema))]


class UnknownType(Exception):
    """A type that the JSON form has no word for here."""


def schema_json(schema: Schema) -> dict[str, Any]:
    """The JSON form of a schema, as the original's Content-Type carries it; raises UnknownType."""
    return {"fields": [field_json(field) for field in fields(schema)], "metadata": {}}


def field_json(field: Field) -> dict[str, Any]:
    """The JSON form of a column, as arrow's Rust library makes it and the catalog keeps it; raises UnknownType."""
    return {
        "name": field.name,
        "data_type": _type_json(field.type),
        "nullable": field.nullable,
        "dict_id": 0,
        "dict_is_ordered": False,
        "metadata": {},
    }


def _type_json(type_: DataType) -> Any:
    for test, name in PLAIN:
        if test(type_):
            return name
    if DataType.is_integer(type_) or DataType.is_floating(type_):
        return sql_type(type_)
    unit = UNIT_NAMES.get(type_.time_unit or "")
    if DataType.is_timestamp(type_):
        return {"Timestamp": [unit, type_.tz]}
    if DataType.is_time(type_):
        return {f"Time{type_.bit_width}": unit}
    if DataType.is_duration(type_):
        return {"Duration": unit}
    if DataType.is_decimal(type_):
        return {f"Decimal{type_.bit_width}": list(_decimal(type_))}
    if DataType.is_struct(type_):
        return {"Struct": [field_json(child) for child in type_.fields or []]}
    if (DataType.is_list(type_) or DataType.is_large_list(type_)) and type_.value_field is not None:
        return {"LargeList" if DataType.is_large_list(type_) else "List": field_json(type_.value_field)}
    raise UnknownType(repr(type_))


def _decimal(type_: DataType) -> tuple[int, int]:
    """Precision and scale, which only the type's text tells."""
    found = DECIMAL.search(repr(type_))
    if found is None:
        raise UnknownType(repr(type_))
    return int(found[1]), int(found[2])


def parse_schema(document: Any) -> Schema:
    """The schema that a JSON document describes; raises ApiError 400."""
    try:
        return Schema([_parse_field(field) for field in document["fields"]])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(400, f"Error parsing the file schema: {error!r}") from error


def _parse_field(field: Any) -> Field:
    return Field(field["name"], _parse_type(field["data_type"]), nullable=field["nullable"])


def _parse_type(type_: Any) -> DataType:
    """A type that a column of a CSV file can have."""
    match type_:
        case {"Timestamp": [str(unit), zone]}:
            return DataType.timestamp(UNITS[unit], tz=zone)  # pyright: ignore[reportArgumentType]
        case {"Decimal128": [int(precision), int(scale)]}:
            return DataType.decimal128(precision, scale)
        case str(name) if name in PARSED:
            return PARSED[name]()
        case _:
            raise ValueError(f"unknown type {type_}")


def sql_type(type_: DataType) -> str:
    """The name of a column's type for arrow_cast; raises QueryError for one without."""
    if DataType.is_timestamp(type_):
        zone = "None" if type_.tz is None else f'Some("{type_.tz}")'
        return f"Timestamp({UNIT_NAMES[type_.time_unit or '']}, {zone})"
    if DataType.is_decimal(type_):
        precision, scale = _decimal(type_)
        return f"Decimal{type_.bit_width}({precision}, {scale})"
    names = {"is_boolean": "Boolean", "is_date32": "Date32", "is_date64": "Date64", "is_null": "Null"}
    for test, name in names.items():
        if getattr(DataType, test)(type_):
            return name
    if DataType.is_integer(type_):
        return f"{'Int' if DataType.is_signed_integer(type_) else 'UInt'}{type_.bit_width}"
    if DataType.is_floating(type_):
        return f"Float{type_.bit_width}"
    if DataType.is_string(type_) or DataType.is_string_view(type_) or DataType.is_large_string(type_):
        return "Utf8"
    if DataType.is_binary(type_) or DataType.is_binary_view(type_) or DataType.is_large_binary(type_):
        return "Binary"
    raise QueryError(f"Arrow error: Schema error: a file cannot hold a column of type {type_!r}")


def delta_schema(schema: Schema) -> Schema:
    """The schema of a table that holds a query's rows: nanoseconds become microseconds.

    Delta holds neither seconds nor milliseconds, so such a column is an error, as in the original: cast it with
    arrow_cast(…, 'Timestamp(Microsecond, None)').
    """
    return Schema([field.with_type(_delta_type(field.type)) for field in fields(schema)])


def _delta_type(type_: DataType) -> DataType:
    if DataType.is_timestamp(type_) and type_.time_unit in ("us", "ns"):
        return DataType.timestamp("us", tz=type_.tz)
    if DataType.is_timestamp(type_) or DataType.is_null(type_):
        raise QueryError(f"Arrow error: Schema error: Invalid data type for Delta Lake: {sql_type(type_)}")
    return type_
