"""Property values as plain Python: None, bool, int, float, str, list, dict. The engine keeps track of secrets."""

from typing import Any, Final, TypeGuard

Props = dict[str, Any]
"""A resource's inputs or outputs, or an object among them."""

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine sends, and expects, for a text that is known only after the update (pulumi's plugin protocol)."""


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether it is a list (or a set, which travels as one)."""
    return isinstance(value, list)


def is_map(value: object) -> TypeGuard[Props]:
    """Whether it is an object or a map."""
    return isinstance(value, dict)


def listed(value: Any) -> list[Any]:
    """The list, or an empty one for null."""
    return value or []


def contains_unknown(value: Any) -> bool:
    """Whether something in the value is known only after the update."""
    if is_list(value):
        return any(contains_unknown(item) for item in value)
    if is_map(value):
        return any(contains_unknown(item) for item in value.values())
    return value == UNKNOWN
