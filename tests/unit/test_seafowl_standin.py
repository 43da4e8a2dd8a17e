"""The Seafowl stand-in without its engine: configuration, access, statements, requests, the catalog's file.

What this does not prove: that queries run (tests/e2e/test_seafowl_standin.py does).
"""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from airgap.seafowl_standin import config
from airgap.seafowl_standin.access import AccessPolicy, Principal
from airgap.seafowl_standin.catalog import Catalog, TableRef
from airgap.seafowl_standin.client import Client, ClientGone
from airgap.seafowl_standin.config import LocalStore, S3Store, Settings
from airgap.seafowl_standin.errors import ApiError, Fatal, QueryError, engine_error
from airgap.seafowl_standin.plans import EnginePanic, Node, check_supported, parse_plan, scanned
from airgap.seafowl_standin.requested import Action, Route, etag, query_in_body, query_to_read, routes
from airgap.seafowl_standin.session import dotted_names
from airgap.seafowl_standin.statements import LOCAL, READING, Verb, has_subquery, parse
from airgap.seafowl_standin.time_travel import Versioned, parse_time, versioned_names
from airgap.seafowl_standin.tokens import tokenize
from airgap.seafowl_standin.updates import split_update

FIRST, SECOND, THIRD = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2, 3))
COLUMNS = [("n", '{"name":"n","data_type":"Int64"}'), ("s", '{"name":"s","data_type":"Utf8"}')]
HASH = sha256(b"open sesame").hexdigest()
READ_HASH = sha256(b"just looking").hexdigest()


def _document(**sections: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "object_store": {"type": "local", "data_dir": "/data"},
        "catalog": {"type": "sqlite", "dsn": "/data/catalog.sqlite"},
        "frontend": {"http": {}},
    }
    return document | sections


def _settings(environ: dict[str, str] | None = None, **sections: Any) -> Settings:
    return config.parse(_document(**sections), environ or {})


