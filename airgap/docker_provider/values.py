"""The SDK's property values to plain Python and back."""

from collections.abc import Mapping
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue

from .plain import Props, is_list, is_map


def plain(value: PropertyValue) -> Any:
    """The value without its wrapper; whole numbers become int."""
    inner = value.value
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    if isinstance(inner, tuple):
        return [plain(item) for item in inner]
    return plain_map(inner) if isinstance(inner, Mapping) else inner


def plain_map(values: Mapping[str, PropertyValue]) -> Props:
    """A resource's properties as plain Python."""
    return {key: plain(value) for key, value in values.items()}


def wrapped(value: Any) -> PropertyValue:
    """The inverse of `plain`; what is wrapped already stays as it is."""
    if isinstance(value, PropertyValue):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    if is_list(value):
        return PropertyValue([wrapped(item) for item in value])
    return PropertyValue(wrapped_map(value) if is_map(value) else value)


def wrapped_map(values: Props) -> dict[str, PropertyValue]:
    """The inverse of `plain_map`."""
    return {key: wrapped(value) for key, value in values.items()}
