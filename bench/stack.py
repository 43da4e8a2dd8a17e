"""A stack of a benchmark's own: with a state, a config and a port that nothing else uses."""

import json
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.commands import Command
from cluster.engine import docker_host
from ops.running import ROOT, RunningStack

_PROJECT = "seafowl"
_PLAIN = "--non-interactive"


def local_images() -> dict[str, str]:
    """The images that this machine's local stack was set up with: the stand-in, where Seafowl cannot be had."""
    local = Path(os.environ["SEAFOWL_LOCAL"]) / "Pulumi.dev.yaml"
    config: dict[str, Any] = yaml.safe_load(local.read_text())["config"] if local.exists() else {}
    return config.get("seafowl:images", {})


@contextmanager
def interrupted_too(process: subprocess.Popen[str]) -> Generator[None]:
    """Hand a Ctrl-C on to a process that a terminal's does not reach, and wait until it has ended."""
    try:
        yield
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
        raise


class BenchStack:
    """pulumi on one program, with a state and a config in `folder`."""

    def __init__(self, name: str, folder: Path, program: Path = ROOT) -> None:
        self.name = name
        self._program = program
        (folder / "state").mkdir(parents=True)
        self._config = folder / f"Pulumi.{name}.yaml"
        self._environment = {
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "of a benchmark",
            "PULUMI_CONFIG_PASSPHRASE_FILE": "",
            "PULUMI_STACK": name,
        }
        (folder / "Pulumi.yaml").write_text((program / "Pulumi.yaml").read_text())
        self._call("-C", str(folder), "stack", "init", name)

    def configure(self, config: dict[str, Any]) -> None:
        """Set keys of the stack config."""
        document = yaml.safe_load(self._config.read_text())
        document["config"] = {**(document.get("config") or {}), **config}
        self._config.write_text(yaml.safe_dump(document))

    def run(self, command: str) -> float:
        """Seconds that `up`, `preview` or `destroy` took. Ends the program where it fails."""
        with self.start(command) as running:
            running.finish()
            return running.seconds

    def start(self, command: str) -> Command:
        """The same, while it runs."""
        flags = [] if command == "preview" else ["--yes", "--skip-preview"]
        return self._pulumi(command, *flags, "--config-file", str(self._config))

    def attempt(self, command: str, *flags: str) -> subprocess.CompletedProcess[str]:
        """`up` or `destroy`, whatever comes of it; its output has all that pulumi said."""
        process = self.begin(command, *flags)
        with interrupted_too(process):
            text, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, text)

    def begin(self, command: str, *flags: str) -> subprocess.Popen[str]:
        """`up` or `destroy`, begun: for whoever wants to end it. It is a process group of its own."""
        return subprocess.Popen(  # noqa: S603
            ["pulumi", command, "--yes", "--skip-preview", *flags, "--config-file", str(self._config), _PLAIN],  # noqa: S607
            cwd=self._program,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def cancel(self) -> None:
        """`pulumi cancel`: what a killed pulumi needs before the next one may run."""
        self._call("cancel", "--yes")

    def version(self) -> str:
        """Of pulumi."""
        return self._call("version").strip().removeprefix("v")

    def known(self) -> set[str]:
        """Ids in Docker of all that the state has."""
        exported: dict[str, Any] = json.loads(self._call("stack", "export"))
        resources: list[dict[str, Any]] = exported["deployment"].get("resources") or []
        return {one["id"] for one in resources if "id" in one}

    def running(self) -> RunningStack:
        """The stack as it runs now."""
        outputs: dict[str, Any] = json.loads(self._call("stack", "output", "--json"))
        return RunningStack(project=_PROJECT, name=self.name, outputs=outputs, docker=docker_host(None, None))

    def _call(self, *arguments: str) -> str:
        with self._pulumi(*arguments) as command:
            return command.finish()

    def _pulumi(self, *arguments: str) -> Command:
        return Command(["pulumi", *arguments, _PLAIN], self._program, self._environment)
