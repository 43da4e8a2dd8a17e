"""`make demo`: load a real weather data set through `/w/`, and ask the readers for the temperatures by month.

The data set is the weather of Cambridge, which the writer fetches itself, where it can be reached; otherwise that of
Seattle, a CSV that the PyPI package vega_datasets ships, which is uploaded. Running it again replaces the table.
"""

import functools
import json
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from cluster import labels
from cluster.engine import ClusterError, Engine
from ops.access_log import answered
from ops.client import Client
from ops.running import RunningStack, current_stack, member_name, members
from ops.waiting import await_true

_CAMBRIDGE_URL = "https://www.cl.cam.ac.uk/research/dtg/weather/weather-raw.csv"
_SEATTLE_PACKAGE = "vega_datasets==0.9.0"
_SEATTLE_FILE = "vega_datasets/_data/seattle-weather.csv"
_SECONDS = 120
_MONTHS = 12
_REPLICATION_SECONDS = 10
_LOG_SECONDS = 5
_LOG_LINES = 1000


@dataclass(frozen=True)
class Loaded:
    """A table that was loaded, and how to ask it for the temperatures of its last months."""

    source: str
    table: str
    by_month: str


def main() -> int:
    """Load, ask every reader, print the table."""
    console = Console()
    try:
        stack = current_stack()
        client = Client(stack)
        readers = int(stack.outputs["readers"])
        loaded = _load(client, console)
        rows = _replicated_rows(client, loaded.table, readers)
        console.print(f"{rows:,} rows of {loaded.source} in table {loaded.table}, read through {client.read_url}")
        answers = [_query(client, loaded.by_month) for _ in range(4 * readers)]
        console.print(_table(answers[0][1]))
        if any(answer != answers[0][1] for _, answer in answers):
            raise ClusterError("the readers gave different answers to one query")
        console.print(f"Answered by {_answerers(stack, [request for request, _ in answers])}.")
    except (ClusterError, TimeoutError, requests.RequestException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _load(client: Client, console: Console) -> Loaded:
    if _reachable(_CAMBRIDGE_URL):
        console.print(f"Loading {_CAMBRIDGE_URL} …")
        return _load_cambridge(client)
    console.print(f"{_CAMBRIDGE_URL} cannot be reached; loading the weather of Seattle ({_SEATTLE_PACKAGE}) …")
    return load_seattle(client)


def _replicated_rows(client: Client, table: str, readers: int) -> int:
    """Rows of `table`, once every reader has it: replication is asynchronous."""
    query = f"SELECT COUNT(*) AS n FROM {table}"
    wanted = client.writes.post(f"{client.write_url}/q", json={"query": query}, timeout=_SECONDS)
    _must_be_ok(wanted, query)

    def everywhere() -> bool:
        # As many answers in a row as there are readers, and once more: NGINX asks them in turn.
        answers = (
            client.reads.post(client.read_url, json={"query": query}, timeout=_SECONDS) for _ in range(2 * readers)
        )
        return all(answer.text == wanted.text for answer in answers)

    late = f"a reader has not got table {table} within {_REPLICATION_SECONDS} seconds: `make status`"
    await_true(everywhere, late, _REPLICATION_SECONDS)
    return int(json.loads(wanted.text)["n"])


def _reachable(url: str) -> bool:
    try:
        return requests.head(url, timeout=5, allow_redirects=True).ok
    except requests.RequestException:
        return False


def _load_cambridge(client: Client) -> Loaded:
    columns = {
        "timestamp": "TIMESTAMP",
        "temp_c_10": "INT",
        "humidity_perc": "INT",
        "dew_point_c_10": "INT",
        "pressure_mbar": "INT",
        "mean_wind_speed_knots_10": "INT",
        "average_wind_bearing_degrees": "INT",
        "sunshine_hours_100": "INT",
        "rainfall_mm_1000": "INT",
        "max_wind_speed_knots_10": "INT",
    }
    table = "cambridge_weather"
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    copied = ", ".join(
        f"arrow_cast({name}, 'Timestamp(Microsecond, None)') AS {name}" if kind == "TIMESTAMP" else name
        for name, kind in columns.items()
    )
    # External tables live in one process's memory, under a name that stays taken: one request makes and drops it.
    _write(
        client,
        f"DROP TABLE IF EXISTS {table}; DROP TABLE IF EXISTS staging.{table};"
        f"CREATE EXTERNAL TABLE {table} ({listed}) STORED AS CSV LOCATION '{_CAMBRIDGE_URL}';"
        f"CREATE TABLE {table} AS SELECT {copied} FROM staging.{table}; DROP TABLE staging.{table}",
    )
    return Loaded(
        source="the weather of Cambridge",
        table=table,
        by_month="SELECT date_trunc('month', timestamp) AS month, AVG(temp_c_10 * 0.1) AS avg_temp, "
        f"MIN(temp_c_10 * 0.1) AS min_temp, MAX(temp_c_10 * 0.1) AS max_temp FROM {table} "
        f"GROUP BY 1 ORDER BY 1 DESC LIMIT {_MONTHS}",
    )


def load_seattle(client: Client) -> Loaded:
    """Load the weather of Seattle, in place of an earlier one. Raises `ClusterError`."""
    table = "seattle_weather"
    _write(client, f"DROP TABLE IF EXISTS {table}")
    answer = client.writes.post(
        f"{client.write_url}/upload/public/{table}",
        files={"data": ("seattle-weather.csv", _seattle_csv(), "text/csv")},
        timeout=_SECONDS,
    )
    _must_be_ok(answer, "the upload")
    return Loaded(
        source="the weather of Seattle",
        table=table,
        by_month="SELECT replace(substr(date, 1, 7), '/', '-') AS month, AVG((temp_max + temp_min) / 2) AS avg_temp, "
        f"MIN(temp_min) AS min_temp, MAX(temp_max) AS max_temp FROM {table} "
        f"GROUP BY 1 ORDER BY 1 DESC LIMIT {_MONTHS}",
    )


@functools.cache
def _seattle_csv() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _SEATTLE_PACKAGE],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ClusterError(f"pip cannot download {_SEATTLE_PACKAGE}:\n{done.stderr.strip()}")
        (wheel,) = Path(folder).glob("*.whl")
        return zipfile.ZipFile(wheel).read(_SEATTLE_FILE)


