"""What the state holds: foretold from the inputs, or what Docker says laid over it."""

from typing import Any

from .check import DEFAULTS
from .fields import Field, Table, canonical, is_zero, normal, same
from .plain import UNKNOWN, Props, is_list, is_map, listed

_COLLECTIONS = ("list", "set", "map", "object")
_EMPTY: Props = {"text": "", "set": [], "list": [], "map": {}}


def planned(table: Table, inputs: Props, unknown: str | None = UNKNOWN) -> Props:
    """The outputs as far as the inputs tell; `unknown` stands for what Docker will fill in."""
    return {key: _planned(shape, inputs.get(key), unknown) for key, shape in table.items()}


def _planned(shape: Field, value: Any, unknown: str | None) -> Any:
    if value is None:
        if shape.computed:
            return unknown
        if shape.default is not None:
            return shape.default
        return [] if shape.shape in ("list", "set") and shape.fields else None
    if value == UNKNOWN:
        return unknown
    if shape.shape == "object":
        return _filled(shape.fields, value)
    if shape.shape == "set":
        elements = [_filled(shape.fields, item) if is_map(item) else item for item in value]
        return sorted(elements, key=canonical)
    if shape.shape == "list" and shape.fields:
        return [_filled(shape.fields, item) if is_map(item) else item for item in value]
    return value


def _filled(table: Table, element: Props) -> Props:
    """One element of a block as the original's state shows it: absent texts and lists are empty, the rest is null."""
    done: Props = {}
    for key, shape in table.items():
        value = element.get(key)
        if value is not None:
            done[key] = _planned(shape, value, None)
        elif shape.default is not None:
            done[key] = shape.default
        else:
            done[key] = _EMPTY.get(shape.shape)
    return done


def created(table: Table, inputs: Props, read: Props) -> Props:
    """The outputs after a creation: what Docker says, but a collection stays as planned where both mean the same."""
    outputs = planned(table, inputs, unknown=None)
    for key, value in read.items():
        shape = table.get(key)
        collection = shape is not None and shape.shape in _COLLECTIONS
        filled_in = shape is not None and shape.computed and outputs[key] is None
        if not collection or filled_in or not same(shape, value, outputs[key]):
            outputs[key] = value
    return outputs


def inputs_after_read(table: Table, old_inputs: Props, state: Props) -> Props:
    """The inputs that a refresh leaves behind: those that were given, with the values that Docker now shows.

    Without inputs (an import) it is every input that is not at its zero value or default.
    """
    if not old_inputs:
        return _element_inputs(table, state)
    done: Props = {}
    for key, value in old_inputs.items():
        done[key] = value if key == DEFAULTS else _read_input(table[key], value, state.get(key))
    return done


def _read_input(shape: Field, value: Any, seen: Any) -> Any:
    if shape.shape == "object":
        return inputs_after_read(shape.fields, value, seen or {})
    if shape.shape in ("list", "set"):
        if not shape.fields:
            return seen if seen is not None else []
        element = Field("object", fields=shape.fields)
        given = {canonical(normal(element, item)): item for item in value}
        return [
            given.get(canonical(normal(element, item))) or _element_inputs(shape.fields, item) for item in listed(seen)
        ]
    return value if seen is None and is_zero(value) else seen


def _element_inputs(table: Table, element: Props) -> Props:
    done: Props = {DEFAULTS: []}
    for key, shape in table.items():
        value: Any = element.get(key)
        if shape.output or not shape.implemented or is_zero(value) or value == shape.default:
            continue
        if shape.shape == "object":
            value = _element_inputs(shape.fields, value)
        elif shape.fields and is_list(value):
            value = [_element_inputs(shape.fields, item) for item in value]
        done[key] = value
    return done
