"""Which tables a request changes, as far as its text tells for certain.

The text is split into tokens by sqlglot, and into tables by the head of each statement: the target alone is changed, so
the rest of a statement does not matter. Where sqlglot could read a text otherwise than Seafowl's own parser does
(sqlparser 0.47, GenericDialect), or a statement is none of those below, the answer is all tables: to wait needlessly
costs time, to run beside a change that was overlooked costs rows.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from supervisor.table_order import EVERY_TABLE, NO_TABLE, TableName, Tables

DEFAULT_DATABASE = "default"
DEFAULT_SCHEMA = "public"
STAGING_SCHEMA = "staging"
"""Where external tables are, whatever schema a statement names (src/catalog)."""

LONG_SQL_CHARACTERS = 128 * 1024
"""Splitting a text of this length takes a tenth of a second. Of a longer one, only a single INSERT … VALUES is told."""

_HEAD_CHARACTERS = 8192
_NAME_PARTS = 3

_UNCERTAIN = re.compile(r"\{#|/\*\+|[^\t\n\r -\U0010ffff]")
"""What sqlglot skips or reads in a way of its own: a template's comment, a hint, control characters."""

_CERTAIN = re.compile(r"[A-Za-z0-9_ ()\[\],.;:=<>!+\-*/%|&^~?]*")
"""A token, as it is written, that both parsers read alike."""

_PREFIX = re.compile(r"[A-Za-z0-9_&$]")
"""Makes a literal of another kind of the string that follows: E'…' has escapes, for one."""

