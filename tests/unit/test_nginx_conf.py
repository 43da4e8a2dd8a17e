"""The rendered nginx.conf, parsed back: what must be in it, and what must not.

What this does not prove: how NGINX behaves with it (tests/e2e/test_routes.py runs the real one).
"""

import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from config import nginx_cache
from config.layout import (
    CERTIFICATE,
    INGRESS_PORT,
    INGRESS_PRIVATE_PORT,
    INGRESS_READERS_SOCKET,
    INGRESS_REDIRECT_PORT,
    NGINX_PROOF,
    SEAFOWL_PORT,
    WRITE_PORT,
)
from config.nginx import HEALTHY, RUNNING, answering, render_nginx_conf
from config.settings import Settings
from tests.unit.nginx_conf import Block, arguments, block, in_force, mapped, parsed, server

CACHED = ("~", "^(/[^/]+)?/q/.")
WRITES = ("^~", "/w/")
LEVELS = ["any", "token", "off"]
TLS = {"selfSigned": True}
FRESH_UNTIL = ["X-Accel-Expires", "$fresh_until", "always"]


def nginx(tmp_path: Path, access: dict[str, Any] | None = None, **ingress: Any) -> Block:
    """The directives of the rendered nginx.conf."""
    settings = Settings.model_validate({"ingress": ingress, "access": access or {}})
    return parsed(render_nginx_conf(settings.ingress, settings.access), tmp_path)


def public(conf: Block, *location: str) -> list[Block]:
    """The levels that a location of the public server inherits from, and the location itself."""
    serving = server(conf, INGRESS_PORT)
    return [block(conf, "http"), serving, *([block(serving, "location", *location)] if location else [])]


def everywhere(directives: Block, name: str) -> list[list[str]]:
    """The arguments of each directive of a name, at whatever depth."""
    inner = [found for item in directives for found in everywhere(item.get("block", []), name)]
    return [*arguments(directives, name), *inner]


def is_set(conf: Block, variable: str, looked_at: str) -> bool:
    """Whether a map that looks for one pattern gives the variable 1 for this text."""
    (pattern,) = (pattern for pattern, value in mapped(block(conf, "http"), variable).items() if value == "1")
    return re.search(pattern.removeprefix("~"), looked_at) is not None


# Who is asked


def test_writes_go_to_the_writer_and_never_a_second_time(tmp_path: Path) -> None:
    levels = public(nginx(tmp_path), *WRITES)
    assert in_force(levels, "proxy_pass") == ["http://writer$path_at_writer"]
    assert in_force(levels, "proxy_next_upstream") == ["error", "timeout"], "a write that was sent is no such error"
    assert arguments(levels[-1], "error_page") == [["502", "504", "=", "@writer_away"]]
    away = public(nginx(tmp_path), "@writer_away")[-1]
    assert everywhere(away, "proxy_pass") == [], "it would be sent again"


def test_the_writer_gets_the_path_as_the_client_sent_it(tmp_path: Path) -> None:
    pattern = next(iter(mapped(block(nginx(tmp_path), "http"), "$path_at_writer")))
    assert pattern.startswith("~")
    match = re.fullmatch(pattern[1:].replace("?<rest>", "?P<rest>"), "/w/q/SELECT%2F1?x=%20")
    assert match is not None
    assert match["rest"] == "/q/SELECT%2F1?x=%20", "decoded, %2F would change the query"
    assert re.fullmatch(pattern[1:].replace("?<rest>", "?P<rest>"), "/%77/q") is None


def test_a_path_that_only_decodes_to_a_write_is_refused(tmp_path: Path) -> None:
    writes = public(nginx(tmp_path), *WRITES)[-1]
    uploads = block(writes, "location", "~")
    for level in (writes, uploads):
        assert arguments(block(level, "if", "$path_at_writer", "=", ""), "return") == [["400"]]