def test_the_engine_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, airgap.seafowl_standin.session; sys.exit('deltalake' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


class TestConfiguration:
    def test_defaults_are_the_originals(self) -> None:
        settings = _settings()
        assert settings.object_store == LocalStore("/data")
        assert (settings.catalog.journal_mode, settings.catalog.read_only) == ("wal", False)
        assert (settings.http.bind_host, settings.http.bind_port) == ("127.0.0.1", 8080)
        assert settings.http.access == AccessPolicy(read="any", write="off")
        assert settings.http.upload_data_max_length == 256
        assert settings.http.cache_control == "max-age=43200, public"
        assert settings.gc_interval == 0

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "seafowl.toml"
        file.write_text(
            '[object_store]\ntype = "s3"\nbucket = "b"\nregion = "eu-west-1"\n'
            '[catalog]\ntype = "sqlite"\ndsn = "c.sqlite"\njournal_mode = "off"\nread_only = true\n'
            "[frontend.http]\nbind_port = 81\n[misc]\ngc_interval = 18\n"
        )
        settings = config.load(file, {})
        assert settings.object_store == S3Store("b", region="eu-west-1")
        assert (settings.catalog.journal_mode, settings.catalog.read_only) == ("off", True)
        assert (settings.http.bind_port, settings.gc_interval) == (81, 18)

    def test_the_environment_wins_and_its_names_have_no_case(self) -> None:
        settings = _settings(
            {
                "SEAFOWL__FRONTEND__HTTP__BIND_PORT": "9000",
                "seafowl__frontend__http__write_access": HASH,
                "SEAFOWL__MISC__GC_INTERVAL": "3",
                "SEAFOWL__CATALOG__JOURNAL_MODE": "delete",
                "OTHER": "x",
            },
            frontend={"http": {"bind_port": 8080, "write_access": "any"}},
        )
        assert settings.http.bind_port == 9000
        assert settings.http.access.write == HASH
        assert settings.gc_interval == 3
        assert settings.catalog.journal_mode == "delete"

    def test_a_secret_can_come_from_the_environment_alone(self) -> None:
        settings = _settings(
            {"SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID": "id", "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY": "secret"},
            object_store={"type": "s3", "bucket": "b", "endpoint": "http://store:9000"},
        )
        assert isinstance(settings.object_store, S3Store)
        assert (settings.object_store.access_key_id, settings.object_store.secret_access_key) == ("id", "secret")

    def test_unknown_keys_are_ignored_like_by_the_original(self) -> None:
        assert _settings(nonsense={"a": 1}, misc={"nonsense": 1}) == _settings()

    def test_settings_without_effect_are_named(self) -> None:
        settings = _settings(misc={"metrics": {"port": 9090}, "max_partition_size": 5}, runtime={"max_memory": 64})
        assert settings.unused == ("misc.metrics", "misc.max_partition_size", "runtime.max_memory")

    def test_text_becomes_numbers_and_the_other_way_round(self) -> None:
        settings = _settings(frontend={"http": {"bind_port": "81", "cache_control": 5}}, misc={"gc_interval": True})
        assert (settings.http.bind_port, settings.http.cache_control, settings.gc_interval) == (81, "5", 1)

    @pytest.mark.parametrize(
        ("sections", "says"),
        [
            ({"object_store": {"type": "s3", "bucket": "b"}}, "region or the endpoint"),
            ({"object_store": {"type": "s3", "region": "r"}}, "object_store.bucket"),
            ({"object_store": {"type": "ftp"}}, "'ftp'"),
            ({"object_store": {"data_dir": "/data"}}, "object_store.type"),
            ({"object_store": {"type": "local"}}, "object_store.data_dir"),
            ({"object_store": {"type": "gcs", "bucket": "b"}}, "not part of the stand-in"),
            ({"object_store": {"type": "memory"}}, "in-memory"),
            ({"catalog": {"type": "sqlite", "dsn": ":memory:"}}, "in-memory"),
            ({"catalog": {"type": "sqlite"}}, "catalog.dsn"),
            ({"catalog": {"type": "postgres", "dsn": "x"}}, "not part of the stand-in"),
            ({"catalog": {"type": "sqlite", "dsn": "x", "journal_mode": "Off"}}, "catalog.journal_mode"),
            ({"catalog": {"type": "sqlite", "dsn": "x", "journal_mode": False}}, "catalog.journal_mode"),
            ({"catalog": {"type": "sqlite", "dsn": "x", "read_only": "true"}}, "catalog.read_only"),
            ({"catalog": "sqlite"}, "catalog"),
            ({"frontend": {"http": {"bind_host": "localhost"}}}, "no IP"),
            ({"frontend": {"http": {"bind_port": 65536}}}, "frontend.http.bind_port"),
            ({"frontend": {"http": {"bind_port": "many"}}}, "frontend.http.bind_port"),
            ({"frontend": {"http": {"bind_port": -1}}}, "frontend.http.bind_port"),
            ({"frontend": {"http": {"read_access": "all"}}}, "frontend.http.read_access"),
            ({"frontend": {"http": {"write_access": HASH.upper()}}}, "frontend.http.write_access"),
            ({"frontend": {"http": {"upload_data_max_length": "big"}}}, "upload_data_max_length"),
            ({"frontend": {"http": {"cache_control": "a\nb"}}}, "cache_control"),
            ({"frontend": {"http": {}, "postgres": {}}}, "frontend.postgres"),
            ({"misc": {"gc_interval": 19}}, "misc.gc_interval"),
            ({"misc": {"gc_interval": -1}}, "misc.gc_interval"),
            ({"misc": {"object_store_cache": {"ttl": "soon"}}}, "misc.object_store_cache.ttl"),
            ({"runtime": {"max_memory": 63}}, "minimum 64"),
        ],
    )
    def test_what_the_original_refuses_is_refused(self, sections: dict[str, Any], says: str) -> None:
        with pytest.raises(Fatal, match=says) as failure:
            _settings(**sections)
        assert failure.value.exit_code == 101

    def test_read_only_cannot_come_from_the_environment(self) -> None:
        with pytest.raises(Fatal, match="read_only: invalid type: string, expected a boolean"):
            _settings({"SEAFOWL__CATALOG__READ_ONLY": "true"})

    def test_without_a_frontend_the_exit_code_is_255(self) -> None:
        with pytest.raises(Fatal) as failure:
            _settings(frontend={})
        assert failure.value.exit_code == 255

    def test_a_refused_secret_is_not_shown(self) -> None:
        with pytest.raises(Fatal) as failure:
            _settings(object_store={"type": "s3", "bucket": "b", "endpoint": "e", "secret_access_key": 987654321})
        assert "987654321" not in str(failure.value)

    @pytest.mark.parametrize("text", ["not toml", "a = "])
    def test_a_file_that_is_not_toml_is_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "seafowl.toml"
        file.write_text(text)
        with pytest.raises(Fatal, match="not TOML"):
            config.load(file, {})

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(Fatal, match="cannot read"):
            config.load(tmp_path / "none.toml", {})


class TestAccess:
    @pytest.mark.parametrize(
        ("policy", "header", "principal"),
        [
            (AccessPolicy("any", "any"), None, Principal.ANONYMOUS),
            (AccessPolicy("any", "off"), None, Principal.ANONYMOUS),
            (AccessPolicy("any", HASH), None, Principal.ANONYMOUS),
            (AccessPolicy("any", HASH), "Bearer open sesame", Principal.WRITER),
            (AccessPolicy(READ_HASH, HASH), "Bearer open sesame", Principal.WRITER),
            (AccessPolicy(READ_HASH, HASH), "Bearer just looking", Principal.READER),
            (AccessPolicy(READ_HASH, "off"), "Bearer just looking", Principal.READER),
        ],
    )
    def test_a_token_makes_its_sender(self, policy: AccessPolicy, header: str | None, principal: Principal) -> None:
        assert policy.principal(header) is principal

    @pytest.mark.parametrize(
        ("policy", "header", "status", "body"),
        [
            (AccessPolicy("any", "any"), "Bearer x", 400, "USELESS_ACCESS_TOKEN"),
            (AccessPolicy("any", "off"), "Bearer x", 400, "USELESS_ACCESS_TOKEN"),
            (AccessPolicy("any", HASH), "Bearer wrong", 401, "INVALID_ACCESS_TOKEN"),
            (AccessPolicy("any", HASH), f"Bearer {HASH}", 401, "INVALID_ACCESS_TOKEN"),
            (AccessPolicy("any", HASH), "Basic eDp5", 401, "INVALID_AUTHORIZATION_HEADER"),
            (AccessPolicy(READ_HASH, HASH), None, 401, "NEED_ACCESS_TOKEN"),
            (AccessPolicy(READ_HASH, "off"), None, 401, "NEED_ACCESS_TOKEN"),
        ],
    )
    def test_a_wrong_token_is_refused(self, policy: AccessPolicy, header: str | None, status: int, body: str) -> None:
        with pytest.raises(ApiError) as failure:
            policy.principal(header)
        assert (failure.value.status, failure.value.body) == (status, body)

    def test_who_may_do_what(self) -> None:
        closed = AccessPolicy(READ_HASH, HASH)
        assert closed.may_read(Principal.READER)
        assert not closed.may_write(Principal.READER)
        assert closed.may_write(Principal.WRITER)
        assert not closed.may_read(Principal.ANONYMOUS)
        assert AccessPolicy("any", "off").may_read(Principal.ANONYMOUS)
        assert not AccessPolicy("any", "off").may_write(Principal.ANONYMOUS)

    def test_a_policy_is_logged_without_its_hashes(self) -> None:
        assert str(AccessPolicy("any", HASH)) == "read any, write password"


class TestStatements:
    @pytest.mark.parametrize(
        ("sql", "texts"),
        [
            ("SELECT 1", ["SELECT 1"]),
            ("SELECT 1;", ["SELECT 1"]),
            (";; ;", []),
            ("-- nothing\n/* at /* all */ */", []),
            ("SELECT ';' ; SELECT 2", ["SELECT ';'", "SELECT 2"]),
            ("SELECT 'it''s; so' ; SELECT 2", ["SELECT 'it''s; so'", "SELECT 2"]),
            ('SELECT ";" FROM "a;""b"; SELECT 2', ['SELECT ";" FROM "a;""b"', "SELECT 2"]),
            ("SELECT 1 -- a; b\n; SELECT /* ; */ 2", ["SELECT 1", "SELECT /* ; */ 2"]),
            ("SELECT $$a;b$$; SELECT $q$;$$;$q$", ["SELECT $$a;b$$", "SELECT $q$;$$;$q$"]),
            ("SELECT 1 - -1; SELECT 4 / 2", ["SELECT 1 - -1", "SELECT 4 / 2"]),
        ],
    )
    def test_statements_are_split_where_they_end(self, sql: str, texts: list[str]) -> None:
        assert [statement.text for statement in parse(sql)] == texts

    @pytest.mark.parametrize("sql", ["SELECT 'a", 'SELECT "a', "SELECT 1 /* a /* b */", "SELECT $$a"])
    def test_what_does_not_end_is_an_error(self, sql: str) -> None:
        with pytest.raises(QueryError, match="TokenizerError"):
            parse(sql)

    @pytest.mark.parametrize(
        ("sql", "verb"),
        [
            ("select 1", Verb.QUERY),
            ("WITH a AS (SELECT 1) SELECT * FROM a", Verb.QUERY),
            ("VALUES (1)", Verb.QUERY),
            ("(SELECT 1) UNION (SELECT 2)", Verb.QUERY),
            ("EXPLAIN SELECT 1", Verb.EXPLAIN),
            ("EXPLAIN ANALYZE VERBOSE SELECT 1", Verb.EXPLAIN_ANALYZE),
            ("SHOW TABLES", Verb.SHOW_TABLES),
            ("SHOW COLUMNS FROM t", Verb.SHOW),
            ("DESCRIBE t", Verb.DESCRIBE),
            ("CREATE SCHEMA IF NOT EXISTS s", Verb.CREATE_SCHEMA),
            ("CREATE TABLE t (a INT)", Verb.CREATE_TABLE),
            ("CREATE TABLE t AS SELECT 1", Verb.CREATE_TABLE_AS),
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'http://a/b.csv'", Verb.CREATE_EXTERNAL_TABLE),
            ("INSERT INTO t VALUES (1)", Verb.INSERT),
            ("UPDATE t SET a = 1", Verb.UPDATE),
            ("DELETE FROM t", Verb.DELETE),
            ("TRUNCATE TABLE t", Verb.TRUNCATE),
            ("DROP TABLE t", Verb.DROP_TABLE),
            ("DROP SCHEMA s CASCADE", Verb.DROP_SCHEMA),
            ("ALTER TABLE t RENAME TO u", Verb.RENAME_TABLE),
            ("VACUUM TABLE t", Verb.VACUUM_TABLE),
            ("VACUUM DATABASE d", Verb.VACUUM_DATABASE),
        ],
    )
    def test_every_kind_of_statement_is_known(self, sql: str, verb: Verb) -> None:
        assert parse(sql)[0].verb is verb

    @pytest.mark.parametrize(
        ("sql", "named"),
        [
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
            ("CREATE FUNCTION f AS ''", "CREATE FUNCTION"),
            ("CREATE OR REPLACE TABLE t AS SELECT 1", "CREATE OR REPLACE TABLE"),
            ("CREATE TABLE t (a INT) WITH (b = 1)", "CREATE TABLE t"),
            ("DROP VIEW v", "DROP VIEW"),
            ("ALTER SCHEMA s RENAME TO t", "ALTER SCHEMA"),
            ("COPY t TO 'x'", "COPY"),
            ("SET a = 1", "SET"),
            ("SELECT 1 INTO t", "SELECT INTO"),
            ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", "EXPLAIN INSERT"),
            ("EXPLAIN DELETE FROM t", "EXPLAIN DELETE"),
        ],
    )
    def test_an_unsupported_statement_is_named(self, sql: str, named: str) -> None:
        with pytest.raises(QueryError, match=f"not implemented: Unsupported SQL statement: {named}"):
            parse(sql)

    @pytest.mark.parametrize(
        "sql", ["SELEC 1", "1", "CREATE TABLE", "DROP TABLE", "DROP TABLE a b", "UPDATE t", "INSERT INTO", "DELETE t"]
    )
    def test_what_is_no_statement_is_an_error(self, sql: str) -> None:
        with pytest.raises(QueryError, match="ParserError"):
            parse(sql)

    def test_names_are_lower_case_unless_quoted(self) -> None:
        assert parse('DROP TABLE Db."My ""T""".x')[0].target.parts == ("db", 'My "T"', "x")
        with pytest.raises(QueryError, match="compound identifier"):
            parse("DROP TABLE a.b.c.d")

    def test_the_parts_of_a_statement_are_found(self) -> None:
        create = parse("CREATE TABLE IF NOT EXISTS s.t AS\nSELECT 1")[0]
        assert (str(create.target), create.if_not_exists, create.body) == ("s.t", True, "SELECT 1")
        insert = parse("SELECT 1; INSERT INTO t (a, b) SELECT 1, 2")[1]
        assert (str(insert.target), insert.body.strip()) == ("t", "(a, b) SELECT 1, 2")
        delete = parse("DELETE FROM t WHERE a > 1")[0]
        assert delete.body == "a > 1"
        assert parse("DELETE FROM t")[0].body == ""
        assert parse("TRUNCATE t")[0].body == ""
        assert str(parse("ALTER TABLE a RENAME TO s.b")[0].renamed) == "s.b"
        external = parse("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'http://h/it''s.csv' OPTIONS ('a' 'b')")[0]
        assert external.file.text == "http://h/it's.csv"

    def test_an_update_is_split_outside_brackets_and_strings(self) -> None:
        text = "a = coalesce(b, 1), \"B\" = 'x, WHERE y' WHERE c IN (SELECT d FROM e WHERE f)"
        assert split_update(text) == (
            {"a": "coalesce(b, 1)", "B": "'x, WHERE y'"},
            "c IN (SELECT d FROM e WHERE f)",
        )
        assert split_update("A = 1") == ({"a": "1"}, None)

    @pytest.mark.parametrize("text", ["", "a", "a =", "a = 1,", "a = b FROM c", "t.a = 1"])
    def test_a_wrong_update_is_an_error(self, text: str) -> None:
        with pytest.raises(QueryError):
            split_update(text)

    def test_only_what_changes_nothing_may_run_on_a_reader(self) -> None:
        assert LOCAL >= READING
        assert Verb.CREATE_TABLE_AS not in LOCAL
        assert Verb.VACUUM_TABLE not in LOCAL
        assert {Verb.SHOW, Verb.DESCRIBE}.isdisjoint(READING), "the original asks for the right to write for these"

    def test_every_name_that_could_be_a_table_is_found(self) -> None:
        names = set(dotted_names(tokenize("SELECT a.b, x FROM \"S\".t JOIN d.s.u.v -- y\nWHERE c = 'z'")))
        assert {("a", "b"), ("S",), ("S", "t"), ("d", "s", "u"), ("x",)} <= names
        assert not names & {("b",), ("t",), ("z",), ("y",), ("d", "s", "u", "v")}


class TestRequests:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/healthz", [Route(Action.HEALTH)]),
            ("/readyz/", [Route(Action.HEALTH)]),
            ("/q", [Route(Action.EXECUTE)]),
            ("/q/", [Route(Action.EXECUTE)]),
            ("/other/q", [Route(Action.EXECUTE, "other")]),
            ("/q/abc", [Route(Action.READ, rest=("abc",))]),
            ("/q/SELECT%201%2F2", [Route(Action.READ, rest=("SELECT%201%2F2",))]),
            ("/other/q/abc", [Route(Action.READ, "other", ("abc",))]),
            ("/q/q", [Route(Action.READ, rest=("q",)), Route(Action.EXECUTE, "q")]),
            ("/upload/s/t", [Route(Action.UPLOAD, rest=("s", "t"))]),
            ("/other/upload/s/t", [Route(Action.UPLOAD, "other", ("s", "t"))]),
            ("/", []),
            ("/q/a/b", []),
            ("/upload/t", []),
        ],
    )
    def test_paths_lead_to_routes(self, path: str, expected: list[Route]) -> None:
        assert routes(path) == expected

    def test_a_query_is_checked_against_its_hash(self) -> None:
        query = "SELECT 'ä/b'"
        digest = sha256(query.encode()).hexdigest()
        assert query_to_read(digest, "SELECT%20%27%C3%A4%2Fb%27") == query
        assert query_to_read(f"{digest}.csv", "SELECT%20%27%C3%A4%2Fb%27") == query
        with pytest.raises(ApiError, match=f'Invalid hash: expected "{digest}", got "wrong"') as failure:
            query_to_read("wrong", "SELECT%20%27%C3%A4%2Fb%27")
        assert failure.value.status == 400

    def test_a_query_can_be_the_path_itself_up_to_a_dot(self) -> None:
        assert query_to_read("SELECT%201%2E5", None) == "SELECT 1.5"
        assert query_to_read("SELECT%201.5", None) == "SELECT 1"

    def test_a_query_that_is_not_utf8_is_refused(self) -> None:
        with pytest.raises(ApiError, match="QUERY_DECODE_ERROR"):
            query_to_read("%99", None)

    @pytest.mark.parametrize(
        ("body", "content_type", "query"),
        [
            (b'{"query": "SELECT 1"}', "application/json", "SELECT 1"),
            (b'{"query": "SELECT 1", "more": 1}', "application/json; charset=utf-8", "SELECT 1"),
            (b'{"query": "SELECT 1"}', None, "SELECT 1"),
            (b'{"query": "SELECT 1"}', "text/plain", None),
            (b'{"query": 1}', None, None),
            (b'["query"]', None, None),
            (b"SELECT 1", None, None),
            (b"\xff", None, None),
            (b"", None, None),
        ],
    )
    def test_only_a_json_body_has_a_query(self, body: bytes, content_type: str | None, query: str | None) -> None:
        assert query_in_body(body, content_type) == query

    def test_an_etag_depends_on_tables_and_versions_only(self) -> None:
        assert etag([("a", 1), ("b", 2)]) == etag([("b", 2), ("a", 1)])
        assert len({etag([]), etag([("a", 1)]), etag([("a", 2)]), etag([("b", 1)])}) == 4
        assert '"' not in etag([("a", 1)])

    def test_an_engines_error_loses_its_backtrace_and_colours(self) -> None:
        error = engine_error(Exception("External error: \x1b[31mno\x1b[0m such thing\n   0: <unknown>\n   1: x"))
        assert (error.status, error.body) == (400, "no such thing")


