"""The ingress's access log: which node answered which request."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cluster.engine import Engine


@dataclass(frozen=True)
class Answered:
    """One request, as NGINX logged it."""

    id: str
    """Its X-Request-Id; empty where the log has none."""

    at: float
    """Seconds since 1970, whole ones."""

    status: str
    node: str
    """IP address of the node that answered; empty where the cache did."""


def answered(engine: Engine, ingress: str, lines: int) -> Sequence[Answered]:
    """What the last `lines` of the log of the container `ingress` tell. NGINX writes them up to a second late."""
    found: list[Answered] = []
    for line in engine.log_lines(ingress, lines):
        # NGINX's own messages are no JSON.
        with suppress(json.JSONDecodeError):
            entry: dict[str, str] = json.loads(line)
            node = entry["upstream"].rpartition(" ")[2].rpartition(":")[0]
            at = datetime.fromisoformat(entry["time"]).timestamp()
            found.append(Answered(entry.get("id", ""), at, entry["status"], node))
    return found
