"""What must be so on the Docker host before anything is changed: looked at before the first resource is declared."""

import errno
import platform
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.engine import ClusterError, DockerHost, Engine
from cluster.labels import DEPLOYMENT, PROJECT, STACK

_FUSE = "/dev/fuse"
_EVERY_INTERFACE = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Claim:
    """What the stack is about to claim on its Docker host."""

    project: str
    stack: str
    bind_address: str
    port: int


def check(host: DockerHost, claim: Claim) -> None:
    """See that the Engine answers, that FUSE is there and that the ingress's port is free.

    The two last can be seen only where the Engine runs on this very machine. Raises `ClusterError` with every
    problem.
    """
    with Engine(host) as engine:
        containers = engine.containers()
        # Docker Desktop has a local socket too, but runs in a virtual machine, with a kernel of its own.
        here = host.url.startswith("unix://") and engine.version.get("KernelVersion") == platform.release()
    problems: list[str] = []
    if here and not Path(_FUSE).exists():
        problems.append(
            f"{_FUSE} is not there: LiteFS replicates the catalog through FUSE. Load it with `modprobe fuse`, "
            "or use a Docker host that has it (`pulumi config set docker:host …`)."
        )
    taken = _port_taken(claim, containers, here)
    if taken is not None:
        problems.append(
            f"seafowl:ingress.port {claim.port} is taken on {claim.bind_address} by {taken}. Free it, or choose "
            "another with `pulumi config set --path ingress.port <port>`."
        )
    if problems:
        raise ClusterError("\n".join([*problems, "Nothing was changed; what runs keeps running."]))


def _port_taken(claim: Claim, containers: Iterable[dict[str, Any]], here: bool) -> str | None:
    """Who else has the ingress's port; None if it is free or the stack's own."""
    holders = [container for container in containers if _publishes(container, claim)]
    strangers = [
        container["Names"][0].lstrip("/")
        for container in holders
        if _stack_of(container) != (claim.project, claim.stack)
    ]
    if strangers:
        return f"the container {strangers[0]}"
    return "another program" if here and not holders and not _can_bind(claim.bind_address, claim.port) else None


def _publishes(container: dict[str, Any], claim: Claim) -> bool:
    ports: list[dict[str, Any]] = container.get("Ports") or []
    return any(
        port.get("PublicPort") == claim.port
        and (
            port.get("IP", "") == claim.bind_address
            or bool({port.get("IP", ""), claim.bind_address} & set(_EVERY_INTERFACE))
        )
        for port in ports
    )


def _stack_of(container: dict[str, Any]) -> tuple[str | None, str | None]:
    labels: dict[str, str] = container.get("Labels") or {}
    return labels.get(PROJECT), labels.get(STACK)


def _can_bind(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an ended server that linger in TIME_WAIT do not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            # Any other error (no such address here) is Docker's to judge: it publishes the port, not we.
            return error.errno != errno.EADDRINUSE
    return True


def check_deployment(host: DockerHost, project: str, stack: str, deployment: str) -> None:
    """See that no other deployment of the same stack name runs on the host.

    Two states that both hold a stack of this name (two checkouts, or a state that was lost) would put two writers on
    one catalog volume. Raises `ClusterError`.
    """
    with Engine(host) as engine:
        strangers = [
            container["Names"][0].lstrip("/")
            for container in engine.containers(label=[f"{PROJECT}={project}", f"{STACK}={stack}", DEPLOYMENT])
            if container["Labels"][DEPLOYMENT] != deployment
        ]
    if strangers:
        names = " ".join(sorted(strangers))
        raise ClusterError(
            f"Another deployment of stack {stack!r} runs on this Docker host, which this stack's state does not know: "
            f"{names}. Two writers on one catalog would destroy it, so nothing was changed. Use another stack name, "
            "or, if those are left over from a state that is gone, remove them (volumes and their data stay): "
            f"docker rm -f {names}"
        )
