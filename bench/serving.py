"""What the ingress costs and saves: `make bench-serving` prints the table of README.md, "Serving".

One reader, asked for the temperatures by month of `make demo`: straight, through the ingress, and from the ingress's
cache. All three in turn, in every round, over eight connections of wrk.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from bench.stack import BenchStack, local_images
from cluster import labels
from cluster.engine import Engine
from config.layout import SEAFOWL_PORT
from ops.client import Client
from ops.demo import load_seattle
from ops.running import RunningStack, members

_STACK = "bench-serving"
_PORT = 8097
_ROUNDS = 5
_SECONDS = 5
_CONNECTIONS = 8


@dataclass(frozen=True)
class Case:
    """One way to ask."""

    label: str
    url: str
    method: str
    body: str = ""
    query_header: str = ""


@dataclass(frozen=True)
class Result:
    """What wrk saw in one round."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def main() -> int:
    """Measure and print."""
    console = Console()
    images = local_images()
    with tempfile.TemporaryDirectory() as folder:
        stack = BenchStack(_STACK, Path(folder))
        stack.configure({"seafowl:readers": 1, "seafowl:ingress": {"port": _PORT}, "seafowl:images": images})
        try:
            console.print(f"bringing stack {_STACK} up …")
            stack.run("up")
            running = stack.running()
            query = load_seattle(Client(running)).by_month
            cases = _cases(running, query)
            results: dict[str, list[Result]] = {case.label: [] for case in cases}
            for number in range(_ROUNDS):
                console.print(f"round {number + 1} of {_ROUNDS} …")
                for case in cases:
                    results[case.label].append(_measured(case))
            memory = _memory_of_the_ingress(running)
        finally:
            stack.run("destroy")
    console.print(_table(results, images))
    straight, through, kept = (statistics.median(r.per_second for r in results[case.label]) for case in cases)
    console.print(f"POST through the ingress: {through / straight:.2f} × of straight to the reader")
    console.print(f"GET from the cache: {kept / through:.0f} × of the POST through the ingress")
    console.print(f"memory of NGINX after all of it: {memory / 1024 / 1024:.1f} MiB")
    return 0


def _cases(running: RunningStack, query: str) -> Sequence[Case]:
    body = json.dumps({"query": query})
    digest = hashlib.sha256(query.encode()).hexdigest()
    ingress: str = running.outputs["queryUrl"]
    return (
        Case("POST, straight to the reader", f"http://{_address(running)}:{SEAFOWL_PORT}/q", "POST", body),
        Case("POST, through the ingress", ingress, "POST", body),
        Case("GET, from the ingress's cache", f"{ingress}/{digest}", "GET", query_header=quote(query)),
    )


def _address(running: RunningStack) -> str:
    """The reader's address on the network that the ingress is on: a Docker host reaches its containers by it."""
    with Engine(running.docker) as engine:
        found = {one["Config"]["Labels"][labels.ROLE]: one for one in members(engine, running)}
    networks: dict[str, dict[str, Any]] = found["reader"]["NetworkSettings"]["Networks"]
    return next(place["IPAddress"] for name, place in networks.items() if name in _networks(found["ingress"]))


def _networks(container: dict[str, Any]) -> set[str]:
    return set(container["NetworkSettings"]["Networks"])


def _memory_of_the_ingress(running: RunningStack) -> int:
    with Engine(running.docker) as engine:
        return next(
            engine.memory(one["Id"])
            for one in members(engine, running)
            if one["Config"]["Labels"][labels.ROLE] == "ingress"
        )


def _measured(case: Case) -> Result:
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{_SECONDS}s", "-s", str(Path(__file__).with_name("load.lua"))]
    environment = {"METHOD": case.method, "BODY": case.body, "QUERY_HEADER": case.query_header}
    try:
        done = subprocess.run(  # noqa: S603
            [*command, case.url], env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        sys.exit("wrk, which makes the load, is not installed (Debian: apt-get install wrk)")
    if done.returncode != 0:
        sys.exit(f"wrk failed: {done.stderr}")
    seen: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return Result(seen["requests"] / seen["seconds"], seen["p50_ms"], seen["p99_ms"], int(seen["failed"]))


def _table(results: dict[str, list[Result]], images: dict[str, str]) -> Table:
    table = Table(
        title=f"One reader ({images.get('seafowl', 'original')}), {_CONNECTIONS} connections, {_ROUNDS} rounds"
    )
    for heading in ("", "requests/s", "lowest", "highest", "p50, ms", "p99, ms", "failed"):
        table.add_column(heading, justify="left" if not heading else "right")
    for label, rounds in results.items():
        rates = [one.per_second for one in rounds]
        table.add_row(
            label,
            *(f"{rate:,.0f}" for rate in (statistics.median(rates), min(rates), max(rates))),
            f"{statistics.median(one.p50_ms for one in rounds):.2f}",
            f"{statistics.median(one.p99_ms for one in rounds):.2f}",
            str(sum(one.failed for one in rounds)),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
