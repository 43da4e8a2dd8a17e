"""wrk, which makes the load: one request again and again, over a number of connections."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.commands import run
from ops.running import ROOT


@dataclass(frozen=True)
class Request:
    """One way to ask."""

    label: str
    url: str
    method: str
    body: str = ""
    query_header: str = ""
    """Value of X-Seafowl-Query."""


@dataclass(frozen=True)
class Seen:
    """What wrk saw."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def missing() -> bool:
    """Whether wrk is not installed."""
    try:
        subprocess.run(["wrk", "--version"], capture_output=True, check=False)  # noqa: S607
    except FileNotFoundError:
        return True
    return False


def load(request: Request, connections: int, seconds: int) -> Seen:
    """Send `request` for so long. Ends the program where wrk fails."""
    script = str(Path(__file__).with_name("load.lua"))
    printed, _ = run(
        [
            "wrk",
            "--threads",
            "1",
            "--connections",
            str(connections),
            "--duration",
            f"{seconds}s",
            "--script",
            script,
            request.url,
        ],
        ROOT,
        {"METHOD": request.method, "BODY": request.body, "QUERY_HEADER": request.query_header},
    )
    if not printed.strip():
        sys.exit("wrk printed nothing")
    seen: dict[str, float] = json.loads(printed.strip().splitlines()[-1])
    return Seen(seen["requests"] / seen["seconds"], seen["p50_ms"], seen["p99_ms"], int(seen["failed"]))
