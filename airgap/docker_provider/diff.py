"""Diff: what a change of inputs means, as the original tells it. Pure: needs no Docker."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from .check import DEFAULTS
from .fields import Field, Table, canonical, is_zero, normal, same
from .plain import UNKNOWN, Props, contains_unknown, is_map
from .tables import AUTONAMED, TABLES

Kind = Literal["ADD", "DELETE", "UPDATE"]

_CONTAINER = "docker:index/container:Container"
_PLAIN_KEY = re.compile(r"[^.\[\]\"]+")


@dataclass
class Difference:
    """The original's answer: `detailed` maps a property path to a kind such as UPDATE or ADD_REPLACE."""

    detailed: dict[str, str] = field(default_factory=dict[str, str])
    diffs: list[str] = field(default_factory=list[str])
    replaces: list[str] = field(default_factory=list[str])
    """One top-level name for each detail that replaces, so a name may come twice."""
    stables: list[str] = field(default_factory=list[str])
    delete_before_replace: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything differs."""
        return bool(self.detailed)


def diff(type_token: str, old_state: Props, new_inputs: Props, ignore_changes: list[str]) -> Difference:
    """What must happen to a resource in `old_state` for `new_inputs` to hold."""
    table = TABLES[type_token]
    answer = Difference()
    for path, kind, replace in _of_object(table, old_state, new_inputs, "", False):
        if any(_covers(ignored, path) for ignored in ignore_changes):
            continue
        top = re.split(r"[.\[]", path)[0]
        answer.detailed[path] = f"{kind}_REPLACE" if replace else kind
        if top not in answer.diffs:
            answer.diffs.append(top)
        if replace:
            answer.replaces.append(top)
    answer.stables = sorted(key for key, shape in table.items() if shape.replace and key not in answer.diffs)
    fixed_name = type_token in AUTONAMED and "name" not in new_inputs.get(DEFAULTS, ["name"])
    answer.delete_before_replace = bool(answer.replaces) and (type_token == _CONTAINER or fixed_name)
    return answer


def _covers(ignored: str, path: str) -> bool:
    return path == ignored or path.startswith((f"{ignored}.", f"{ignored}["))


Change = tuple[str, Kind, bool]


def _of_object(table: Table, old: Props, new: Props, path: str, replace: bool) -> Iterator[Change]:
    for key in sorted(table):
        shape = table[key]
        if not shape.output:
            at = f"{path}.{key}" if path else key
            yield from _of_property(shape, old.get(key), new.get(key), at, replace or shape.replace)


def _of_property(shape: Field, old: Any, new: Any, path: str, replace: bool) -> Iterator[Change]:
    if new is None:
        if not (shape.computed or shape.inherited or same(shape, old, shape.default)):
            yield path, "DELETE", replace
        return
    if new == UNKNOWN:
        yield path, "ADD" if is_zero(old) else "UPDATE", replace
        return
    before, after = normal(shape, old), normal(shape, new)
    if before == after or (is_zero(before) and is_zero(after)):
        return
    if is_zero(before) and shape.shape not in ("text", "whole", "flag"):
        yield path, "ADD", replace
    elif is_zero(after) and shape.shape not in ("text", "whole", "flag"):
        yield path, "DELETE", replace
    elif shape.shape == "object":
        yield from _of_object(shape.fields, old, new, path, replace)
    elif shape.shape == "list":
        yield from _of_list(shape, old, new, path, replace)
    elif shape.shape == "set":
        yield from _of_set(shape, old, new, path, replace)
    elif shape.shape == "map":
        yield from _of_map(old, new, path, replace)
    else:
        yield path, "ADD" if old is None else "UPDATE", replace


def _of_list(shape: Field, old: list[Any], new: list[Any], path: str, replace: bool) -> Iterator[Change]:
    for index in range(max(len(old), len(new))):
        at = f"{path}[{index}]"
        if index >= len(old):
            yield at, "ADD", replace
        elif index >= len(new):
            yield at, "DELETE", replace
        elif shape.fields and is_map(new[index]):
            yield from _of_object(shape.fields, old[index], new[index], at, replace)
        elif old[index] != new[index]:
            yield at, "UPDATE", replace


def _of_set(shape: Field, old: list[Any], new: list[Any], path: str, replace: bool) -> Iterator[Change]:
    """An added element counts by its place in the inputs, a removed one by its place in the state (step 04's trace)."""
    element = Field("object", fields=shape.fields)
    before = [canonical(normal(element, item)) for item in old]
    after = [canonical(normal(element, item)) for item in new]
    removed = {index for index, item in enumerate(before) if item not in after}
    added = {index for index, item in enumerate(after) if item not in before or contains_unknown(new[index])}
    for index in sorted(removed | added):
        kind: Kind = "UPDATE" if index in removed and index in added else "ADD" if index in added else "DELETE"
        yield f"{path}[{index}]", kind, replace


def _of_map(old: Props, new: Props, path: str, replace: bool) -> Iterator[Change]:
    for key in sorted({*old, *new}):
        at = f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f'{path}["{key}"]'
        if key not in new:
            yield at, "DELETE", replace
        elif key not in old:
            yield at, "ADD", replace
        elif old[key] != new[key]:
            yield at, "UPDATE", replace
