"""Time travel: `FROM t('2026-01-02 03:04:05')` reads a table as it was."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .errors import QueryError
from .tokens import Kind, Token

DATE_AND_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Versioned:
    """A name with a time in brackets behind it; `start` and `end`: their place in the text."""

    parts: tuple[str, ...]
    time: str
    start: int
    end: int


def versioned_names(tokens: list[Token], max_parts: int) -> Iterator[Versioned]:
    """Every name that is followed by one string in brackets: a table at a time, or the call of a function."""
    names = (Kind.WORD, Kind.QUOTED)
    for at in range(len(tokens) - 3):
        last, opening, text, closing = tokens[at : at + 4]
        if last.kind not in names or text.kind is not Kind.STRING:
            continue
        if not opening.is_mark("(") or not closing.is_mark(")"):
            continue
        first = at
        while first >= 2 and tokens[first - 1].is_mark(".") and tokens[first - 2].kind in names:
            first -= 2
        parts = tuple(token.identifier for token in tokens[first : at + 1 : 2])
        if len(parts) <= max_parts:
            yield Versioned(parts, text.text, tokens[first].start, closing.end)


def parse_time(text: str) -> datetime:
    """A time in RFC 3339, in RFC 2822, or as `2026-01-02 03:04:05` with or without an offset; raises QueryError."""
    for read in (_rfc3339, parsedate_to_datetime, _with_offset, _in_utc):
        try:
            time = read(text)
        except ValueError:
            continue
        if time.tzinfo is not None:
            return time
    raise QueryError(f"Execution error: Failed to parse version {text} as timestamp")


def _rfc3339(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _with_offset(text: str) -> datetime:
    return datetime.strptime(text, f"{DATE_AND_TIME} %z")


def _in_utc(text: str) -> datetime:
    return datetime.strptime(text, DATE_AND_TIME).replace(tzinfo=UTC)
