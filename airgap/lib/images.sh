# shellcheck shell=bash disable=SC2154,SC2034 # the variables of the files beside this one
# The images, made in the Docker Engine that the docker client talks to.

image_label=org.seafowl.airgap
base_image=airgap/debian:trixie
litefs_image=flyio/litefs:${part_version[litefs]}
minio_image=quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z
nginx_image=nginx:1.30
python_image=python:3.13-slim
consul_image=hashicorp/consul:${part_version[consul]}
standin_dir=$kit_dir/seafowl_standin

# The root file system of the base image: a minimal Debian that trusts the authorities which this machine trusts,
# for behind a proxy that inspects TLS nothing inside a container could be installed otherwise.
local_authorities=/usr/local/share/ca-certificates
part_version[rootfs]=trixie
part_time[rootfs]="about 1 min"
part_help[rootfs]="Check that the Debian mirror of this machine's apt sources can be reached."
inputs_rootfs() {
  printf '%s\n' "$debian_mirror"
  find "$local_authorities" -name '*.crt' -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0r cat | sha256sum
}
prepare_rootfs() {
  [[ $EUID -eq 0 ]] || die "only root can make the base image (debootstrap): run 'airgap/kit images' as root"
  command -v debootstrap >/dev/null || install_packages debootstrap
}
recipe_rootfs() {
  local root=$1/root authority
  # In a mount namespace of its own: what debootstrap mounts is gone with it, even when it is killed.
  unshare --mount debootstrap --variant=minbase --include=ca-certificates "${part_version[rootfs]}" "$root" "$debian_mirror"
  # Packages must not start their services inside a build.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  for authority in "$local_authorities"/*.crt; do
    if [[ -f $authority ]]; then install -m 644 "$authority" "$root$local_authorities/"; fi
  done
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" update-ca-certificates
  rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
    "$root"/var/log/*.log "$root"/etc/resolv.conf "$root"/etc/hostname
  tar --numeric-owner --one-file-system -C "$root" -c . | gzip -1 >"$1/rootfs.tar.gz"
  rm -rf --one-file-system "$root"
}

# find_mirror: the address that this machine's own apt uses for Debian, whichever file and format names it; kept in the
# cache while the sources stay as they are, for apt takes half a second to tell.
find_mirror() {
  command -v apt-get >/dev/null || die "the images need a Debian mirror, which is taken from apt's sources: run the kit on Debian"
  local known
  known=$cache/mirror-$(key_of "$(find /etc/apt -name '*.list' -o -name '*.sources' | LC_ALL=C sort | xargs -r sha256sum)")
  if [[ ! -s $known ]]; then
    ask_apt >"$known"
    if [[ ! -s $known && $EUID -eq 0 ]]; then # apt knows who is Debian only after an update
      say "reading apt's package lists"
      alone_with_apt apt-get update >"$cache/logs/apt-update.log" 2>&1 || show_log "$cache/logs/apt-update.log"
      ask_apt >"$known"
    fi
    [[ -s $known ]] || die "apt's sources name no Debian mirror: add one, run 'apt-get update' and then the kit again"
  fi
  debian_mirror=$(<"$known")
}

# shellcheck disable=SC2016 # apt's own placeholder
ask_apt() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1
}

need_engine() {
  command -v docker >/dev/null || die "there is no docker client: install it (Debian: docker.io), then run the kit again"
  local answer
  answer=$(docker version --format '{{.Server.Version}}' 2>&1) ||
    die "no Docker Engine answers (${answer##*$'\n'}): start it, or point DOCKER_HOST at one that runs"
}

# image_is_current NAME KEY: whether NAME needs no work: it is ours with this key, or not ours and thus not touched.
image_is_current() {
  local found
  found=$(docker image inspect --format "{{index .Config.Labels \"$image_label\"}} {{index .Config.Labels \"$image_label.key\"}}" \
    "$1" 2>/dev/null) || return 1
  if [[ $found == "1 $2" ]]; then return 0; fi
  if [[ $found == "1 "* ]]; then return 1; fi
  say "$1 is there already and not the kit's own: used as it is"
}

# make_image NAME KEY TIME HELP PARTS RECIPE...: unless the image is there, builds the PARTS it needs and runs
# RECIPE NAME KEY DIR (an empty directory) to make it; what it replaces does not stay behind without a name.
make_image() {
  local name=$1 key=$2 time=$3 help=$4 parts=$5 slug=image-${1//[\/:]/_} old part
  shift 5
  if image_is_current "$name" "$key"; then return; fi
  for part in $parts; do need_part "$part"; done
  lock "$slug"
  rm -rf "$cache/.unfinished-$slug".*
  if ! image_is_current "$name" "$key"; then
    old=$(docker image inspect --format '{{.Id}}' "$name" 2>/dev/null || true)
    unfinished=$(mktemp -d "$cache/.unfinished-$slug.XXXXXX")
    guarded "image $name ($time)" "$cache/logs/$slug.log" "$help" "$1" "$name" "$key" "$unfinished" "${@:2}"
    rm -rf "$unfinished"
    unfinished=
    if [[ -n $old ]]; then docker image rm "$old" >/dev/null 2>&1 || true; fi # a container may still use it
  fi
  unlock
}

import_rootfs() {
  docker import --change "LABEL $image_label=1 $image_label.key=$2" --change 'CMD ["bash"]' "${part_dir[rootfs]}/rootfs.tar.gz" "$1"
}

# build_image NAME KEY DIR CONTEXT [FILE...]: builds CONTEXT, with the FILEs beside its Dockerfile. The classic builder
# does: it needs no plugin of the client, and finds the base image in the engine.
build_image() {
  local name=$1 key=$2 context=$3 setting settings=()
  cp -R "$4/." "$context"
  shift 4
  if (($#)); then ln "$@" "$context"; fi
  # The engine knows the proxy settings by name, and keeps them out of the image's history.
  for setting in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [[ -n ${!setting:-} ]]; then settings+=(--build-arg "$setting"); fi
  done
  for setting in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST; do
    if [[ -z ${!setting:-} ]] || ! grep -q "^ARG $setting" "$context/Dockerfile"; then continue; fi
    if [[ ${!setting} == *://*@* ]]; then
      echo "$setting holds credentials, which would stay in the image's history: set it to an address without them"
      return 1
    fi
    settings+=(--build-arg "$setting")
  done
  DOCKER_BUILDKIT=0 docker build --force-rm --label "$image_label=1" --label "$image_label.key=$key" "${settings[@]}" --tag "$name" "$context"
}

engine_help="Check that the Docker Engine has room on its disk (docker system df)."
registries_help="Check that containers of this Docker Engine reach the Debian mirror and the Python package index."

make_images() {
  open_cache
  need_engine
  find_mirror
  local base_key key
  locate_part rootfs
  base_key=$(key_of "${part_dir[rootfs]##*/}")
  make_image "$base_image" "$base_key" "some seconds" "$engine_help" rootfs import_rootfs

  key=$(image_key nginx "$base_key")
  make_image "$nginx_image" "$key" "about 1 min" \
    "$registries_help If Debian's suite forky no longer has NGINX 1.30, change the version here and in the stack's images." \
    "" build_image "$kit_dir/images/nginx"
  make_standin_image "$base_key"
  key=$(image_key python "$base_key" "${PIP_INDEX_URL:-}" "${PIP_EXTRA_INDEX_URL:-}" "${PIP_TRUSTED_HOST:-}")
  make_image "$python_image" "$key" "about 1 min" "$registries_help" "" build_image "$kit_dir/images/python"

  # Those that wait for programs come last.
  make_server_image minio "$minio_image" "$base_key" minio mc
  make_server_image litefs "$litefs_image" "" litefs
  make_server_image consul "$consul_image" "$base_key" consul
}

