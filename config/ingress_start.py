"""The start command of the ingress: it runs NGINX, and takes a new nginx.conf or certificate into use while it runs."""

from config.layout import CERTIFICATE, INGRESS_READERS_SOCKET, NGINX_CONFIG
from config.nginx_cache import SCRIPTS

_REFUSED = "/tmp/refused"  # noqa: S108 (in the container, where nobody else is)

_MOST_WORKERS = 8

REFUSED = f"cat {_REFUSED}"
"""Shell command inside the ingress: the fingerprint of what NGINX refused, and on the next lines its own message."""

ACCEPTED = f"test ! -e {_REFUSED}"
"""Shell command inside the ingress that succeeds while NGINX has refused nothing that it should run with."""


def render_ingress_start() -> str:
    """The start script, as POSIX shell text.

    The fingerprint of a configuration is the SHA-256 of nginx.conf, the scripts beside it and the file with certificate
    and key, one behind the other. NGINX tells the one that it runs with (`config.nginx.RUNNING`).
    """
    return f"""#!/bin/sh
# Runs NGINX. A new {NGINX_CONFIG}, script beside it or certificate is taken into use while it runs, if NGINX
# accepts it; one that it refuses changes nothing.
set -u
wanted={NGINX_CONFIG}
scripts="{" ".join(SCRIPTS)}"
certificate={CERTIFICATE}
running=/tmp/nginx.conf

seen() {{ sha256sum "$wanted" $scripts "$certificate" 2>/dev/null; }}

take() {{ # make what is wanted now the configuration to run with
  cp "$wanted" /tmp/next.conf 2>/dev/null || return 1
  fingerprint=$(cat /tmp/next.conf $scripts "$certificate" 2>/dev/null | sha256sum | cut -d ' ' -f 1)
  if ! refusal=$(nginx -t -q -c /tmp/next.conf 2>&1); then
    case $refusal in *ngx_http_js_module*)
      refusal="the image lacks njs, which keeps errors out of the cache: name one that has it in images.nginx \
(nginx:1.30 has, its slim variants have not), or set ingress.cache.ttl to 0s. $refusal" ;;
    esac
    echo "NGINX refuses the new configuration, and what runs keeps running: $refusal" >&2
    printf '%s\\n%s\\n' "$fingerprint" "$refusal" >{_REFUSED}
    return 1
  fi
  printf 'return 200 "%s\\\\n";\\n' "$fingerprint" >/tmp/running.conf
  mv /tmp/next.conf "$running"
  rm -f {_REFUSED}
}}

trap 'exit 0' TERM INT QUIT
# NGINX includes it from the beginning.
[ -e /tmp/running.conf ] || echo 'return 503;' >/tmp/running.conf
taken=$(seen)
until take; do
  # After a restart, the one that ran before is there still.
  if [ -e "$running" ]; then break; fi
  sleep 1 &
  wait $! # which, unlike `sleep`, ends at a signal
  taken=$(seen)
done
# A killed NGINX leaves it behind, and another could not listen there.
rm -f {INGRESS_READERS_SOCKET}
# `auto` would be one a core of the host, each with memory of its own.
workers=$(nproc)
[ "$workers" -le {_MOST_WORKERS} ] || workers={_MOST_WORKERS}
nginx -c "$running" -g "daemon off; worker_processes $workers;" &
nginx=$!
trap 'kill -QUIT "$nginx"' TERM INT QUIT
while kill -0 "$nginx" 2>/dev/null; do
  now=$(seen)
  if [ "$now" != "$taken" ]; then
    taken=$now
    if take; then kill -HUP "$nginx"; fi
  fi
  sleep 1 &
  wait $!
done
wait "$nginx"
"""


CERTIFICATE_READY = f"test -s {CERTIFICATE}"
"""Shell command that succeeds once the certificate is where NGINX looks for it."""


def render_certificate_start() -> str:
    """The start script of the container that holds the certificate, as POSIX shell text.

    It expects in its environment TLS_CERTIFICATE and TLS_KEY, and puts both, in one step, on a volume in memory.
    """
    return f"""#!/bin/sh
# Puts the certificate and its key where NGINX finds them: on a volume in memory, which a reboot empties.
set -eu
umask 077
printf '%s\\n%s\\n' "$TLS_CERTIFICATE" "$TLS_KEY" >{CERTIFICATE}.next
mv {CERTIFICATE}.next {CERTIFICATE}
trap 'exit 0' TERM INT QUIT
while :; do
  sleep 3600 &
  wait $!
done
"""
