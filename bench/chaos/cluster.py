"""The stack that faults happen to: what runs of it, what is left of it, and whether all is well."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import docker
from docker.errors import APIError, NotFound

from bench.candidates import Candidates
from bench.stack import BenchStack
from cluster import labels
from config.layout import CATALOG_FILE
from ops.waiting import await_true

PROJECT = "seafowl"

RECOVERY_SECONDS = 120
"""How long all may take to be well again by itself."""

_NETWORK_SECONDS = 10
"""How long Docker may take to notice that a network's containers are gone."""

_POSITION = ["cat", f"{CATALOG_FILE}-pos"]


class Cluster:
    """One running stack, with the Docker host in hand."""

    def __init__(self, stack: BenchStack, port: int) -> None:
        self.stack = stack
        self.port = port
        self.rng = random.Random()  # noqa: S311 (no secret)
        """Of all that is left to chance in the fault of now."""
        self.engine: Any = docker.DockerClient.from_env(timeout=180)  # pyright: ignore[reportUnknownMemberType]
        self.labels = {labels.PROJECT: PROJECT, labels.STACK: stack.name}
        """Of all that the stack has in Docker, and of what is made there for it."""
        self._labels = [f"{key}={value}" for key, value in self.labels.items()]
        self.candidates = Candidates(PROJECT, stack.name)
        self._expected: set[str] = set()
        self.stuck: dict[str, str] = {}
        """Networks that Docker does not let go of, id → name. See `remove_everything`."""

    def up(self, *flags: str) -> None:
        """`pulumi up`, after which all parts of now are expected to run. Raises `CommandError` where it fails."""
        done = self.stack.attempt("up", *flags)
        if done.returncode != 0:
            raise CommandError(f"pulumi up {' '.join(flags)}".rstrip(), done.stdout)
        self.expect_what_runs()

    def destroy(self, *flags: str) -> None:
        """`pulumi destroy`. Raises `CommandError` where it fails."""
        done = self.stack.attempt("destroy", *flags)
        if done.returncode != 0:
            raise CommandError(f"pulumi destroy {' '.join(flags)}".rstrip(), done.stdout)

    def expect_what_runs(self) -> None:
        """From now on, the members that are there belong there."""
        self._expected = {one.labels[labels.MEMBER] for one in self.members()}

    def members(self, role: str | None = None) -> list[Any]:
        """The containers of a role, or all; those of before a change and those that never run are left out."""
        mine = [*self._labels, labels.MEMBER, *([] if role is None else [f"{labels.ROLE}={role}"])]
        found: list[Any] = self.engine.containers.list(all=True, filters={"label": mine}, ignore_removed=True)
        return sorted(found, key=lambda one: one.labels[labels.MEMBER])

    def one(self, role: str) -> Any:
        """Any container of a role: which one is the seed's choice."""
        return self.rng.choice(self.members(role))

    def network(self, role: str) -> Any:
        """The stack's network `front` or `back`."""
        (found,) = self.engine.networks.list(filters={"label": [*self._labels, f"{labels.ROLE}={role}"]})
        return found

    def everything(self) -> dict[str, str]:
        """All that Docker has of the stack: id → what it is."""
        filters = {"label": self._labels}
        containers: list[Any] = self.engine.containers.list(all=True, filters=filters, ignore_removed=True)
        volumes: list[Any] = self.engine.volumes.list(filters=filters)
        networks: list[Any] = [one for one in self.engine.networks.list(filters=filters) if one.id not in self.stuck]
        return {
            **{one.id: f"container {one.name}" for one in containers},
            **{one.name: f"volume {one.name}" for one in volumes},
            **{one.id: f"network {one.name}" for one in networks},
        }

    def orphans(self) -> list[str]:
        """What Docker has of the stack, and its state does not know."""
        known = self.stack.known()
        return sorted(what for one, what in self.everything().items() if one not in known)

    def remove_everything(self) -> None:
        """All that Docker has of the stack, without pulumi.

        When all containers end at once, Docker (20.10) can miss that one has left its network: it then refuses to
        remove the network, which no container is on, until its daemon is restarted. Such a network is passed over.
        """
        filters = {"label": self._labels}
        for container in self.engine.containers.list(all=True, filters=filters, ignore_removed=True):
            container.remove(force=True, v=True)
        for volume in self.engine.volumes.list(filters=filters):
            volume.remove(force=True)
        for network in self.engine.networks.list(filters=filters):
            try:
                eventually(network.remove, _NETWORK_SECONDS)
            except APIError as error:
                network.reload()
                if "active endpoints" not in str(error) or network.attrs["Containers"]:
                    raise
                self.stuck[network.id] = network.name

    def unwell(self) -> list[str]:
        """The members that are not there, do not run, or fail their own health check; readers that lag behind, too."""
        members = self.members()
        missing = self._expected - {one.labels[labels.MEMBER] for one in members}
        failing = {one.labels[labels.MEMBER] for one in members if not _passes(one)}
        return sorted(missing | failing)

    def await_well(self, seconds: float = RECOVERY_SECONDS) -> None:
        """Wait until every member is healthy, and every reader has what the writer has now. Raises TimeoutError."""
        await_true(lambda: not self.unwell(), "not every part is healthy", seconds)
        position = max((_position(one) for one in self.members("writer")), default=0)
        await_true(
            lambda: all(_position(one) >= position for one in self.members("reader")),
            "a reader does not catch up",
            seconds,
        )

    def sigkill(self, containers: Sequence[Any]) -> None:
        """SIGKILL the first process of each, as the kernel does where memory is short: Docker starts them again by
        their restart policy, which it does not after `docker kill`.
        """
        for one in containers:
            one.reload()
        processes = " ".join(str(one.attrs["State"]["Pid"]) for one in containers)
        killer = self.engine.containers.create(
            containers[0].image.id,
            ["-c", f"kill -9 {processes}"],
            entrypoint="/bin/sh",
            user="0",
            pid_mode="host",
            security_opt=["apparmor:unconfined"],
            network_mode="none",
            labels=self.labels,
        )
        try:
            killer.start()
            code = killer.wait()["StatusCode"]
            if code != 0:
                raise RuntimeError(f"{processes} cannot be killed: {killer.logs().decode()}")
        finally:
            # With what its image makes it a volume for, which `run(remove=True)` would leave behind.
            killer.remove(v=True, force=True)


class CommandError(Exception):
    """A pulumi command failed."""

    def __init__(self, command: str, text: str) -> None:
        super().__init__(f"{command} failed:\n{text}")
        self.command = command
        self.text = text


def eventually(act: Callable[[], object], seconds: float = 30) -> None:
    """Do something that Docker may refuse for a moment, until it does not."""
    end = time.monotonic() + seconds
    while True:
        try:
            act()
        except APIError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return


def _passes(container: Any) -> bool:
    if container.status != "running":
        return False
    kind, *test = container.attrs["Config"]["Healthcheck"]["Test"]
    command = ["/bin/sh", "-c", *test] if kind == "CMD-SHELL" else test
    return _run(container, ["timeout", "5", *command])[0] == 0


def _position(container: Any) -> int:
    """LiteFS's number of the last transaction of a node's catalog; -1 where it does not tell."""
    code, text = _run(container, _POSITION)
    number = text.partition("/")[0]
    return int(number, 16) if code == 0 and number else -1


def _run(container: Any, command: list[str]) -> tuple[int, str]:
    try:
        code, output = container.exec_run(command)
    except (APIError, NotFound):
        return 1, ""
    return code, output.decode(errors="replace")