_READS = frozenset({"SELECT", "WITH", "VALUES", "(", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"})
_NO_COLUMNS = frozenset({"TRUE", "FALSE", "NULL", "NOT", "AND", "OR", "IS", "IN", "BETWEEN", "LIKE", "ILIKE"})
_CHANGES = frozenset(
    {"INSERT", "INTO", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "TRUNCATE", "VACUUM", "MERGE", "COPY", "CONVERT"}
)


@dataclass(frozen=True)
class Changes:
    """What a request changes."""

    tables: Tables
    made: Tables = NO_TABLE
    """Those of `tables` that it makes, unless they are there."""

    sql: str | None = None
    """The statements to run instead, where conditions must be guarded (`_guarded`)."""


NOTHING = Changes(NO_TABLE)
EVERYTHING = Changes(EVERY_TABLE)


class RefusedError(Exception):
    """A statement that would destroy rows which it does not name."""


_BEGINS_UPDATE_OR_DELETE = re.compile(
    r"(?:\A|;)(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:UPDATE|DELETE)\b", re.IGNORECASE | re.DOTALL
)
_UNREADABLE_CONDITION = (
    "What this UPDATE or DELETE changes cannot be told from its text for certain, and Seafowl 0.5.8 may lose other "
    "rows with it. Nothing was executed. Write it without E'…', $$…$$, backticks, nested comments and hints, and in "
    f"less than {LONG_SQL_CHARACTERS // 1024} KiB."
)


class _Tokenizer(Tokenizer):
    """sqlglot's, which takes what follows a command that it does not know (VACUUM, SHOW) for text otherwise."""

    COMMANDS: ClassVar[set[TokenType]] = set()


class _UncertainError(Exception):
    """The text does not tell for certain what it changes."""


def changed_by_sql(sql: str, database: str = DEFAULT_DATABASE) -> Changes:
    """What the statements of `sql`, sent to `database`, change; no table where all of them only read.

    Raises RefusedError for a statement that must not run.
    """
    try:
        if len(sql) > LONG_SQL_CHARACTERS:
            return _changed(_head_of_long_insert(sql), database)
        statements = list(_statements(_tokens(sql)))
        changes = [_changed(statement, database) for statement in statements]
    except (_UncertainError, SqlglotError):
        if _BEGINS_UPDATE_OR_DELETE.search(sql):
            raise RefusedError(_UNREADABLE_CONDITION) from None
        return EVERYTHING
    return Changes(
        frozenset(table for one in changes for table in one.tables),
        frozenset(table for one in changes for table in one.made),
        _guarded(sql, statements),
    )


def changed_by_upload(path: str) -> Changes:
    """What an upload to `path` (`/upload/<schema>/<table>`, perhaps behind `/<database>`) changes."""
    parts = [part for part in path.split("/") if part]
    if "%" in path or parts[-3:-2] != ["upload"] or not 3 <= len(parts) <= 4:  # noqa: PLR2004 (the routes of Seafowl)
        return EVERYTHING
    table = frozenset({TableName.of(parts[0] if len(parts) == 4 else DEFAULT_DATABASE, *parts[-2:])})  # noqa: PLR2004
    return Changes(table, table)


def _tokens(sql: str) -> list[Token]:
    if _UNCERTAIN.search(sql) or any("*/" not in comment for comment in sql.split("/*")[1:]):
        raise _UncertainError
    tokens = _Tokenizer().tokenize(sql)
    for token in tokens:
        if token.token_type is TokenType.STRING:
            if token.start > 0 and _PREFIX.match(sql[token.start - 1]):
                raise _UncertainError
        elif token.token_type is not TokenType.IDENTIFIER and not _CERTAIN.fullmatch(sql[token.start : token.end + 1]):
            raise _UncertainError
    return tokens


def _head_of_long_insert(sql: str) -> list[Token]:
    """The tokens before VALUES of a text that is one INSERT for certain: it has no semicolon but at its end."""
    head = sql[:_HEAD_CHARACTERS]
    values = re.search(r"\bVALUES\b", head, re.IGNORECASE)
    if values is None or ";" in sql.rstrip().rstrip(";"):
        raise _UncertainError
    head = head[: values.start()]
    if "/*" in head or "--" in head:  # it may have begun behind this VALUES
        raise _UncertainError
    tokens = _tokens(head)
    if not tokens or tokens[0].text.upper() != "INSERT":
        raise _UncertainError
    return tokens


def _statements(tokens: list[Token]) -> Iterator[list[Token]]:
    statement: list[Token] = []
    for token in tokens:
        if token.token_type is not TokenType.SEMICOLON:
            statement.append(token)
        elif statement:
            yield statement
            statement = []
    if statement:
        yield statement


def _changed(statement: list[Token], database: str) -> Changes:
    head = _Head(statement, database)
    if head.word(*_READS):
        if any(_is_word(token, _CHANGES) for token in statement):
            raise _UncertainError
        return NOTHING
    if head.words("INSERT", "INTO"):
        head.word("TABLE")
        return Changes(frozenset({head.name()}))
    if head.word("UPDATE"):
        table = head.name()
        return Changes(frozenset({table})) if head.word("SET") else EVERYTHING
    if head.words("DELETE", "FROM"):
        table = head.name()
        _check_delete(statement)
        return Changes(frozenset({table}))
    if head.words("VACUUM", "TABLE") or head.words("TRUNCATE", "TABLE"):
        return Changes(frozenset({head.name()}))
    if head.word("CREATE"):
        return head.created()
    if head.words("DROP", "TABLE"):
        head.words("IF", "EXISTS")
        return Changes(frozenset(head.names()))
    if head.words("ALTER", "TABLE"):
        old = head.name()
        return Changes(frozenset({old, head.name()})) if head.words("RENAME", "TO") else EVERYTHING
    return EVERYTHING


def _condition(statement: list[Token]) -> list[Token]:
    """The condition of an UPDATE or a DELETE; nothing where it has none."""
    depth = 0
    for place, token in enumerate(statement):
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0 and _is_word(token, ("WHERE",)):
            return statement[place + 1 :]
    return []


def _check_delete(statement: list[Token]) -> None:
    """Refuse a DELETE whose condition Seafowl's optimiser takes away: it removes all rows then.

    Seafowl looks for a filter in the optimised plan, and where there is none takes the statement for one without a
    condition (0.5.8, src/context/physical.rs). A nested query becomes a join, a constant condition no rows at all.
    """
    condition = _condition(statement)
    if not condition:
        return
    if any(_is_word(token, ("SELECT", "VALUES", "TABLE")) for token in condition):
        raise RefusedError(
            "DELETE with a nested query would delete all rows of the table (Seafowl 0.5.8). Nothing was executed. "
            "Name the rows by their values: DELETE FROM … WHERE id IN (1, 2, 3)."
        )
    if not any(_may_be_column(token) for token in condition):
        raise RefusedError(
            "DELETE with a condition that names no column would delete all rows of the table (Seafowl 0.5.8). Nothing "
            "was executed. To delete all rows, leave the condition out."
        )


def _guarded(sql: str, statements: list[list[Token]]) -> str | None:
    """`sql` with the conditions of its UPDATEs and DELETEs in `coalesce((…), FALSE)`; None where there are none.

    Seafowl writes the files that may have matching rows anew, from a scan that is given the condition (0.5.8,
    src/context/physical.rs). The scan leaves out row groups and pages of Parquet that cannot match (delta-rs 0.18.2,
    delta_datafusion), so their rows are lost: all rows but some ten thousand of a table with a million. DataFusion
    draws no conclusion from a function's arguments, and leaves nothing out then. DELETE also keeps the rows for which
    the condition is NULL, as SQL has it. The price: each of the table's files is written anew.
    """
    pieces: list[str] = []
    done = 0
    for statement in statements:
        condition = _condition(statement) if _is_word(statement[0], ("UPDATE", "DELETE")) else []
        if condition:
            start, end = condition[0].start, condition[-1].end + 1
            # (On a line of its own: a comment may be the last.)
            pieces += [sql[done:start], "coalesce((", sql[start:end], "\n), FALSE)"]
            done = end
    return "".join([*pieces, sql[done:]]) if pieces else None


def _may_be_column(token: Token) -> bool:
    if token.token_type is TokenType.IDENTIFIER:
        return True
    is_word = token.token_type is not TokenType.STRING and re.fullmatch(r"[A-Za-z_]\w*", token.text)
    return bool(is_word) and token.text.upper() not in _NO_COLUMNS


def _is_quoted(token: Token) -> bool:
    return token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)


def _is_word(token: Token, words: Collection[str]) -> bool:
    """Whether the token is one of `words`, which are in upper case, and not in quotes."""
    return not _is_quoted(token) and token.text.upper() in words


class _Head:
    """Reads a statement from its first token on."""

    def __init__(self, tokens: list[Token], database: str) -> None:
        self._tokens = tokens
        self._database = database
        self._at = 0

    def word(self, *words: str) -> bool:
        """Whether the next token is one of `words`; it is passed then."""
        found = self._at < len(self._tokens) and _is_word(self._tokens[self._at], words)
        self._at += found
        return found

    def words(self, *words: str) -> bool:
        """Whether the next tokens are `words`, one after the other; they are passed then."""
        tokens = self._tokens[self._at : self._at + len(words)]
        found = len(tokens) == len(words) and all(
            _is_word(token, (word,)) for token, word in zip(tokens, words, strict=True)
        )
        self._at += len(words) if found else 0
        return found

    def created(self) -> Changes:
        """What CREATE makes, behind that word."""
        self.words("OR", "REPLACE")
        self.word("UNBOUNDED")
        is_external = self.word("EXTERNAL")
        if not self.word("TABLE"):
            return EVERYTHING
        self.words("IF", "NOT", "EXISTS")
        name = self.name()
        if is_external:
            return Changes(frozenset({name._replace(schema=STAGING_SCHEMA)}))
        return Changes(frozenset({name}), frozenset({name}))

    def names(self) -> Iterator[TableName]:
        """Names with commas between them."""
        yield self.name()
        while self.word(","):
            yield self.name()

    def name(self) -> TableName:
        """A table's name, of one to three parts."""
        parts = [self._part()]
        while self.word("."):
            parts.append(self._part())
        if len(parts) > _NAME_PARTS:
            raise _UncertainError
        return TableName.of(*[self._database, DEFAULT_SCHEMA][: _NAME_PARTS - len(parts)], *parts)

    def _part(self) -> str:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        self._at += 1
        if token is None or token.token_type is TokenType.STRING or not token.text:
            raise _UncertainError
        # A dot in quotes divides names where Seafowl prints a name and reads it again (ALTER, CREATE TABLE).
        is_word = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", token.text)
        if not is_word and (token.token_type is not TokenType.IDENTIFIER or re.search(r'[."]', token.text)):
            raise _UncertainError
        return token.text
