"""Protobuf's values to plain Python and back."""

from typing import Any

from google.protobuf import struct_pb2

from .plain import Props, is_list, is_map


def plain(value: struct_pb2.Value) -> Any:
    """The value; whole numbers become int."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain_map(value.struct_value)
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    if kind is None or kind == "null_value":
        return None
    return value.string_value if kind == "string_value" else value.bool_value


def plain_map(values: struct_pb2.Struct) -> Props:
    """A resource's properties as plain Python."""
    return {key: plain(value) for key, value in values.fields.items()}


def wire(value: Any) -> struct_pb2.Value:
    """The inverse of `plain`."""
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    if is_list(value):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[wire(item) for item in value]))
    if is_map(value):
        return struct_pb2.Value(struct_value=wire_map(value))
    return struct_pb2.Value(string_value=str(value))


def wire_map(values: Props) -> struct_pb2.Struct:
    """The inverse of `plain_map`."""
    return struct_pb2.Struct(fields={key: wire(value) for key, value in values.items()})
