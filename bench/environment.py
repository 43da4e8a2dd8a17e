"""Where a benchmark runs: what machine, which versions, which stand-ins; and whether it may begin at all."""

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bench import wrk
from bench.deployments import COMPOSE_PORT, COMPOSE_PROJECT, OURS_PORT, PROJECT, STACK
from bench.figures import About
from bench.goals import PROVIDER, SEAFOWL
from cluster import labels
from cluster.engine import ClusterError, Engine, docker_host
from config.settings import ImageSettings

_MINE = (
    [f"{labels.PROJECT}={PROJECT}", f"{labels.STACK}={STACK}"],
    [f"com.docker.compose.project={COMPOSE_PROJECT}"],
)


def compose_program() -> list[str] | None:
    """Docker Compose: as ops/setup.sh found it, or the docker client's own; None where there is none."""
    chosen = _local() / "compose"
    if chosen.exists():
        return [chosen.read_text().strip()]
    return ["docker", "compose"] if _printed("docker", "compose", "version", "--short") else None


def has_buildkit() -> bool:
    """Whether Compose can build with BuildKit, for which the docker client needs a plugin."""
    return bool(_printed("docker", "buildx", "version"))


def problems(ports: Sequence[int] = (OURS_PORT, COMPOSE_PORT)) -> Iterator[str]:
    """Why the benchmark cannot begin, with what to do about it."""
    if "SEAFOWL_LOCAL" not in os.environ:
        yield "this is not the environment of the local stack: run `make bench`, or `source ops/env.sh` first"
        return
    if wrk.missing():
        yield "wrk, which makes the load, is not installed: run `ops/setup.sh wrk` (Debian: apt-get install wrk)"
    host = docker_host(None, None)
    if not host.url.startswith("unix://"):
        yield f"nodes are asked at addresses that only their own host reaches: run it there, not for {host.url}"
        return
    try:
        with Engine(host):
            pass
    except ClusterError as error:
        yield str(error)
        return
    if compose_program() is None:
        yield "Docker Compose is not there: run `ops/setup.sh compose`"
    there = leftovers()
    if there:
        yield (
            f"of an earlier benchmark, or of one that runs now, there is: {', '.join(there)}. If none runs, remove it "
            "with `python -m bench.environment`"
        )
    for port in ports:
        if not there and not _is_free(port):
            yield f"something listens on 127.0.0.1:{port}, which the benchmark needs: stop it"


def leftovers() -> list[str]:
    """What there is in Docker under the names of the benchmark's own stacks."""
    return [f"{kind} {one.name}" for kind, one in _left()]


def remove_leftovers() -> None:
    """Remove all of it."""
    for kind, one in _left():
        if kind == "container":
            one.remove(force=True, v=True)
        else:
            one.remove()


def _left() -> list[tuple[str, Any]]:
    import docker  # noqa: PLC0415 (half a second)

    client: Any = docker.from_env()
    found: list[tuple[str, Any]] = []
    for kind, listed in (("container", client.containers), ("volume", client.volumes), ("network", client.networks)):
        for mine in _MINE:
            options = {"all": True} if kind == "container" else {}
            found += [(kind, one) for one in listed.list(filters={"label": mine}, **options)]
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Docker does: one whose connections have just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def about(rounds: int, setting: Literal["default", "short", "cut"], images: Mapping[str, str]) -> About:
    """All that is known of this run before it begins."""
    used = ImageSettings.model_validate(dict(images))
    with Engine(docker_host(None, None)) as engine:
        host = engine.about()
    return About(
        date=datetime.now(UTC).date().isoformat(),
        rounds=rounds,
        setting=setting,
        machine={
            "cores": str(host["NCPU"]),
            "memory": f"{host['MemTotal'] / 1024**3:.0f} GiB",
            "kernel": host["KernelVersion"],
            "system": host["OperatingSystem"],
        },
        versions={
            "Docker Engine": host["ServerVersion"],
            "Docker Compose": _printed(*(compose_program() or ["docker", "compose"]), "version", "--short"),
            "pulumi": _printed("pulumi", "version").removeprefix("v"),
            "Python": platform.python_version(),
            "Seafowl": used.seafowl,
            "LiteFS": used.litefs,
            "MinIO": used.minio,
            "NGINX": used.nginx,
        },
        stand_ins=stand_ins(used.seafowl, _local()),
    )


def stand_ins(seafowl: str, local: Path) -> tuple[str, ...]:
    """The parts that are not the originals, by Seafowl's image and the local stack's folder."""
    return (
        *([SEAFOWL] if "standin" in seafowl else []),
        # Where the air-gapped kit has put its provider.
        *([PROVIDER] if (local / "pulumi-home").is_dir() else []),
    )


def _local() -> Path:
    return Path(os.environ["SEAFOWL_LOCAL"])


def _printed(*command: str) -> str:
    with suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode == 0:
            return done.stdout.strip()
    return ""


if __name__ == "__main__":
    remove_leftovers()
    sys.exit(0)
