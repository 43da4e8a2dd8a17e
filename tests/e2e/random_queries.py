"""Random queries over three small tables, with a query inside wherever SQL has a place for one, and changes of these.

Each table has a whole number `n` and a text `s`. Texts and numbers are few, so that queries find rows.
"""

from dataclasses import dataclass, field
from random import Random

TABLES = ("one", "two", '"Three"')
FUTURE = "2100-01-01 00:00:00"
"""As a time to travel to: the table as it is when it is asked."""

_DEEPEST = 2


@dataclass
class RandomQueries:
    """Makes queries; the same ones of the same seed."""

    rng: Random
    aliases: int = 0
    names: list[str] = field(default_factory=list)
    """Of what the innermost query reads: what its columns are called by."""

    is_plain: bool = False
    """Whether the query has none inside of expressions."""

    def query(self) -> str:
        """A query whose rows do not depend on their order, written as somebody or other would."""
        self.names, self.is_plain = [], self.rng.random() < 0.3
        query = self._select(0, ["n", "s"])
        if self.rng.random() < 0.2:
            query = f"WITH c1 AS ({self._select(1, ['n', 's'])}) {query} UNION ALL SELECT n, s FROM c1"
        elif self.rng.random() < 0.2:
            query += f" UNION ALL {self._select(0, ['n', 's'])}"
        elif self.rng.random() < 0.2 and not self.is_plain:
            query += f" ORDER BY {self._sub(1)}, n, s"
        return self._written(query)

    def _written(self, query: str) -> str:
        """Words in another case, comments and other blanks between them."""
        words = query.split(" ")
        shown: list[str] = []
        for word in words:
            keyword = word.isalpha() and word.isupper() and "'" not in word
            shown.append(self.rng.choice([word, word.lower(), word.capitalize()]) if keyword else word)
            if keyword and self.rng.random() < 0.05:
                shown.append(self.rng.choice(["/* a comment */", "-- (SELECT 'another'\n", "\n", "\t"]))
        return " ".join(shown)

    def _select(self, depth: int, columns: list[str]) -> str:
        outer, self.names = self.names, []
        source = self._source(depth)
        if self.rng.random() < 0.25:
            key = self._column("n")
            having = f" HAVING {self._number(depth, f'max({key})')} >= {self._number(depth, '1')}"
            parts = {"n": f"{key} AS n", "s": "min(" + self._column("s") + ") AS s"}
            text = (
                f"SELECT {', '.join(parts[name] for name in columns)} FROM {source}{self._where(depth)} GROUP BY {key}"
            )
            text += having if self.rng.random() < 0.5 else ""
        else:
            parts = {"n": f"{self._number(depth)} AS n", "s": f"{self._text(depth)} AS s"}
            text = f"SELECT {', '.join(parts[name] for name in columns)} FROM {source}{self._where(depth)}"
        self.names = outer
        return text

    def _where(self, depth: int) -> str:
        return f" WHERE {self._condition(depth)}" if self.rng.random() < 0.7 else ""

    def _source(self, depth: int) -> str:
        first = self._named(depth)
        roll = self.rng.random()
        if roll < 0.2:
            second = self._named(depth)
            return f"{first} {self.rng.choice(['JOIN', 'LEFT JOIN'])} {second} ON {self._join_condition(depth)}"
        if roll < 0.3:
            return f"{first}, {self._named(depth)}"
        return first

    def _named(self, depth: int) -> str:
        roll = self.rng.random()
        if roll < 0.15 and depth < _DEEPEST:
            what = f"({self._select(depth + 1, ['n', 's'])})"
        elif roll < 0.25:
            what = f"{self._table()}('{FUTURE}')"
        elif roll < 0.4:
            what = f"public.{self._table()}"
        else:
            what = self._table()
        self.aliases += 1
        name = f"t{self.aliases}" if self.rng.random() < 0.8 else f'"T {self.aliases}"'
        self.names.append(name)
        return f"{what} AS {name}"

    def _table(self) -> str:
        return self.rng.choice(TABLES)

    def _column(self, name: str) -> str:
        return f"{self.rng.choice(self.names)}.{name}"

    def _join_condition(self, depth: int) -> str:
        left, right = self.names[-2:]
        joined = f"{left}.n = {right}.n"
        return f"{joined} AND {right}.n < {self._number(depth)}" if self.rng.random() < 0.4 else joined

    def _number(self, depth: int, column: str = "") -> str:
        column = column or self._column("n")
        if depth >= _DEEPEST or self.is_plain:
            return column
        return self.rng.choices(
            [
                lambda: column,
                lambda: f"{column} + {self.rng.randrange(9)}",
                lambda: self._sub(depth + 1),
                lambda: f"coalesce({self._sub(depth + 1)}, {column})",
                lambda: f"{column} + abs({self._sub(depth + 1)})",
                lambda: f"CASE WHEN {column} > {self._sub(depth + 1)} THEN {column} ELSE {self._sub(depth + 1)} END",
                lambda: f"CAST({self._sub(depth + 1)} AS BIGINT)",
            ],
            [8, 2, 2, 1, 1, 1, 1],
        )[0]()

    def _text(self, depth: int) -> str:
        column = self._column("s")
        if depth >= _DEEPEST or self.is_plain or self.rng.random() < 0.7:
            return column
        return self.rng.choice(
            [
                f"upper({self._sub(depth + 1, 's')})",
                f"{column} || {self._sub(depth + 1, 's')}",
                f"concat({column}, 'SELECT', {self._sub(depth + 1, 's')})",
            ]
        )

    def _sub(self, depth: int, column: str = "n") -> str:
        """A query in an expression, with one row."""
        outer, self.names = self.names, []
        how = self.rng.choice(["max", "min", "count"] if column == "n" else ["max", "min"])
        source = self._named(depth)
        text = f"(SELECT {how}({self._column(column)}) FROM {source}{self._where(depth)})"
        self.names = outer
        return text

    def _condition(self, depth: int) -> str:
        column = self._column("n")
        if depth >= _DEEPEST or self.is_plain:
            return f"{column} > {self.rng.randrange(5)}"
        rows = f"(SELECT n FROM {self._table()})"
        return self.rng.choices(
            [
                lambda: f"{column} >= {self._number(depth)}",
                lambda: f"{column} IN ({self._select(depth + 1, ['n'])})",
                lambda: f"{column} NOT IN {rows}",
                lambda: f"{column} IS DISTINCT FROM {self._sub(depth + 1)}",
                lambda: f"{self._column('s')} <= {self._sub(depth + 1, 's')}",
                lambda: f"{column} >= ANY {rows}",
                lambda: f"{column} <= ALL {rows}",
                lambda: f"EXISTS {rows}",
                lambda: f"({self._condition(depth + 1)} OR {self._condition(depth + 1)})",
                lambda: f"{column} BETWEEN 0 AND {self._sub(depth + 1)}",
            ],
            [5, 2, 1, 1, 1, 0.3, 0.3, 0.1, 1, 1],
        )[0]()

    def change(self) -> str:
        """Statements that change some table, and leave all three there."""
        table = self._table()
        rows = ", ".join(f"({self.rng.randrange(12)}, '{self.rng.choice('abcxyz')}')" for _ in range(2))
        return self.rng.choice(
            [
                f"INSERT INTO {table} VALUES {rows}",
                f"INSERT INTO {table} VALUES {rows}",
                f"DELETE FROM {table} WHERE n > {self.rng.randrange(4, 9)}",
                f"DROP TABLE {table}; {created(table, rows)}",
                "ALTER TABLE one RENAME TO spare; ALTER TABLE two RENAME TO one; ALTER TABLE spare RENAME TO two",
            ]
        )


def created(table: str, rows: str) -> str:
    """The statement that makes a table of these rows."""
    return f"CREATE TABLE {table} AS SELECT CAST(n AS BIGINT) AS n, s FROM (VALUES {rows}) AS v (n, s)"
