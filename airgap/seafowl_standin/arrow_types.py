"""Arrow types in three languages: the JSON of schemas, SQL, and what a Delta table can hold."""

import re
from typing import Any

from arro3.core import DataType, Field, Schema

from .errors import ApiError, QueryError

UNITS = {"s": "SECOND", "ms": "MILLISECOND", "us": "MICROSECOND", "ns": "NANOSECOND"}
UNIT_NAMES = {"s": "Second", "ms": "Millisecond", "us": "Microsecond", "ns": "Nanosecond"}
FLOATS = {16: "HALF", 32: "SINGLE", 64: "DOUBLE"}
DECIMAL = re.compile(r"Decimal\d+\((\d+), (-?\d+)\)")
# Views are a way of holding text and bytes in memory: described as what they hold.
PLAIN = (
    (DataType.is_null, "null"),
    (DataType.is_boolean, "bool"),
    (DataType.is_string, "utf8"),
    (DataType.is_string_view, "utf8"),
    (DataType.is_large_string, "largeutf8"),
    (DataType.is_binary, "binary"),
    (DataType.is_binary_view, "binary"),
    (DataType.is_large_binary, "largebinary"),
    (DataType.is_struct, "struct"),
    (DataType.is_list, "list"),
    (DataType.is_large_list, "largelist"),
)


def fields(schema: Schema) -> list[Field]:
    """The columns of a schema, in order."""
    return [schema.field(index) for index in range(len(schema))]


class UnknownType(Exception):
    """A type that the JSON form has no word for here."""


def schema_json(schema: Schema) -> dict[str, Any]:
    """The JSON form of a schema, as the original's Content-Type carries it; raises UnknownType."""
    return {"fields": [_field_json(field) for field in fields(schema)], "metadata": {}}


def _field_json(field: Field) -> dict[str, Any]:
    type_ = field.type
    children = list(type_.fields or [])
    if type_.value_field is not None:
        children = [type_.value_field]
    return {
        "name": field.name,
        "nullable": field.nullable,
        "type": _type_json(type_),
        "children": [_field_json(child) for child in children],
    }


def _type_json(type_: DataType) -> dict[str, Any]:
    for test, name in PLAIN:
        if test(type_):
            return {"name": name}
    if DataType.is_integer(type_):
        return {"name": "int", "bitWidth": type_.bit_width, "isSigned": DataType.is_signed_integer(type_)}
    if DataType.is_floating(type_):
        return {"name": "floatingpoint", "precision": FLOATS[type_.bit_width or 0]}
    if DataType.is_timestamp(type_):
        zone = {} if type_.tz is None else {"timezone": type_.tz}
        return {"name": "timestamp", "unit": UNITS[type_.time_unit or ""]} | zone
    if DataType.is_date(type_):
        return {"name": "date", "unit": "DAY" if DataType.is_date32(type_) else "MILLISECOND"}
    if DataType.is_time(type_):
        return {"name": "time", "bitWidth": type_.bit_width, "unit": UNITS[type_.time_unit or ""]}
    if DataType.is_duration(type_):
        return {"name": "duration", "unit": UNITS[type_.time_unit or ""]}
    if DataType.is_decimal(type_):
        precision, scale = _decimal(type_)
        width = {"bitWidth": 256} if DataType.is_decimal256(type_) else {}
        return {"name": "decimal", "precision": precision, "scale": scale} | width
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
    return Field(field["name"], _parse_type(field["type"]), nullable=field["nullable"])


def _parse_type(type_: Any) -> DataType:
    """A type that a column of a CSV file can have."""
    match type_["name"]:
        case "int":
            return getattr(DataType, f"{'' if type_['isSigned'] else 'u'}int{type_['bitWidth']}")()
        case "floatingpoint":
            return {"HALF": DataType.float16(), "SINGLE": DataType.float32(), "DOUBLE": DataType.float64()}[
                type_["precision"]
            ]
        case "decimal":
            return DataType.decimal128(type_["precision"], type_["scale"])
        case "date":
            return {"DAY": DataType.date32(), "MILLISECOND": DataType.date64()}[type_["unit"]]
        case "timestamp":
            unit = {long: short for short, long in UNITS.items()}[type_["unit"]]
            return DataType.timestamp(unit, tz=type_.get("timezone"))  # pyright: ignore[reportArgumentType]
        case "bool":
            return DataType.bool()
        case "utf8" | "largeutf8":
            return DataType.string()
        case "binary" | "largebinary":
            return DataType.binary()
        case name:
            raise ValueError(f"unknown type {name}")


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