# image_key NAME WORD...: the key of the image with the build context images/NAME.
image_key() { key_of "$(tree_hash "$kit_dir/images/$1")" "${@:2}"; }

# make_server_image NAME IMAGE BASE_KEY PART...: an image of images/NAME with the programs of the parts in it.
make_server_image() {
  local name=$1 image=$2 words=("$3") programs=() part key
  shift 3
  for part in "$@"; do
    locate_part "$part"
    words+=("${part_dir[$part]##*/}")
    programs+=("${part_dir[$part]}/$part")
  done
  key=$(image_key "$name" "${words[@]}")
  make_image "$image" "$key" "some seconds" "$engine_help" "$*" build_image "$kit_dir/images/$name" "${programs[@]}"
}

standin_image() { printf 'seafowl-standin:%s\n' "$(<"$standin_dir/VERSION")"; }

make_standin_image() {
  [[ -f $standin_dir/Dockerfile && -f $standin_dir/VERSION ]] ||
    die "the Seafowl stand-in is missing: $standin_dir should hold a Dockerfile and VERSION"
  local key
  key=$(key_of "$1" "$(tree_hash "$standin_dir")")
  make_image "$(standin_image)" "$key" "about 2 min" "$registries_help" "" build_image "$standin_dir"
}

list_images() {
  printf '%s\n' "$base_image" "$litefs_image" "$minio_image" "$nginx_image" "$python_image" "$consul_image"
  standin_image
}

# Only images of the kit's own names that carry its label: what a stack built on top of them inherits the label.
clean_images() {
  if ! docker version >/dev/null 2>&1; then
    say "no Docker Engine answers: its images stay"
    return
  fi
  local image repositories
  repositories=$(list_images | sed 's/:[^:]*$//')
  docker image ls --filter "label=$image_label=1" --format '{{.Repository}}:{{.Tag}}' | while read -r image; do
    grep -qxF "${image%:*}" <<<"$repositories" || continue
    if docker image rm "$image" >/dev/null 2>&1; then say "removed image $image"; else say "kept image $image: a container uses it"; fi
  done
  # The builder's stages, which are nameless and have the label from the base image.
  docker image prune --force --filter "label=$image_label=1" >/dev/null
}
