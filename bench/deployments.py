"""The two ways to run a cluster that are compared: our Pulumi program, and the Compose example."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.commands import Command, run
from bench.figures import Side
from bench.stack import BenchStack
from cluster import labels
from cluster.engine import DockerHost, Engine, docker_host
from config.layout import INGRESS_PORT, WRITE_PORT
from config.settings import ImageSettings
from ops.running import ROOT, RunningStack

PROJECT = "seafowl"
STACK = "bench-compare"
COMPOSE_PROJECT = "bench-compose"
OURS_PORT = 8320
COMPOSE_PORT = 8321

_COMPOSE_FILE = ROOT / "bench" / "compose" / "docker-compose.yml"
_SERVICES = {"minio": "object-store", "seafowl-writer": "writer", "seafowl-reader": "reader", "nginx": "ingress"}

_RELOAD_SECONDS = 1

ROLES = ("object-store", "writer", "reader", "ingress")


@dataclass(frozen=True)
class Part:
    """One running container of a deployment."""

    id: str
    role: str
    address: str
    """On the network that the ingress is on too, where the Docker host reaches it; empty where there is none yet."""

    addresses: Sequence[str]
    """On all its networks."""

    created: int
    """Seconds since 1970."""


class Deployment(ABC):
    """A cluster that can be brought up, changed and removed. Its commands are those that a user types."""

    side: Side
    label: str
    """What the user knows it as."""

    port: int
    """Of its ingress, on 127.0.0.1."""

    ingress_port: int
    """Of its ingress, at the container's own address."""

    writer_port: int
    """Where its writer takes writes, at the container's own address."""

    catches_up_by_itself = True
    """Whether its ingress finds new readers without being told."""

    @abstractmethod
    def start(self, readers: int) -> Command:
        """Bring it up, or to another number of readers; the command, while it runs."""

    @abstractmethod
    def replace_readers(self) -> Command:
        """Change something of all readers; the command, while it runs."""

    @abstractmethod
    def remove(self) -> float:
        """Remove it, with its data; the seconds that it took."""

    @abstractmethod
    def parts(self) -> list[Part]:
        """What runs of it now."""

    def tell_the_ingress(self) -> None:  # noqa: B027 (most ingresses need no telling)
        """Make an ingress that does not find new readers by itself look again."""

    def readers(self) -> list[Part]:
        """The readers that run now."""
        return [part for part in self.parts() if part.role == "reader"]

    def one(self, role: str) -> Part:
        """The part of a role that there is one of."""
        return next(part for part in self.parts() if part.role == role)

    @property
    def running(self) -> RunningStack:
        """What the clients of `ops` want to know."""
        url = f"http://127.0.0.1:{self.port}"
        return RunningStack(self.label, "", {"queryUrl": f"{url}/q", "writeUrl": f"{url}/w/q"}, self.docker)

    @property
    def docker(self) -> DockerHost:
        """Where it runs."""
        return docker_host(None, None)


class Ours(Deployment):
    """Our program, on a stack of the benchmark's own."""

    side: Side = "ours"
    label = "this project"
    ingress_port = INGRESS_PORT
    writer_port = WRITE_PORT

    def __init__(self, folder: Path, images: Mapping[str, str], name: str = STACK, port: int = OURS_PORT) -> None:
        self.port = port
        self.stack = BenchStack(name, folder)
        self.stack.configure({"seafowl:ingress": {"port": port}, "seafowl:images": dict(images)})
        self._changes = 0

    def start(self, readers: int) -> Command:
        """`pulumi up` with so many readers."""
        self.stack.configure({"seafowl:readers": readers})
        return self.stack.start("up")

    def replace_readers(self) -> Command:
        """`pulumi up` with another limit of the readers' memory."""
        self._changes += 1
        self.stack.configure({"seafowl:resources": {"reader": {"memory": f"{1024 + self._changes}MiB"}}})
        return self.stack.start("up")

    def remove(self) -> float:
        """`pulumi destroy`."""
        return self.stack.run("destroy")

    def parts(self) -> list[Part]:
        """What runs of it now."""
        mine = [f"{labels.PROJECT}={PROJECT}", f"{labels.STACK}={self.stack.name}", labels.MEMBER]
        return _parts(self.docker, mine, labels.ROLE, {})


