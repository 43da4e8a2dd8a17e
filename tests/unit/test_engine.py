"""What is asked of the Docker Engine, and how its failures are told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import docker
import docker.errors
import pytest
import requests

from cluster.engine import ClusterError, DockerHost, Engine

HOST = DockerHost("unix:///d.sock")


class Call(NamedTuple):
    """One call of the Docker library."""

    name: str
    positional: tuple[Any, ...]


class Api:
    """Stands in for the Docker library's connection."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.closed = False
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        def call(*positional: Any, **__: object) -> Any:
            self.calls.append(Call(name, positional))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def close(self) -> None:
        self.closed = True


def engine(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> Engine:
    """An engine whose API gives these answers."""
    api = Api(ping=True, info={"KernelVersion": "6.1"}, **answers)
    monkeypatch.setattr(docker, "DockerClient", lambda **_: SimpleNamespace(api=api))
    return Engine(HOST)


def refusal(host: DockerHost) -> str:
    with pytest.raises(ClusterError) as caught:
        Engine(host)
    assert caught.value.__suppress_context__, "a user would see the libraries' chain of errors"
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "unix:///nonexistent/docker.sock",
        "tcp://127.0.0.1:1",
        "tcp://127.0.0.1:no-port",
        "gopher://127.0.0.1",
        "tcp://",
    ],
)
def test_a_host_where_no_engine_answers_is_named_with_the_cause_and_the_way_out(url: str) -> None:
    text = refusal(DockerHost(url))
    assert text.startswith(f"No Docker Engine answers at {url}: ")
    assert "systemctl start docker" in text
    assert "`pulumi config set docker:host …`" in text


def test_a_missing_socket_is_told_in_plain_words(tmp_path: Path) -> None:
    text = refusal(DockerHost(f"unix://{tmp_path}/docker.sock"))
    assert "No such file or directory" in text
    assert "HTTPConnectionPool" not in text


def test_missing_certificates_are_told_as_such(tmp_path: Path) -> None:
    text = refusal(DockerHost("tcp://127.0.0.1:1", cert_path=str(tmp_path)))
    assert "tcp://127.0.0.1:1" in text
    assert "cert" in text.lower()


def test_an_engine_that_answers_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch).about() == {"KernelVersion": "6.1"}


def test_the_connection_is_closed_also_where_something_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = engine(monkeypatch)
    with pytest.raises(RuntimeError), connected:
        raise RuntimeError
    assert connected._api.closed  # pyright: ignore[reportPrivateUsage]


def test_a_container_that_is_gone_is_none_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, inspect_container=docker.errors.NotFound("gone")).inspect("c") is None


def test_a_command_gives_its_exit_code_and_output(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"exec_create": {"Id": "x"}, "exec_start": b"no \xff\n", "exec_inspect": {"ExitCode": 3}}
    assert engine(monkeypatch, **answers).run("c", ["true"]) == (3, "no \N{REPLACEMENT CHARACTER}\n")


def test_a_command_in_a_container_that_does_not_run_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, exec_create=docker.errors.APIError("not running")).run("c", ["true"]) is None


def test_a_command_that_hangs_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"exec_create": {"Id": "x"}, "exec_start": b"", "exec_inspect": {"ExitCode": 0}}
    connected = engine(monkeypatch, **answers)
    connected.run("c", ["/bin/sh", "-c", "curl somewhere"])
    (ran,) = [call.positional[1] for call in connected._api.calls if call.name == "exec_create"]  # pyright: ignore[reportPrivateUsage]
    assert ran[0] == "timeout", "the library waits for its output without an end: `up` would hang with it"
    assert 0 < float(ran[1]) < 20
    assert ran[2:] == ["/bin/sh", "-c", "curl somewhere"]


def test_a_container_is_stopped_before_it_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = engine(monkeypatch, stop=None, remove_container=None)
    connected.remove_container("c", 15)
    calls = [call.name for call in connected._api.calls if call.name != "ping"]  # pyright: ignore[reportPrivateUsage]
    assert calls == ["stop", "remove_container"], "a writer that is killed at once leaves its transaction to the next"


def test_what_is_gone_already_needs_no_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = docker.errors.NotFound("gone")
    connected = engine(monkeypatch, stop=gone, remove_network=gone, remove_volume=gone)
    connected.remove_container("c", 15)
    connected.remove_network("n")
    connected.remove_volume("v")


def test_a_network_that_is_in_use_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = engine(monkeypatch, remove_network=docker.errors.APIError("has active endpoints"))
    with pytest.raises(ClusterError, match="has active endpoints"):
        connected.remove_network("n")


def test_a_host_without_volumes_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, volumes={"Volumes": None}).volumes() == []
    assert engine(monkeypatch, networks=[{"Id": "n"}]).networks() == [{"Id": "n"}]


def test_log_lines_are_text_whatever_was_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, logs=b"one\ntw\xff\n").log_lines("c", 5) == ["one", "tw\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize(
    ("stats", "used"),
    [
        ({"usage": 100, "stats": {"inactive_file": 30}}, 70),
        ({"usage": 100, "stats": {"total_inactive_file": 40}}, 60),
        ({"usage": 100}, 100),
        ({"usage": 10, "stats": {"inactive_file": 30}}, 0),
        ({}, 0),
    ],
)
def test_memory_is_counted_without_the_cache_that_can_be_taken_back(
    monkeypatch: pytest.MonkeyPatch, stats: dict[str, Any], used: int
) -> None:
    assert engine(monkeypatch, stats={"memory_stats": stats}).memory("c") == used


@pytest.mark.parametrize(
    "broken",
    [requests.exceptions.ConnectionError("connection reset"), requests.exceptions.ReadTimeout("read timed out")],
)
def test_an_engine_that_goes_away_meanwhile_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    connected = engine(monkeypatch, containers=broken)
    with pytest.raises(ClusterError, match=HOST.url), connected:
        connected.containers()


def test_a_container_that_is_removed_before_its_log_is_read_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, logs=docker.errors.NotFound("gone")).log_lines("c", 5) == []
