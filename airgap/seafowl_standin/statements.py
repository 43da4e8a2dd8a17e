"""What a query asks for: its statements, which of them read, and the parts of those that write.

SELECTs and everything inside expressions stay text: datafusion parses those.
"""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from .errors import QueryError, not_implemented
from .tokens import Kind, Token, tokenize

STAGING_SCHEMA = "staging"
MAX_PARTS = 3


class Verb(Enum):
    """The kinds of statements that can be run."""

    QUERY = "query"
    EXPLAIN = "explain"
    EXPLAIN_ANALYZE = "explain analyze"
    SHOW_TABLES = "show tables"
    SHOW = "show"
    DESCRIBE = "describe"
    CREATE_DATABASE = "create database"
    CREATE_SCHEMA = "create schema"
    CREATE_TABLE = "create table"
    CREATE_TABLE_AS = "create table as"
    CREATE_EXTERNAL_TABLE = "create external table"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    DROP_TABLE = "drop table"
    DROP_SCHEMA = "drop schema"
    RENAME_TABLE = "alter table rename"
    TRUNCATE = "truncate"
    VACUUM_TABLE = "vacuum table"
    VACUUM_DATABASE = "vacuum database"


QUERY_STARTS = frozenset({"SELECT", "WITH", "VALUES", "("})
# What the original counts as reading; SHOW COLUMNS and DESCRIBE it treats like a write.
READING = frozenset({Verb.QUERY, Verb.EXPLAIN, Verb.EXPLAIN_ANALYZE, Verb.SHOW_TABLES})
ANSWERING = READING | {Verb.SHOW, Verb.DESCRIBE}
# EXPLAIN ANALYZE runs what it explains: the original refuses it in a GET.
CACHEABLE = ANSWERING - {Verb.EXPLAIN_ANALYZE}
# These change neither the catalog nor the object store.
LOCAL = ANSWERING | {Verb.CREATE_EXTERNAL_TABLE}


@dataclass(frozen=True)
class Name:
    """A name of one to three parts, normalised: lower case unless quoted. `start`, `end`: its place in the text."""

    parts: tuple[str, ...]
    start: int
    end: int

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class Statement:
    """One statement: its own text, and what its head says. `rest` is where the part behind the head starts."""

    verb: Verb
    text: str
    name: Name | None = None
    new_name: Name | None = None
    if_exists: bool = False
    if_not_exists: bool = False
    rest: int = 0
    location: Token | None = None

    @property
    def target(self) -> Name:
        """The table or schema that a writing statement names."""
        return _given(self.name)

    @property
    def renamed(self) -> Name:
        """A table's new name."""
        return _given(self.new_name)

    @property
    def file(self) -> Token:
        """Where an external table's file lies."""
        if self.location is None:
            raise ValueError("this kind of statement has no location")
        return self.location

    @property
    def body(self) -> str:
        """What follows the head: a query, values, assignments, a condition, columns."""
        return self.text[self.rest :]


def _given(name: Name | None) -> Name:
    if name is None:
        raise ValueError("this kind of statement has no such name")
    return name


def parse(sql: str) -> list[Statement]:
    """The statements of a query, in order; raises QueryError for one that is not understood or not supported."""
    statements: list[Statement] = []
    group: list[Token] = []
    for token in [*tokenize(sql), Token(Kind.OTHER, ";", len(sql), len(sql))]:
        if not token.is_mark(";"):
            group.append(token)
        elif group:
            text = sql[group[0].start : group[-1].end]
            base = group[0].start
            moved = [Token(t.kind, t.text, t.start - base, t.end - base) for t in group]
            statements.append(_Parser(text, moved).statement())
            group = []
    return statements


def has_subquery(expression: str) -> bool:
    """Whether an expression holds a query in brackets."""
    tokens = tokenize(expression)
    return any(
        before.is_mark("(") and (token.is_word("SELECT") or token.is_word("WITH")) for before, token in pairwise(tokens)
    )