class TestPlans:
    """Plans as DataFusion prints them. What this does not prove: that it prints them so; tests in containers do."""

    @staticmethod
    def _plan(*lines: str) -> Node:
        return parse_plan("\n".join(lines))

    def test_tables_in_subqueries_of_expressions_are_not_found(self) -> None:
        plan = self._plan(
            "Projection: t.n, (<subquery>)",
            "  Subquery:",
            "    Aggregate: groupBy=[[]], aggr=[[max(u.n)]]",
            "      TableScan: u",
            "  Filter: t.n IN (<subquery>)",
            "    Subquery:",
            "      TableScan: v",
            "    TableScan: t",
        )
        assert list(scanned(plan)) == ["t"]

    def test_tables_that_rows_come_from_are_found(self) -> None:
        plan = self._plan(
            "Union",
            "  SubqueryAlias: c",
            "    TableScan: public.t",
            "  Inner Join:",
            "    TableScan: u",
            "    SubqueryAlias: x",
            "      Subquery:",
            "        TableScan: v",
        )
        assert list(scanned(plan)) == ["public.t", "u", "v"], "LATERAL is a source of rows, not an expression"

    def test_exists_over_a_delta_table_panics(self) -> None:
        lines = ("Filter: t.n > 1 AND NOT EXISTS (<subquery>)", "  Subquery:", "    TableScan: u", "  TableScan: t")
        with pytest.raises(EnginePanic):
            check_supported(self._plan(*lines), {"u"})
        check_supported(self._plan(*lines), {"other"})

    def test_having_with_a_scalar_subquery_is_refused(self) -> None:
        def having(condition: str) -> Node:
            return self._plan(
                f"Filter: {condition}", "  Subquery:", "    TableScan: u", "  Aggregate: x", "    TableScan: t"
            )

        with pytest.raises(QueryError, match="HAVING"):
            check_supported(having("count(*) < (<subquery>)"), {"t"})
        check_supported(having("t.n IN (<subquery>)"), {"t"})
        check_supported(having("count(*) < Int64(5)"), {"t"})


