"""nginx.conf of the ingress (NGINX 1.27.4 or newer): `/w/` goes to the writer, the rest to the readers.

Three servers, and a request's path through them:

- the **public** one has the routes, and what concerns the client: TLS, limits, the cache, the access log;
- **readers**, on a port of the container's own, knows which reader to ask, and which one next;
- **private**, on another, tells whoever is inside the container how the ingress is.

Its values are numbers and our own constants: nothing a user writes as free text gets into it.
"""

from datetime import timedelta

from config.durations import shown
from config.ingress_settings import AccessSettings, CacheSettings, IngressSettings
from config.layout import (
    CERTIFICATE,
    INGRESS_PORT,
    INGRESS_PRIVATE_PORT,
    INGRESS_READERS_PORT,
    INGRESS_REDIRECT_PORT,
    READERS_ALIAS,
    SEAFOWL_PORT,
    WRITE_PORT,
    WRITERS_ALIAS,
)
from config.lease_settings import LeaseType
from config.litefs import NodeRole
from config.sizes import whole_mib

_PRIVATE = f"http://127.0.0.1:{INGRESS_PRIVATE_PORT}"

HEALTHY = f"curl --fail --silent --output /dev/null {_PRIVATE}/alive"
"""Shell command inside the ingress that succeeds while NGINX runs."""

RUNNING = f"curl --silent {_PRIVATE}/running"
"""Shell command inside the ingress that prints what NGINX runs with (`config.ingress_start`)."""

_TAKES_LONG = 524
"""Status with which the readers' server tells the public one that a query took too long. Clients get 504 for it,
and 502 where no reader answered at all.
"""

_MAX_QUERY = "16m"
"""Largest body of a query to the readers."""


def answering(role: NodeRole) -> str:
    """Shell command inside the ingress that asks the writer or some reader, and prints its address as `X-Node`."""
    return f"curl --silent --output /dev/null --dump-header - {_PRIVATE}/answering/{role}"


