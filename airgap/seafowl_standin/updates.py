"""The assignments and the condition of an UPDATE."""

from .errors import QueryError
from .statements import Statement
from .tokens import Kind, Token, tokenize


def split_update(statement: Statement) -> tuple[dict[str, str], str | None]:
    """Column → expression, and the WHERE condition; both as text. Raises QueryError."""
    text = statement.text[statement.rest :]
    assignments: dict[str, str] = {}
    group: list[Token] = []
    depth = 0
    tokens = tokenize(text)
    for at, token in enumerate(tokens):
        depth += token.is_mark("(") - token.is_mark(")")
        if depth == 0 and token.is_word("WHERE"):
            _add(assignments, group, text)
            return assignments, text[tokens[at].end :].strip() or None
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
    if len(group) < 3 or group[0].kind not in (Kind.WORD, Kind.QUOTED) or not group[1].is_mark("="):
        raise QueryError('SQL error: ParserError("Expected: column = expression in UPDATE … SET")')
    column = group[0].text if group[0].kind is Kind.QUOTED else group[0].text.lower()
    assignments[column] = text[group[2].start : group[-1].end]
