"""nginx.conf of the ingress: `/w/` goes to the writer, the rest to the readers (NGINX 1.27.3 or newer).

Its values are numbers and our own constants: nothing a user writes as free text gets into it.
"""

from config.layout import INGRESS_PORT, READERS_ALIAS, SEAFOWL_PORT, WRITERS_ALIAS
from config.litefs import NodeRole
from config.settings import IngressSettings
from config.sizes import whole_mib

HEALTHY = f"curl --fail --silent --output /dev/null http://127.0.0.1:{INGRESS_PORT}/ingress/healthz"


def answering(role: NodeRole) -> str:
    """Shell command inside the ingress that asks the writer or some reader, and prints its address as `X-Upstream`."""
    return f"curl --silent --output /dev/null --dump-header - http://127.0.0.1:{INGRESS_PORT}/ingress/answering/{role}"


def render_nginx_conf(ingress: IngressSettings) -> str:
    """The whole nginx.conf, as text."""
    return f"""worker_processes auto;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;

events {{
    worker_connections 4096;
}}

http {{
    log_format json escape=json '{{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr",'
        '"request":"$request_method $uri","status":"$status","bytes":"$body_bytes_sent","seconds":"$request_time",'
        '"upstream":"$upstream_addr","upstream_status":"$upstream_status"}}';
    access_log /dev/stdout json;
    server_tokens off;
    client_body_temp_path /tmp/client_body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;

    # Docker's own DNS: readers come and go, and are found by their one name without a reload.
    resolver 127.0.0.11 valid=1s ipv6=off;

    upstream readers {{
        zone readers 64k;
        server {READERS_ALIAS}:{SEAFOWL_PORT} resolve max_fails=1 fail_timeout=2s;
        keepalive 16;
    }}

    upstream writer {{
        zone writer 64k;
        server {WRITERS_ALIAS}:{SEAFOWL_PORT} resolve max_fails=0;
        keepalive 16;
    }}

    # The address of a reader that is gone neither answers nor refuses.
    proxy_connect_timeout 1s;
    proxy_read_timeout 300s;
    proxy_send_timeout 300s;
    # At most one more reader: a query that brings a reader down must not bring down all of them.
    proxy_next_upstream error timeout http_502 http_503 non_idempotent;
    proxy_next_upstream_tries 2;
    proxy_next_upstream_timeout 5s;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Request-Id $request_id;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;

    # Seafowl sends the schema of a result in a header, about 180 bytes a column.
    proxy_buffer_size 128k;
    proxy_buffers 8 128k;
    proxy_busy_buffers_size 256k;
    # GET /q/<hash> carries the whole query in a header.
    large_client_header_buffers 8 64k;
    client_max_body_size {whole_mib(ingress.upload_limit)}m;

    # What the client sent behind /w, undecoded; empty where only a decoded or shortened path would match.
    map $request_uri $path_at_writer {{
        "~^/w(?<rest>/.*)$" $rest;
        default "";
    }}

    server {{
        listen {INGRESS_PORT};
        add_header X-Request-Id $request_id always;

        # Writes: to the writer, under the path as the client sent it (a decoded %2F would change an encoded query),
        # and never a second time: nobody knows whether the first one was executed.
        location /w/ {{
            if ($path_at_writer = "") {{
                return 400;
            }}
            proxy_pass http://writer$path_at_writer;
            proxy_next_upstream off;
            proxy_request_buffering off;
        }}

        # Everything else: to any reader, and to another one where the first does not answer (readers only read).
        location / {{
            client_max_body_size 16m;
            proxy_pass http://readers;
            error_page 502 504 = @readers_of_now;
        }}

        # NGINX gives a request up when the list of readers changes under it: it starts anew with the new list.
        location @readers_of_now {{
            proxy_pass http://readers;
        }}

        location = /ingress/healthz {{
            access_log off;
            default_type text/plain;
            return 200 "ok\\n";
        }}

        # Which node answers: for whoever is inside this container, to see that the nodes of now are reached.
        location /ingress/answering/ {{
            access_log off;
            allow 127.0.0.1;
            deny all;

            location = /ingress/answering/reader {{
                proxy_pass http://readers/healthz;
                add_header X-Upstream $upstream_addr;
            }}
            location = /ingress/answering/writer {{
                proxy_pass http://writer/healthz;
                add_header X-Upstream $upstream_addr;
            }}
        }}
    }}
}}
"""
