"""The assignments and the condition of an UPDATE."""

from .errors import QueryError
from .tokens import Kind, Token, tokenize


def split_update(text: str) -> tuple[dict[str, str], str | None]:
    """Column → expression, and the WHERE condition, of what follows SET; all as text. Raises QueryError."""
    assignments: dict[str, str] = {}
    group: list[Token] = []
    depth = 0
    for token in tokenize(text):
        depth += token.is_mark("(") - token.is_mark(")")
        if depth == 0 and token.is_word("WHERE"):
            _add(assignments, group, text)
            return assignments, text[token.end :].strip() or None
        if depth == 0 and token.is_word("FROM"):
            raise QueryError("This feature is not implemented: Unsupported SQL statement: UPDATE … FROM")
        if depth == 0 and token.is_mark(","):
            _add(assignments, group, text)
            group = []
        else:
            group.append(token)
    _add(assignments, group, text)
    return assignments, None


def _add(assignments: dict[str, str], group: list[Token], text: str) -> None:
    match group:
        case [column, equals, first, *_] if column.kind in (Kind.WORD, Kind.QUOTED) and equals.is_mark("="):
            assignments[column.identifier] = text[first.start : group[-1].end]
        case _:
            raise QueryError('SQL error: ParserError("Expected: column = expression in UPDATE … SET")')
