"""Keeps a local stack's config, an untracked copy, in step with the tracked Pulumi.<stack>.yaml.

What changes in the tracked file changes in the copy too; what was set in the copy alone (`pulumi config set`, the
encryption salt, the air-gapped kit's images) stays.

    python ops/local_config.py TRACKED COPY [--image PART=IMAGE …]
"""

import argparse
import sys
from pathlib import Path
from typing import Any, cast

import yaml

_IMAGES = "seafowl:images"


class ConfigFileError(Exception):
    """A config file cannot be read as one."""


def carried_over(base: dict[str, Any], tracked: dict[str, Any], copy: dict[str, Any]) -> dict[str, Any]:
    """`copy` with every key that differs between `base` (the tracked file when last seen) and `tracked`."""
    result = dict(copy)
    for key in base.keys() | tracked.keys():
        if base.get(key) == tracked.get(key):
            continue
        if key in tracked:
            result[key] = tracked[key]
        else:
            result.pop(key, None)
    return result


def with_image(images: dict[str, str], part: str, image: str) -> dict[str, str]:
    """`images` with `image` for `part`: where none is named, or another version of the same image is.

    The kit makes the stand-in of this checkout's version only, so the config must not go on with an older one.
    """
    named = images.get(part)
    is_ours = named is None or named.rpartition(":")[0] == image.rpartition(":")[0]
    return {**images, part: image} if is_ours else images


def main() -> int:
    """Update the copy; make it where there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracked", type=Path)
    parser.add_argument("copy", type=Path)
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        help="image to use where the config names none, or an older version of it",
    )
    arguments = parser.parse_args()

    seen = arguments.copy.with_suffix(".seen")
    try:
        tracked = _load(arguments.tracked)
        document = _load(arguments.copy)
    except ConfigFileError as error:
        print(f"error: {error}. Nothing was changed.", file=sys.stderr)
        return 1
    config: dict[str, Any] = carried_over(
        _load(seen).get("config") or {}, tracked.get("config") or {}, document.get("config") or {}
    )
    for choice in arguments.image:
        part, _, image = choice.partition("=")
        config[_IMAGES] = with_image(config.get(_IMAGES) or {}, part, image)
    updated = {**document, "config": config}
    if updated != document:
        arguments.copy.write_text(
            "# Config of the local stack, made from the tracked file of this name. `pulumi config set` changes it.\n"
            + yaml.safe_dump(updated, sort_keys=False)
        )
    if arguments.tracked.exists():
        seen.write_text(arguments.tracked.read_text())
    return 0


def _load(path: Path) -> dict[str, Any]:
    """The file's keys. Its errors name the place, and nothing of what stands there: it may be a secret."""
    if not path.exists():
        return {}
    try:
        document: Any = yaml.safe_load(path.read_text()) or {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f", in line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigFileError(f"{path} is not YAML{where}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigFileError(f"{path} is not YAML: it has bytes that are no text") from None
    keys = cast(dict[str, Any], document) if isinstance(document, dict) else {"config": document}
    if not isinstance(keys.get("config") or {}, dict):
        raise ConfigFileError(f"{path} holds no map of keys under `config`")
    return keys


if __name__ == "__main__":
    sys.exit(main())
