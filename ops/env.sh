# Sourced: the environment of the local stacks (`make` and `ops/bin/pulumi` use it).
#
# What the user set wins: a backend, a passphrase or a PULUMI_HOME of their own is used as it is.
# shellcheck shell=bash
SEAFOWL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SEAFOWL_LOCAL=${SEAFOWL_LOCAL:-$SEAFOWL_ROOT/.local}
export SEAFOWL_ROOT SEAFOWL_LOCAL
export PULUMI_STACK=${PULUMI_STACK:-dev}
# `metadata=skip`: without it each file of the state has a second one beside it, which is written in place. A pulumi that
# is killed meanwhile leaves that one empty, and the next says "failed to load checkpoint: EOF".
export PULUMI_BACKEND_URL=${PULUMI_BACKEND_URL:-file://$SEAFOWL_LOCAL/state?metadata=skip}
if [ -z "${PULUMI_CONFIG_PASSPHRASE+set}" ] && [ -z "${PULUMI_CONFIG_PASSPHRASE_FILE:-}" ]; then
  export PULUMI_CONFIG_PASSPHRASE_FILE=$SEAFOWL_LOCAL/passphrase
fi
export PULUMI_SKIP_UPDATE_CHECK=true
# Folder of the pulumi program, where it is not the user's own; written by ops/setup.sh.
if [ -s "$SEAFOWL_LOCAL/toolchain" ]; then
  SEAFOWL_TOOLCHAIN=$(<"$SEAFOWL_LOCAL/toolchain")
  export PATH="$SEAFOWL_TOOLCHAIN:$PATH"
fi
# The air-gapped kit's provider lies in a PULUMI_HOME of its own, where nothing is ever downloaded.
if [ -d "$SEAFOWL_LOCAL/pulumi-home" ]; then
  export PULUMI_HOME=${PULUMI_HOME:-$SEAFOWL_LOCAL/pulumi-home}
  export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true
fi
# A language host that knows no `virtualenv` option takes the first Python on PATH.
export PATH="$SEAFOWL_ROOT/ops/bin:$SEAFOWL_ROOT/.venv/bin:$PATH"
