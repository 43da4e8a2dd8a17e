"""nginx.conf, the readers: which one is asked, and which one next. The server that the public one passes reads to.

Retries are written here once, for reads that are cached and reads that are not.
"""

from datetime import timedelta

from config.durations import shown
from config.ingress_settings import IngressSettings
from config.layout import INGRESS_READERS_SOCKET, READERS_ALIAS, SEAFOWL_PORT

TAKES_LONG = 524
"""Status with which the readers' server tells the public one that a query took too long. Clients get 504 for it,
and 502 where no reader answered at all.
"""


PLACES = ("first-11230", "second-17852")
"""Keys that NGINX's `hash` takes to the first and to the second reader of its list, however many there are, and both to
the only one: their CRC-32, shifted by 16 bits, is 0 and 1 (ngx_http_upstream_hash_module.c).
"""


def whole_read(ingress: IngressSettings) -> str:
    """Longer than four readers one after another take: the readers' server decides, not its client."""
    return shown(4 * ingress.read_timeout + timedelta(seconds=10))


def upstreams(ingress: IngressSettings) -> str:
    """The readers, as NGINX finds them."""
    return f"""
    upstream readers {{
        zone readers 4m; # 64k would do for 55 of them, and leave the others out
        server {READERS_ALIAS}:{SEAFOWL_PORT} resolve max_fails=1 fail_timeout={shown(ingress.retry_interval)};
        keepalive 16;
    }}

    # The same, whatever they failed at: for when all of them did.
    upstream every_reader {{
        zone every_reader 4m;
        server {READERS_ALIAS}:{SEAFOWL_PORT} resolve max_fails=0;
        keepalive 4;
    }}

    # The readers once more. Which one is asked depends on $place alone: two that are not the same can be asked so.
    upstream reader_at_place {{
        zone reader_at_place 4m;
        server {READERS_ALIAS}:{SEAFOWL_PORT} resolve max_fails=1 fail_timeout={shown(ingress.retry_interval)};
        hash $place;
        keepalive 4;
    }}
"""


MAPS = r"""
    # Reads go to the readers' server as POST, whatever they are: NGINX takes a GET for one that may be repeated as
    # often as there are readers, and a query that brings its reader down must not bring all down.
    map $request_method $method {
        HEAD GET;
        default $request_method;
    }

    # Of a query that failed: whether two readers were at it.
    map $upstream_connect_time $tried_twice {
        volatile;
        "~[0-9.]+ ?[,:] ?[0-9.]+" 1;
        default "";
    }
    # Whether the last reader took the connection, and did not answer in time.
    map "$upstream_status; $upstream_connect_time" $was_sent {
        volatile;
        "~504;.*[ ,][0-9.]+$" 1;
        default "";
    }
    map $upstream_addr $last_asked {
        "~(?<address>[^ ,]+)$" $address;
    }

    # Whether Seafowl would run a part of the query: one that stands in the path, it reads up to the first dot.
    map "$http_x_seafowl_query $request_uri" $cut_short {
        "~^ (/w)?(/[^/?]+)?/q/[^/?]*\." 1;
        default "";
    }
"""
"""What is known of a read."""


def server(policy: str, checked: str) -> str:
    """Reads of the public server: to a reader.

    `policy` tells it what it may keep, `checked` sees to it that it keeps no error (`config.nginx_cache`).
    """
    return f"""
    # readers: to any of them, and to another one where the first does not answer (they only read)
    server {{
        listen unix:{INGRESS_READERS_SOCKET};
        client_max_body_size 0;
        proxy_method $http_x_method;
        # As long as nothing was sent: to the next one.
        proxy_next_upstream error timeout;
        proxy_next_upstream_timeout 5s;
        add_header X-Node $upstream_addr always;
        proxy_hide_header Cache-Control;
        {policy}
        # An answer's age counts from its head, which goes on at once: its body may take long.
        proxy_buffering off;

        location / {{
            proxy_pass http://readers;{checked}
            proxy_intercept_errors on;
            error_page 400 = @doubtful;
            error_page 502 = @again;
            error_page 504 = @timed_out;
        }}

        # Seafowl has one status for a wrong query, and for a catalog or an object store that it does not reach (while
        # LiteFS dies, say): two more are asked, so one reader's own trouble is no answer. It only planned the query.
        location @doubtful {{
            set $place {PLACES[0]};
            proxy_pass http://reader_at_place;{checked}
            proxy_intercept_errors on;
            error_page 400 502 504 = @still_doubtful;
        }}

        location @still_doubtful {{
            set $place {PLACES[1]};
            proxy_pass http://reader_at_place;{checked}
            error_page 502 504 = @one_more;
        }}

        # Neither answered, or the list of readers changed under them: the one that said 400 may be all there is.
        location @one_more {{
            if ($was_sent) {{
                return {TAKES_LONG};
            }}
            proxy_pass http://every_reader;{checked}
            error_page 502 = @nobody;
            error_page 504 = @no_answer;
        }}

        # No answer in time. Either the query takes long, then it must not be run on every reader in turn,
        # or the reader hangs: then it does not answer this either.
        location @timed_out {{
            set $silent $last_asked;
            auth_request /does-it-hang;
            error_page 500 = @again;
            try_files /nothing ={TAKES_LONG}; # not `return`, which does not wait for the question's answer
        }}

        location = /does-it-hang {{
            internal;
            proxy_pass http://$silent/healthz;
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_read_timeout 100ms;
        }}

        # NGINX gives a request up when the list of readers changes under it, too: once more, with the list of now.
        location @again {{
            if ($tried_twice) {{
                return 502;
            }}
            proxy_pass http://readers;{checked}
            proxy_intercept_errors on;
            error_page 400 = @doubtful;
            error_page 502 = @whoever;
            error_page 504 = @no_answer;
        }}

        location @whoever {{
            if ($tried_twice) {{
                return 502;
            }}
            proxy_pass http://every_reader;{checked}
            error_page 502 = @nobody;
            error_page 504 = @no_answer;
        }}

        location @no_answer {{
            if ($was_sent) {{
                return {TAKES_LONG};
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
"""
