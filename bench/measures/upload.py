"""An upload: through the ingress and the gate, and straight to the writer's Seafowl; and what memory the gate needs."""

import itertools

from bench.clients import ask
from bench.deployments import Deployment
from bench.figures import Record
from bench.inside import Inside, Uploaded

TOPIC = "upload"
THROUGH = "through the ingress"
STRAIGHT = "straight to the writer's Seafowl"
GATE_MEMORY = "memory of the gate, the most since it began"

_names = itertools.count()


def measure(deployment: Deployment, mebibytes: int, number: int, record: Record) -> None:
    """Round `number`: two uploads each way, each into a new table. The deployment is ours."""
    inside = Inside(deployment)
    ways = [(THROUGH, inside.through), (STRAIGHT, inside.straight)]
    if number % 2:
        ways.reverse()
    done: dict[str, list[Uploaded]] = {THROUGH: [], STRAIGHT: []}
    # There and back: what gets slower from one upload to the next meets both ways alike.
    for what, target in (*ways, *reversed(ways)):
        table = f"uploaded_{next(_names)}"
        done[what].append(inside.upload(target, table, mebibytes))
        outcome, _ = ask(deployment.port, "/w/q", f"DROP TABLE {table}")
        if outcome != "200":
            raise TimeoutError(f"a DROP TABLE was answered with {outcome}")
    for what, uploads in done.items():
        rate = sum(one.mebibytes for one in uploads) / sum(one.seconds for one in uploads)
        record.add(TOPIC, what, "ours", "MiB/s", rate)
    record.add(TOPIC, GATE_MEMORY, "ours", "MiB", inside.gate_memory())