class TestTimeTravel:
    def test_a_name_with_a_string_in_brackets_is_found(self) -> None:
        sql = "SELECT f(1), upper('x') FROM \"S\".t('2026-01-02 03:04:05') AS u"
        found = list(versioned_names(tokenize(sql), 3))
        assert found[0].parts == ("upper",), "a function looks the same: no table has its name"
        assert found[1] == Versioned(("S", "t"), "2026-01-02 03:04:05", 29, len(sql) - 5)

    @pytest.mark.parametrize(
        "text",
        [
            "2026-01-02T03:04:05Z",
            "2026-01-02T05:04:05+02:00",
            "Fri, 02 Jan 2026 03:04:05 GMT",
            "2026-01-02 03:04:05 +0000",
            "2026-01-02 03:04:05",
        ],
    )
    def test_times_are_read_in_the_originals_forms(self, text: str) -> None:
        assert parse_time(text) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    @pytest.mark.parametrize("text", ["", "now", "2026", "2026-01-02", "2026-01-02T03:04:05"])
    def test_other_times_are_refused(self, text: str) -> None:
        with pytest.raises(QueryError, match="Failed to parse version"):
            parse_time(text)


def test_nothing_more_is_done_for_a_client_that_has_left() -> None:
    client = Client()
    client.check()
    client.leave()
    with pytest.raises(ClientGone):
        client.check()


