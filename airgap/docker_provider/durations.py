"""Durations as Go writes them (`1m30s`, `500ms`), which is how the original takes and gives them."""

import re
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


def nanoseconds(text: str) -> int:
    """The duration in nanoseconds; ValueError where Go would not read it."""
    if text == "0":
        return 0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return int(sum(Fraction(number) * _NANOSECONDS[unit] for number, unit in parts))


def duration(value: int) -> str:
    """Nanoseconds as Go's `time.Duration` prints them."""
    if value == 0:
        return "0s"
    for unit in ("s", "ms", "µs", "ns"):
        if value >= _NANOSECONDS[unit]:
            break
    if unit != "s":
        return f"{_decimal(Fraction(value, _NANOSECONDS[unit]))}{unit}"
    minutes, rest = divmod(value, _NANOSECONDS["m"])
    seconds = f"{_decimal(Fraction(rest, 10**9))}s"
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + seconds


def _decimal(value: Fraction) -> str:
    return f"{float(value):.9f}".rstrip("0").rstrip(".")


def problem_of_duration(text: str) -> str | None:
    """The rule of a duration input."""
    try:
        nanoseconds(text)
    except ValueError:
        return "must be a duration such as 500ms, 30s or 1m30s, not below 0"
    return None
