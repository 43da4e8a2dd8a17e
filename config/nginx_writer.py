"""nginx.conf, the writer: requests under `/w/` go to it, and never a second time."""

from config.durations import shown
from config.ingress_settings import IngressSettings
from config.layout import WRITE_PORT, WRITERS_ALIAS
from config.sizes import whole_mib

NEXT_CANDIDATE = "proxy_next_upstream error timeout;"
"""Only the primary takes a connection; what was sent to it is a POST, which NGINX sends to nobody else."""

# Without connections that stay open to a write port: they would outlive its node's being the primary.
UPSTREAM = f"""
    upstream writer {{
        zone writer 64k;
        server {WRITERS_ALIAS}:{WRITE_PORT} resolve max_fails=0;
    }}
"""
"""The writer, or all candidates for it."""


MAPS = r"""
    # What the client sent behind /w, undecoded; empty where only a decoded or shortened path would match.
    map $request_uri $path_at_writer {
        "~^/w(?<rest>/.*)$" $rest;
        default "";
    }

    # Of a request that the writer did not answer: whether it can have seen it.
    map $upstream_connect_time $writer_status {
        "~^[-, ]*$" 503;
        default 502;
    }
    map $writer_status $retry_after {
        503 1;
        default "";
    }
"""
"""What is known of a write."""


def seconds_to_wait(ingress: IngressSettings) -> int:
    """How long a write may wait for its tables at the writer: less than the ingress waits for its answer."""
    return max(int(ingress.write_timeout.total_seconds() * 0.8), 1)


def routes(ingress: IngressSettings) -> str:
    """The public server's locations of writes."""
    return f"""
        # Writes: to the writer, under the path as the client sent it (a decoded %2F would change an encoded query),
        # and never a second time: nobody knows whether the first one was executed.
        location ^~ /w/ {{
            client_max_body_size {whole_mib(ingress.upload_limit)}m;
            proxy_read_timeout {shown(ingress.write_timeout)};
            proxy_send_timeout {shown(ingress.write_timeout)};
            {NEXT_CANDIDATE}
            error_page 502 504 = @writer_away;
            # Seafowl's ETag does not know all that an answer depends on: a client would keep an answer for ever.
            proxy_hide_header ETag;
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
            {NEXT_CANDIDATE}
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
"""
