#!/usr/bin/env bash
# Makes this machine ready for the local stack: Docker, Python packages, pulumi, images, and the stack itself.
#
# Each step looks first whether what it would make is there already. What the user has is used; the air-gapped kit
# (airgap/) steps in only for what cannot be had, and says so.
#
#   ops/setup.sh [docker|python|programs|stack|wrk|compose …]     (the first four by default)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
local_dir=${SEAFOWL_LOCAL:-$root/.local}
mkdir -p "$local_dir"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
  printf 'setup: error: %s\n' "$*" >&2
  exit 1
}

# The Docker host of the stack, where its config names one: set-up asks the one that the stack is deployed to.
use_docker_host() {
  local config host
  for config in "$local_dir/Pulumi.${PULUMI_STACK:-dev}.yaml" "Pulumi.${PULUMI_STACK:-dev}.yaml"; do
    host=$(sed -n "s/^ *docker:host: *['\"]\{0,1\}\([^'\" ]*\).*/\1/p" "$config" 2>/dev/null || true)
    if [ -n "$host" ]; then
      export DOCKER_HOST=$host
      return
    fi
  done
}

setup_docker() {
  if docker version >/dev/null 2>&1; then return; fi
  if [ -n "${DOCKER_HOST:-}" ]; then
    fail "no Docker Engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or name another one (docker:host, DOCKER_HOST)"
  fi
  [ "$(uname)" = Linux ] || fail "no Docker Engine answers: start Docker Desktop, then run this again"
  [ "$(id -u)" = 0 ] || fail "no Docker Engine answers: install and start it (Debian: apt-get install docker.io)," \
    "and let this user use it (usermod -aG docker $USER)"
  if ! command -v dockerd >/dev/null; then
    command -v apt-get >/dev/null || fail "Docker Engine is not installed: see docs.docker.com/engine/install"
    say "installing Docker Engine (apt-get install docker.io, about a minute) …"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      docker.io iptables ca-certificates curl >"$local_dir/apt.log" 2>&1 ||
      fail "apt-get could not install docker.io: see $local_dir/apt.log"
  fi
  say "starting Docker Engine …"
  if [ -d /run/systemd/system ]; then systemctl start docker; fi
  for _ in $(seq 300); do
    if docker version >/dev/null 2>&1; then return; fi
    # No service manager, as in a container or a small virtual machine: in the background, until the machine stops; once
    # more where it ended at once, as the first start after a kill may.
    if [ ! -d /run/systemd/system ] && ! pgrep -x dockerd >/dev/null; then
      # One that was killed leaves its process id behind, which may be another program's by now.
      rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
      setsid nohup dockerd >>/var/log/dockerd.log 2>&1 </dev/null &
    fi
    sleep 0.2
  done
  fail "Docker Engine did not start within a minute: see /var/log/dockerd.log"
}

setup_python() {
  local wanted
  wanted=$(cat requirements*.txt images/seafowl-litefs/requirements.txt constraints.txt | sha256sum)
  if [ "$(cat .venv/.seafowl-requirements 2>/dev/null)" = "$wanted" ]; then return; fi
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed as python3"
  say "installing Python packages into .venv …"
  if ! python3 -m venv .venv 2>"$local_dir/venv.log"; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
      python3 -m venv --clear .venv
    else
      fail "python3 -m venv failed: see $local_dir/venv.log (Debian: apt-get install python3-venv)"
    fi
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
  printf '%s' "$wanted" >.venv/.seafowl-requirements
}

pulumi_version() { sed -n 's/^pulumi==//p' requirements.txt; }

# The user's own pulumi, a release, or the kit's: in this order.
setup_toolchain() {
  local own version archive
  own=$(PATH=${PATH//"$root/ops/bin:"/} command -v pulumi || true)
  version=$(pulumi_version)
  if [ -n "$own" ] && [ ! -e "$local_dir/toolchain" ]; then
    if [ "$(printf 'v%s\n%s\n' "$version" "$("$own" version)" | sort -V | head -n 1)" != "v$version" ]; then
      fail "$own is pulumi $("$own" version), which is too old: upgrade it to $version or newer, or take it from PATH"
    fi
    return
  fi
  if [ -s "$local_dir/toolchain" ] && [ -x "$(<"$local_dir/toolchain")/pulumi" ]; then
    if [ ! -d "$local_dir/pulumi-home" ]; then return; fi
  elif archive="https://get.pulumi.com/releases/sdk/pulumi-v$version-$(release_platform).tar.gz" &&
    curl --fail --silent --location --connect-timeout 5 --output "$local_dir/pulumi.tar.gz" "$archive"; then
    say "using the release of pulumi $version"
    rm -rf "$local_dir/release"
    mkdir -p "$local_dir/release"
    tar -xzf "$local_dir/pulumi.tar.gz" -C "$local_dir/release"
    rm "$local_dir/pulumi.tar.gz"
    printf '%s' "$local_dir/release/pulumi" >"$local_dir/toolchain"
    return
  else
    say "pulumi is not installed and its releases cannot be reached:" \
      "using the air-gapped kit's, with a stand-in for the Docker provider"
  fi
  airgap/kit toolchain
  airgap/kit path >"$local_dir/toolchain"
  airgap/kit provider "$local_dir/pulumi-home" "$root/.venv/bin/python"
}

release_platform() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo linux-x64 ;;
    Linux-aarch64) echo linux-arm64 ;;
    Darwin-x86_64) echo darwin-x64 ;;
    Darwin-arm64) echo darwin-arm64 ;;
    *) echo unknown ;;
  esac
}