def test_reads_go_to_the_readers_server_and_no_location_but_those_of_writes_to_the_writer(tmp_path: Path) -> None:
    conf = nginx(tmp_path)
    for location in (("/",), CACHED):
        assert in_force(public(conf, *location), "proxy_pass") == ["http://readers_server"]
    for item in server(conf, INGRESS_PORT):
        if item["directive"] == "location" and "/w/" not in item["args"][-1]:
            assert not any("writer" in args[0] for args in everywhere([item], "proxy_pass")), item["args"]
    assert not any("writer" in args[0] for args in everywhere(server(conf, INGRESS_READERS_SOCKET), "proxy_pass"))


def test_a_read_goes_to_another_reader_only_as_long_as_nobody_can_have_seen_it(tmp_path: Path) -> None:
    conf = nginx(tmp_path)
    levels = [
        block(conf, "http"),
        server(conf, INGRESS_READERS_SOCKET),
        block(server(conf, INGRESS_READERS_SOCKET), "location", "/"),
    ]
    assert in_force(levels, "proxy_pass") == ["http://readers"]
    assert in_force(levels, "proxy_next_upstream") == ["error", "timeout"], "non_idempotent would run it on all in turn"
    assert in_force(levels, "proxy_method") == ["$http_x_method"]
    for location in (("/",), CACHED):
        assert in_force(public(conf, *location), "proxy_method") == ["POST"], "NGINX repeats a GET as often as it likes"


@pytest.mark.parametrize(
    ("query", "request_uri", "cut"),
    [
        ("", "/q/SELECT%201.5", True),
        ("", "/db/q/SELECT%20*%20FROM%20public.t", True),
        ("", "/w/q/SELECT%201.5", True),
        ("", "/w/db/q/SELECT%201.5", True),
        ("", "/q/SELECT%201%2E5", False),
        ("", "/q/SELECT%201?v=1.5", False),
        ("SELECT%201.5", "/q/0a1b", False),
        ("SELECT%201.5", "/q/0a1b.csv", False),
        ("", "/w/upload/public/t.u", False),
        ("", "/q", False),
    ],
)
def test_a_query_of_which_seafowl_would_run_a_part_is_refused(
    tmp_path: Path, query: str, request_uri: str, cut: bool
) -> None:
    conf = nginx(tmp_path)
    assert is_set(conf, "$cut_short", f"{query} {request_uri}") is cut
    ((status, text),) = arguments(block(public(conf)[-1], "if", "$cut_short"), "return")
    assert status == "400"
    assert "%2E" in text


def test_a_silent_reader_gets_little_time_to_say_that_it_does_not_hang(tmp_path: Path) -> None:
    asked = block(server(nginx(tmp_path), INGRESS_READERS_SOCKET), "location", "=", "/does-it-hang")
    # One that hung all the time and wakes up meanwhile would make its query one that takes long: a read that fails.
    assert arguments(asked, "proxy_read_timeout") == [["100ms"]]


def test_a_query_that_failed_at_two_readers_is_asked_of_no_third(tmp_path: Path) -> None:
    conf = nginx(tmp_path)
    for location in ("@again", "@whoever"):
        again = block(server(conf, INGRESS_READERS_SOCKET), "location", location)
        assert arguments(block(again, "if", "$tried_twice"), "return") == [["502"]]


@pytest.mark.parametrize(
    ("connected", "twice"),
    [("0.001", False), ("-", False), ("", False), ("-, 0.001", False), ("0.001, 0.002", True), ("0.001 : 0.002", True)],
)
def test_two_readers_were_at_a_query_where_two_were_connected_to(tmp_path: Path, connected: str, twice: bool) -> None:
    assert is_set(nginx(tmp_path), "$tried_twice", connected) is twice


