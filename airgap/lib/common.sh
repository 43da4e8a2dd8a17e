# shellcheck shell=bash
# What every command of the kit uses: messages, the cache, keys.

cache=${SEAFOWL_KIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/seafowl-airgap}

# Seconds between two signs of life of a running build.
heartbeat=15

say() { printf 'airgap: %s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# The tag file tells a cache from any other directory, so that 'clean' can never remove one that the kit did not make.
cache_tag=$cache/CACHEDIR.TAG

open_cache() {
  if [[ ! -e $cache_tag ]]; then
    # (The tag once more: another run may make this cache right now, and makes the tag first.)
    if [[ -d $cache && -n $(ls -A "$cache") && ! -e $cache_tag ]]; then
      die "$cache holds other files and is no cache of the kit: set SEAFOWL_KIT_CACHE to an empty or new directory"
    fi
    mkdir -p "$cache" || die "cannot create the cache $cache: set SEAFOWL_KIT_CACHE to a writable place"
    printf '%s\n' "Signature: 8a477f597d28d172789f06886806bc55" "# Made by the air-gapped kit of Seafowl." >"$cache_tag"
  fi
  mkdir -p "$cache/logs" "$cache/locks"
}

# key_of WORD...: a short hash of the words; what a part is made from goes into it.
key_of() {
  local sum
  sum=$(printf '%s\0' "$@" | sha256sum)
  printf '%s\n' "${sum:0:12}"
}

# tree_hash DIR: one hash over the names, modes and contents of the files in DIR, tool leftovers excepted.
tree_hash() (
  cd "$1"
  leftovers=("(" -name __pycache__ -o -name '.*_cache' ")" -prune)
  {
    find . "${leftovers[@]}" -o -type f -printf '%m %p\0' | LC_ALL=C sort -z
    find . "${leftovers[@]}" -o -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
  } | sha256sum
)

# alone_with_apt COMMAND...: apt does not wait for another apt, and two runs of the kit may need it at once.
alone_with_apt() { flock "$cache/locks/apt" "$@"; }

# install_packages PACKAGE...: Debian packages that a build needs, installed when missing.
install_packages() {
  command -v apt-get >/dev/null || die "$* missing, and there is no apt-get to install it with: install it, then run the kit again"
  [[ $EUID -eq 0 ]] || die "$* missing: run 'apt-get install $*' as root, then run the kit again"
  say "installing $*"
  local log=$cache/logs/apt-$BASHPID.log
  local install=(alone_with_apt env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@")
  {
    "${install[@]}" || { alone_with_apt apt-get update && "${install[@]}"; }
  } >"$log" 2>&1 || {
    show_log "$log"
    die "could not install $*: check the machine's apt sources, then run the kit again"
  }
}

show_log() {
  say "last lines of $1:"
  tail -n 20 "$1" >&2
}

# guarded LABEL LOG HELP COMMAND...: runs COMMAND with its output in LOG; tells when it starts and ends, and every
# $heartbeat seconds that it is still at work. It ends with this script, whichever way that ends.
guarded() {
  local label=$1 log=$2 help=$3 started=$SECONDS next=$heartbeat failed=0
  shift 3
  say "building $label …"
  set -m # a process group of its own: an interrupt reaches the whole build
  (
    set -euo pipefail
    trap - EXIT INT TERM HUP
    "$@"
  ) </dev/null >"$log" 2>&1 &
  build_pid=$!
  set +m
  while kill -0 "$build_pid" 2>/dev/null; do
    sleep 0.3
    if ((SECONDS - started >= next)); then
      say "  still building ${label%% (*} … $((SECONDS - started)) s"
      next=$((next + heartbeat))
    fi
  done
  wait "$build_pid" || failed=1
  build_pid=
  if ((failed)); then
    show_log "$log"
    die "${label%% (*} could not be built (whole log: $log). $help Then run the kit again; finished parts are kept."
  fi
  say "built ${label%% (*} in $((SECONDS - started)) s"
}

build_pid=
unfinished=

tidy_up() {
  if [[ -n $build_pid ]]; then
    kill -TERM -- "-$build_pid" 2>/dev/null || true
    wait "$build_pid" 2>/dev/null || true
  fi
  if [[ -n $unfinished ]]; then rm -rf --one-file-system "$unfinished"; fi
}
trap tidy_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# lock NAME: waits until no other run builds NAME; held until unlock, or the end of this run and of what it started.
lock() {
  exec {lock_fd}>"$cache/locks/$1"
  flock -n "$lock_fd" && return
  say "another run is building $1: waiting for it"
  until flock -w "$heartbeat" "$lock_fd"; do say "  still waiting for $1"; done
}

unlock() { exec {lock_fd}>&-; }

clean() {
  clean_images
  [[ -d $cache ]] || return 0
  [[ -e $cache_tag ]] || die "$cache is no cache of the kit (CACHEDIR.TAG is missing): nothing in it was removed"
  rm -rf --one-file-system "$cache"
  say "removed $cache"
}
