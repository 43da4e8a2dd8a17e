"""Between the types of a query and those that a Delta table can hold."""

import pyarrow as pa
from datafusion import DataFrame, Expr
from pyarrow import types

from .errors import QueryError

MICROSECONDS = "us"
NANOSECONDS = "ns"


def delta_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a table that holds this query's rows.

    Nanoseconds become microseconds and text views text. Delta holds neither seconds nor milliseconds, so such a
    column is an error, as in the original: cast it with arrow_cast(…, 'Timestamp(Microsecond, None)').
    """
    return pa.schema([field.with_type(_delta_type(field.type)) for field in schema])


def as_stored(frame: DataFrame, target: pa.Schema) -> DataFrame:
    """The query with its columns, by position, cast to the table's types."""
    source = frame.schema()
    if source.types == target.types and source.names == target.names:
        return frame
    columns: list[Expr] = []
    for have, want in zip(source, target, strict=True):
        column = Expr.column(have.name)
        columns.append((column if have.type == want.type else column.cast(want.type)).alias(want.name))
    return frame.select(*columns)


def _delta_type(type_: pa.DataType) -> pa.DataType:
    if types.is_timestamp(type_):
        if type_.unit in (MICROSECONDS, NANOSECONDS):
            return pa.timestamp(MICROSECONDS, type_.tz)
        unit = "Second" if type_.unit == "s" else "Millisecond"
        zone = "None" if type_.tz is None else f'Some("{type_.tz}")'
        raise _invalid(f"Timestamp({unit}, {zone})")
    if types.is_string_view(type_):
        return pa.string()
    if types.is_binary_view(type_):
        return pa.binary()
    if types.is_null(type_):
        raise _invalid("Null")
    if types.is_time(type_) or types.is_duration(type_) or types.is_interval(type_):
        raise _invalid(str(type_))
    return type_


def _invalid(name: str) -> QueryError:
    return QueryError(f"Arrow error: Schema error: Invalid data type for Delta Lake: {name}")
