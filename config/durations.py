"""Times as people write them: a number with a unit, such as `500ms`, `10s`, `5m` or `1h`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

from config.model import refusal

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}

_LONGEST = timedelta(days=1)
"""More than any wait here can mean, and what NGINX still counts without an overflow."""


def _parsed(value: Any) -> timedelta:
    """The time that a text names. A bare number is refused: whether it means s or ms would be a guess."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*(ms|s|m|h)", value.strip()) if isinstance(value, str) else None
    if match is None:
        raise refusal("must be a time with a unit (ms, s, m or h), such as 10s")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds < 0:
        raise refusal("must not be negative")
    # Compared as numbers: what is far too large is no timedelta.
    if seconds > _LONGEST.total_seconds():
        raise refusal("must be at most 24h")
    # In whole milliseconds: all that is told of a time elsewhere, and every part must be told the same.
    return timedelta(milliseconds=round(seconds * 1000))


Duration = Annotated[timedelta, BeforeValidator(_parsed)]
"""A time from a string with a unit: at least 0, at most a day."""


def shown(time: timedelta) -> str:
    """`time` as NGINX and people read it, such as `10s`; in milliseconds where it is not of whole seconds."""
    milliseconds = round(time / timedelta(milliseconds=1))
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
