"""Reads a rendered nginx.conf with crossplane, NGINX's own parser of configurations.

What this does not prove: that NGINX starts with it (an upstream without servers parses; `nginx -t` refuses it).
"""

import itertools
from pathlib import Path
from typing import Any

import crossplane

Block = list[dict[str, Any]]

# fact: of NGINX 1.27.4 and of njs, younger than crossplane 0.5.8.
_YOUNGER_THAN_CROSSPLANE = {
    "http": ["keepalive_min_timeout", "js_import", "js_set", "js_var"],
    "location": ["js_header_filter", "js_body_filter"],
}


def parsed(text: str, folder: Path) -> Block:
    """The directives in `text`. Fails where NGINX has no such directive, or not in that place."""
    path = folder / "nginx.conf"
    path.write_text(text)
    directives: Block = crossplane.parse(str(path), single=True)["config"][0]["parsed"]
    # To crossplane the patterns in a `map` are directives, and unknown ones.
    known = {entry["line"] for entries in _blocks(directives, "map") for entry in entries}
    for context, names in _YOUNGER_THAN_CROSSPLANE.items():
        inside = itertools.chain.from_iterable(_blocks(directives, context))
        known |= {item["line"] for item in inside if item["directive"] in names}
    errors = crossplane.parse(str(path), single=True, strict=True)["errors"]
    assert [error for error in errors if error["line"] not in known] == []
    return directives


def block(directives: Block, name: str, *args: str) -> Block:
    """What stands in the one block of a name, such as `location /w/`."""
    found = [item["block"] for item in directives if item["directive"] == name and item["args"][: len(args)] == [*args]]
    assert len(found) == 1, f"{len(found)} blocks {name} {' '.join(args)}"
    return found[0]


def server(directives: Block, place: int | str) -> Block:
    """What stands in the one server that listens on a port, whatever its address, or on a socket."""
    servers = [item["block"] for item in block(directives, "http") if item["directive"] == "server"]
    found = [one for one in servers if str(place) in {args[0].rpartition(":")[2] for args in arguments(one, "listen")}]
    assert len(found) == 1, f"{len(found)} servers listen on {place}"
    return found[0]


def mapped(http: Block, result: str) -> dict[str, str]:
    """The one `map` whose result has a name: pattern → value."""
    found = [item["block"] for item in http if item["directive"] == "map" and item["args"][1] == result]
    assert len(found) == 1, f"{len(found)} maps make {result}"
    return {entry["directive"]: " ".join(entry["args"]) for entry in found[0]}


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


def _blocks(directives: Block, name: str) -> list[Block]:
    found: list[Block] = []
    for item in directives:
        inside: Block = item.get("block", [])
        found += [*([inside] if item["directive"] == name else []), *_blocks(inside, name)]
    return found
