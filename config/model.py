"""What all parts of the settings are made of: the base model, and how a rule refuses a value."""

from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError


class Model(BaseModel):
    """What all parts of the settings share: frozen, camelCase keys, an unknown key is an error."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)


def model_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that holds an object, optional or not; None for a field that holds one value."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def refusal(message: str) -> PydanticCustomError:
    """The error of a rule. `message` follows the key: "must be …", and says what to write instead."""
    # The message goes in as a value: a brace in it must not be taken for a placeholder.
    return PydanticCustomError("rule", "{message}", {"message": message})


def _off(value: Any) -> Any:
    """YAML 1.1 tools write an unquoted `off` as false: it means `off` here too."""
    return "off" if value is False or value == "false" else value


def _no_boolean(value: Any) -> Any:
    """Python counts true as 1."""
    if isinstance(value, bool):
        raise refusal("must be a whole number, such as 2")
    return value


UNDERSTANDS_OFF = BeforeValidator(_off)
"""Annotates a field whose values include `off`."""

WholeNumber = Annotated[int, BeforeValidator(_no_boolean)]
