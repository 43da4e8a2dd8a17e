"""Memory and body sizes as people write them: a number with a unit, such as `512MiB`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, ByteSize, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

MIB = 1024 * 1024

_LARGEST = 1024**5
"""Bytes: more than any limit or upload can mean, and what Docker and NGINX still count without an overflow."""

_SIZE = TypeAdapter(ByteSize)


def _parsed(value: Any) -> ByteSize:
    """The size that a text names. pydantic's own messages are not used: they print the text, which may be a secret."""
    if isinstance(value, ByteSize):
        return value
    # A bare number is refused too: whether it means bytes or MiB is a guess that costs an outage.
    if not isinstance(value, str) or not re.fullmatch(r"\d+(\.\d+)?\s*[A-Za-z]+", value.strip()):
        raise PydanticCustomError("size", "must be a size with a unit, such as 512MiB or 2GiB")
    try:
        size = _SIZE.validate_python(value)
    except ValidationError:
        raise PydanticCustomError("size", "must be a size with a unit, such as 512MiB or 2GiB") from None
    if size < MIB or size % MIB or size > _LARGEST:
        raise PydanticCustomError("size", "must be a whole number of MiB, at least 1MiB and at most 1024TiB")
    return size


Size = Annotated[ByteSize, BeforeValidator(_parsed)]
"""Bytes, a multiple of 1 MiB, from a string with a unit (pydantic's ByteSize: KiB, MiB, GiB, kB, MB, …)."""


def whole_mib(size: int) -> int:
    """`size` bytes in MiB: the unit of Docker's memory limit, Seafowl's memory and upload limits."""
    return size // MIB
