"""A Docker Engine that holds the containers a test gives it, and a clock that goes on only where something waits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from cluster.engine import DockerHost


@dataclass
class FakeEngine:
    """Stands in for `cluster.engine.Engine`: the class and the connection in one."""

    listed: list[dict[str, Any]] = field(default_factory=list)
    """As `GET /containers/json` answers."""

    inspected: dict[str, Callable[[], dict[str, Any] | None]] = field(default_factory=dict)
    """Container's id → what `GET /containers/<id>/json` answers now."""

    commands: Callable[[str, list[str]], tuple[int, str] | None] = lambda _id, _command: (0, "")
    """What running a command in a container answers."""

    logs: list[str] = field(default_factory=list)
    kernel: str = ""
    calls: list[str] = field(default_factory=list)
    """What was asked, by name."""

    hosts: list[DockerHost] = field(default_factory=list)
    """What it was connected to."""

    def __call__(self, host: DockerHost) -> Self:
        """Connect."""
        self.hosts.append(host)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append("close")

    def about(self) -> dict[str, Any]:
        return {"ID": "engine", "NCPU": 2, "KernelVersion": self.kernel}

    def containers(self, every: bool = False, **filters: str | list[str]) -> list[dict[str, Any]]:
        self.calls.append(f"containers {every} {filters}")
        return self.listed

    def networks(self) -> list[dict[str, Any]]:
        self.calls.append("networks")
        return []

    def volumes(self) -> list[dict[str, Any]]:
        self.calls.append("volumes")
        return []

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        self.calls.append(f"inspect {container_id}")
        return self.inspected[container_id]()

    def run(self, container_id: str, command: list[str]) -> tuple[int, str] | None:
        self.calls.append(f"run {container_id}")
        return self.commands(container_id, command)

    def log_lines(self, container_id: str, count: int) -> list[str]:
        self.calls.append(f"log_lines {container_id}")
        return self.logs[-count:]


class FakeTime:
    """Stands in for the module `time`: sleeping only moves the clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0

    def monotonic(self) -> float:
        # Looking takes time too: a loop that never sleeps comes to its end as well.
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept += 1
        self.now += seconds


def container(
    container_id: str,
    status: str = "running",
    health: str = "starting",
    restarts: int = 0,
    networks: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A container as `GET /containers/<id>/json` describes it; `networks` is name → address."""
    return {
        "Id": container_id,
        "Name": f"/{container_id}-0123abc",
        "State": {"Status": status, "Health": {"Status": health}},
        "RestartCount": restarts,
        "Config": {"Healthcheck": {"Test": ["CMD-SHELL", "curl somewhere"]}},
        "NetworkSettings": {"Networks": {name: {"IPAddress": ip} for name, ip in (networks or {}).items()}},
    }
