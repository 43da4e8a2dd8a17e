"""A stack of its own for a test: real engine, real containers, a state and a config that nothing else uses."""

import json
import os
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests
import yaml

from cluster import labels
from config.layout import SEAFOWL_PORT

ROOT = Path(__file__).parents[2]
PROJECT = "seafowl"
TIMEOUT_SECONDS = 300


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def local_images() -> dict[str, str]:
    """The images that this machine's local stack was set up with: the stand-in, where Seafowl cannot be had."""
    config = Path(os.environ["SEAFOWL_LOCAL"]) / "Pulumi.dev.yaml"
    return yaml.safe_load(config.read_text())["config"].get("seafowl:images", {})


@dataclass
class Outcome:
    """What one pulumi command did."""

    code: int
    text: str


@dataclass
class Stack:
    """One stack, driven as a user drives it: through the command line."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    engine: docker.DockerClient = field(default_factory=docker.from_env)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "state").mkdir(exist_ok=True)
        self.remove_leftovers()
        (self.folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        made = self.pulumi("stack", "init", self.name, cwd=self.folder, config=False)
        assert made.code == 0, made.text
        self.configure(readers=2, ingress={"port": self.port}, images=local_images())

    @property
    def config_file(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    def configure(self, **values: Any) -> None:
        """Set keys of the stack config, as an editor would; None removes a key."""
        document = yaml.safe_load(self.config_file.read_text()) if self.config_file.exists() else {}
        config = document.setdefault("config", {}) or {}
        for key, value in values.items():
            qualified = key.replace("__", ":") if "__" in key else f"{PROJECT}:{key}"
            if value is None:
                config.pop(qualified, None)
            else:
                config[qualified] = value
        document["config"] = config
        self.config_file.write_text(yaml.safe_dump(document))

    def set_secret(self, key: str, value: str) -> Outcome:
        """Set a key of the stack config as a secret, as a user does who has it in a file."""
        return self.pulumi("config", "set", "--secret", f"{PROJECT}:{key}", stdin=value)

    def configuration(self, key: str) -> Any:
        """The value of a key of the stack config; None where it is not set."""
        qualified = key.replace("__", ":") if "__" in key else f"{PROJECT}:{key}"
        return yaml.safe_load(self.config_file.read_text())["config"].get(qualified)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "of this test",
            "PULUMI_CONFIG_PASSPHRASE_FILE": "",
            "PULUMI_STACK": self.name,
        }

    def pulumi(
        self,
        *arguments: str,
        cwd: Path = ROOT,
        config: bool = True,
        environment: dict[str, str] | None = None,
        stdin: str = "",
    ) -> Outcome:
        """Run pulumi to its end."""
        flags = ["--config-file", str(self.config_file)] if config else []
        done = subprocess.run(
            ["pulumi", *arguments, *flags, "--non-interactive"],
            cwd=cwd,
            env={**self.environment(), **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def try_up(self, *flags: str) -> Outcome:
        """`pulumi up`, whatever comes of it."""
        return self.pulumi("up", "--yes", "--skip-preview", "--suppress-progress", *flags)

    def up(self, *flags: str) -> Outcome:
        """`pulumi up`, which must succeed."""
        outcome = self.try_up(*flags)
        assert outcome.code == 0, outcome.text
        return outcome

    def interrupted_up(self, at: str, how: signal.Signals = signal.SIGINT) -> Outcome:
        """`pulumi up` with a Ctrl-C (or another signal) as soon as its output has `at` in it."""
        process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--config-file", str(self.config_file)],
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if at in line:
                # To the whole process group, as a terminal does.
                os.killpg(process.pid, how)
                break
        seen += process.communicate(timeout=TIMEOUT_SECONDS)[0]
        return Outcome(process.returncode, seen)

    def steps(self) -> dict[str, str]:
        """What a preview would do: resource name → operation, without those that stay the same."""
        outcome = self.pulumi("preview", "--json")
        assert outcome.code == 0, outcome.text
        steps = json.loads(outcome.text[outcome.text.index("{") :])["steps"]
        return {step["urn"].rpartition("::")[2]: step["op"] for step in steps if step["op"] != "same"}

    def destroy(self) -> None:
        outcome = self.pulumi("destroy", "--yes", "--skip-preview", "--suppress-progress")
        assert outcome.code == 0, outcome.text

    def _mine(self) -> dict[str, list[str]]:
        return {"label": [f"{labels.PROJECT}={PROJECT}", f"{labels.STACK}={self.name}"]}

    def everything(self) -> list[Any]:
        """All containers of the stack, also those that never run."""
        return self.engine.containers.list(all=True, filters=self._mine())

    def containers(self, role: str | None = None) -> list[Any]:
        """The members of the cluster, stopped ones too, sorted by the name that the user knows them by."""
        found = [container for container in self.everything() if labels.MEMBER in container.labels]
        wanted = [c for c in found if role is None or c.labels[labels.ROLE] == role]
        return sorted(wanted, key=lambda container: container.labels[labels.MEMBER])

    def container(self, role: str) -> Any:
        (only,) = self.containers(role)
        return only

    def volumes(self) -> list[str]:
        return sorted(volume.name for volume in self.engine.volumes.list(filters=self._mine()))

    def networks(self) -> list[str]:
        return sorted(network.name for network in self.engine.networks.list(filters=self._mine()))

    def remove_leftovers(self) -> None:
        """What a run that was cut off left behind."""
        for container in self.everything():
            container.remove(force=True, v=True)
        for volume in self.volumes():
            self.engine.volumes.get(volume).remove(force=True)
        for network in self.networks():
            self.engine.networks.get(network).remove()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, statements: str) -> None:
        answer = requests.post(f"{self.url}/w/q", json={"query": statements}, timeout=60)
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"

    def read(self, query: str) -> list[dict[str, Any]]:
        answer = requests.post(f"{self.url}/q", json={"query": query}, timeout=60)
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return [json.loads(line) for line in answer.text.splitlines()]

    def read_from(self, reader: Any, query: str) -> list[dict[str, Any]]:
        """Ask one reader, past the ingress."""
        body = json.dumps({"query": query})
        command = [
            "curl",
            "-sf",
            "-H",
            "Content-Type: application/json",
            f"http://127.0.0.1:{SEAFOWL_PORT}/q",
            "-d",
            body,
        ]
        code, output = reader.exec_run(command)
        assert code == 0, f"{reader.name}: {output!r}"
        return [json.loads(line) for line in output.decode().splitlines()]
