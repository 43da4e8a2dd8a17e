# shellcheck shell=bash disable=SC2154 # the variables of the files beside this one
# Parts: what the kit builds once and keeps in its cache, each in a directory named by name, version and key.
#
# A part NAME has, in the arrays below, its version, about how long it takes, and what to look at when it fails;
# the function recipe_NAME OUT builds it into the directory OUT, and inputs_NAME prints what else it is made from.
# The recipe's own text is part of the key: a changed build flag builds anew.

declare -A part_version=() part_time=() part_help=() part_dir=()

# locate_part NAME: puts the directory of the part into part_dir[NAME], built or not.
locate_part() {
  local name=$1
  [[ -n ${part_dir[$name]:-} ]] && return
  local key
  key=$(key_of "$(uname -m)" "${part_version[$name]}" "$(declare -f "recipe_$name")" "$("inputs_$name")")
  part_dir[$name]=$cache/$name-${part_version[$name]}-$key
}

# need_part NAME: part_dir[NAME] is there, complete, after this.
need_part() {
  local name=$1
  locate_part "$name"
  [[ -d ${part_dir[$name]} ]] && return
  open_cache
  lock "$name"
  # A run that was killed leaves its directory behind; nobody else can be in it while we hold the lock.
  rm -rf --one-file-system "$cache"/.unfinished-"$name".*
  if [[ ! -d ${part_dir[$name]} ]]; then
    if declare -F "prepare_$name" >/dev/null; then "prepare_$name"; fi
    unfinished=$(mktemp -d "$cache/.unfinished-$name.XXXXXX")
    chmod 755 "$unfinished"
    guarded "$name ${part_version[$name]} (${part_time[$name]})" "$cache/logs/$name.log" "${part_help[$name]}" \
      "recipe_$name" "$unfinished"
    mv -T "$unfinished" "${part_dir[$name]}"
    unfinished=
  fi
  unlock
}