@pytest.mark.parametrize(
    ("status", "connected", "sent"),
    [
        ("504", "0.001", True),
        ("504", "-", False),
        ("502, 504", "-, 0.001", True),
        ("400 : 504, 504", "0.001 : -, 0.002", True),
        ("400 : 504", "0.001 : -", False),
        ("400", "0.001", False),
        ("504 : 400", "- : 0.001", False),
    ],
)
def test_a_query_takes_long_where_the_last_reader_took_it_and_was_silent(
    tmp_path: Path, status: str, connected: str, sent: bool
) -> None:
    assert is_set(nginx(tmp_path), "$was_sent", f"{status}; {connected}") is sent


@pytest.mark.parametrize("readers", range(1, 101))
def test_a_query_that_gets_400_is_asked_of_two_readers_that_are_not_the_same(tmp_path: Path, readers: int) -> None:
    conf = nginx(tmp_path)
    assert arguments(block(block(conf, "http"), "upstream", "reader_at_place"), "hash") == [["$place"]]
    asked: list[int] = []
    for location in ("@doubtful", "@still_doubtful"):
        doubtful = block(server(conf, INGRESS_READERS_SOCKET), "location", location)
        ((_, key),) = arguments(doubtful, "set")
        asked.append((zlib.crc32(key.encode()) >> 16 & 0x7FFF) % readers)  # as NGINX's hash without `consistent`
    assert asked == ([0, 0] if readers == 1 else [0, 1])


@pytest.mark.parametrize(
    ("upstream", "address"),
    [
        ("readers", f"seafowl-readers:{SEAFOWL_PORT}"),
        ("every_reader", f"seafowl-readers:{SEAFOWL_PORT}"),
        ("reader_at_place", f"seafowl-readers:{SEAFOWL_PORT}"),
        ("writer", f"seafowl-writers:{WRITE_PORT}"),
    ],
)
def test_upstreams_are_found_again_while_nginx_runs(tmp_path: Path, upstream: str, address: str) -> None:
    http = block(nginx(tmp_path), "http")
    (node,) = arguments(block(http, "upstream", upstream), "server")
    assert node[0] == address
    assert "resolve" in node
    assert arguments(block(http, "upstream", upstream), "zone"), "`resolve` needs it"
    assert arguments(http, "resolver")[0][0] == "127.0.0.11"


@pytest.mark.parametrize("upstream", ["writer", "every_reader"])
def test_one_failure_does_not_shut_the_only_one_out(tmp_path: Path, upstream: str) -> None:
    (node,) = arguments(block(block(nginx(tmp_path), "http"), "upstream", upstream), "server")
    assert "max_fails=0" in node


# Where it listens


def test_nginx_listens_where_the_container_publishes(tmp_path: Path) -> None:
    assert arguments(server(nginx(tmp_path, port=9999), INGRESS_PORT), "listen") == [[str(INGRESS_PORT)]], (
        "the host's port is Docker's matter"
    )


@pytest.mark.parametrize("ingress", [{}, {"tls": {**TLS, "redirectPort": 80}}])
def test_the_private_servers_listen_inside_the_container_alone(tmp_path: Path, ingress: dict[str, Any]) -> None:
    listens = {args[0] for args in everywhere(nginx(tmp_path, **ingress), "listen")}
    redirect = {str(INGRESS_REDIRECT_PORT)} if ingress else set[str]()
    private = {f"127.0.0.1:{INGRESS_PRIVATE_PORT}", f"unix:{INGRESS_READERS_SOCKET}"}
    assert listens == {str(INGRESS_PORT), *redirect, *private}


def test_the_commands_inside_the_container_ask_the_private_server_for_what_it_has(tmp_path: Path) -> None:
    private = server(nginx(tmp_path), INGRESS_PRIVATE_PORT)
    for command in (HEALTHY, RUNNING, answering("writer"), answering("reader")):
        match = re.search(rf"http://127\.0\.0\.1:{INGRESS_PRIVATE_PORT}(/\S+)", command)
        assert match is not None
        assert block(private, "location", "=", match[1])
    assert arguments(block(private, "location", "=", "/running"), "include") == [["/tmp/running.conf"]]


