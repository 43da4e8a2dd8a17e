"""What is wrong with a stack config, in words a user can act on."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from config.model import model_of
from config.settings import Settings


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the key as the stack config has it, and why it cannot stay so."""

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key} {self.reason}"


class ConfigError(Exception):
    """The stack config cannot work. Its text lists every problem; nothing was declared."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(
            f"The stack config has {count} problem{'s' if count > 1 else ''}. Nothing was changed; "
            f"what runs keeps running.\n{lines}\n"
            "Each key is described in README.md, 'Config reference'."
        )


def problems_of(error: ValidationError, namespace: str, also_known: Sequence[str] = ()) -> list[Problem]:
    """The problems of a pydantic error, one each, without the rejected values: one of them may be a secret.

    `namespace` is the Pulumi config namespace that the keys stand in, such as `seafowl`; `also_known` are keys of it
    that the settings do not hold.
    """
    found: list[Problem] = []
    for item in error.errors(include_url=False, include_input=False):
        # A default that does not fit is reported under the field's name, not under its key.
        defaulted = item["type"] != "extra_forbidden"
        location = [to_camel(str(part)) if defaulted and "_" in str(part) else str(part) for part in item["loc"]]
        key = f"{namespace}:{'.'.join(location)}"
        if item["type"] == "extra_forbidden":
            known = [*known_keys(location[:-1]), *(also_known if len(location) == 1 else ())]
            found.append(Problem(key, _unknown_key(location[-1], known)))
        else:
            found.append(Problem(key, _reason(item["type"], item["msg"], item.get("ctx", {}), location)))
    return found


def _reason(kind: str, message: str, context: Mapping[str, Any], location: list[str]) -> str:
    match kind:
        case "missing":
            return "is missing; it has no default"
        case "int_parsing" | "int_type" | "int_from_float":
            return "must be a whole number, such as 2"
        case "float_parsing" | "float_type":
            return "must be a number, such as 0.5"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be an object with the keys {', '.join(known_keys(location))}, not a single value"
        case "string_type":
            return "must be a string"
        case "rule" | "size":
            return message
        case _:
            # pydantic's own text of any other kind may quote the value.
            return "is not valid"


def _unknown_key(key: str, known: list[str]) -> str:
    """Why an unknown key is refused, with the nearest known one."""
    near = difflib.get_close_matches(key, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"is not a key of this program, and nothing would read it; {meant}The keys are {', '.join(known)}"


def known_keys(location: list[str]) -> list[str]:
    """The keys that the settings know below `location`, such as `["objectStore", "minio"]`."""
    model: type[BaseModel] = Settings
    for part in location:
        field = next(f for f in model.model_fields.values() if f.alias == part)
        model = model_of(field) or model
    return [str(field.alias) for field in model.model_fields.values()]
