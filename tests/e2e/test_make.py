"""What a newcomer types, in a fresh checkout: the commands of README.md."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import yaml

from cluster import labels
from tests.e2e.stack import ROOT, free_port

STACK = "e2e-make"


def run(command: str, checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # Nothing of the environment that runs these tests, but what a shell has.
    plain = {
        key: value
        for key, value in os.environ.items()
        if key == "SEAFOWL_KIT_CACHE" or not key.startswith(("PULUMI_", "SEAFOWL_"))
    }
    # A second set-up of pulumi in `.local` would take the first one's for the user's own.
    toolchain = Path(os.environ["SEAFOWL_LOCAL"]) / "toolchain"
    ours = {str(ROOT / "ops" / "bin"), toolchain.read_text().strip() if toolchain.exists() else ""}
    path = os.pathsep.join(part for part in plain["PATH"].split(os.pathsep) if part not in ours)
    return subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env={**plain, "PATH": path, "PULUMI_STACK": STACK, **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def left_in_docker() -> list[str]:
    mine = {"label": [f"{labels.STACK}={STACK}"]}
    engine = docker.from_env()
    everything = (
        *engine.containers.list(all=True, filters=mine),
        *engine.volumes.list(filters=mine),
        *engine.networks.list(filters=mine),
    )
    return [one.name for one in everything]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A commit of the working tree, with a stack config of its own; Python's packages are those of this one."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    config = {"seafowl:readers": 1, "seafowl:ingress": {"port": free_port()}}
    (folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": config}))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    git = "git -c user.name=t -c user.email=t@example.org"
    committed = run(f"git init -q && git add -A && {git} commit -qm all", folder)
    assert committed.returncode == 0, committed.stderr
    yield folder
    run("make down", folder)


def test_make_up_demo_status_preview_and_down_work_and_leave_git_clean(checkout: Path) -> None:
    up = run("make up", checkout)
    assert up.returncode == 0, up.stdout + up.stderr
    for command in re.findall(r"^  (curl .*)$", up.stdout, re.MULTILINE):
        answer = run(f"{command} --fail --silent --show-error", checkout)
        assert answer.returncode == 0, f"{command}\n{answer.stderr}"
    assert '{"answer":1}' in answer.stdout, "the last hint reads what the first one wrote"

    for _ in range(2):
        demo = run("make demo", checkout)
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert "Temperature by month" in demo.stdout
        assert "Answered by reader-0" in demo.stdout
        assert "1,461 rows" in demo.stdout or "Cambridge" in demo.stdout

    status = run("make status", checkout)
    assert status.returncode == 0, status.stdout + status.stderr
    assert re.search(r"writer-0 .*healthy .*primary", status.stdout)

    assert "unchanged" in run("make preview", checkout).stdout
    changed = run("source ops/env.sh && pulumi config set readers 2 && pulumi preview", checkout)
    assert "reader-1" in changed.stdout
    assert "+ 1 to create" in changed.stdout
    assert re.search(r"\d+ unchanged", changed.stdout)

    running = docker.from_env().containers.list(filters={"label": f"{labels.STACK}={STACK}"})
    reader = next(c for c in running if c.labels[labels.ROLE] == "reader")
    reader.stop(timeout=5)
    assert run("make status", checkout).returncode != 0, "a stopped reader is no healthy cluster"
    reader.start()

    state = checkout / ".local" / "state" / ".pulumi" / "stacks"
    assert [path.suffix for path in state.rglob("*.json")], "this is where the state is"
    assert list(state.rglob("*.attrs")) == [], "files that are written in place, which a killed up leaves unreadable"

    down = run("make down", checkout)
    assert down.returncode == 0, down.stdout + down.stderr
    assert left_in_docker() == []
    assert run("git status --porcelain", checkout).stdout == ""


def test_a_stack_config_that_is_not_yaml_is_named_and_nothing_happens(checkout: Path) -> None:
    config = checkout / f"Pulumi.{STACK}.yaml"
    good = config.read_text()
    config.write_text("config: [oops\n")
    outcome = run("make up", checkout)
    config.write_text(good)
    assert outcome.returncode != 0
    assert f"{config.name} is not YAML" in outcome.stderr
    assert left_in_docker() == []


def test_a_lost_passphrase_is_told_before_pulumi_asks_for_it(checkout: Path) -> None:
    passphrase = checkout / ".local" / "passphrase"
    kept = passphrase.rename(passphrase.with_suffix(".kept"))
    outcome = run("make up", checkout)
    kept.rename(passphrase)
    assert outcome.returncode != 0
    assert "passphrase" in outcome.stderr
    assert "put it back" in outcome.stderr


def test_without_docker_the_host_is_named(checkout: Path) -> None:
    outcome = run("make up", checkout, DOCKER_HOST="unix:///nowhere.sock")
    assert outcome.returncode != 0
    assert "no Docker Engine answers at DOCKER_HOST=unix:///nowhere.sock" in outcome.stderr