def test_a_query_in_brackets_is_found_in_an_expression() -> None:
    assert has_subquery("n IN (SELECT 1)")
    assert has_subquery("n = ( /* x */ WITH c AS (VALUES (1)) SELECT * FROM c)")
    assert not has_subquery("n IN (1, 2) AND s = '(SELECT 1)'")


# What version 0.1.1 made.
OLD_CATALOG = f"""
    CREATE TABLE database (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE collection (id INTEGER PRIMARY KEY, name TEXT NOT NULL,
        database_id INTEGER NOT NULL REFERENCES database (id), UNIQUE (database_id, name));
    CREATE TABLE "table" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, uuid TEXT NOT NULL UNIQUE,
        collection_id INTEGER NOT NULL REFERENCES collection (id), UNIQUE (collection_id, name));
    CREATE TABLE table_version (table_id INTEGER NOT NULL REFERENCES "table" (id) ON DELETE CASCADE,
        version INTEGER NOT NULL, creation_time INTEGER NOT NULL DEFAULT (unixepoch()),
        PRIMARY KEY (table_id, version));
    CREATE TABLE dropped_table (uuid TEXT PRIMARY KEY, database_name TEXT NOT NULL, collection_name TEXT NOT NULL,
        table_name TEXT NOT NULL, drop_time INTEGER NOT NULL DEFAULT (unixepoch()));
    INSERT INTO database VALUES (1, 'default'), (2, 'other');
    INSERT INTO collection VALUES (1, 'public', 1), (2, 'empty', 1), (3, 'public', 2);
    INSERT INTO "table" VALUES (1, 't', '{FIRST}', 1), (2, 't', '{SECOND}', 3);
    INSERT INTO table_version VALUES (1, 0, 100), (1, 1, 101), (2, 0, 102);
    INSERT INTO dropped_table VALUES ('{THIRD}', 'other', 'public', 'gone', 103);
"""


