"""A stack of a benchmark's own: with a state, a config and a port that nothing else uses."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from bench.commands import Command
from cluster.engine import docker_host
from ops.running import ROOT, RunningStack

_PROJECT = "seafowl"


def local_images() -> dict[str, str]:
    """The images that this machine's local stack was set up with: the stand-in, where Seafowl cannot be had."""
    local = Path(os.environ["SEAFOWL_LOCAL"]) / "Pulumi.dev.yaml"
    config: dict[str, Any] = yaml.safe_load(local.read_text())["config"] if local.exists() else {}
    return config.get("seafowl:images", {})


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

    def running(self) -> RunningStack:
        """The stack as it runs now."""
        outputs: dict[str, Any] = json.loads(self._call("stack", "output", "--json"))
        return RunningStack(project=_PROJECT, name=self.name, outputs=outputs, docker=docker_host(None, None))

    def _call(self, *arguments: str) -> str:
        with self._pulumi(*arguments) as command:
            return command.finish()

    def _pulumi(self, *arguments: str) -> Command:
        return Command(["pulumi", *arguments, "--non-interactive"], self._program, self._environment)
