"""Reads of one reader at full speed: straight, through the ingress, and the same GET again and again."""

import hashlib
import json
from collections.abc import Sequence
from urllib.parse import quote

from bench.deployments import Deployment
from bench.figures import Record
from bench.wrk import Request, load
from config.layout import SEAFOWL_PORT

CONNECTIONS = (1, 8, 64)
STRAIGHT = "POST to the reader"
THROUGH = "POST through the ingress"
CACHED = "the same GET"


def label(way: str, connections: int) -> str:
    """What a way to ask is called in the figures."""
    return f"{way}, {connections} connection{'s' if connections > 1 else ''}"


def p99(what: str) -> str:
    """Name of the figure of the time that one request of a hundred takes longer than."""
    return f"{what}: p99"


def measure(deployment: Deployment, query: str, connections: Sequence[int], seconds: int, record: Record) -> None:
    """All ways in turn. The deployment has one reader."""
    side = deployment.side
    failed = 0
    for count in connections:
        for request in requests_of(deployment, query):
            seen = load(request, count, seconds)
            failed += seen.failed
            what = label(request.label, count)
            record.add("reads", what, side, "requests/s", seen.per_second)
            record.add("reads", f"{what}: p50", side, "ms", seen.p50_ms)
            record.add("reads", p99(what), side, "ms", seen.p99_ms)
    record.add("reads", "failed requests", side, "requests", failed)


def requests_of(deployment: Deployment, query: str) -> Sequence[Request]:
    """The ways to ask, in the order in which they are measured."""
    body = json.dumps({"query": query})
    digest = hashlib.sha256(query.encode()).hexdigest()
    ingress = f"http://127.0.0.1:{deployment.port}/q"
    (reader,) = deployment.readers()
    return (
        Request(STRAIGHT, f"http://{reader.address}:{SEAFOWL_PORT}/q", "POST", body),
        Request(THROUGH, ingress, "POST", body),
        Request(CACHED, f"{ingress}/{digest}", "GET", query_header=quote(query)),
    )
