"""A cut of the benchmark: this project beside the Compose example, with real containers.

What this does not prove: that the figures are those of a quiet machine, or of the originals.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.deployments import COMPOSE_PORT
from bench.environment import leftovers, remove_leftovers
from bench.figures import Result, read_results
from bench.measures import changes, ordered, reads, start, upload, wear
from bench.rounds import TOPICS
from tests.e2e.stack import ROOT

TIMEOUT_SECONDS = 600


@pytest.fixture(scope="module", autouse=True)
def tools(compose_is_built_meanwhile: Callable[[], object]) -> Iterator[None]:
    """wrk and Docker Compose; nothing of a run that was cut off."""
    compose_is_built_meanwhile()
    # Says what went wrong where it did.
    subprocess.run(["ops/setup.sh", "wrk", "compose"], cwd=ROOT, check=True)
    remove_leftovers()
    yield
    remove_leftovers()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench.compare", *arguments]


@pytest.fixture(scope="module")
def results(tools: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("results")
    done = subprocess.run(
        command("--cut", "--into", str(folder)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert leftovers() == [], "the benchmark removes what it made"
    return {result.topic: result for result in read_results(folder, TOPICS)}


def test_the_cut_measures_both_sides(results: dict[str, Result]) -> None:
    assert set(results) == {"start", "scaling", "reads", ordered.TOPIC, upload.TOPIC, wear.TOPIC}
    for side in ("ours", "compose"):
        for topic, what in (
            ("start", start.FIRST_WRITE),
            ("start", start.FIRST_READ),
            ("scaling", changes.failed_requests(changes.scale_label(1, 3))),
            ("reads", reads.label(reads.THROUGH, 8)),
            (ordered.TOPIC, ordered.ONE_TABLE),
        ):
            figure = results[topic].figure(what, side)
            assert figure is not None, f"{side}: {what}"
            assert len(figure.values) == 1, "one round"


def test_no_request_fails_on_our_side_while_readers_come_and_go(results: dict[str, Result]) -> None:
    failed = [one for one in results["scaling"].figures if one.side == "ours" and one.unit == "requests"]
    assert len(failed) == len(changes.STEPS_DOWN + changes.STEPS_UP)
    assert [one.what for one in failed if sum(one.values)] == []


def test_no_row_of_several_clients_is_lost_and_each_way_to_write_is_measured(results: dict[str, Result]) -> None:
    written = results[ordered.TOPIC]
    for what, counted in ((ordered.ACKNOWLEDGED, 40), (ordered.LOST, 0), (ordered.TWICE, 0)):
        figure = written.figure(what)
        assert figure is not None and figure.values == (counted,), what
    rates = [
        written.figure(what)
        for what in (
            ordered.ALONE,
            ordered.MANY_THROUGH,
            ordered.MANY_STRAIGHT,
            ordered.ONE_THROUGH,
            ordered.ONE_STRAIGHT,
        )
    ]
    assert all(rate is not None and rate.median > 0 for rate in rates)
    assert len(written.goals) == 5


def test_an_upload_is_measured_both_ways_and_the_gate_has_little_of_it_in_memory(results: dict[str, Result]) -> None:
    for what in (upload.THROUGH, upload.STRAIGHT):
        figure = results[upload.TOPIC].figure(what)
        assert figure is not None and figure.median > 0
    memory = results[upload.TOPIC].figure(upload.GATE_MEMORY)
    assert memory is not None
    assert 5 < memory.median < 60, "MiB of the gate, not of anything else"


def test_wear_is_measured_with_maintenance_and_without_and_no_read_fails_meanwhile(results: dict[str, Result]) -> None:
    worn = results[wear.TOPIC]
    for what in (wear.INSERT, wear.COUNT):
        for how in (wear.WITH, wear.WITHOUT):
            steps = worn.figure(wear.by_commits(what, how))
            assert steps is not None and len(steps.values) == 2, "60 commits"
    for what in (wear.READS_ALONE, wear.READS_MEANWHILE, wear.MAINTAINED):
        figure = worn.figure(what)
        assert figure is not None and figure.median > 0
    failed = worn.figure(wear.FAILED_READS)
    assert failed is not None and sum(failed.values) == 0


def test_the_results_say_what_was_measured_and_what_was_a_stand_in(results: dict[str, Result]) -> None:
    about = results["start"].about
    assert about.setting == "cut"
    assert ("Seafowl" in about.stand_ins) == ("standin" in about.versions["Seafowl"])
    assert all(about.versions.values()), about.versions
    for goal in results["scaling"].goals:
        assert set(goal.stand_ins) <= set(about.stand_ins)


def test_with_something_on_its_port_it_touches_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", COMPOSE_PORT))
        taken.listen()
        done = subprocess.run(
            command("--cut", "--into", str(tmp_path / "results")), cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert f"127.0.0.1:{COMPOSE_PORT}" in done.stderr
    assert leftovers() == []
    assert not (tmp_path / "results").exists()


def test_a_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    running = subprocess.Popen(
        command("--cut", "--topic", "start", "--into", str(tmp_path / "results")),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + TIMEOUT_SECONDS
        # In the middle of `up`.
        while not any(one.startswith("container") for one in leftovers()):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < end
            time.sleep(0.2)
        os.kill(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        running.kill()
    assert running.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert leftovers() == []
    assert not (tmp_path / "results").exists()