# TLS


def test_https_is_of_tls_1_2_and_1_3_alone(tmp_path: Path) -> None:
    conf = nginx(tmp_path, tls=TLS)
    serving = server(conf, INGRESS_PORT)
    assert arguments(serving, "listen") == [[str(INGRESS_PORT), "ssl"]]
    assert everywhere(conf, "ssl_protocols") == [["TLSv1.2", "TLSv1.3"]]
    assert in_force([serving], "ssl_certificate") == in_force([serving], "ssl_certificate_key") == [CERTIFICATE]


def test_without_tls_no_certificate_is_read(tmp_path: Path) -> None:
    conf = nginx(tmp_path)
    assert not [name for name in ("ssl_certificate", "ssl_certificate_key", "ssl_protocols") if everywhere(conf, name)]
    assert len(everywhere(conf, "listen")) == 3


def test_plain_http_to_the_port_of_https_is_sent_on_with_its_method_and_body(tmp_path: Path) -> None:
    pages = arguments(server(nginx(tmp_path, tls=TLS), INGRESS_PORT), "error_page")
    assert ["497", "=308", "https://$http_host$request_uri"] in pages


@pytest.mark.parametrize(("port", "expected"), [(443, "https://$host"), (8443, "https://$host:8443")])
def test_a_redirect_names_the_port_of_https_where_it_is_not_the_usual_one(
    tmp_path: Path, port: int, expected: str
) -> None:
    redirect = server(nginx(tmp_path, port=port, tls={**TLS, "redirectPort": 80}), INGRESS_REDIRECT_PORT)
    assert arguments(redirect, "return") == [["308", f"{expected}$request_uri"]]
    assert everywhere(redirect, "proxy_pass") == [], "nothing is served in clear text"


# Access


@pytest.mark.parametrize("write", LEVELS)
@pytest.mark.parametrize("read", LEVELS)
def test_a_credential_is_passed_only_where_access_says_token(tmp_path: Path, read: str, write: str) -> None:
    conf = nginx(tmp_path, access={"read": read, "write": write})
    passed = {True: "$http_authorization", False: ""}
    assert mapped(block(conf, "http"), "$credential") == {
        # The writer checks reads through /w/, too.
        "~^/w/": passed["token" in (read, write)],
        "default": passed[read == "token"],
    }
    headers = [args for args in everywhere(conf, "proxy_set_header") if args[0] == "Authorization"]
    assert headers == [["Authorization", "$credential"]], (
        "once, for all: Seafowl refuses a token that it has no use for"
    )


def test_no_location_drops_the_headers_that_all_inherit(tmp_path: Path) -> None:
    for item in server(nginx(tmp_path), INGRESS_PORT):
        if item["directive"] == "location":
            assert everywhere(item["block"], "proxy_set_header") == [], f"{item['args']} would pass the client's own"


def test_an_answer_from_the_cache_is_for_the_same_credential_alone(tmp_path: Path) -> None:
    for read in LEVELS:
        route = public(nginx(tmp_path, access={"read": read}), *CACHED)[-1]
        (key,) = arguments(route, "proxy_cache_key")
        assert "$credential" in key[0].split()
        assert "$http_x_seafowl_query" in key[0].split(), "the query itself, where the path only has its hash"


def test_an_answer_is_kept_for_those_who_might_read_when_it_was_made(tmp_path: Path) -> None:
    accesses = [{"read": "any"}, {"read": "token"}, {"read": "token", "tokenGeneration": 2}, {"read": "off"}]
    keys = [
        arguments(public(nginx(tmp_path, access=access), *CACHED)[-1], "proxy_cache_key")[0][0] for access in accesses
    ]
    assert len(set(keys)) == len(accesses), "with no token, or with an old one, a client would still get it"
    same = [public(nginx(tmp_path, access={"write": write}), *CACHED)[-1] for write in ("any", "token")]
    assert arguments(same[0], "proxy_cache_key") == arguments(same[1], "proxy_cache_key")


