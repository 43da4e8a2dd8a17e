"""The running stack: its outputs, its Docker host and its containers."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster import labels
from cluster.engine import ClusterError, DockerHost, Engine, docker_host

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class RunningStack:
    """One stack as Pulumi's state has it."""

    project: str
    name: str
    outputs: dict[str, Any]
    docker: DockerHost


def current_stack() -> RunningStack:
    """The selected stack. Raises `ClusterError` where it is not up."""
    name = pulumi("stack", "--show-name").strip()
    outputs: dict[str, Any] = json.loads(pulumi("stack", "output", "--json"))
    if "queryUrl" not in outputs:
        raise ClusterError(f"stack {name} is not up: run `make up` (or `pulumi up`) first")
    config: dict[str, Any] = json.loads(pulumi("config", "--json"))
    project: str = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"]

    def docker_config(key: str) -> str | None:
        return config.get(f"docker:{key}", {}).get("value")

    return RunningStack(
        project=project,
        name=name,
        outputs=outputs,
        docker=docker_host(docker_config("host"), docker_config("certPath")),
    )


def pulumi(*arguments: str) -> str:
    """What pulumi prints on its standard output. Raises `ClusterError` with what it prints on the other."""
    done = subprocess.run(["pulumi", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode != 0:
        raise ClusterError(done.stderr.strip() or f"pulumi {arguments[0]} failed")
    return done.stdout


def members(engine: Engine, stack: RunningStack) -> list[dict[str, Any]]:
    """The stack's containers as the Engine inspects them, in the order of their parts."""
    order = ["object-store", "consul", "writer", "reader", "ingress"]
    listed = engine.containers(
        every=True, label=[f"{labels.PROJECT}={stack.project}", f"{labels.STACK}={stack.name}", labels.MEMBER]
    )
    found = [container for item in listed if (container := engine.inspect(item["Id"])) is not None]

    def place(container: dict[str, Any]) -> tuple[int, str]:
        found = container["Config"]["Labels"]
        role = found[labels.ROLE]
        return (order.index(role) if role in order else len(order), found[labels.MEMBER].rjust(40))

    return sorted(found, key=place)


def member_name(container: dict[str, Any]) -> str:
    """What the user knows a container as, such as `reader-1`."""
    return container["Config"]["Labels"][labels.MEMBER]
