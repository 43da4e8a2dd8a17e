"""nginx.conf, the cache of repeated queries: what is kept, for how long, and under which key."""

import hashlib
from datetime import timedelta
from pathlib import Path

from config.ingress_settings import AccessSettings, CacheSettings, IngressSettings
from config.layout import NGINX_ANSWERS, NGINX_PROOF
from config.nginx_readers import TAKES_LONG, whole_read
from config.sizes import whole_mib

SCRIPTS = {path: Path(__file__).with_name(path.rpartition("/")[2]).read_text() for path in (NGINX_ANSWERS, NGINX_PROOF)}
"""Path → text of what NGINX runs with njs, in the order in which it is part of the configuration's fingerprint.

answers.js lets an answer break off that ends with an error, so that it is not kept. proof.js takes the ETag from an
answer whose ETag does not tell all.
"""


def modules(cache: CacheSettings) -> str:
    """What NGINX must load."""
    return "load_module modules/ngx_http_js_module.so;\n" if cache.ttl else ""


def path(cache: CacheSettings) -> str:
    """Where answers are kept."""
    if not cache.ttl:
        return ""
    return f"""    # Kept an hour after the last visit, so that Seafowl is asked only whether an old answer still holds.
    proxy_cache_path /tmp/cache levels=1:2 keys_zone=queries:8m max_size={whole_mib(cache.size)}m inactive=1h
        use_temp_path=off;
    js_import answers from {NGINX_ANSWERS};
    js_import proof from {NGINX_PROOF};
    js_var $line;
    # Empty where the ETag does not tell all: such an answer is kept for the ttl only, and then fetched anew.
    js_set $lasting_etag proof.etag;
"""


def maps(cache: CacheSettings) -> str:
    """Which answers are kept, and for how long."""
    if not cache.ttl:
        policy = '        default "no-store";'
    else:
        kept = ", ".join([*_fresh(_seconds(cache.ttl)), *_stale(_seconds(cache.stale_when_down))])
        policy = f'        "~^GET (200|304)$" "{kept}";\n        default "no-store";'
    return f"""
    # How long which answers may be kept: by the public server, which reads these headers. No error is.
    map "$http_x_method $status" $cache_policy {{
{policy}
    }}
{_this_second(cache)}
    # Answers that are another one each time, or are asked for to see what is so now, are not kept. A pattern does not
    # find all of them (an encoded letter is enough): what it misses is kept as any answer without an ETag that tells
    # all, for the ttl. It is asked of each visit, and costs less than njs would.
    map "$uri $http_x_seafowl_query" $no_cache {{
        "~*(now|today|random|uuid)(\\s|%20|%09|%0A|\\+)*(\\(|%28)|current_(date|time)|localtime" 1;
        "~*information_schema|table_versions|dropped_tables|staging(\\x22|%22)?(\\.|%2E)" 1;
        "~*^[^ ]*(/q/| )(\\s|%20|%09|%0A|\\+)*(show|describe|desc|explain)(\\s|%20|%09|%0A|\\+)" 1;
        default "$content_length$http_transfer_encoding"; # a query in the body goes before any other
    }}
"""


def _fresh(ttl: int) -> list[str]:
    """Cache-Control of an answer that may get `ttl` seconds old, and one more while one visitor's request asks anew.

    NGINX counts in whole seconds, so what is fresh for a second may be given for almost two. And for no seconds it
    keeps nothing: an answer that is fresh to the end of this very second says so in another header (`$fresh_until`).
    """
    return [*([f"max-age={ttl - 1}"] if ttl > 1 else []), "stale-while-revalidate=1"]


def _this_second(cache: CacheSettings) -> str:
    if _seconds(cache.ttl) != 1:
        return ""
    return r"""
    # With a ttl of a second: until when they are fresh. For one more second one request at a time asks anew, while all
    # get the old answer: were it fresh for a whole second, all that come at its end would have to ask, and to wait.
    map $msec $this_second {
        "~^(?<second>\d+)" $second;
    }
    map "$http_x_method $status" $fresh_until {
        "~^GET (200|304)$" "@$this_second";
        default "";
    }
"""


def checked(cache: CacheSettings) -> str:
    """What a location of the readers' server needs so that no error is kept as a result."""
    if not cache.ttl:
        return ""
    return """
            js_header_filter answers.head;
            js_body_filter answers.body buffer_type=buffer;"""


def headers(cache: CacheSettings) -> str:
    """What the readers' server tells the public one of each answer: how long it may be kept, and its ETag.

    Without a cache there is no ETag at all: nothing would tell a client what it does not know.
    """
    if not cache.ttl:
        return "add_header Cache-Control $cache_policy always;\n        proxy_hide_header ETag;"
    until = "\n        add_header X-Accel-Expires $fresh_until always;" if _seconds(cache.ttl) == 1 else ""
    etag = "\n        add_header ETag $lasting_etag always;"
    return f"add_header Cache-Control $cache_policy always;{until}{etag}"


def _stale(seconds: int) -> list[str]:
    return [f"stale-if-error={seconds}"] if seconds else []


def _kept_for(access: AccessSettings) -> str:
    """Words that are other ones where what was kept was for others than those who may read now, or has an ETag by
    another proof.
    """
    rights = f"token{access.token_generation}" if access.read == "token" else access.read
    proof = hashlib.sha256(SCRIPTS[NGINX_PROOF].encode()).hexdigest()
    return f"{proof[:8]} {rights}"


def route(ingress: IngressSettings, access: AccessSettings) -> str:
    """The public server's location of repeated queries."""
    if not ingress.cache.ttl:
        return ""
    timeout = whole_read(ingress)
    return f"""
        # Repeated queries, GET /q/<hash or SQL>: from the cache, each client's answer under its own credential.
        location ~ ^(/[^/]+)?/q/. {{
            proxy_pass http://readers_server;
            proxy_method POST;
            proxy_read_timeout {timeout};
            proxy_cache queries;
            open_file_cache max=1000;
            proxy_cache_key "{_kept_for(access)} $credential $http_x_seafowl_query $http_origin $request_uri";
            proxy_ignore_headers Vary;
            proxy_cache_revalidate on;
            proxy_cache_background_update on;
            # One visitor of a new query fetches the answer, the others wait for it.
            proxy_cache_lock on;
            proxy_cache_lock_timeout {timeout};
            proxy_cache_lock_age {timeout};
            proxy_cache_bypass $no_cache;
            proxy_no_cache $no_cache;
            proxy_hide_header X-Node;
            proxy_intercept_errors on;
            error_page {TAKES_LONG} = @takes_long;
            error_page 502 504 = @no_answer;
            # Caches further on must ask: NGINX answers them with 304.
            proxy_hide_header Cache-Control;
            add_header Cache-Control no-cache always;
            add_header X-Cache $upstream_cache_status always;
            add_header X-Request-Id $id always;
        }}
"""


def _seconds(time: timedelta) -> int:
    return time // timedelta(seconds=1)