def _tables(path: Path) -> set[str]:
    return {name for (name,) in sqlite3.connect(path).execute("SELECT name FROM sqlite_master")}


class TestCatalog:
    @staticmethod
    def _open(path: Path, mode: str, *, read_only: bool = False) -> Catalog:
        return Catalog(config.Catalog(str(path), mode, read_only))

    def test_a_reader_sees_what_the_writer_does(self, tmp_path: Path) -> None:
        writer = self._open(tmp_path / "c.sqlite", "delete")
        reader = self._open(tmp_path / "c.sqlite", "off", read_only=True)
        assert reader.tree() == {"default": {"public": {}}}
        writer.create_schema("default", "s")
        writer.create_table(TableRef("default", "s", "t"), FIRST, COLUMNS)
        assert reader.tree()["default"]["s"] == {"t": FIRST}
        writer.rename_table(TableRef("default", "s", "t"), TableRef("default", "public", "u"))
        assert reader.tree()["default"] == {"s": {}, "public": {"u": FIRST}}
        writer.drop_table(TableRef("default", "public", "u"))
        assert reader.tree()["default"]["public"] == {}
        assert reader.dropped() == [], "a dropped table leaves no note"
        writer.drop_schema("default", "s")
        assert reader.tree()["default"] == {"public": {}}

    def test_each_write_adds_a_version_with_copies_of_the_columns(self, tmp_path: Path) -> None:
        catalog = self._open(tmp_path / "c.sqlite", "delete")
        table = TableRef("default", "public", "t")
        catalog.create_table(table, FIRST, COLUMNS)
        for version in (1, 2):
            catalog.add_version(FIRST, version)
        file = sqlite3.connect(tmp_path / "c.sqlite")
        assert file.execute("SELECT version FROM table_version ORDER BY id").fetchall() == [(0,), (1,), (2,)]
        columns = "SELECT table_version_id, name, type FROM table_column ORDER BY id"
        assert file.execute(columns).fetchall() == [(version, *column) for version in (1, 2, 3) for column in COLUMNS]
        catalog.forget_versions(table)
        assert file.execute("SELECT version FROM table_version").fetchall() == [(2,)]
        assert file.execute(columns).fetchall() == [(3, *column) for column in COLUMNS], "columns go with their version"
        with pytest.raises(QueryError, match="doesn't exist"):
            catalog.add_version(SECOND, 1)

    def test_a_reader_sees_a_table_whose_version_is_not_there_yet(self, tmp_path: Path) -> None:
        writer = self._open(tmp_path / "c.sqlite", "delete")
        file = sqlite3.connect(tmp_path / "c.sqlite")
        # The first of CREATE TABLE's three commits.
        file.execute("INSERT INTO \"table\" (collection_id, name, uuid) VALUES (1, 't', ?)", (UUID(FIRST).bytes,))
        file.commit()
        assert writer.tree() == {"default": {"public": {"t": FIRST}}}

    def test_the_tables_are_the_originals(self, tmp_path: Path) -> None:
        """What its migrations for SQLite end in. Not proven: that the original opens the file."""
        self._open(tmp_path / "c.sqlite", "delete")
        file = sqlite3.connect(tmp_path / "c.sqlite")
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: [row[1] for row in file.execute(f'PRAGMA table_info("{name}")')] for name in tables}
        assert found == {
            "database": ["id", "name"],
            "collection": ["id", "database_id", "name"],
            "table": ["id", "collection_id", "name", "uuid"],
            "table_version": ["id", "table_id", "creation_time", "version"],
            "table_column": ["id", "table_version_id", "name", "type"],
            "function": [
                *("id", "database_id", "name", "entrypoint", "language"),
                *("input_types", "return_type", "data", "volatility"),
            ],
            "dropped_table": ["database_name", "collection_name", "table_name", "uuid", "deletion_status", "drop_time"],
            "_sqlx_migrations": ["version", "description", "installed_on", "success", "checksum", "execution_time"],
        }

    @pytest.mark.parametrize("mode", ["delete", "wal"])
    def test_a_writer_moves_the_catalog_of_an_earlier_version(self, tmp_path: Path, mode: str) -> None:
        path = tmp_path / "c.sqlite"
        file = sqlite3.connect(path)
        file.executescript(f"PRAGMA journal_mode = {mode};{OLD_CATALOG}")
        file.close()
        moved = {"default": {"public": {"t": FIRST}, "empty": {}}, "other": {"public": {"t": SECOND}}}
        assert self._open(path, "wal" if mode == "wal" else "off", read_only=True).tree() == moved, "a new reader waits"
        assert "table_column" not in _tables(path), "readers never migrate"
        writer = self._open(path, mode)
        assert writer.tree() == moved
        assert writer.dropped("other") == [(THIRD, "PENDING")]
        rows = sqlite3.connect(path).execute("SELECT table_id, version, creation_time FROM table_version").fetchall()
        assert rows == [(1, 0, 100), (1, 1, 101), (2, 0, 102)]
        writer.add_version(FIRST, 2)
        assert self._open(path, mode).tree() == moved, "it moves once"

    def test_a_reader_cannot_write(self, tmp_path: Path) -> None:
        self._open(tmp_path / "c.sqlite", "delete")
        reader = self._open(tmp_path / "c.sqlite", "off", read_only=True)
        with pytest.raises(QueryError, match="readonly"):
            reader.create_schema("default", "s")

    def test_names_are_taken_once(self, tmp_path: Path) -> None:
        catalog = self._open(tmp_path / "c.sqlite", "delete")
        catalog.create_table(TableRef("default", "public", "t"), FIRST, [])
        with pytest.raises(QueryError, match='Table "t" already exists'):
            catalog.create_table(TableRef("default", "public", "t"), SECOND, [])
        with pytest.raises(QueryError, match='Schema "public" already exists'):
            catalog.create_schema("default", "public")
        with pytest.raises(QueryError, match='Schema "none" doesn\'t exist'):
            catalog.create_table(TableRef("default", "none", "t"), SECOND, [])
        with pytest.raises(QueryError, match="CREATE EXTERNAL TABLE"):
            catalog.create_schema("default", "staging")
        catalog.create_database("default", missing_only=True)
        with pytest.raises(QueryError, match="already exists"):
            catalog.create_database("default", missing_only=False)

    def test_a_writer_keeps_its_catalog_and_changes_its_mode(self, tmp_path: Path) -> None:
        path = tmp_path / "c.sqlite"
        self._open(path, "delete").create_schema("default", "kept")
        assert "kept" in self._open(path, "wal").tree()["default"]
        assert path.read_bytes()[18:20] == b"\x02\x02"

    # What was seen with the original on LiteFS; the rows are the writer's modes.
    @pytest.mark.parametrize("reader", ["off", "delete", "memory", "wal"])
    @pytest.mark.parametrize("writer", ["delete", "truncate", "persist", "wal"])
    def test_a_reader_starts_only_where_its_mode_fits(self, tmp_path: Path, writer: str, reader: str) -> None:
        path = tmp_path / "c.sqlite"
        kept = self._open(path, writer)
        if (writer == "wal") == (reader == "wal"):
            assert self._open(path, reader, read_only=True).tree() == kept.tree()
        else:
            with pytest.raises(Fatal, match="wal") as failure:
                self._open(path, reader, read_only=True)
            assert failure.value.exit_code == 101

    @pytest.mark.parametrize("content", [None, b""])
    def test_a_reader_without_a_catalog_does_not_start(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "c.sqlite"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(Fatal, match="start readers after the writer") as failure:
            self._open(path, "off", read_only=True)
        assert failure.value.exit_code == 101
        assert path.exists() == (content is not None), "a reader makes no catalog"

    def test_a_reader_of_another_database_does_not_start(self, tmp_path: Path) -> None:
        path = tmp_path / "c.sqlite"
        sqlite3.connect(path).execute("CREATE TABLE something (else_ INTEGER)").connection.close()
        with pytest.raises(Fatal, match="no such table") as failure:
            self._open(path, "off", read_only=True)
        assert failure.value.exit_code == 101

    def test_a_writer_refuses_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        path = tmp_path / "c.sqlite"
        path.write_text("this is no database" * 100)
        with pytest.raises(Fatal, match="not a database"):
            self._open(path, "delete")