# The original images, or the kit's. It is decided once: a registry that is away for a moment must not put the stand-in
# on a catalog of the original.
setup_images() {
  local chosen=$local_dir/images original=splitgraph/seafowl:0.5.8 refusal
  if [ ! -s "$chosen" ]; then
    if docker image inspect "$original" >/dev/null 2>&1; then
      echo original >"$chosen"
    elif refusal=$(pull "$original" 2>&1); then
      echo original >"$chosen"
    elif curl --silent --output /dev/null --connect-timeout 5 https://registry-1.docker.io/v2/; then
      fail "the container registry answers, but $original cannot be pulled: $refusal"
    else
      echo kit >"$chosen"
      say "no container registry can be reached: using the air-gapped kit's images;" \
        "Seafowl is a stand-in ($(standin_image)). To decide anew: make down, then remove $chosen"
    fi
  fi
  # The original ones are pulled by pulumi as the stack needs them.
  if [ "$(<"$chosen")" = kit ]; then airgap/kit images; fi
}

# In the foreground: in a group of its own, it would outlive an interrupt. (macOS has no timeout.)
pull() {
  if command -v timeout >/dev/null; then timeout --foreground 600 docker pull --quiet "$1"; else docker pull --quiet "$1"; fi
}

standin_image() { printf 'seafowl-standin:%s' "$(cat airgap/seafowl_standin/VERSION)"; }

setup_stack() {
  local stack=${PULUMI_STACK:-dev}
  local config=$local_dir/Pulumi.$stack.yaml
  local images=()
  if [ "$(cat "$local_dir/images" 2>/dev/null)" = kit ]; then images=(--image "seafowl=$(standin_image)"); fi
  if [ -z "${PULUMI_CONFIG_PASSPHRASE+set}" ] && [ -z "${PULUMI_CONFIG_PASSPHRASE_FILE:-}" ] &&
    [ ! -s "$local_dir/passphrase" ]; then
    if [ -d "$local_dir/state/.pulumi/stacks" ]; then
      fail "the stack's state is there, but its passphrase ($local_dir/passphrase) is not: put it back." \
        "Without it the state's credentials cannot be read. (To start anew: docker rm the stack's containers," \
        "then remove $local_dir)"
    fi
    (umask 077 && head -c 32 /dev/urandom | base64 >"$local_dir/passphrase")
  fi
  # shellcheck source=ops/env.sh
  source ops/env.sh
  case "$PULUMI_BACKEND_URL" in
    file://*)
      local state=${PULUMI_BACKEND_URL#file://}
      mkdir -p "${state%%\?*}"
      ;;
  esac
  if [ ! -e "$config" ]; then
    # In a folder with a copy of the project: `stack init` writes the encryption salt beside Pulumi.yaml.
    local init=$local_dir/init
    rm -rf "$init"
    mkdir -p "$init"
    cp Pulumi.yaml "$init/"
    if ! pulumi -C "$init" stack select "$stack" >/dev/null 2>&1; then
      say "making stack $stack"
      pulumi -C "$init" stack init "$stack" >/dev/null
    fi
    if [ -e "$init/Pulumi.$stack.yaml" ]; then cp "$init/Pulumi.$stack.yaml" "$config"; fi
    rm -rf "$init"
  fi
  .venv/bin/python ops/local_config.py "Pulumi.$stack.yaml" "$config" ${images[@]+"${images[@]}"}
}

# What makes the load of a benchmark.
setup_wrk() {
  if command -v wrk >/dev/null; then return; fi
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    fail "wrk, which makes the load, is not installed (Debian: apt-get install wrk)"
  say "installing wrk (apt-get install wrk) …"
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk; } >"$local_dir/apt.log" 2>&1 ||
    fail "apt-get could not install wrk: see $local_dir/apt.log"
}

# What the benchmark compares with: the docker client's own Compose, a release, or the kit's, in this order.
setup_compose() {
  local chosen=$local_dir/compose release=https://github.com/docker/compose/releases/download version
  if [ -s "$chosen" ] && [ -x "$(<"$chosen")" ]; then return; fi
  rm -f "$chosen"
  if docker compose version --short 2>/dev/null | grep -q '^v\{0,1\}[2-9]'; then return; fi
  version=$(sed -n 's/^.*docker\/compose\/v2 \(v[^ ]*\).*/\1/p' airgap/go/compose/go.mod)
  if curl --fail --silent --location --connect-timeout 5 --output "$local_dir/docker-compose" \
    "$release/$version/docker-compose-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)"; then
    say "using the release of Docker Compose $version"
    chmod +x "$local_dir/docker-compose"
    printf '%s' "$local_dir/docker-compose" >"$chosen"
    return
  fi
  rm -f "$local_dir/docker-compose"
  say "Docker Compose is not installed and its releases cannot be reached: using the air-gapped kit's"
  airgap/kit compose >"$chosen.new"
  mv "$chosen.new" "$chosen"
}

# The images beside the toolchain: each waits much for the network, or has work for one core. What both need, the kit
# builds once.
setup_programs() {
  set -m # a process group of its own, with signals that are not ignored
  setup_images </dev/null &
  beside=$!
  set +m
  setup_toolchain
  local status=0
  wait "$beside" || status=$?
  beside=
  if [ "$status" != 0 ]; then
    say "the images could not be made: what is wrong stands above"
    exit "$status"
  fi
}
beside=
end_beside() {
  if [ -z "$beside" ]; then return; fi
  kill -TERM -- "-$beside" 2>/dev/null || true
  # Not for the shell alone that was begun: for all that it has begun.
  for _ in $(seq 100); do
    if ! kill -0 -- "-$beside" 2>/dev/null; then return; fi
    sleep 0.1
  done
}
trap end_beside EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

use_docker_host
if [ $# = 0 ]; then set -- docker python programs stack; fi
for step in "$@"; do "setup_$step"; done
