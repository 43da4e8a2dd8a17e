"""Stacks for the tests that need real containers."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.interrupts import take_interrupts
from tests.e2e.stack import ROOT, Stack

BENCH = "test_bench.py"
ALONE = {BENCH, "test_chaos.py", "test_failover.py", "test_serving.py"}
"""Those that keep a machine busy and count what fails meanwhile: two at once would count what too few cores do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What it compares with may have to be built first: see `compose_is_built_meanwhile`.
    items.sort(key=lambda item: item.path.name == BENCH)
    for item in items:
        if "e2e" in str(item.fspath):
            item.add_marker("e2e")
            if item.path.name in ALONE:
                item.add_marker("alone")


@pytest.fixture(scope="session", autouse=True)
def machine_is_set_up() -> None:
    if "SEAFOWL_LOCAL" not in os.environ:
        pytest.exit("run these tests with `make e2e`: it makes the machine ready, and tells them where things are", 2)
    take_interrupts()


@pytest.fixture(scope="session", autouse=True)
def compose_is_built_meanwhile(
    request: pytest.FixtureRequest, machine_is_set_up: None
) -> Iterator[Callable[[], object]]:
    """Docker Compose, for the benchmark's tests, which come last. Waits for it when called.

    Where no release can be reached it is built, which takes minutes. These tests leave half of the machine idle, and
    the build takes only that: the kernel shares cores among sessions before it looks at what is nice within one, so
    it is the session that gets the lowest priority (sched(7), autogroup). Between control groups that does not count:
    where there are such, it is built when it is needed.
    """
    cgroups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    is_grouped = any(path != "/" for _, kinds, path in cgroups if not kinds or "cpu" in kinds.split(","))
    if is_grouped or not any(item.path.name == BENCH for item in request.session.items):
        yield lambda: None
        return
    building = subprocess.Popen(
        ["sh", "-c", "{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 19 ops/setup.sh compose"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield building.wait
    if building.poll() is None:
        os.killpg(building.pid, signal.SIGTERM)
    building.wait()


@pytest.fixture(scope="module")
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stack]]:
    """Makes stacks of their own; nothing of them is left when the module's tests are done."""
    made: list[Stack] = []

    def make(name: str) -> Stack:
        made.append(Stack(f"e2e-{name}", Path(tmp_path_factory.mktemp(name))))
        return made[-1]

    yield make
    for stack in made:
        stack.configure(retainData=None)
        stack.pulumi("destroy", "--yes", "--skip-preview")
        stack.remove_leftovers()


@pytest.fixture(scope="module")
def cluster(new_stack: Callable[[str], Stack]) -> Stack:
    """A running cluster with two readers and one table, shared by a module's tests: each leaves it as it found it."""
    stack = new_stack("cluster")
    stack.up()
    stack.write("CREATE TABLE numbers AS SELECT 1 AS n; INSERT INTO numbers VALUES (2)")
    return stack