# Limits and timeouts


def test_without_limits_nobody_is_counted(tmp_path: Path) -> None:
    conf = nginx(tmp_path)
    assert not [
        name for name in ("limit_req", "limit_conn", "limit_req_zone", "limit_conn_zone") if everywhere(conf, name)
    ]


def test_limits_are_of_each_client_and_answer_429(tmp_path: Path) -> None:
    conf = nginx(tmp_path, limits={"requestsPerSecond": 5, "burst": 7, "connections": 3})
    http, serving = public(conf)
    assert arguments(http, "limit_req_zone") == [["$limited", "zone=requests:4m", "rate=5r/s"]]
    assert arguments(serving, "limit_req") == [["zone=requests", "burst=7", "nodelay"]]
    assert arguments(serving, "limit_conn") == [["connections", "3"]]
    assert arguments(serving, "limit_req_status") == arguments(serving, "limit_conn_status") == [["429"]]
    assert mapped(http, "$limited") == {"~^(/w)?/healthz$": "", "default": "$binary_remote_addr"}
    assert len(everywhere(conf, "limit_req")) == 1, "nobody is counted twice on the way through the readers' server"


@pytest.mark.parametrize(
    ("limits", "absent"),
    [({"requestsPerSecond": 5}, "limit_conn"), ({"connections": 3}, "limit_req")],
)
def test_a_limit_that_is_not_set_is_not_there(tmp_path: Path, limits: dict[str, int], absent: str) -> None:
    conf = nginx(tmp_path, limits=limits)
    assert everywhere(conf, absent) == everywhere(conf, f"{absent}_zone") == []


def test_a_second_s_requests_may_come_at_once(tmp_path: Path) -> None:
    serving = public(nginx(tmp_path, limits={"requestsPerSecond": 5}))[-1]
    assert arguments(serving, "limit_req") == [["zone=requests", "burst=5", "nodelay"]]


def test_uploads_and_writes_have_the_limit_of_the_config_and_queries_a_small_one(tmp_path: Path) -> None:
    conf = nginx(tmp_path, uploadLimit="3GiB")
    assert in_force(public(conf, *WRITES), "client_max_body_size") == ["3072m"]
    assert in_force(public(conf, "/"), "client_max_body_size") == ["16m"]
    assert in_force([server(conf, INGRESS_READERS_SOCKET)], "client_max_body_size") == ["0"], "judged once"


def test_the_writer_and_the_readers_have_timeouts_of_their_own(tmp_path: Path) -> None:
    conf = nginx(tmp_path, readTimeout="20s", writeTimeout="7m", retryInterval="3s")
    assert in_force(public(conf, *WRITES), "proxy_read_timeout") == ["420s"]
    http = block(conf, "http")
    assert in_force([http, server(conf, INGRESS_READERS_SOCKET)], "proxy_read_timeout") == ["20s"]
    for location in (("/",), CACHED):
        assert in_force(public(conf, *location), "proxy_read_timeout") == ["90s"], "four readers"
    (node,) = arguments(block(http, "upstream", "readers"), "server")
    assert "fail_timeout=3s" in node
    assert in_force([conf], "worker_shutdown_timeout") == ["420s"], "the longest request ends on the old configuration"


def test_a_wide_result_fits_into_nginxs_header_buffer(tmp_path: Path) -> None:
    (size,) = arguments(block(nginx(tmp_path), "http"), "proxy_buffer_size")
    assert int(size[0].removesuffix("k")) * 1024 >= 500 * 180, "180 bytes a column: 4k end at some 25"


# Cache


