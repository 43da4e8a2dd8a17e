"""An upload: through the ingress and the gate, and straight to the writer's Seafowl; and what memory the gate needs."""

import itertools

from bench.clients import ask
from bench.deployments import Deployment
from bench.figures import Record
from bench.inside import Inside

TOPIC = "upload"
THROUGH = "through the ingress"
STRAIGHT = "straight to the writer's Seafowl"
GATE_MEMORY = "memory of the gate, the most since it began"

_names = itertools.count()


def measure(deployment: Deployment, mebibytes: int, number: int, record: Record) -> None:
    """Round `number`: one upload each way, each into a new table. The deployment is ours."""
    inside = Inside(deployment)
    ways = [(THROUGH, inside.through), (STRAIGHT, inside.straight)]
    for what, target in ways if number % 2 else reversed(ways):
        table = f"uploaded_{next(_names)}"
        done = inside.upload(target, table, mebibytes)
        record.add(TOPIC, what, "ours", "MiB/s", done.mebibytes / done.seconds)
        outcome, _ = ask(deployment.port, "/w/q", f"DROP TABLE {table}")
        if outcome != "200":
            raise TimeoutError(f"a DROP TABLE was answered with {outcome}")
    record.add(TOPIC, GATE_MEMORY, "ours", "MiB", inside.gate_memory())
