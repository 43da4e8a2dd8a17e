"""Sessions of datafusion that hold tables in memory and know nothing of the catalog."""

from datafusion import SessionConfig, SessionContext

# As in the original: text is plain utf8 (no view types), time zones are UTC.
TYPES = {
    "datafusion.execution.time_zone": "+00:00",
    "datafusion.sql_parser.map_string_types_to_utf8view": "false",
    "datafusion.execution.parquet.schema_force_view_types": "false",
}
# A CSV file has no header unless the statement says so.
FILES = {"datafusion.catalog.has_header": "false"}


def scratch() -> SessionContext:
    """A new empty session."""
    return SessionContext(SessionConfig(TYPES | FILES))