def policy(tmp_path: Path, **cache: str) -> dict[str, int]:
    """How long an answer of a GET may be kept; no other answer may."""
    policies = mapped(block(nginx(tmp_path, cache=cache), "http"), "$cache_policy")
    assert policies.pop("default") == "no-store"
    (kept,) = policies.items()
    assert kept[0] == "~^GET (200|304)$", "an error that is kept would outlast its cause"
    return {name: int(seconds) for name, _, seconds in (part.partition("=") for part in kept[1].split(", "))}


@pytest.mark.parametrize("seconds", [2, 5, 86400])
def test_an_answer_is_given_up_to_its_age_and_the_last_second_of_it_while_a_new_one_is_fetched(
    tmp_path: Path, seconds: int
) -> None:
    found = policy(tmp_path, ttl=f"{seconds}s")
    assert (found["max-age"], found["stale-while-revalidate"]) == (seconds - 1, 1)
    assert everywhere(nginx(tmp_path, cache={"ttl": f"{seconds}s"}), "add_header").count(FRESH_UNTIL) == 0


def test_with_a_ttl_of_a_second_an_answer_is_fresh_to_the_end_of_the_second_that_it_was_made_in(tmp_path: Path) -> None:
    found = policy(tmp_path, ttl="1s")
    assert "max-age" not in found, "NGINX keeps nothing for 0 seconds, and for 1 all that come at its end would ask"
    assert found["stale-while-revalidate"] == 1
    conf = nginx(tmp_path)
    http = block(conf, "http")
    assert mapped(http, "$fresh_until") == {"~^GET (200|304)$": "@$this_second", "default": ""}
    assert next(iter(mapped(http, "$this_second"))) == r"~^(?<second>\d+)"
    assert FRESH_UNTIL in arguments(server(conf, INGRESS_READERS_SOCKET), "add_header")


def test_the_head_of_an_answer_is_passed_on_before_its_body_is_there(tmp_path: Path) -> None:
    assert in_force([server(nginx(tmp_path), INGRESS_READERS_SOCKET)], "proxy_buffering") == ["off"], (
        "its age would count from its end"
    )


@pytest.mark.parametrize(("text", "kept"), [("30s", 30), ("1m", 60), ("0s", None)])
def test_an_old_answer_is_given_while_no_reader_answers_as_long_as_the_config_says(
    tmp_path: Path, text: str, kept: int | None
) -> None:
    assert policy(tmp_path, staleWhenDown=text).get("stale-if-error") == kept


def test_whatever_asks_a_reader_lets_an_answer_break_off_that_ends_with_an_error(tmp_path: Path) -> None:
    conf = nginx(tmp_path)
    assert everywhere(conf, "load_module") == [["modules/ngx_http_js_module.so"]]
    for location in ("/", "@again", "@whoever"):
        asking = block(server(conf, INGRESS_READERS_SOCKET), "location", location)
        assert arguments(asking, "js_body_filter") == [["answers.body", "buffer_type=buffer"]], location
        assert arguments(asking, "js_header_filter") == [["answers.head"]], location


def test_without_a_cache_njs_is_not_needed(tmp_path: Path) -> None:
    conf = nginx(tmp_path, cache={"ttl": "0s"})
    names = ("load_module", "js_import", "js_set", "js_var", "js_body_filter", "js_header_filter")
    assert not [name for name in names if everywhere(conf, name)]


def test_an_etag_is_passed_on_where_it_is_proven_to_tell_all_and_nowhere_without_a_cache(tmp_path: Path) -> None:
    conf = nginx(tmp_path)
    assert ["$lasting_etag", "proof.etag"] in arguments(block(conf, "http"), "js_set")
    readers = server(conf, INGRESS_READERS_SOCKET)
    assert ["ETag", "$lasting_etag", "always"] in arguments(readers, "add_header")
    inner = [item["block"] for item in readers if item["directive"] == "location"]
    assert not [args for location in inner for args in everywhere(location, "add_header")], "it would undo the server's"
    without = server(nginx(tmp_path, cache={"ttl": "0s"}), INGRESS_READERS_SOCKET)
    assert ["ETag"] in arguments(without, "proxy_hide_header")


