"""Which tables a request changes, as far as its text tells.

What this does not prove: that Seafowl's parser reads a text as sqlglot does. Where it might not, all tables must wait;
the cases below are those that we know of.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from supervisor.changes import (
    EVERYTHING,
    LONG_SQL_CHARACTERS,
    NOTHING,
    Changes,
    RefusedError,
    changed_by_sql,
    changed_by_upload,
)
from supervisor.table_order import TableName, Tables


def table(name: str, schema: str = "public", database: str = "default") -> TableName:
    return TableName(database, schema, name)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("INSERT INTO t VALUES (1)", {table("t")}),
        ("insert into t (a, b) select a, b from u where c in (select c from v)", {table("t")}),
        ("INSERT INTO s.t VALUES (1)", {table("t", "s")}),
        ("INSERT INTO d.s.t VALUES (1)", {table("t", "s", "d")}),
        ('INSERT INTO "S"."T" VALUES (1)', {table("t", "s")}),
        ('INSERT INTO "größe" VALUES (1)', {table("grösse")}),
        ("INSERT INTO date VALUES (1)", {table("date")}),
        ("UPDATE t SET a = 1 WHERE b = 'x;y'", {table("t")}),
        ("DELETE FROM t WHERE a IN (1, 2)", {table("t")}),
        ("CREATE TABLE t (a INT, b DECIMAL(10, 2))", {table("t")}),
        ("CREATE TABLE IF NOT EXISTS t AS SELECT * FROM u", {table("t")}),
        ("CREATE OR REPLACE TABLE t AS SELECT 1", {table("t")}),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'http://x/y;z'", {table("t", "staging")}),
        ("DROP TABLE IF EXISTS t", {table("t")}),
        ("DROP TABLE t, s.u", {table("t"), table("u", "s")}),
        ("DROP TABLE staging.t", {table("t", "staging")}),
        ("ALTER TABLE t RENAME TO s.u", {table("t"), table("u", "s")}),
        ("VACUUM TABLE t", {table("t")}),
        ("TRUNCATE TABLE t", {table("t")}),
        ("-- a; comment\nINSERT /* another; one */ INTO t VALUES (';')", {table("t")}),
        ("INSERT INTO t VALUES (1); ; INSERT INTO u VALUES ('it''s'); SELECT 1;", {table("t"), table("u")}),
        (r"INSERT INTO t VALUES ('a\'); INSERT INTO u VALUES ('b')", {table("t"), table("u")}),
    ],
)
def test_the_targets_of_statements_are_what_they_change(sql: str, tables: set[TableName]) -> None:
    assert changed_by_sql(sql).tables == tables


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  (SELECT a::int FROM t) UNION ALL SELECT b FROM u ORDER BY 1",
        "WITH c AS (SELECT * FROM t) SELECT count(*) FROM c",
        "VALUES (1), (2)",
        "EXPLAIN ANALYZE SELECT * FROM t",
        "SHOW TABLES",
        "DESCRIBE t",
        "SELECT 'INSERT INTO t', \"delete\" FROM t -- DROP TABLE t",
        "",
    ],
)
def test_what_only_reads_changes_nothing(sql: str) -> None:
    assert changed_by_sql(sql) == NOTHING


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE SCHEMA s",
        "DROP SCHEMA s",
        "CREATE DATABASE d",
        "VACUUM DATABASE d",
        "CREATE FUNCTION f AS '{}'",
        "COPY t TO 's3://bucket/x'",
        "CONVERT 'uuid' TO DELTA t",
        "MERGE INTO t USING u ON a = b",
        "SELECT * INTO t FROM u",
        "WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
        "INSERT INTO a.b.c.d VALUES (1)",
        'INSERT INTO "a.b" VALUES (1)',
        "INSERT INTO 'quoted' VALUES (1)",
        "INSERT INTO",
        "what is this",
        # Read in another way by one of the parsers.
        r"SELECT E'\''; INSERT INTO t VALUES (1); SELECT E'\''",
        "SELECT $$'$$; INSERT INTO t VALUES (1); SELECT $$'$$",
        "SELECT $tag$ ; $tag$",
        "SELECT /*+ ' */ 1; INSERT INTO t VALUES ('a')",
        "SELECT {# '; INSERT INTO t VALUES (1) #} 1",
        "SELECT `'`; INSERT INTO t VALUES ('a')",
        "SELECT /* a /* b */ 1; INSERT INTO t VALUES (1) /* c */",
        "SELECT 'unclosed; INSERT INTO t VALUES (1)",
        "INSERT INTO tаble VALUES (1)",  # with a Cyrillic letter
        "INSERT INTO t\0 VALUES (1)",
        "SELECT N'x'",
    ],
)
def test_all_tables_wait_where_the_text_does_not_tell_for_certain(sql: str) -> None:
    assert changed_by_sql(sql) == EVERYTHING


@pytest.mark.parametrize(
    ("sql", "made"),
    [
        ("CREATE TABLE t (a INT)", {table("t")}),
        ("CREATE TABLE IF NOT EXISTS t AS SELECT 1; INSERT INTO u VALUES (1)", {table("t")}),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'", set()),
        ("INSERT INTO t VALUES (1)", set()),
    ],
)
def test_it_is_known_which_tables_a_request_makes(sql: str, made: set[TableName]) -> None:
    assert changed_by_sql(sql).made == made


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t WHERE id IN (SELECT id FROM u)",
        "DELETE FROM t WHERE a = 1 AND b > (select max(b) from t)",
        "INSERT INTO u VALUES (1); DELETE FROM t WHERE EXISTS (SELECT 1 FROM u)",
        "DELETE FROM t WHERE 1 = 2",
        "DELETE FROM t WHERE false",
        "DELETE FROM t WHERE NULL",
        "DELETE FROM t WHERE 'a' = 'b'",
    ],
)
def test_a_delete_that_would_take_all_rows_is_refused(sql: str) -> None:
    with pytest.raises(RefusedError, match="would delete all rows"):
        changed_by_sql(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "DELETE FROM t WHERE a = 1",
        'DELETE FROM t WHERE "A" IS NULL',
        "DELETE FROM t WHERE date < '2026-01-01'",
        "DELETE FROM t WHERE NOT flag",
    ],
)
def test_any_other_delete_is_not(sql: str) -> None:
    assert changed_by_sql(sql).tables == {table("t")}


@pytest.mark.parametrize(
    ("sql", "guarded"),
    [
        ("DELETE FROM t WHERE a = 1", "DELETE FROM t WHERE coalesce((a = 1\n), FALSE)"),
        (
            "UPDATE t SET a = (b + 1), c = 'WHERE' WHERE a = 1 OR b = 'x;y' -- why;\n; SELECT 1",
            "UPDATE t SET a = (b + 1), c = 'WHERE' WHERE coalesce((a = 1 OR b = 'x;y'\n), FALSE) -- why;\n; SELECT 1",
        ),
        (
            "delete from t where a = 1; insert into u select * from v where a = 2; update w set a = 1 where b",
            "delete from t where coalesce((a = 1\n), FALSE); insert into u select * from v where a = 2; "
            "update w set a = 1 where coalesce((b\n), FALSE)",
        ),
        ("DELETE FROM t", None),
        ("UPDATE t SET a = 1", None),
        ("INSERT INTO t SELECT * FROM u WHERE a = 1", None),
    ],
)
def test_no_part_of_a_file_is_left_out_by_a_condition(sql: str, guarded: str | None) -> None:
    assert changed_by_sql(sql).sql == guarded


@pytest.mark.parametrize("sql", [r"DELETE FROM t WHERE a = E'\''", f"DELETE FROM t WHERE a IN ({'1, ' * 60_000}1)"])
def test_a_condition_that_cannot_be_read_for_certain_is_refused(sql: str) -> None:
    with pytest.raises(RefusedError, match="cannot be told"):
        changed_by_sql(sql)


def rows(count: int) -> str:
    return ", ".join(f"({number}, 'name of {number}')" for number in range(count))


def test_a_long_insert_is_told_by_its_head() -> None:
    sql = f"INSERT INTO s.t (a, b) VALUES {rows(20_000)};"
    assert len(sql) > LONG_SQL_CHARACTERS
    assert changed_by_sql(sql) == Changes(frozenset({table("t", "s")}))


@pytest.mark.parametrize(
    "sql",
    [
        f"INSERT INTO t VALUES {rows(20_000)}; INSERT INTO u VALUES (1)",
        f"INSERT INTO a /* VALUES */ .b VALUES {rows(20_000)}",
        f"INSERT INTO a -- VALUES\n .b VALUES {rows(20_000)}",
        f'INSERT INTO "a VALUES" VALUES {rows(20_000)}',
        f"SELECT * FROM (VALUES {rows(20_000)})",
    ],
)
def test_any_other_long_text_waits_for_all_tables(sql: str) -> None:
    assert changed_by_sql(sql) == EVERYTHING


def test_names_belong_to_the_database_of_the_request() -> None:
    assert changed_by_sql("INSERT INTO t VALUES (1)", "Other").tables == {table("t", database="other")}


@given(st.text(alphabet="'\"`$;-/*\\ \nEN(){}#tINSERTOVALUES1,", max_size=60))
@example("E'\\'; INSERT INTO t VALUES (1) --'")
def test_a_text_of_odd_quotes_never_breaks_it(sql: str) -> None:
    assert isinstance(changed_by_sql(sql), Changes)


@pytest.mark.parametrize(
    ("path", "tables"),
    [
        ("/upload/s/t", {table("t", "s")}),
        ("/upload/s/t/", {table("t", "s")}),
        ("/Db/upload/S/T", {table("t", "s", "db")}),
        ("/upload/s/%74", EVERYTHING.tables),
        ("/upload/s", EVERYTHING.tables),
        ("/a/b/upload/s/t", EVERYTHING.tables),
        ("/upload/upload/s/t", {table("t", "s", "upload")}),
    ],
)
def test_an_upload_changes_the_table_of_its_path(path: str, tables: Tables) -> None:
    assert changed_by_upload(path).tables == tables
