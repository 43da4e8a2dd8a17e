"""`ops/setup.sh`, run with stand-ins for the air-gapped kit and for what would reach out.

What this does not prove: that the kit builds what it should (`.ci/run` on a new machine does).
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.running import ROOT
from ops.waiting import await_true

KIT = """#!/usr/bin/env bash
# Notes what it is asked for. `toolchain` and `images` go on until the test lets them, and end at once at a signal.
trap 'exit 130' INT
echo "$$" >"$NOTES/$1"
case $1 in
  toolchain | images)
    until [ -e "$NOTES/$1-may-end" ]; do sleep 0.02; done
    exit "$(cat "$NOTES/$1-may-end")"
    ;;
  path) echo "$NOTES" ;;
esac
"""
NOTHING_THERE = "#!/bin/sh\nexit 1\n"


class Setup:
    """A set-up of the programs, in a folder with nothing made yet."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"
        for name in ("ops", "airgap", "bin", "notes", "local"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "ops/setup.sh", folder / "ops")
        (folder / "images/seafowl-litefs").mkdir(parents=True)
        (folder / "requirements.txt").write_text("pulumi==3.0.0\n")
        (folder / "local/images").write_text("kit\n")
        (folder / "airgap/kit").write_text(KIT)
        (folder / "bin/curl").write_text(NOTHING_THERE)
        for program in ("airgap/kit", "bin/curl"):
            (folder / program).chmod(0o755)
        self.process = subprocess.Popen(
            [folder / "ops/setup.sh", "programs"],
            # Without a pulumi of the user's own.
            env={
                "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
                "NOTES": str(self.notes),
                "SEAFOWL_LOCAL": f"{folder}/local",
            },
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def let(self, part: str, status: int = 0) -> None:
        """Let the kit end with a part."""
        unfinished = self.notes / "unfinished"
        unfinished.write_text(str(status))
        unfinished.rename(self.notes / f"{part}-may-end")

    def builds(self, part: str) -> bool:
        """Whether the kit is at work on a part."""
        pid = self.notes / part
        return pid.exists() and bool(pid.read_text()) and Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    made = Setup(tmp_path)
    try:
        await_true(lambda: made.builds("toolchain") and made.builds("images"), "they are not made side by side")
        yield made
    finally:
        if made.process.poll() is None:
            os.killpg(made.process.pid, signal.SIGKILL)
        for part in ("toolchain", "images"):
            made.let(part)
        made.process.communicate()


def test_images_are_made_beside_the_toolchain(setup: Setup) -> None:
    setup.let("toolchain")
    await_true((setup.notes / "provider").exists, "the toolchain waits for the images")
    assert setup.process.poll() is None, "the images are not done"
    setup.let("images")
    assert setup.process.wait(20) == 0


@pytest.mark.parametrize(("failing", "other"), [("images", "toolchain"), ("toolchain", "images")])
def test_one_that_fails_fails_the_set_up(setup: Setup, failing: str, other: str) -> None:
    setup.let(failing, 3)
    if failing == "images":
        await_true(lambda: not setup.builds(failing), "it does not end")
        setup.let(other)
    assert setup.process.wait(20) == 3
    await_true(lambda: not setup.builds(other), "the other one goes on")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_both(setup: Setup, number: signal.Signals) -> None:
    os.killpg(setup.process.pid, number)
    assert setup.process.wait(20) == 128 + number
    await_true(lambda: not setup.builds("toolchain") and not setup.builds("images"), "something goes on")
