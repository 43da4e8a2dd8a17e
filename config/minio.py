"""The start command of the stack's MinIO: it serves, and makes its own bucket and users.

Everything it does can be done again, so that it runs at every start of the container. That the users are there is
part of the container's health (`HEALTHY`), so a failed set-up fails the `up`.
"""

import json
import shlex
from typing import Any

from config.layout import MINIO_DATA_DIR, OBJECT_STORE_PORT

WRITER_USER = "seafowl-writer"
READER_USER = "seafowl-reader"
ROOT_USER = "root"

_READY = "/tmp/seafowl-ready"  # noqa: S108 (in the container, where nobody else is)
"""File that is there once bucket and users are; made anew at every start."""

HEALTHY = f"test -e {_READY} && mc ready local >/dev/null"
"""Shell command that succeeds while MinIO serves and has its bucket and users. `mc` comes with MinIO's image."""

_READ_ACTIONS = ["s3:GetBucketLocation", "s3:ListBucket"], ["s3:GetObject"]
_WRITE_ACTIONS = (
    ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
    ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
)


def _policy(bucket: str, actions: tuple[list[str], list[str]]) -> str:
    on_bucket, on_objects = actions
    document: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": on_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
            {"Effect": "Allow", "Action": on_objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        ],
    }
    return json.dumps(document, indent=2)


def render_minio_start(bucket: str) -> str:
    """The start script, as POSIX shell text.

    It expects in its environment: MINIO_ROOT_USER, MINIO_ROOT_PASSWORD, WRITER_PASSWORD, READER_PASSWORD. The
    passwords go to `mc` on its standard input, where no process list shows them.
    """
    name = shlex.quote(bucket)
    return f"""#!/bin/sh
# Starts MinIO, then makes the bucket, a user that reads and writes it, and a user that only reads it.
set -eu
rm -f {_READY}
minio server --quiet --address :{OBJECT_STORE_PORT} {MINIO_DATA_DIR} &
server=$!
trap 'kill -TERM "$server"' TERM INT
export MC_HOST_local="http://$MINIO_ROOT_USER:$MINIO_ROOT_PASSWORD@127.0.0.1:{OBJECT_STORE_PORT}"

cat >/tmp/read-write.json <<'POLICY'
{_policy(bucket, _WRITE_ACTIONS)}
POLICY
cat >/tmp/read-only.json <<'POLICY'
{_policy(bucket, _READ_ACTIONS)}
POLICY

user() {{ # user NAME PASSWORD POLICY: make the user, or give the one that is there this password and policy
  printf '%s\\n%s\\n' "$1" "$2" | mc --quiet admin user add local >/dev/null
  mc --quiet admin policy create local "$3" "/tmp/$3.json" >/dev/null
  # Where it is attached already, some versions of MinIO call that an error.
  if ! refusal=$(mc --quiet admin policy attach local "$3" --user "$1" 2>&1); then
    case "$(mc --json admin policy entities local --user "$1")" in
      *"\\"$3\\""*) ;;
      *) echo "$refusal" >&2 && return 1 ;;
    esac
  fi
}}

set_up() {{
  # `mc ready` asks once every five seconds: too seldom for a start that takes one. A slow machine gets more time.
  asked=0
  until timeout "$([ "$asked" -lt 20 ] && echo 0.3 || echo 8)" mc ready local >/dev/null 2>&1; do
    kill -0 "$server"
    asked=$((asked + 1))
    if [ "$asked" = 20 ]; then echo "MinIO is slow to start"; fi
  done
  mc --quiet mb --ignore-existing local/{name} >/dev/null
  user {WRITER_USER} "$WRITER_PASSWORD" read-write &
  writer=$!
  user {READER_USER} "$READER_PASSWORD" read-only
  wait "$writer"
  : >{_READY}
  echo "bucket {bucket} and its users are there"
}}
# In the background, so that the shell's -e holds inside: it does not in a condition.
set_up &
if ! wait $!; then
  echo "could not make bucket {bucket} and its users" >&2
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" || true
  exit 1
fi
# `wait` returns early when a signal arrives: the second one waits until the server has ended.
wait "$server" || wait "$server"
"""
