"""From nothing to the first write and the first reads; and the memory of the parts."""

import itertools
import time

from bench.clients import ask
from bench.deployments import ROLES, Deployment
from bench.figures import Record
from cluster.engine import Engine
from config.layout import SEAFOWL_PORT
from ops.waiting import await_true

FIRST_WRITE = "first acknowledged write"
FIRST_READ = "first correct read on every reader"
COMMAND = "the command has ended"
REMOVED = "removed again, with all data"
_PATIENCE_SECONDS = 180


def bring_up(deployment: Deployment, readers: int, record: Record) -> None:
    """Bring a deployment up and keep asking it, from the moment at which the command is given."""
    with deployment.start(readers) as command:
        began = time.monotonic()
        table = _first_write(deployment)
        record.add("start", FIRST_WRITE, deployment.side, "s", time.monotonic() - began)
        _first_reads(deployment, table, readers)
        record.add("start", FIRST_READ, deployment.side, "s", time.monotonic() - began)
        command.finish()
        record.add("start", COMMAND, deployment.side, "s", command.seconds)


def _first_write(deployment: Deployment) -> str:
    """The name of the first table that was made."""
    # Another name for each try: one that nobody acknowledged may have been made all the same.
    names = (f"first_{number}" for number in itertools.count())
    made: list[str] = []

    def writes() -> bool:
        name = next(names)
        if ask(deployment.port, "/w/q", f"CREATE TABLE {name} AS SELECT 1 AS answer")[0] == "200":
            made.append(name)
        return bool(made)

    await_true(writes, f"{deployment.label} takes no write", _PATIENCE_SECONDS)
    return made[0]


def _first_reads(deployment: Deployment, table: str, readers: int) -> None:
    answered: set[str] = set()

    def all_answer() -> bool:
        there = {part.address for part in deployment.readers() if part.address}
        for address in there - answered:
            if '"answer":1' in ask(SEAFOWL_PORT, "/q", f"SELECT answer FROM {table}", address)[1]:
                answered.add(address)
        return len(there & answered) == readers

    await_true(all_answer, f"not every reader of {deployment.label} answers", _PATIENCE_SECONDS)


def memory(role: str) -> str:
    """Name of the figure of a part's memory."""
    return "each reader" if role == "reader" else role.replace("-", " ")


def memory_of_parts(deployment: Deployment, record: Record) -> None:
    """MiB of each part (the mean of the readers), and of all together."""
    parts = deployment.parts()
    with Engine(deployment.docker) as engine:
        used = [(part.role, engine.memory(part.id) / 1024 / 1024) for part in parts]
    for role in ROLES:
        sizes = [size for of, size in used if of == role]
        record.add("memory", memory(role), deployment.side, "MiB", sum(sizes) / len(sizes))
    readers = sum(role == "reader" for role, _ in used)
    record.add("memory", f"all, with {readers} readers", deployment.side, "MiB", sum(size for _, size in used))