def test_what_was_kept_by_another_proof_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> list[list[str]]:
        return arguments(public(nginx(tmp_path), *CACHED)[-1], "proxy_cache_key")

    before = key()
    monkeypatch.setitem(nginx_cache.SCRIPTS, NGINX_PROOF, "another proof")
    assert key() != before


def test_a_query_in_a_body_is_not_kept(tmp_path: Path) -> None:
    default = mapped(block(nginx(tmp_path), "http"), "$no_cache")["default"]
    assert default == "$content_length$http_transfer_encoding", "the key does not know it"


def test_a_cache_that_is_turned_off_keeps_nothing_and_has_no_place(tmp_path: Path) -> None:
    conf = nginx(tmp_path, cache={"ttl": "0s"})
    assert not [name for name in ("proxy_cache", "proxy_cache_path", "proxy_cache_key") if everywhere(conf, name)]
    assert mapped(block(conf, "http"), "$cache_policy") == {"default": "no-store"}


def test_the_cache_has_the_size_of_the_config(tmp_path: Path) -> None:
    (path,) = arguments(block(nginx(tmp_path, cache={"size": "2GiB"}), "http"), "proxy_cache_path")
    assert "max_size=2048m" in path


@pytest.mark.parametrize(
    ("request_of", "kept"),
    [
        ("/q/0a1b SELECT 1", True),
        ("/q/0a1b SELECT now() - ts FROM t", False),
        ("/q/0a1b SELECT%20NOW%28%29", False),
        ("/q/0a1b SELECT random()", False),
        ("/q/0a1b SELECT uuid()", False),
        ("/q/0a1b SELECT current_date", False),
        ("/q/0a1b SELECT CURRENT_TIMESTAMP", False),
        ("/q/0a1b SELECT known, randomness FROM t", True),
        ("/q/0a1b SELECT%20*%20FROM%20information_schema.tables", False),
        ("/q/0a1b SELECT * FROM system.table_versions", False),
        ("/q/0a1b SELECT * FROM STAGING.t", False),
        ("/q/0a1b SELECT%20*%20FROM%20%22staging%22.t", False),
        ("/q/0a1b SHOW%20TABLES", False),
        ("/q/0a1b %20describe t", False),
        ("/q/SHOW TABLES ", False),
        ("/db/q/0a1b EXPLAIN+SELECT 1", False),
        ("/q/0a1b SELECT a FROM t ORDER BY a DESC LIMIT 1", True),
        ("/q/0a1b SELECT * FROM shows JOIN staging_rows", True),
    ],
)
def test_what_depends_on_more_than_the_tables_rows_is_not_kept(tmp_path: Path, request_of: str, kept: bool) -> None:
    patterns = mapped(block(nginx(tmp_path), "http"), "$no_cache")
    bypassed = [pattern for pattern, value in patterns.items() if value == "1"]
    assert all(pattern.startswith("~*") for pattern in bypassed), "whatever the case"
    assert (not any(re.search(pattern[2:], request_of, re.IGNORECASE) for pattern in bypassed)) is kept
    route = public(nginx(tmp_path), *CACHED)[-1]
    assert arguments(route, "proxy_no_cache") == arguments(route, "proxy_cache_bypass") == [["$no_cache"]]


def test_all_of_it_at_once_has_no_unknown_directive_and_none_in_a_wrong_place(tmp_path: Path) -> None:
    nginx(
        tmp_path,
        access={"read": "token", "write": "token"},
        tls={**TLS, "redirectPort": 80},
        limits={"requestsPerSecond": 5, "burst": 7, "connections": 3},
        cache={"ttl": "5s", "staleWhenDown": "0s"},
        port=443,
    )