def render_nginx_conf(ingress: IngressSettings, access: AccessSettings, lease: LeaseType = "static") -> str:
    """The whole nginx.conf, as text."""
    return f"""worker_processes auto;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
# Of a reload: requests of the old workers may end, but not for ever.
worker_shutdown_timeout {shown(max(ingress.read_timeout, ingress.write_timeout))};

events {{
    worker_connections 8192;
}}

http {{
    # `cache`: what the cache did; `upstream`: the node that answered, empty where the cache did.
    log_format json escape=json '{{"time":"$time_iso8601","id":"$id","client":"$remote_addr",'
        '"request":"$request_method $uri","status":"$status","bytes":"$body_bytes_sent","seconds":"$request_time",'
        '"cache":"$upstream_cache_status","upstream":"$node","upstream_status":"$upstream_status",'
        '"upstream_seconds":"$upstream_response_time"}}';
    access_log off;
    server_tokens off;
    client_body_temp_path /tmp/client_body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
{_cache_path(ingress.cache)}
    # A client that does not get on with its request is not waited for.
    client_header_timeout 10s;
    client_body_timeout 30s;
    reset_timedout_connection on;
    # Of a reload: a client may send its next request on a connection that it has open.
    keepalive_min_timeout 5s;
    # GET /q/<hash> carries the whole query in a header.
    large_client_header_buffers 8 64k;

    # Docker's own DNS: nodes come and go, and are found by their one name without a reload.
    resolver 127.0.0.11 valid=1s ipv6=off;

    upstream readers {{
        zone readers 64k;
        server {READERS_ALIAS}:{SEAFOWL_PORT} resolve max_fails=1 fail_timeout={shown(ingress.retry_interval)};
        keepalive 16;
    }}

    # The same, whatever they failed at: for when all of them did.
    upstream every_reader {{
        zone every_reader 64k;
        server {READERS_ALIAS}:{SEAFOWL_PORT} resolve max_fails=0;
        keepalive 4;
    }}

{_writer_upstream(lease)}

    upstream readers_server {{
        server 127.0.0.1:{INGRESS_READERS_PORT};
        keepalive 16;
    }}

    # The request's id: the client's own where it sent a plain one.
    map $http_x_request_id $id {{
        "~^[A-Za-z0-9._-]{{1,128}}$" $http_x_request_id;
        default $request_id;
    }}

    # The node that answered: named by the readers' server, or asked by the public one itself.
    map $upstream_http_x_node $answered_by {{
        "" $upstream_addr;
        default $upstream_http_x_node;
    }}
    map $upstream_cache_status $node {{
        "~^(HIT|STALE|UPDATING)$" "";
        default $answered_by;
    }}

    # Seafowl refuses a token where it has none to compare it with, so it gets one only where `access` says token.
    map $uri $credential {{
        "~^/w/" {_credential(access.write == "token" or access.read == "token")};
        default {_credential(access.read == "token")};
    }}

    # What the client sent behind /w, undecoded; empty where only a decoded or shortened path would match.
    map $request_uri $path_at_writer {{
        "~^/w(?<rest>/.*)$" $rest;
        default "";
    }}

    # Of a request that the writer did not answer: whether it can have seen it.
    map $upstream_connect_time $writer_status {{
        "~^[-, ]*$" 503;
        default 502;
    }}
    map $writer_status $retry_after {{
        503 1;
        default "";
    }}

    # Reads go to the readers' server as POST, whatever they are: NGINX takes a GET for one that may be repeated as
    # often as there are readers, and a query that brings its reader down must not bring all down.
    map $request_method $method {{
        HEAD GET;
        default $request_method;
    }}

    # Of a query that failed: whether two readers were at it.
    map $upstream_connect_time $tried_twice {{
        volatile;
        "~[0-9.]+ ?[,:] ?[0-9.]+" 1;
        default "";
    }}
    # Of one that got no answer in time: whether the last reader took the connection.
    map $upstream_connect_time $was_sent {{
        volatile;
        "~[0-9.]+$" 1;
        default "";
    }}
    map $upstream_addr $last_asked {{
        "~(?<address>[^ ,]+)$" $address;
    }}
{_cache_maps(ingress.cache)}{_limit_zones(ingress)}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Request-Id $id;
    proxy_set_header X-Method $method;
    proxy_set_header Authorization $credential;
    # The address of a node that is gone neither answers nor refuses.
    proxy_connect_timeout 1s;
    proxy_read_timeout {shown(ingress.read_timeout)};
    proxy_send_timeout {shown(ingress.read_timeout)};
    # Seafowl sends the schema of a result in a header, about 180 bytes a column.
    proxy_buffer_size 128k;
    proxy_buffers 8 128k;
    proxy_busy_buffers_size 256k;
    proxy_next_upstream off;
    recursive_error_pages on;

    # public: the routes
    server {{
        {_listen(ingress)}
        access_log /dev/stdout json;
        client_max_body_size {_MAX_QUERY};
        add_header X-Request-Id $id always;
        # What HTTP knows and this server does not: a mistake of the client all the same.
        error_page 501 =400 @not_understood;
{_limits(ingress)}
        # Writes: to the writer, under the path as the client sent it (a decoded %2F would change an encoded query),
        # and never a second time: nobody knows whether the first one was executed.
        location ^~ /w/ {{
            client_max_body_size {whole_mib(ingress.upload_limit)}m;
            proxy_read_timeout {shown(ingress.write_timeout)};
            proxy_send_timeout {shown(ingress.write_timeout)};
            {_NEXT_CANDIDATE[lease]}
            error_page 502 504 = @writer_away;
            if ($path_at_writer = "") {{
                return 400;
            }}
            proxy_pass http://writer$path_at_writer;

            # Uploads: straight through, without a copy on the ingress's disk.
            location ~ ^/w/([^/]+/)?upload/ {{
                proxy_request_buffering off;
                if ($path_at_writer = "") {{
                    return 400;
                }}
                proxy_pass http://writer$path_at_writer;
            }}
        }}

        location = /w/healthz {{
            access_log off;
            proxy_pass http://writer/healthz;
            {_NEXT_CANDIDATE[lease]}
            proxy_read_timeout 2s;
            error_page 502 504 =503 @writer_away;
        }}

        location @writer_away {{
            add_header X-Request-Id $id always;
            add_header Retry-After $retry_after always;
            default_type text/plain;
            if ($retry_after) {{
                return 503 "The writer is away. Nothing was sent to it: try again.\\n";
            }}
            return 502 "The writer did not answer. Whether it executed the request is not known.\\n";
        }}
{_cached_route(ingress)}
        location = /healthz {{
            access_log off;
            proxy_pass http://readers_server;
            proxy_hide_header X-Node;
            proxy_intercept_errors on;
            error_page 500 502 504 =503 @no_reader;
        }}

        location @no_reader {{
            default_type text/plain;
            return 503 "No reader answers.\\n";
        }}

        location @no_answer {{
            default_type text/plain;
            return 502 "No reader answered the query.\\n";
        }}

        location @takes_long {{
            default_type text/plain;
            return 504 "The query took longer than {shown(ingress.read_timeout)} (ingress.readTimeout).\\n";
        }}

        location @not_understood {{
            return 400;
        }}

        # Everything else: to a reader.
        location / {{
            proxy_pass http://readers_server;
            proxy_method POST;
            proxy_request_buffering off;
            proxy_read_timeout {_whole_read(ingress)};
            proxy_hide_header X-Node;
            proxy_intercept_errors on;
            error_page {_TAKES_LONG} = @takes_long;
            error_page 502 504 = @no_answer;
        }}
    }}
{_redirect_server(ingress)}
    # readers: to any of them, and to another one where the first does not answer (they only read)
    server {{
        listen 127.0.0.1:{INGRESS_READERS_PORT};
        client_max_body_size 0;
        proxy_method $http_x_method;
        # As long as nothing was sent: to the next one.
        proxy_next_upstream error timeout;
        proxy_next_upstream_timeout 5s;
        add_header X-Node $upstream_addr always;
        proxy_hide_header Cache-Control;
        add_header Cache-Control $cache_policy always;

        location / {{
            proxy_pass http://readers;
            error_page 502 = @again;
            error_page 504 = @timed_out;
        }}

        # No answer in time. Either the query takes long, then it must not be run on every reader in turn,
        # or the reader hangs: then it does not answer this either.
        location @timed_out {{
            set $silent $last_asked;
            auth_request /does-it-hang;
            error_page 500 = @again;
            try_files /nothing ={_TAKES_LONG}; # not `return`, which does not wait for the question's answer
        }}

        location = /does-it-hang {{
            internal;
            proxy_pass http://$silent/healthz;
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_read_timeout 1s;
        }}

        # NGINX gives a request up when the list of readers changes under it, too: once more, with the list of now.
        location @again {{
            if ($tried_twice) {{
                return 502;
            }}
            proxy_pass http://readers;
            error_page 502 = @whoever;
            error_page 504 = @no_answer;
        }}

        location @whoever {{
            if ($tried_twice) {{
                return 502;
            }}
            proxy_pass http://every_reader;
            error_page 502 = @nobody;
            error_page 504 = @no_answer;
        }}

        location @no_answer {{
            if ($was_sent) {{
                return {_TAKES_LONG};
            }}
            return 444;
        }}

        # Not a status, but a connection that breaks off: only then does the cache give an old answer (stale-if-error).
        location @nobody {{
            return 444;
        }}

        # Whether any reader answers. One that does not is left alone for a while by queries, too.
        location = /healthz {{
            proxy_pass http://readers;
            proxy_read_timeout 1s;
            proxy_next_upstream error timeout non_idempotent;
            error_page 502 504 = @any_health;
        }}

        location @any_health {{
            proxy_pass http://every_reader;
            proxy_read_timeout 1s;
            proxy_next_upstream error timeout non_idempotent;
        }}
    }}

    # private: for whoever is inside this container
    server {{
        listen 127.0.0.1:{INGRESS_PRIVATE_PORT};

        location = /alive {{
            return 204;
        }}

        location = /status {{
            stub_status;
        }}

        # What NGINX runs with: written by the start script at each reload.
        location = /running {{
            default_type text/plain;
            include /tmp/running.conf;
        }}

        # Which node answers: to see that the nodes of now are reached.
        location = /answering/reader {{
            proxy_pass http://readers/healthz;
            add_header X-Node $upstream_addr;
        }}
        location = /answering/writer {{
            proxy_pass http://writer/healthz;
            {_NEXT_CANDIDATE[lease]}
            add_header X-Node $upstream_addr;
        }}
    }}
}}
"""


