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

_WARM_UP_SECONDS = 1
"""Before each measurement: the first answers after a pause are another matter (`first_second`)."""


def label(way: str, connections: int) -> str:
    """What a way to ask is called in the figures."""
    return f"{way}, {connections} connection{'s' if connections > 1 else ''}"


def p99(what: str) -> str:
    """Name of the figure of the time that one request of a hundred takes longer than."""
    return f"{what}: p99"


def first_second(what: str) -> str:
    """Name of the same figure for the first second after a pause: then all connections wait for the reader."""
    return f"{what}, first second after a pause: p99"


def measure(deployment: Deployment, query: str, connections: Sequence[int], seconds: int, record: Record) -> None:
    """All ways in turn. The deployment has one reader."""
    side = deployment.side
    failed = 0
    for count in connections:
        for request in requests_of(deployment, query):
            first, seen = load(request, count, _WARM_UP_SECONDS), load(request, count, seconds)
            failed += first.failed + seen.failed
            what = label(request.label, count)
            record.add("reads", what, side, "requests/s", seen.per_second)
            record.add("reads", f"{what}: p50", side, "ms", seen.p50_ms)
            record.add("reads", p99(what), side, "ms", seen.p99_ms)
            if request.label == CACHED:
                record.add("reads", first_second(what), side, "ms", first.p99_ms)
    record.add("reads", "failed requests", side, "requests", failed)


def requests_of(deployment: Deployment, query: str) -> Sequence[Request]:
    """The ways to ask, in the order in which they are measured.

    All at the containers' own addresses. What comes to 127.0.0.1 goes through Docker's userland proxy, which takes as
    much of the cores as NGINX does; what comes from another machine does not.
    """
    body = json.dumps({"query": query})
    digest = hashlib.sha256(query.encode()).hexdigest()
    ingress = f"http://{deployment.one('ingress').address}:{deployment.ingress_port}/q"
    (reader,) = deployment.readers()
    return (
        Request(STRAIGHT, f"http://{reader.address}:{SEAFOWL_PORT}/q", "POST", body),
        Request(THROUGH, ingress, "POST", body),
        Request(CACHED, f"{ingress}/{digest}", "GET", query_header=quote(query)),
    )
