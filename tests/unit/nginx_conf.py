"""Reads a rendered nginx.conf with crossplane, NGINX's own parser of configurations.

What this does not prove: that NGINX starts with it (an upstream without servers parses; `nginx -t` refuses it).
"""

from pathlib import Path
from typing import Any

import crossplane

Block = list[dict[str, Any]]


def parsed(text: str, folder: Path) -> Block:
    """The directives in `text`. Fails where NGINX has no such directive, or not in that place."""
    path = folder / "nginx.conf"
    path.write_text(text)
    directives: Block = crossplane.parse(str(path), single=True)["config"][0]["parsed"]
    # To crossplane the patterns in a `map` are directives, and unknown ones.
    patterns = {entry["line"] for entries in _maps(directives) for entry in entries}
    errors = crossplane.parse(str(path), single=True, strict=True)["errors"]
    assert [error for error in errors if error["line"] not in patterns] == []
    return directives


def block(directives: Block, name: str, *args: str) -> Block:
    """What stands in the one block of a name, such as `location /w/`."""
    found = [item["block"] for item in directives if item["directive"] == name and item["args"][: len(args)] == [*args]]
    assert len(found) == 1, f"{len(found)} blocks {name} {' '.join(args)}"
    return found[0]


def arguments(directives: Block, name: str) -> list[list[str]]:
    """The arguments of each directive of a name."""
    return [item["args"] for item in directives if item["directive"] == name]


def in_force(levels: list[Block], name: str) -> list[str]:
    """The arguments that a directive has in the innermost of `levels` (such as http, server, location) that gives it.

    Only for directives that the inner level inherits whole or replaces, such as `proxy_next_upstream`.
    """
    found = [values for level in levels for values in arguments(level, name)]
    assert found, f"{name} has its default"
    return found[-1]


def _maps(directives: Block) -> list[Block]:
    found: list[Block] = []
    for item in directives:
        found += [item["block"]] if item["directive"] == "map" else _maps(item.get("block", []))
    return found
