"""How one property of a resource behaves: its shape, whether a change replaces, what stands in when it is absent."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .plain import is_list, is_map

Shape = Literal["text", "whole", "flag", "list", "set", "map", "object"]
Problem = Callable[[Any], str | None]


@dataclass(frozen=True)
class Field:
    """One property. `fields` are those of an object, or of each element of a list or set of objects."""

    shape: Shape
    replace: bool = False
    """A change of it replaces the resource (the schema's `willReplaceOnChanges`)."""
    required: bool = False
    computed: bool = False
    """Docker fills it in when the program does not: its absence is no change."""
    inherited: bool = False
    """Its absence means what the image says: no change either, but nothing is foretold in a preview."""
    output: bool = False
    """Not an input at all."""
    default: Any = None
    """What Check (unless it is a zero value, which the original leaves out) and the state hold when it is absent."""
    problem: Problem | None = None
    fields: Mapping[str, "Field"] = field(default_factory=dict[str, "Field"])
    implemented: bool = True


Table = Mapping[str, Field]


def matches(pattern: str) -> Problem:
    """A rule: the whole text fits the pattern."""
    return lambda value: None if re.fullmatch(pattern, str(value)) else f"must match {pattern}"


def at_least(minimum: int) -> Problem:
    """A rule: a number not below the minimum."""
    return lambda value: None if value >= minimum else f"must not be less than {minimum}"


def is_zero(value: Any) -> bool:
    """What the original does not tell from absent: nothing, "", 0, false, an empty collection."""
    return value is None or value in ("", 0, [], {})


def normal(shape: Field | None, value: Any) -> Any:
    """The value without what does not count: zero values, bookkeeping keys, the order of a set."""
    if is_map(value):
        fields = shape.fields if shape else dict[str, Field]()
        items = {key: normal(fields.get(key), item) for key, item in value.items() if not key.startswith("__")}
        return {key: item for key, item in items.items() if not is_zero(item)}
    if is_list(value):
        elements = [normal(shape, item) for item in value]
        return sorted(elements, key=canonical) if shape and shape.shape == "set" else elements
    return value


def same(shape: Field | None, one: Any, other: Any) -> bool:
    """Whether the original sees no difference."""
    before, after = normal(shape, one), normal(shape, other)
    return before == after or (is_zero(before) and is_zero(after))


def canonical(value: Any) -> str:
    """A text by which values are compared and ordered."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