_NEXT_CANDIDATE: dict[LeaseType, str] = {
    "static": "proxy_next_upstream off;",
    # Only the primary takes a connection; what was sent to it is a POST, which NGINX sends to nobody else.
    "consul": "proxy_next_upstream error timeout;",
}


def _writer_upstream(lease: LeaseType) -> str:
    # Without connections that stay open to a candidate's write port: they would outlive its being the primary.
    port, kept = (SEAFOWL_PORT, "\n        keepalive 16;") if lease == "static" else (WRITE_PORT, "")
    return f"""    upstream writer {{
        zone writer 64k;
        server {WRITERS_ALIAS}:{port} resolve max_fails=0;{kept}
    }}
"""


def _credential(passed: bool) -> str:
    return "$http_authorization" if passed else '""'


def _whole_read(ingress: IngressSettings) -> str:
    """Longer than two readers and the question between them take: the readers' server decides, not its client."""
    return shown(2 * ingress.read_timeout + timedelta(seconds=10))


def _listen(ingress: IngressSettings) -> str:
    if ingress.tls is None:
        return f"listen {INGRESS_PORT};"
    return f"""listen {INGRESS_PORT} ssl;
        ssl_certificate {CERTIFICATE};
        ssl_certificate_key {CERTIFICATE};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:1m;
        # Plain HTTP to this port: on to HTTPS, with the same method and body.
        error_page 497 =308 https://$http_host$request_uri;"""


