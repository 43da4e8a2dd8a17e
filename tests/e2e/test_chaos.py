"""`make chaos`, cut short: that the program runs, and that the stack meets its goals where it is hurt most often.

All faults together take an hour: `make chaos` has them.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import docker

from tests.e2e.stack import ROOT, free_port

DOCUMENT = """# Before

<!-- what was seen: made by `make chaos` -->
<!-- end of what was seen -->

after
"""
FAULTS = [
    "a reader killed",
    "the writer killed",
    "MinIO killed",
    "the writer removed by hand",
    "the maintenance of tables killed",
]


def chaos(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.chaos", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_nothing_is_lost_and_nobody_is_needed_where_a_part_dies_or_is_removed(tmp_path: Path) -> None:
    report = tmp_path / "reliability.md"
    report.write_text(DOCUMENT)
    port = free_port()
    done = chaos("--cut", "--port", str(port), "--report", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    text = report.read_text()
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| ")}
    for fault in FAULTS:
        (row,) = [row for name, row in rows.items() if name.startswith(fault)]
        assert row.endswith("| met |"), row
        acknowledged = re.match(r"\| [^|]+ \| (\d+) of \d+ \|", row)
        assert acknowledged is not None and int(acknowledged[1]) > 0, "else nothing could be lost"
    (ending,) = [row for name, row in rows.items() if name == "static"]
    assert ending.endswith("| 0 | 0 | 0 | met |"), "what was written is there at the end, once"
    _, name, faults, acknowledged, shared, *_ = (cell.strip() for cell in ending.split("|"))
    assert (name, faults) == ("static", str(len(FAULTS)))
    assert int(acknowledged) > int(shared) > 0
    assert text.startswith("# Before\n")
    assert text.endswith("\nafter\n")
    left = docker.from_env().containers.list(all=True, filters={"name": f"chaos-{port}"})
    assert left == [], "it removes what it started"


def test_a_port_that_is_taken_is_told_before_anything_is_begun() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = chaos("--cut", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be had" in done.stderr
    assert "Traceback" not in done.stderr
    assert docker.from_env().containers.list(all=True, filters={"name": f"chaos-{port}"}) == []


def test_a_machine_without_docker_is_told_so() -> None:
    done = chaos("--cut", DOCKER_HOST="unix:///nonexistent.sock")
    assert done.returncode == 2
    assert "No Docker Engine answers at unix:///nonexistent.sock" in done.stderr
    assert "Traceback" not in done.stderr