def _write(client: Client, statements: str) -> None:
    answer = client.writes.post(f"{client.write_url}/q", json={"query": statements}, timeout=_SECONDS)
    _must_be_ok(answer, statements)


def _query(client: Client, query: str) -> tuple[str, list[dict[str, Any]]]:
    """The id of the request at the ingress, and the rows."""
    answer = client.reads.post(client.read_url, json={"query": query}, timeout=_SECONDS)
    _must_be_ok(answer, query)
    return answer.headers.get("X-Request-Id", ""), [json.loads(line) for line in answer.text.splitlines()]


def _must_be_ok(answer: requests.Response, what: str) -> None:
    if not answer.ok:
        raise ClusterError(f"{what}: the cluster answered {answer.status_code}: {answer.text.strip()}")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Temperature by month, in °C")
    table.add_column("month")
    for heading in ("average", "lowest", "highest"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(str(row["month"])[:7], *(f"{row[key]:.1f}" for key in ("avg_temp", "min_temp", "max_temp")))
    return table


def _answerers(stack: RunningStack, request_ids: list[str]) -> str:
    """Which readers answered these requests, and how many each: the ingress's access log knows."""
    with Engine(stack.docker) as engine:
        containers = members(engine, stack)
        readers = {
            address: member_name(container)
            for container in containers
            if container["Config"]["Labels"][labels.ROLE] == "reader"
            for address in _addresses(container)
        }
        ingress = next(c for c in containers if c["Config"]["Labels"][labels.ROLE] == "ingress")
        upstreams = _upstreams(engine, ingress["Id"], request_ids)
    counted = Counter(readers.get(address, address) for address in upstreams)
    return ", ".join(f"{name} ({count} times)" for name, count in sorted(counted.items()))


def _upstreams(engine: Engine, ingress: str, request_ids: list[str]) -> list[str]:
    """The addresses that answered these requests, once the access log has a line of each: NGINX writes it in pieces."""
    asked = set(request_ids)

    def written() -> bool:
        nodes.update((entry.id, entry.node) for entry in answered(engine, ingress, _LOG_LINES) if entry.id in asked)
        return nodes.keys() == asked

    nodes: dict[str, str] = {}
    # One line that is missing is no reason to say nothing of the others.
    with suppress(TimeoutError):
        await_true(written, "the access log has not got every request", _LOG_SECONDS)
    return [nodes[one] for one in request_ids if one in nodes]


def _addresses(container: dict[str, Any]) -> Iterator[str]:
    for network in container["NetworkSettings"]["Networks"].values():
        yield network["IPAddress"]


if __name__ == "__main__":
    sys.exit(main())
