"""Memory and body sizes as people write them: a number with a unit, such as `512MiB`."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ByteSize
from pydantic_core import PydanticCustomError

MIB = 1024 * 1024


def _with_unit(value: Any) -> Any:
    """Refuse a bare number: whether it means bytes or MiB is a guess that costs an outage."""
    if not isinstance(value, str) or not value.strip()[-1:].isalpha():
        raise PydanticCustomError("size_unit", "must be a size with a unit, such as 512MiB or 2GiB")
    return value


def _whole(value: ByteSize) -> ByteSize:
    if value < MIB or value % MIB:
        raise PydanticCustomError("size_mib", "must be a whole number of MiB, at least 1MiB")
    return value


Size = Annotated[ByteSize, BeforeValidator(_with_unit), AfterValidator(_whole)]
"""Bytes, a multiple of 1 MiB, from a string with a unit (pydantic's ByteSize: KiB, MiB, GiB, kB, MB, …)."""


def whole_mib(size: int) -> int:
    """`size` bytes in MiB: the unit of Docker's memory limit, Seafowl's memory and upload limits."""
    return size // MIB
