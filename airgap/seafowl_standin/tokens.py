"""Splitting SQL into tokens: enough to find statements, their first words and their names."""

from dataclasses import dataclass
from enum import Enum

from .errors import QueryError


class Kind(Enum):
    """What a token is; comments and white space are no tokens."""

    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    OTHER = "other"


@dataclass(frozen=True)
class Token:
    """`text` as written, for QUOTED and STRING without the quotes; `start` and `end` are offsets into the SQL."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def identifier(self) -> str:
        """The name that a WORD or QUOTED token means, lower case unless quoted; nothing for other tokens."""
        if self.kind is Kind.WORD:
            return self.text.lower()
        return self.text if self.kind is Kind.QUOTED else ""

    def is_word(self, word: str) -> bool:
        """Whether this is the (upper case) keyword, unquoted."""
        return self.kind is Kind.WORD and self.text.upper() == word

    def is_mark(self, mark: str) -> bool:
        """Whether this is the punctuation mark."""
        return self.kind is Kind.OTHER and self.text == mark


def tokenize(sql: str) -> list[Token]:
    """The tokens of some SQL; raises QueryError where a string, a quoted name or a comment does not end."""
    tokens: list[Token] = []
    at = 0
    while at < len(sql):
        char = sql[at]
        if char.isspace():
            at += 1
        elif sql.startswith("--", at):
            newline = sql.find("\n", at)
            at = len(sql) if newline < 0 else newline + 1
        elif sql.startswith("/*", at):
            at = _comment_end(sql, at)
        else:
            token = _token(sql, at)
            tokens.append(token)
            at = token.end
    return tokens


def _token(sql: str, at: int) -> Token:
    char = sql[at]
    if char == "'":
        return _quoted(sql, at, "'", Kind.STRING)
    if char in '"`':
        return _quoted(sql, at, char, Kind.QUOTED)
    if char == "$" and (tag := _dollar_tag(sql, at)):
        end = sql.find(tag, at + len(tag))
        if end < 0:
            raise _unterminated("Unterminated dollar-quoted string", sql, at)
        return Token(Kind.STRING, sql[at + len(tag) : end], at, end + len(tag))
    if char.isalnum() or char == "_":
        end = at + 1
        while end < len(sql) and (sql[end].isalnum() or sql[end] in "_$"):
            end += 1
        return Token(Kind.WORD, sql[at:end], at, end)
    return Token(Kind.OTHER, char, at, at + 1)


def _quoted(sql: str, at: int, quote: str, kind: Kind) -> Token:
    """A quoted token; the quote itself is written twice inside."""
    end = at + 1
    while True:
        end = sql.find(quote, end)
        if end < 0:
            what = "Unterminated string literal" if kind is Kind.STRING else f"Expected close delimiter '{quote}'"
            raise _unterminated(what, sql, at)
        if not sql.startswith(quote * 2, end):
            return Token(kind, sql[at + 1 : end].replace(quote * 2, quote), at, end + 1)
        end += 2


def _dollar_tag(sql: str, at: int) -> str:
    """The opening `$tag$` here, or nothing."""
    end = sql.find("$", at + 1)
    tag = sql[at : end + 1] if end > 0 else ""
    return tag if tag == "$$" or tag[1:-1].isidentifier() else ""


def _comment_end(sql: str, at: int) -> int:
    """The offset behind a comment, which may hold further comments."""
    depth, end = 1, at + 2
    while depth:
        opening, closing = sql.find("/*", end), sql.find("*/", end)
        if closing < 0:
            raise _unterminated("Unexpected EOF while in a multi-line comment", sql, at)
        if 0 <= opening < closing:
            depth, end = depth + 1, opening + 2
        else:
            depth, end = depth - 1, closing + 2
    return end


def _unterminated(what: str, sql: str, at: int) -> QueryError:
    line = sql.count("\n", 0, at) + 1
    column = at - sql.rfind("\n", 0, at)
    return QueryError(f'SQL error: TokenizerError("{what} at Line: {line}, Column: {column}")')