class Compose(Deployment):
    """The Compose example, with our images."""

    side: Side = "compose"
    label = "Compose example"
    port = COMPOSE_PORT
    ingress_port = 80
    writer_port = 8080
    catches_up_by_itself = False

    def __init__(self, program: Sequence[str], images: Mapping[str, str]) -> None:
        self._program = [*program, "--project-name", COMPOSE_PROJECT, "--file", str(_COMPOSE_FILE)]
        self._environment = {**compose_images(images), "PORT": str(COMPOSE_PORT)}
        self._number_of_readers = 0

    def prepare(self, builds_with_buildkit: bool) -> None:
        """Have its images there: pull or build them."""
        self._run("pull", "--ignore-buildable", "--policy", "missing")
        # Compose needs a plugin of the docker client for BuildKit; the Engine's own builder needs none.
        self._run("build", environment={} if builds_with_buildkit else {"DOCKER_BUILDKIT": "0"})

    def start(self, readers: int) -> Command:
        """`docker compose up -d` with so many readers."""
        self._number_of_readers = readers
        return self._start("up", "--detach", "--no-build", "--scale", f"seafowl-reader={readers}")

    def replace_readers(self) -> Command:
        """`docker compose up -d --force-recreate` of the readers alone."""
        scale = ["--scale", f"seafowl-reader={self._number_of_readers}"]
        return self._start("up", "--detach", "--no-build", "--no-deps", "--force-recreate", *scale, "seafowl-reader")

    def tell_the_ingress(self) -> None:
        """Reload NGINX, which resolves the readers' name only then."""
        self._run("exec", "-T", "nginx", "nginx", "-s", "reload")
        # It does not tell when its new workers have taken over.
        time.sleep(_RELOAD_SECONDS)

    def remove(self) -> float:
        """`docker compose down`, with its volumes."""
        return self._run("down", "--volumes", "--remove-orphans")

    def parts(self) -> list[Part]:
        """What runs of it now."""
        mine = [f"com.docker.compose.project={COMPOSE_PROJECT}"]
        return _parts(self.docker, mine, "com.docker.compose.service", _SERVICES)

    def _run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> float:
        _, seconds = run([*self._program, *arguments], ROOT, {**self._environment, **(environment or {})})
        return seconds

    def _start(self, *arguments: str) -> Command:
        return Command([*self._program, *arguments], ROOT, self._environment)


def compose_images(images: Mapping[str, str]) -> dict[str, str]:
    """The variables of docker-compose.yml that name its images: those of our stack with the config `images`."""
    used = ImageSettings.model_validate(dict(images))
    return {
        "SEAFOWL_IMAGE": used.seafowl,
        "LITEFS_IMAGE": used.litefs,
        "PYTHON_IMAGE": used.python,
        "MINIO_IMAGE": used.minio,
        "NGINX_IMAGE": used.nginx,
    }


def _parts(docker: DockerHost, mine: list[str], role_label: str, roles: Mapping[str, str]) -> list[Part]:
    """The containers with the labels `mine`; `roles`: what a value of `role_label` is called here, if not the same."""
    with Engine(docker) as engine:
        listed = engine.containers(label=mine)
    found = [(one, roles.get(one["Labels"][role_label], one["Labels"][role_label])) for one in listed]
    at_the_ingress = {name for one, role in found if role == "ingress" for name in _addresses(one)}
    return [
        Part(
            id=one["Id"],
            role=role,
            address=next((ip for name, ip in _addresses(one).items() if name in at_the_ingress), ""),
            addresses=tuple(_addresses(one).values()),
            created=one["Created"],
        )
        for one, role in found
    ]


def _addresses(container: dict[str, Any]) -> dict[str, str]:
    return {name: place["IPAddress"] for name, place in container["NetworkSettings"]["Networks"].items()}