def _redirect_server(ingress: IngressSettings) -> str:
    if ingress.tls is None or ingress.tls.redirect_port is None:
        return ""
    port = "" if ingress.port == 443 else f":{ingress.port}"  # noqa: PLR2004 (HTTPS's own)
    return f"""
    # public, plain HTTP: on to HTTPS
    server {{
        listen {INGRESS_REDIRECT_PORT};
        access_log /dev/stdout json;
        return 308 https://$host{port}$request_uri;
    }}
"""


def _cache_path(cache: CacheSettings) -> str:
    if not cache.ttl:
        return ""
    return f"""    # Kept an hour after the last visit, so that Seafowl is asked only whether an old answer still holds.
    proxy_cache_path /tmp/cache levels=1:2 keys_zone=queries:8m max_size={whole_mib(cache.size)}m inactive=1h
        use_temp_path=off;
"""


def _cache_maps(cache: CacheSettings) -> str:
    if not cache.ttl:
        policy = '        default "no-store";'
    else:
        kept = ", ".join([*_fresh(_seconds(cache.ttl)), *_stale(_seconds(cache.stale_when_down))])
        policy = f'        "~^GET (200|304)$" "{kept}";\n        default "no-store";'
    return f"""
    # How long which answers may be kept: by the public server, which reads this header. No error is.
    map "$http_x_method $status" $cache_policy {{
{policy}
    }}

    # Seafowl's ETag knows the tables, not the clock: an answer that depends on it would hold for ever.
    map "$uri $http_x_seafowl_query" $no_cache {{
        "~*(now|today|random|uuid)(\\s|%20|%09|%0A|\\+)*(\\(|%28)|current_(date|time)|localtime" 1;
        default $content_length;
    }}
"""


def _fresh(ttl: int) -> list[str]:
    """Cache-Control of an answer that may get `ttl` seconds old, and one more while it is asked for anew.

    NGINX counts in whole seconds, so what is kept for a second may be given for almost two.
    """
    return ["max-age=1"] if ttl == 1 else [f"max-age={ttl - 1}", "stale-while-revalidate=1"]


def _stale(seconds: int) -> list[str]:
    return [f"stale-if-error={seconds}"] if seconds else []


def _cached_route(ingress: IngressSettings) -> str:
    if not ingress.cache.ttl:
        return ""
    timeout = _whole_read(ingress)
    return f"""
        # Repeated queries, GET /q/<hash or SQL>: from the cache, each client's answer under its own credential.
        location ~ ^(/[^/]+)?/q/. {{
            proxy_pass http://readers_server;
            proxy_method POST;
            proxy_read_timeout {timeout};
            proxy_cache queries;
            proxy_cache_key "$credential $http_x_seafowl_query $http_origin $request_uri";
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
            error_page {_TAKES_LONG} = @takes_long;
            error_page 502 504 = @no_answer;
            # Caches further on must ask: NGINX answers them with 304.
            proxy_hide_header Cache-Control;
            add_header Cache-Control no-cache always;
            add_header X-Cache $upstream_cache_status always;
            add_header X-Request-Id $id always;
        }}
"""


def _limit_zones(ingress: IngressSettings) -> str:
    limits = ingress.limits
    if limits.requests_per_second is None and limits.connections is None:
        return ""
    lines = [
        "",
        "    # Who is limited: each client by its address, but not whoever asks for our health.",
        "    map $uri $limited {",
        '        "~^(/w)?/healthz$" "";',
        "        default $binary_remote_addr;",
        "    }",
    ]
    if limits.requests_per_second is not None:
        lines.append(f"    limit_req_zone $limited zone=requests:4m rate={limits.requests_per_second}r/s;")
    if limits.connections is not None:
        lines.append("    limit_conn_zone $limited zone=connections:4m;")
    return "\n".join(lines) + "\n"


def _limits(ingress: IngressSettings) -> str:
    limits = ingress.limits
    lines: list[str] = []
    if limits.requests_per_second is not None:
        burst = f" burst={limits.burst} nodelay" if limits.burst is not None else ""
        lines += [f"        limit_req zone=requests{burst};", "        limit_req_status 429;"]
    if limits.connections is not None:
        lines += [f"        limit_conn connections {limits.connections};", "        limit_conn_status 429;"]
    return "".join(f"{line}\n" for line in lines)


def _seconds(time: timedelta) -> int:
    return time // timedelta(seconds=1)
