"""nginx.conf, the clients: where they are listened to, and how much one of them may ask."""

from config.ingress_settings import IngressSettings
from config.layout import CERTIFICATE, INGRESS_PORT, INGRESS_REDIRECT_PORT


def listen(ingress: IngressSettings) -> str:
    """Where the public server listens, and with which certificate."""
    if ingress.tls is None:
        return f"listen {INGRESS_PORT};"
    return f"""listen {INGRESS_PORT} ssl;
        ssl_certificate {CERTIFICATE};
        ssl_certificate_key {CERTIFICATE};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:1m;
        # Plain HTTP to this port: on to HTTPS, with the same method and body.
        error_page 497 =308 https://$http_host$request_uri;"""


def redirect_server(ingress: IngressSettings) -> str:
    """The server that sends plain HTTP on to HTTPS, where the config names a port for it."""
    if ingress.tls is None or ingress.tls.redirect_port is None:
        return ""
    port = "" if ingress.port == 443 else f":{ingress.port}"  # noqa: PLR2004 (HTTPS's own)
    return f"""
    # public, plain HTTP: on to HTTPS
    server {{
        listen {INGRESS_REDIRECT_PORT};
        access_log /dev/stdout json buffer=4k flush=1s;
        return 308 https://$host{port}$request_uri;
    }}
"""


def limit_zones(ingress: IngressSettings) -> str:
    """Where clients are counted."""
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


def limits(ingress: IngressSettings) -> str:
    """The limits of one client, of the public server."""
    settings = ingress.limits
    lines: list[str] = []
    if settings.requests_per_second is not None:
        # NGINX's own default is none: then two requests in the same moment are one too many, whatever the rate.
        burst = settings.requests_per_second if settings.burst is None else settings.burst
        lines += [f"        limit_req zone=requests burst={burst} nodelay;", "        limit_req_status 429;"]
    if settings.connections is not None:
        lines += [f"        limit_conn connections {settings.connections};", "        limit_conn_status 429;"]
    return "".join(f"{line}\n" for line in lines)
