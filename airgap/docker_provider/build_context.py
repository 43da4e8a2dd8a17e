"""The files of an image's build context but those that .dockerignore names: hashed for Check, packed for the build."""

import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from .errors import ProviderError

Rule = tuple[re.Pattern[str], bool]
"""A pattern of .dockerignore, and whether it excludes (`!` brings back)."""


def digest(context: str, dockerfile: str) -> str:
    """sha256 (hex) over the Dockerfile and every file of the context: its path, mode and content."""
    total = hashlib.sha256(_of_content(Path(dockerfile)))
    for path in files(context, dockerfile):
        entry = Path(context, path)
        mode = entry.lstat().st_mode
        content = str(entry.readlink()).encode() if stat.S_ISLNK(mode) else b""
        hashed = hashlib.sha256(content).digest() if stat.S_ISLNK(mode) else _of_content(entry)
        total.update(path.encode() + b"\0" + oct(mode).encode() + b"\0" + hashed)
    return total.hexdigest()


def pack(context: str, dockerfile: str, target: IO[bytes]) -> str:
    """Writes the context as a tar archive owned by root; gives the Dockerfile's path inside it."""
    inside = os.path.relpath(dockerfile, context)
    with tarfile.open(fileobj=target, mode="w") as tar:
        for path in _entries(context, dockerfile):
            tar.add(Path(context, path), arcname=path, recursive=False, filter=_owned_by_root)
        if inside.startswith("..") or inside not in tar.getnames():
            inside = ".dockerfile.outside" if inside.startswith("..") else inside
            tar.add(dockerfile, arcname=inside, filter=_owned_by_root)
    return inside


def files(context: str, dockerfile: str) -> Iterator[str]:
    """The paths of the files that belong to the context, relative to it, in a fixed order."""
    for path in _entries(context, dockerfile):
        entry = Path(context, path)
        if entry.is_symlink() or not entry.is_dir():
            yield path


def _entries(context: str, dockerfile: str) -> Iterator[str]:
    """The files and folders."""
    rules = _rules(context, dockerfile)
    brings_back = any(not excludes for _, excludes in rules)
    for folder, folders, names in os.walk(context):
        relative = PurePosixPath(os.path.relpath(folder, context))
        if not brings_back:
            folders[:] = [name for name in folders if not _ignored(str(relative / name), rules)]
        folders.sort()
        for name in sorted([*names, *folders]):
            path = str(relative / name)
            if not _ignored(path, rules) and _is_packed(Path(folder, name).lstat().st_mode):
                yield path


def _is_packed(mode: int) -> bool:
    """Sockets, pipes and devices are no part of a context."""
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _of_content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ProviderError(f"cannot read {path} of the build context: {error.strerror}") from error


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _rules(context: str, dockerfile: str) -> list[Rule]:
    for candidate in (Path(f"{dockerfile}.dockerignore"), Path(context, ".dockerignore")):
        if candidate.is_file():
            lines = [line.strip() for line in candidate.read_text().splitlines()]
            return [_rule(line) for line in lines if line and not line.startswith("#")]
    return []


def _rule(line: str) -> Rule:
    excludes = not line.startswith("!")
    cleaned = os.path.normpath(line.removeprefix("!").strip()).lstrip("/")
    return re.compile(_expression(cleaned)), excludes


def _expression(pattern: str) -> str:
    """Docker's wildcards as a regular expression: `**` any folders, `*` and `?` within a name, [a-z], backslash."""
    done = ""
    rest = pattern
    while rest:
        if rest.startswith("**/"):
            done, rest = done + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            done, rest = done + ".*", rest[2:]
        elif rest[0] in "*?":
            done, rest = done + ("[^/]*" if rest[0] == "*" else "[^/]"), rest[1:]
        elif rest[0] == "[" and "]" in rest:
            end = rest.index("]") + 1
            done, rest = done + rest[:end], rest[end:]
        elif rest[0] == "\\" and len(rest) > 1:
            done, rest = done + re.escape(rest[1]), rest[2:]
        else:
            done, rest = done + re.escape(rest[0]), rest[1:]
    return done


def _ignored(path: str, rules: list[Rule]) -> bool:
    """The last rule that fits the path, or a folder above it, decides."""
    ignored = False
    for rule, excludes in rules:
        if excludes != ignored and any(rule.fullmatch(part) for part in _with_parents(path)):
            ignored = excludes
    return ignored


@lru_cache(maxsize=4096)
def _with_parents(path: str) -> tuple[str, ...]:
    return (path, *(str(parent) for parent in PurePosixPath(path).parents if str(parent) != "."))
