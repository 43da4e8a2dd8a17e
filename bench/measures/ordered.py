"""Clients that write at the same time: into one table, and into a table each; and what the way to the writer costs."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus

from bench.clients import ask
from bench.deployments import Deployment
from bench.figures import Record
from bench.inside import Inserted, Inside

TOPIC = "ordered-writes"
CLIENTS = 8

ONE_TABLE = f"{CLIENTS} clients, one table"
ALONE = "one client, one table"
ACKNOWLEDGED = f"{ONE_TABLE}: acknowledged"
LOST = f"{ONE_TABLE}: acknowledged rows lost"
TWICE = f"{ONE_TABLE}: rows executed twice"
MANY_THROUGH = f"{CLIENTS} clients, {CLIENTS} tables, through the ingress"
MANY_STRAIGHT = f"{CLIENTS} clients, {CLIENTS} tables, straight to the writer's Seafowl"
ONE_THROUGH = "one client in turns, through the ingress"
ONE_STRAIGHT = "one client in turns, straight to the writer's Seafowl"

_SIDE_BY_SIDE, _IN_TURNS = 2, 4
"""Several clients with a table each send this part of all INSERTs each way; one client in turns, that part."""

_names = itertools.count()


def measure(deployment: Deployment, inserts: int, number: int, record: Record) -> None:
    """Round `number`, with so many INSERTs of each kind. Of the Compose example, what the shared table keeps alone."""
    inside = Inside(deployment)
    _one_table(deployment, inside, inserts, record)
    if deployment.side != "ours":
        return
    _alone(deployment, inside, inserts, record)
    # Whatever slows the machine down, or the tables of before: no way always comes first.
    ways = [(MANY_THROUGH, inside.through), (MANY_STRAIGHT, inside.straight)]
    for what, target in ways if number % 2 else reversed(ways):
        tables = _Tables(deployment, CLIENTS)
        clients = [_inserts(table, inserts // _SIDE_BY_SIDE // CLIENTS) for table in tables.names]
        record.add(TOPIC, what, "ours", "writes/s", _per_second(inside.insert([target], clients)))
        tables.drop()
    _in_turns(deployment, inside, inserts // _IN_TURNS, record)


def _one_table(deployment: Deployment, inside: Inside, inserts: int, record: Record) -> None:
    """Several clients, and a count of their rows."""
    tables = _Tables(deployment, 1)
    (table,) = tables.names
    each = inserts // CLIENTS
    clients = [_inserts(table, each, first=client * each) for client in range(CLIENTS)]
    done = inside.insert([inside.through], clients)
    acknowledged = {
        client * each + place
        for client, answers in enumerate(done.answers)
        for place, (status, _) in enumerate(answers)
        if status == HTTPStatus.OK
    }
    there = _ids(deployment, table)
    side = deployment.side
    record.add(TOPIC, ACKNOWLEDGED, side, "writes", len(acknowledged))
    record.add(TOPIC, LOST, side, "rows", len(acknowledged - there.keys()))
    record.add(TOPIC, TWICE, side, "rows", sum(count > 1 for count in there.values()))
    record.add(TOPIC, ONE_TABLE, side, "writes/s", _per_second(done))
    tables.drop()


def _alone(deployment: Deployment, inside: Inside, inserts: int, record: Record) -> None:
    tables = _Tables(deployment, 1)
    done = inside.insert([inside.through], [_inserts(tables.names[0], inserts)])
    record.add(TOPIC, ALONE, "ours", "writes/s", _per_second(done))
    tables.drop()


def _in_turns(deployment: Deployment, inside: Inside, inserts: int, record: Record) -> None:
    """One client that sends each INSERT both ways, into tables that are alike: nothing else is between the two."""
    tables = _Tables(deployment, 2)
    targets = (inside.through, inside.straight)
    statements = [
        (target, f"INSERT INTO {tables.names[target]} VALUES ({number})")
        for number in range(inserts)
        for target in ((0, 1) if number % 2 else (1, 0))
    ]
    (answers,) = inside.insert(targets, [statements]).answers
    for target, what in enumerate((ONE_THROUGH, ONE_STRAIGHT)):
        took = [seconds for (to, _), (_, seconds) in zip(statements, answers, strict=True) if to == target]
        record.add(TOPIC, what, "ours", "writes/s", len(took) / sum(took))
    tables.drop()


class _Tables:
    """New tables with a column `id`."""

    def __init__(self, deployment: Deployment, count: int) -> None:
        self._port = deployment.port
        self.names: Sequence[str] = [f"ordered_{next(_names)}" for _ in range(count)]
        for name in self.names:
            _must_be_ok(self._port, f"CREATE TABLE {name} (id BIGINT)")

    def drop(self) -> None:
        """Drop them, so that no round has more tables than another."""
        for name in self.names:
            _must_be_ok(self._port, f"DROP TABLE {name}")


def _inserts(table: str, count: int, first: int = 0) -> list[tuple[int, str]]:
    return [(0, f"INSERT INTO {table} VALUES ({number})") for number in range(first, first + count)]


def _per_second(done: Inserted) -> float:
    return done.acknowledged / done.seconds


def _ids(deployment: Deployment, table: str) -> Counter[int]:
    text = _must_be_ok(deployment.port, f"SELECT id FROM {table}")
    return Counter(json.loads(line)["id"] for line in text.splitlines())


def _must_be_ok(port: int, statement: str) -> str:
    outcome, text = ask(port, "/w/q", statement)
    if outcome != "200":
        raise TimeoutError(f"{statement} was answered with {outcome}")
    return text
