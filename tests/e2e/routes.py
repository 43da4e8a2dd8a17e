"""The ingress's NGINX with the rendered configuration, in front of stand-ins for the nodes (`fake_seafowl.py`)."""

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests

from config import nginx
from config.ingress_start import REFUSED, render_ingress_start
from config.layout import INGRESS_PORT, NGINX_CONFIG, READERS_ALIAS, SEAFOWL_PORT, WRITE_PORT, WRITERS_ALIAS
from config.nginx_cache import SCRIPTS
from config.settings import Settings
from tests.e2e.stack import free_port, local_images

NAME = "e2e-routes"
LABELS = {"org.seafowl.stack": NAME}
READERS = 4
_FAKE = Path(__file__).with_name("fake_seafowl.py")

_WORKERS = r"cat /proc/[0-9]*/cmdline | tr '\0' '\n' | grep -c '^nginx: worker process$'"
"""Shell command that counts those that are not shutting down."""


@dataclass
class Routes:
    """One NGINX, four fake readers, one fake writer."""

    engine: docker.DockerClient = field(default_factory=docker.from_env)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.remove()
        images = local_images()
        # The stand-in's image has Python; where Seafowl is the original, Python's own has.
        python = images.get("seafowl", "python:3.13-slim")
        self.network = self.engine.networks.create(NAME, labels=LABELS)
        self.readers = [self._node(python, f"reader-{index}", READERS_ALIAS) for index in range(READERS)]
        self.writer = self._node(python, "writer", WRITERS_ALIAS)
        self.ingress = self.engine.containers.create(
            images.get("nginx", "nginx:1.30"),
            entrypoint=["sh", "-c", render_ingress_start()],
            name=f"{NAME}-ingress",
            labels=LABELS,
            network=NAME,
            user="101:101",
            cap_drop=["ALL"],
            ports={f"{INGRESS_PORT}/tcp": ("127.0.0.1", self.port)},
        )
        for path, text in SCRIPTS.items():
            _put(self.ingress, path, text)
        self.put(self.conf())
        self.ingress.start()
        self.take()

    def _node(self, image: str, name: str, alias: str) -> Any:
        container = self.engine.containers.create(
            image,
            # A node is asked past the ingress at Seafowl's port, whichever it is.
            entrypoint=["python3", "/fake_seafowl.py", str(SEAFOWL_PORT), str(WRITE_PORT)],
            name=f"{NAME}-{name}",
            labels=LABELS,
            network=NAME,
            networking_config={NAME: docker.types.EndpointConfig("1.41", aliases=[alias])},
        )
        _put(container, "/fake_seafowl.py", _FAKE.read_text())
        container.start()
        return container

    def remove(self) -> None:
        for container in self.engine.containers.list(all=True, filters={"label": f"org.seafowl.stack={NAME}"}):
            container.remove(force=True, v=True)
        for network in self.engine.networks.list(filters={"label": f"org.seafowl.stack={NAME}"}):
            network.remove()

    def conf(self, access: dict[str, Any] | None = None, **ingress: Any) -> str:
        settings = Settings.model_validate({"ingress": ingress, "access": access or {}})
        return nginx.render_nginx_conf(settings.ingress, settings.access)

    def put(self, conf: str) -> None:
        self.wanted = conf
        _put(self.ingress, NGINX_CONFIG, conf)

    def take(self) -> None:
        """Wait until NGINX runs with what was put, and its old workers take no more connections."""
        fingerprint = hashlib.sha256("".join([self.wanted, *SCRIPTS.values()]).encode()).hexdigest()
        wait(lambda: self._inside(nginx.RUNNING) == fingerprint, f"NGINX does not take it: {self._inside(REFUSED)}")
        wait(lambda: self._inside(_WORKERS) == self._inside("nproc"), "the old workers do not stop listening")

    def configure(self, access: dict[str, Any] | None = None, **ingress: Any) -> None:
        """Put a configuration rendered from these settings, and wait until NGINX runs with it."""
        self.put(self.conf(access, **ingress))
        self.take()

    def _inside(self, command: str) -> str:
        return self.ingress.exec_run(["sh", "-c", command]).output.decode().strip()

    def refusal(self) -> str:
        """The fingerprint of what NGINX refused, and its message."""
        return self._inside(f"{REFUSED} 2>/dev/null")

    def await_nodes(self) -> None:
        """Wait until every node is behind the ingress and answers."""
        for node in (*self.readers, self.writer):
            wait(lambda node=node: _answers(node), f"{node.name} does not answer")
        wait(lambda: self.get("/healthz").status_code == 200, "no reader is reached")
        wait(lambda: self.get("/w/healthz").status_code == 200, "the writer is not reached")
        wait(lambda: self.reached() == READERS, "not every reader is reached")

    def reached(self) -> int:
        """How many readers the ingress asks now."""
        command = f"for i in $(seq {4 * READERS}); do {nginx.answering('reader')}; done"
        lines = self._inside(command).splitlines()
        return len({line for line in lines if line.lower().startswith("x-node") and "," not in line})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=60, **arguments)

    def query(self, query: str, path: str = "/q", **arguments: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", json={"query": query}, timeout=60, **arguments)

    def notes(self, query: str, *nodes: Any) -> list[dict[str, Any]]:
        """What reached these nodes (all readers, unless they are named) with a query."""
        found = [note for node in nodes or self.readers for note in ask(node, "/notes")]
        return sorted((note for note in found if note["query"] == query), key=lambda note: note["from"])

    def log(self, request_id: str) -> dict[str, str]:
        """The access log's line of a request."""
        found: list[dict[str, str]] = []

        def seen() -> bool:
            lines = self.ingress.logs().decode().splitlines()
            found[:] = [json.loads(line) for line in lines if line.startswith("{") and request_id in line]
            return bool(found)

        wait(seen, f"no line of request {request_id} in the log")
        return found[-1]


def wait(until: Callable[[], bool], otherwise: str, seconds: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def ask(node: Any, path: str) -> Any:
    """Ask a fake node, past the ingress."""
    node.reload()
    address = node.attrs["NetworkSettings"]["Networks"][NAME]["IPAddress"]
    return requests.get(f"http://{address}:{SEAFOWL_PORT}{path}", timeout=10).json()


def _answers(node: Any) -> bool:
    try:
        return ask(node, "/notes") is not None
    except requests.RequestException:
        return False


def _put(container: Any, path: str, text: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size = len(text.encode())
        entry.mode = 0o644
        archive.addfile(entry, io.BytesIO(text.encode()))
    container.put_archive("/", packed.getvalue())
