"""Clients in a writer's own container: from there, Seafowl itself is reached, past the gate.

A way straight to it and a way through the ingress are compared by the same client at the same place.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from bench.deployments import Deployment
from cluster.engine import Engine
from config.layout import GATED_SEAFOWL_PORT

_PROGRAM = Path(__file__).with_name("write_client.py")
_GATE = "seafowl-supervisor"


@dataclass(frozen=True)
class Target:
    """Where a client writes to."""

    host: str
    port: int
    path: str
    """What paths begin with."""


@dataclass(frozen=True)
class Inserted:
    """What came of the statements of several clients."""

    seconds: float
    """From the first statement to the last answer."""

    answers: Sequence[Sequence[tuple[int, float]]]
    """Client by client, status and seconds of each statement, in the order in which they were given."""

    @property
    def acknowledged(self) -> int:
        """How many were answered with 200."""
        return sum(status == HTTPStatus.OK for client in self.answers for status, _ in client)


@dataclass(frozen=True)
class Uploaded:
    """What came of an upload."""

    mebibytes: float
    seconds: float


class Inside:
    """Clients in the writer's container of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._writer = deployment.one("writer").id
        self.through = Target(deployment.one("ingress").address, deployment.ingress_port, "/w")
        """The ingress, as every client reaches it."""

        self.straight = Target("127.0.0.1", GATED_SEAFOWL_PORT, "")
        """Seafowl itself; of our writers alone."""

    def insert(self, targets: Sequence[Target], clients: Sequence[Sequence[tuple[int, str]]]) -> Inserted:
        """So many clients at the same time; each has its statements, with the number of the target that gets each."""
        told = self._run({"command": "insert", "targets": [vars(one) for one in targets], "clients": clients})
        return Inserted(told["seconds"], [[(status, took) for status, took in client] for client in told["answers"]])

    def upload(self, target: Target, table: str, mebibytes: int) -> Uploaded:
        """Upload a form of this size into a new table. Raises TimeoutError where it is not taken."""
        told = self._run({"command": "upload", "target": vars(target), "table": table, "mebibytes": mebibytes})
        if told["status"] != HTTPStatus.OK:
            raise TimeoutError(f"an upload was answered with {told['status']}: {told['text']}")
        return Uploaded(told["mebibytes"], told["seconds"])

    def gate_memory(self) -> float:
        """MiB that the gate's process had at most since it began."""
        return self._run({"command": "memory", "program": _GATE})["mebibytes"]

    def _run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Raises TimeoutError where the program fails."""
        said: list[str] = []
        with Engine(self._deployment.docker) as engine:
            command = ["python3", "-c", _PROGRAM.read_text(), json.dumps(asked)]
            code = engine.follow(self._writer, command, said.append)
        if code != 0:
            raise TimeoutError(f"the client in the writer's container ended with {code}:\n" + "\n".join(said))
        return json.loads(said[-1])