class _Parser:
    """Reads the head of one statement."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0

    def statement(self) -> Statement:
        first = self._tokens[0]
        word = first.text.upper() if first.kind is Kind.WORD else first.text
        if word in QUERY_STARTS:
            self._check_query()
            return Statement(Verb.QUERY, self._text)
        self._at = 1
        if word == "EXPLAIN":
            verb = Verb.EXPLAIN_ANALYZE if self._word("ANALYZE") else Verb.EXPLAIN
            self._check_explained()
            return Statement(verb, self._text)
        if word in ("DESCRIBE", "DESC"):
            return self._ended(Statement(Verb.DESCRIBE, self._text, self._name()))
        if word == "SHOW":
            return Statement(Verb.SHOW_TABLES if self._word("TABLES") else Verb.SHOW, self._text)
        readers = {
            "CREATE": self._create,
            "INSERT": self._insert,
            "UPDATE": self._update,
            "DELETE": self._delete,
            "DROP": self._drop,
            "ALTER": self._alter,
            "TRUNCATE": self._truncate,
            "VACUUM": self._vacuum,
        }
        if first.kind is Kind.WORD and word in readers:
            return readers[word]()
        if first.kind is Kind.WORD and word in OTHER_VERBS:
            raise self._unsupported(1)
        raise QueryError(f'SQL error: ParserError("Expected: an SQL statement, found: {first.text}")')

    def _check_query(self) -> None:
        """SELECT … INTO would make a table."""
        if any(token.is_word("INTO") for token in self._tokens):
            raise not_implemented("Unsupported SQL statement: SELECT INTO")

    def _check_explained(self) -> None:
        """Only queries are explained: EXPLAIN ANALYZE would run a write."""
        self._word("VERBOSE")
        if self._word("FORMAT"):
            self._at += 1
        first = self._tokens[self._at].text.upper() if not self._done() else ""
        if first not in QUERY_STARTS:
            raise not_implemented(f"Unsupported SQL statement: EXPLAIN {first}".rstrip())
        self._check_query()

    def _create(self) -> Statement:
        if self._word("OR"):
            self._require("REPLACE")
            raise self._unsupported(4)
        if self._word("SCHEMA"):
            missing_only = self._words("IF", "NOT", "EXISTS")
            return self._ended(Statement(Verb.CREATE_SCHEMA, self._text, self._name(), if_not_exists=missing_only))
        if self._word("DATABASE"):
            missing_only = self._words("IF", "NOT", "EXISTS")
            return self._ended(Statement(Verb.CREATE_DATABASE, self._text, self._name(), if_not_exists=missing_only))
        if self._words("EXTERNAL", "TABLE"):
            return self._create_external()
        if self._word("TABLE"):
            return self._create_table()
        raise self._unsupported(2)

    def _create_table(self) -> Statement:
        missing_only = self._words("IF", "NOT", "EXISTS")
        name = self._name()
        if self._word("AS"):
            verb, rest = Verb.CREATE_TABLE_AS, self._offset()
        else:
            verb, rest = Verb.CREATE_TABLE, name.end
            if self._done():
                raise QueryError("Error during planning: At least one column must be defined to create a table.")
            self._columns_only()
        return Statement(verb, self._text, name, if_not_exists=missing_only, rest=rest)

    def _columns_only(self) -> None:
        """A list of columns in parentheses and nothing behind it."""
        if not self._mark("("):
            raise self._expected("(")
        depth = 1
        while depth:
            if self._done():
                raise self._expected(")")
            depth += self._tokens[self._at].is_mark("(") - self._tokens[self._at].is_mark(")")
            self._at += 1
        if not self._done():
            raise not_implemented(f"Unsupported SQL statement: {self._text}")

    def _create_external(self) -> Statement:
        missing_only = self._words("IF", "NOT", "EXISTS")
        name = self._name()
        location = None
        for before, token in zip(self._tokens, self._tokens[1:], strict=False):
            if before.is_word("LOCATION") and token.kind is Kind.STRING:
                location = token
        if location is None:
            raise QueryError('SQL error: ParserError("Missing LOCATION clause in CREATE EXTERNAL TABLE statement")')
        return Statement(Verb.CREATE_EXTERNAL_TABLE, self._text, name, if_not_exists=missing_only, location=location)

    def _insert(self) -> Statement:
        if not self._word("INTO"):
            raise self._unsupported(2)
        self._word("TABLE")
        name = self._name()
        return Statement(Verb.INSERT, self._text, name, rest=name.end)

    def _update(self) -> Statement:
        name = self._name()
        self._require("SET")
        return Statement(Verb.UPDATE, self._text, name, rest=self._offset())

    def _delete(self) -> Statement:
        self._require("FROM")
        name = self._name()
        if self._done():
            return Statement(Verb.DELETE, self._text, name, rest=len(self._text))
        self._require("WHERE")
        return Statement(Verb.DELETE, self._text, name, rest=self._offset())

    def _drop(self) -> Statement:
        if self._word("TABLE"):
            verb = Verb.DROP_TABLE
        elif self._word("SCHEMA"):
            verb = Verb.DROP_SCHEMA
        else:
            raise self._unsupported(2)
        existing_only = self._words("IF", "EXISTS")
        name = self._name()
        if not self._word("CASCADE"):
            self._word("RESTRICT")
        return self._ended(Statement(verb, self._text, name, if_exists=existing_only))

    def _alter(self) -> Statement:
        if not self._word("TABLE"):
            raise self._unsupported(2)
        name = self._name()
        if not self._words("RENAME", "TO"):
            raise QueryError("Error during planning: Unsupported ALTER TABLE statement")
        return self._ended(Statement(Verb.RENAME_TABLE, self._text, name, self._name()))

    def _truncate(self) -> Statement:
        self._word("TABLE")
        return self._ended(Statement(Verb.TRUNCATE, self._text, self._name(), rest=len(self._text)))

    def _vacuum(self) -> Statement:
        if self._word("TABLE"):
            return self._ended(Statement(Verb.VACUUM_TABLE, self._text, self._name()))
        self._require("DATABASE")
        return self._ended(Statement(Verb.VACUUM_DATABASE, self._text, self._name()))

    def _name(self) -> Name:
        parts: list[str] = []
        start = end = 0
        while True:
            token = self._tokens[self._at] if not self._done() else None
            if token is None or token.kind not in (Kind.WORD, Kind.QUOTED):
                raise self._expected("identifier")
            parts.append(token.identifier)
            start = start if len(parts) > 1 else token.start
            end = token.end
            self._at += 1
            if not self._mark("."):
                break
        if len(parts) > MAX_PARTS:
            raise QueryError(f"Error during planning: Unsupported compound identifier '{'.'.join(parts)}'")
        return Name(tuple(parts), start, end)

    def _word(self, word: str) -> bool:
        found = not self._done() and self._tokens[self._at].is_word(word)
        self._at += found
        return found

    def _words(self, *words: str) -> bool:
        tokens = self._tokens[self._at : self._at + len(words)]
        found = len(tokens) == len(words) and all(t.is_word(w) for t, w in zip(tokens, words, strict=True))
        self._at += len(words) if found else 0
        return found

    def _mark(self, mark: str) -> bool:
        found = not self._done() and self._tokens[self._at].is_mark(mark)
        self._at += found
        return found

    def _require(self, word: str) -> None:
        if not self._word(word):
            raise self._expected(word)

    def _done(self) -> bool:
        return self._at >= len(self._tokens)

    def _offset(self) -> int:
        return len(self._text) if self._done() else self._tokens[self._at].start

    def _ended(self, statement: Statement) -> Statement:
        if not self._done():
            raise self._expected("end of statement")
        return statement

    def _expected(self, what: str) -> QueryError:
        found = "EOF" if self._done() else self._tokens[self._at].text
        return QueryError(f'SQL error: ParserError("Expected: {what}, found: {found}")')

    def _unsupported(self, words: int) -> QueryError:
        head = " ".join(token.text.upper() for token in self._tokens[:words])
        return not_implemented(f"Unsupported SQL statement: {head}")


# Statements of SQL that are refused by name; any other first word is no SQL at all.
OTHER_VERBS = frozenset(
    {
        "ANALYZE", "ASSERT", "ATTACH", "BEGIN", "CACHE", "CALL", "CLOSE", "COMMENT", "COMMIT", "COPY", "DEALLOCATE",
        "DECLARE", "DISCARD", "EXECUTE", "FETCH", "GRANT", "KILL", "LOCK", "MERGE", "MSCK", "PREPARE", "REPLACE",
        "RESET", "REVOKE", "ROLLBACK", "SAVEPOINT", "SET", "START", "UNCACHE", "UNLOAD", "UNLOCK", "USE",
    }
)  # fmt: skip
