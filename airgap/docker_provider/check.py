"""Check: the inputs of a resource with their defaults and names filled in, or what is wrong with them."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from .fields import Field, Table, is_zero
from .plain import UNKNOWN, Props, is_map
from .tables import AUTONAMED, TABLES

DEFAULTS = "__defaults"
"""The original's list, in each object, of the properties that it filled in."""

_LONGEST_NAME = 255
_TEXT = Field("text")
_KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "whole": (int,),
    "flag": (bool,),
    "list": (list,),
    "set": (list,),
    "map": (dict,),
    "object": (dict,),
}
_WORDS = {
    "text": "a text",
    "whole": "a whole number",
    "flag": "true or false",
    "map": "a map",
    "object": "an object",
}


@dataclass(frozen=True)
class Naming:
    """What the engine's autonaming configuration says for one resource (pulumi's `CheckRequest.autonaming`)."""

    mode: str
    """propose, enforce or disable."""
    proposed: str


@dataclass
class Checked:
    """The inputs to go on with, and the failures as (property, reason)."""

    inputs: Props
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def check(
    type_token: str,
    name: str,
    old_inputs: Props,
    new_inputs: Props,
    *,
    random_seed: bytes,
    naming: Naming | None = None,
) -> Checked:
    """The inputs of one resource, completed as the original completes them. Needs no Docker."""
    table = TABLES[type_token]
    checked = Checked({})
    named = dict(new_inputs)
    filled: list[str] = []
    if type_token in AUTONAMED and named.get("name") is None:
        generated = _name(name, old_inputs, random_seed, naming, checked)
        if generated is not None:
            named["name"] = generated
            filled = ["name"]
    checked.inputs = _complete(table, named, "", f"{type_token} {name}", checked)
    checked.inputs[DEFAULTS] = sorted([*checked.inputs[DEFAULTS], *filled])
    return checked


def _name(name: str, old_inputs: Props, random_seed: bytes, naming: Naming | None, checked: Checked) -> str | None:
    if "name" in old_inputs.get(DEFAULTS, []) and old_inputs.get("name"):
        return old_inputs["name"]
    if naming and naming.mode == "disable":
        checked.failures.append(("name", "automatic naming is disabled for this resource: give it a `name`"))
        return None
    if naming and naming.proposed:
        return naming.proposed
    suffix = hashlib.sha256(random_seed).hexdigest()[:7] if random_seed else secrets.token_hex(4)[:7]
    return f"{name[: _LONGEST_NAME - 8]}-{suffix}"


def _complete(table: Table, given: Props, path: str, where: str, checked: Checked) -> Props:
    done: Props = {}
    filled: list[str] = []
    for key, value in given.items():
        if value is None or key == DEFAULTS:
            continue
        shape = table.get(key)
        at = f"{path}.{key}" if path else key
        if shape is None or shape.output:
            checked.failures.append((at, f"{where}: there is no input `{at}`"))
        elif not shape.implemented:
            reason = (
                f"{where}: input `{at}` is not implemented by the air-gapped kit's Docker provider; "
                "leave it out, or deploy where the original provider can be had"
            )
            checked.failures.append((at, reason))
        else:
            done[key] = _value(shape, value, at, where, checked)
    for key, shape in table.items():
        if key in done:
            continue
        if not is_zero(shape.default):
            done[key] = shape.default
            filled.append(key)
        elif shape.required:
            at = f"{path}.{key}" if path else key
            checked.failures.append((at, f"{where}: Missing required property '{at}'"))
    return {DEFAULTS: sorted(filled), **done}


def _value(shape: Field, value: Any, path: str, where: str, checked: Checked) -> Any:
    if value == UNKNOWN:
        return value
    if not isinstance(value, _KINDS[shape.shape]) or (shape.shape == "whole" and isinstance(value, bool)):
        checked.failures.append((path, f"{where}: input `{path}` must be {_WORDS.get(shape.shape, 'a list')}"))
        return value
    if shape.shape in ("list", "set", "map"):
        return _elements(shape, value, path, where, checked)
    problem = shape.problem(value) if shape.problem else None
    if problem:
        checked.failures.append((path, f"{where}: input `{path}` {problem}"))
    return _complete(shape.fields, value, path, where, checked) if shape.shape == "object" else value


def _elements(shape: Field, value: Any, path: str, where: str, checked: Checked) -> Any:
    """The elements of a list, set or map, each of which is an object or a text."""
    if is_map(value):
        return {key: _value(_TEXT, item, f"{path}.{key}", where, checked) for key, item in value.items()}
    element = Field("object", fields=shape.fields) if shape.fields else _TEXT
    return [_value(element, item, f"{path}[{index}]", where, checked) for index, item in enumerate(value)]
