"""Seafowl as the supervisor starts it: with which environment, and how its end is told."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from supervisor.seafowl_process import SeafowlProcess, reader_environment

WRITERS = {
    "PATH": "/bin",
    "CONSUL_HTTP_TOKEN": "t",
    "READER": "kept",
    "MY_SEAFOWL__KEY": "kept",
    "SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID": "writer",
    "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY": "writers-key",
    "SEAFOWL__FRONTEND__HTTP__WRITE_ACCESS": "hash",
    "READER__SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID": "reader",
    "READER__SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY": "readers-key",
}


def test_a_reader_gets_its_own_settings_of_seafowl_in_place_of_all_of_the_writers() -> None:
    assert reader_environment(WRITERS) == {
        "PATH": "/bin",
        "CONSUL_HTTP_TOKEN": "t",
        "READER": "kept",
        "MY_SEAFOWL__KEY": "kept",
        "SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID": "reader",
        "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY": "readers-key",
    }


def test_a_reader_without_settings_of_its_own_has_none_of_the_writers() -> None:
    environment = {key: value for key, value in WRITERS.items() if not key.startswith("READER__")}
    assert not [key for key in reader_environment(environment) if key.startswith("SEAFOWL__")]


def test_the_writers_environment_is_left_as_it_is() -> None:
    before = dict(WRITERS)
    reader_environment(WRITERS)
    assert before == WRITERS


PROGRAM = """#!{python} -SE
import json, os, pathlib, signal, sys, time
pathlib.Path({folder!r}, "started").write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
code = os.environ["CODE"]
if code == "waits":
    time.sleep(60)
if code == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(code))
"""


class Seafowl:
    """A program called `seafowl` that ends as its environment says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.deaths: list[int] = []
        program = folder / "seafowl"
        program.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        # Where it is looked for is this process's matter, not the environment's that it gets.
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    def start(self, environment: Mapping[str, str]) -> SeafowlProcess:
        path = {"PATH": f"{self.folder}:/usr/bin:/bin"}
        return SeafowlProcess(self.folder / "reader.toml", {**path, **environment}, self.deaths.append)

    def started_with(self) -> tuple[list[str], dict[str, str]]:
        arguments, environment = json.loads((self.folder / "started").read_text())
        return arguments, environment


@pytest.fixture
def seafowl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seafowl:
    return Seafowl(tmp_path, monkeypatch)


def test_seafowl_gets_the_environment_that_it_is_given_and_nothing_of_ours(
    seafowl: Seafowl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY", "writers-key")

    async def run() -> None:
        assert await seafowl.start({"CODE": "0", "MINE": "x"}).wait(10) == 0

    asyncio.run(run())
    arguments, environment = seafowl.started_with()
    assert arguments == ["--config-path", str(seafowl.folder / "reader.toml")]
    assert environment.keys() - {"LC_CTYPE"} == {"PATH", "CODE", "MINE"}


@pytest.mark.parametrize(("ends", "code"), [("0", 0), ("3", 3), ("killed", 137)])
def test_an_end_of_its_own_is_told_with_the_code_that_a_shell_would_give(
    seafowl: Seafowl, ends: str, code: int
) -> None:
    async def run() -> None:
        process = seafowl.start({"CODE": ends})
        assert await process.wait(10) == code
        assert not process.runs

    asyncio.run(run())
    assert seafowl.deaths == [code]


@pytest.mark.parametrize("way", ["terminate", "kill"])
def test_an_end_that_it_was_told_to_is_no_death(seafowl: Seafowl, way: str) -> None:
    async def run() -> int:
        process = seafowl.start({"CODE": "waits"})
        assert (process.runs, process.ends) == (True, False)
        getattr(process, way)()
        assert process.ends
        return await process.wait(10)

    assert asyncio.run(run()) == {"terminate": 143, "kill": 137}[way]
    assert seafowl.deaths == []


def test_one_that_does_not_end_in_time_is_killed(seafowl: Seafowl) -> None:
    async def run() -> int:
        return await seafowl.start({"CODE": "waits"}).wait(0.01)

    assert asyncio.run(run()) == 137
    assert seafowl.deaths == []
