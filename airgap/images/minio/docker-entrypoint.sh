#!/bin/sh
# As in the published image: arguments that do not start with "minio" are minio's own.
set -eu
[ "${1:-minio}" = minio ] || set -- minio "$@"
exec "$@"
