"""nginx.conf of the ingress (NGINX 1.27.4 or newer): `/w/` goes to the writer, the rest to the readers.

Three servers, and a request's path through them:

- the **public** one has the routes, and what concerns the client: TLS, limits, the cache, the access log;
- **readers**, on a socket of the container's own, knows which reader to ask, and which one next;
- **private**, on a port of its own, tells whoever is inside the container how the ingress is.

Its values are numbers and our own constants: nothing a user writes as free text gets into it.
"""

from config import nginx_cache, nginx_clients, nginx_readers, nginx_writer
from config.durations import shown
from config.ingress_settings import AccessSettings, IngressSettings
from config.layout import INGRESS_PRIVATE_PORT, INGRESS_READERS_SOCKET
from config.litefs import NodeRole
from config.nginx_readers import TAKES_LONG, whole_read
from config.nginx_writer import NEXT_CANDIDATE

_PRIVATE = f"http://127.0.0.1:{INGRESS_PRIVATE_PORT}"

HEALTHY = f"curl --fail --silent --output /dev/null {_PRIVATE}/alive"
"""Shell command inside the ingress that succeeds while NGINX runs."""

RUNNING = f"curl --silent {_PRIVATE}/running"
"""Shell command inside the ingress that prints what NGINX runs with (`config.ingress_start`)."""

_CUT_SHORT = (
    "Seafowl reads a query in the path up to its first dot: send the query in X-Seafowl-Query, and its SHA-256 in the "
    "path, or write each dot as %2E."
)
_MAX_QUERY = "16m"
"""Largest body of a query to the readers."""


def answering(role: NodeRole) -> str:
    """Shell command inside the ingress that asks the writer or some reader, and prints its address as `X-Node`."""
    return f"curl --silent --output /dev/null --dump-header - {_PRIVATE}/answering/{role}"


def render_nginx_conf(ingress: IngressSettings, access: AccessSettings) -> str:
    """The whole nginx.conf, as text."""
    readers = nginx_readers.server(nginx_cache.headers(ingress.cache), nginx_cache.checked(ingress.cache))
    return f"""{nginx_cache.modules(ingress.cache)}pid /tmp/nginx.pid;
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
{nginx_cache.path(ingress.cache)}
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
{nginx_readers.upstreams(ingress)}{nginx_writer.UPSTREAM}
    upstream readers_server {{
        server unix:{INGRESS_READERS_SOCKET};
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
{nginx_writer.MAPS}{nginx_readers.MAPS}{nginx_cache.maps(ingress.cache)}{nginx_clients.limit_zones(ingress)}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Request-Id $id;
    proxy_set_header X-Method $method;
    proxy_set_header Authorization $credential;
    # For the writer's gate: how long a write may wait for its tables.
    proxy_set_header X-Seconds-To-Wait {nginx_writer.seconds_to_wait(ingress)};
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
        {nginx_clients.listen(ingress)}
        # In pieces that a pipe takes whole: lines of two workers must not mix.
        access_log /dev/stdout json buffer=4k flush=1s;
        client_max_body_size {_MAX_QUERY};
        add_header X-Request-Id $id always;
        # What HTTP knows and this server does not: a mistake of the client all the same.
        error_page 501 =400 @not_understood;
        if ($cut_short) {{
            return 400 "{_CUT_SHORT}\\n";
        }}
{nginx_clients.limits(ingress)}{nginx_writer.routes(ingress)}{nginx_cache.route(ingress, access)}
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
            proxy_read_timeout {whole_read(ingress)};
            proxy_hide_header X-Node;
            proxy_intercept_errors on;
            error_page {TAKES_LONG} = @takes_long;
            error_page 502 504 = @no_answer;
        }}
    }}
{nginx_clients.redirect_server(ingress)}{readers}
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
            {NEXT_CANDIDATE}
            add_header X-Node $upstream_addr;
        }}
    }}
}}
"""


def _credential(passed: bool) -> str:
    return "$http_authorization" if passed else '""'
