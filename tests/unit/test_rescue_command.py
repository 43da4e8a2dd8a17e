"""`make rescue-catalog`: which node is rescued, from which, and when it refuses. (That it works: tests/e2e.)"""

import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import IO, Any, cast

import pytest

from cluster import labels
from cluster.engine import ClusterError, Engine
from config.layout import LITEFS_DATA_DIR
from ops.rescue_catalog import rescue

CLUSTER, ANOTHER = "LFSC0123456789ABCDEF", "LFSCFEDCBA9876543210"
DAMAGE = {"damage": "the file is damaged"}


def copy(txid: int, cluster: str = CLUSTER) -> dict[str, Any]:
    """What a node's check says of a sound copy."""
    return {"cluster": cluster, "txid": txid, "checksum": "e12a8bd8a16ccac7"}


@dataclass
class Node:
    """A container of the stack, as far as the command looks at it."""

    name: str
    check: dict[str, Any]
    prepares: bool = False
    primary: bool = False
    running: bool = True
    healthy: bool = False
    cluster: str = CLUSTER
    last: int = 0
    """Of its transaction files."""

    def inspected(self) -> dict[str, Any]:
        return {
            "Id": self.name,
            "Name": f"/seafowl-dev-{self.name}",
            "State": {"Running": self.running, "Status": "running" if self.running else "exited"},
            "Config": {
                "Labels": {labels.MEMBER: self.name, labels.ROLE: self.name.partition("-")[0]},
                "Healthcheck": {"Test": ["CMD-SHELL", "health"]},
            },
        }

    def answer(self, command: str) -> tuple[int, str] | None:
        if not self.running:
            return None
        if "supervisor.catalog_check" in command:
            return 0, json.dumps(self.check)
        if "clusterid" in command:
            return 0, f"{self.cluster}\n"
        if command.startswith("ls "):
            return 0, f"{self.last:016x}-{self.last:016x}.ltx\n{self.last + 5:016x}-{self.last + 5:016x}.ltx.tmp\n"
        yes = self.prepares if "cmdline" in command else self.primary if "isPrimary" in command else self.healthy
        return (0 if yes else 1), ""


def waiting(name: str = "writer-0", **values: Any) -> Node:
    """A writer that waits because its catalog is damaged."""
    return Node(name, DAMAGE, prepares=True, **values)


@dataclass
class Nodes:
    """Stands in for the Engine. Who gets an order is healthy after it."""

    nodes: list[Node]
    put: list[tuple[str, list[str]]] = field(default_factory=list)
    """What was unpacked where: the container, and the archive's paths."""

    read_from: list[str] = field(default_factory=list)

    def rescue(self, to: str | None = None, source: str | None = None) -> None:
        rescue(cast(Engine, self), [node.inspected() for node in self.nodes], to=to, source=source)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def run(self, container_id: str, command: list[str]) -> tuple[int, str] | None:
        return self.node(container_id).answer(" ".join(command))

    def inspect(self, container_id: str) -> dict[str, Any]:
        return self.node(container_id).inspected()

    def start(self, container_id: str) -> None:
        self.node(container_id).running = True

    def files(self, container_id: str, path: str, into: IO[bytes]) -> bool:
        self.read_from.append(container_id)
        names = ["clusterid"] if path.endswith("clusterid") else ["database", "shm", "ltx/1.ltx", "ltx/2.ltx.9.tmp"]
        with tarfile.open(fileobj=into, mode="w") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name if name == "clusterid" else f"seafowl.sqlite/{name}"))
        return True

    def put_files(self, container_id: str, path: str, archive: IO[bytes]) -> None:
        assert path == LITEFS_DATA_DIR
        with tarfile.open(fileobj=io.BytesIO(archive.read())) as found:
            self.put.append((container_id, [entry.name.split("/", 2)[2] for entry in found]))
        if any(name.endswith("order.json") for name in self.put[-1][1]):
            self.node(container_id).healthy = True

    def log_lines(self, container_id: str, count: int) -> list[str]:
        return []


def refused(nodes: Nodes, **options: str) -> str:
    with pytest.raises(ClusterError) as error:
        nodes.rescue(**options)
    assert nodes.put == [], "nothing was changed"
    return str(error.value)


def test_the_reader_with_the_last_transaction_is_copied_from(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = Nodes([waiting(), Node("reader-0", copy(7)), Node("reader-1", copy(9)), Node("ingress", DAMAGE)])
    nodes.rescue()
    assert nodes.read_from == ["reader-1", "reader-1"]
    assert nodes.put == [
        ("writer-0", ["clusterid", "dbs/seafowl.sqlite/database", "dbs/seafowl.sqlite/ltx/1.ltx"]),
        ("writer-0", ["order.new", "order.json"]),
    ]
    said = capsys.readouterr().out
    assert "writer-0: the file is damaged" in said
    assert "copies the catalog of reader-1, transaction 9, to writer-0" in said


def test_a_reader_that_is_named_is_copied_from_and_what_is_lost_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = Nodes([waiting(), Node("reader-0", copy(7)), Node("reader-1", copy(9))])
    nodes.rescue(source="reader-0")
    assert nodes.read_from == ["reader-0", "reader-0"]
    assert "reader-1 has transaction 9: what is after 7 will be gone" in capsys.readouterr().out


def test_transactions_that_only_the_damaged_catalog_has_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    Nodes([waiting(last=12), Node("reader-0", copy(12))]).rescue()
    assert "had transaction" not in capsys.readouterr().out
    Nodes([waiting(last=12), Node("reader-0", copy(10))]).rescue()
    assert "writer-0 had transaction 12: what is after 10 is in its damaged copy only" in capsys.readouterr().out


def test_a_candidate_rejoins_while_another_leads() -> None:
    leader = Node("writer-1", copy(9), primary=True, healthy=True)
    nodes = Nodes([waiting(), leader, Node("reader-0", copy(9))])
    nodes.rescue()
    assert nodes.read_from == []
    assert nodes.put == [("writer-0", ["order.new", "order.json"])]


def test_a_writer_that_is_stopped_is_started_and_rescued() -> None:
    nodes = Nodes([waiting(running=False), Node("reader-0", copy(9))])
    nodes.rescue()
    assert nodes.read_from == ["reader-0", "reader-0"]


def test_a_healthy_writer_needs_no_rescue() -> None:
    nodes = Nodes([Node("writer-0", copy(9), primary=True, healthy=True), Node("reader-0", copy(9))])
    assert refused(nodes) == "nothing to rescue: writer-0 is healthy"


def test_a_node_that_is_not_there_is_refused() -> None:
    assert "there is no writer-7; nodes that can be rescued: writer-0" in refused(Nodes([waiting()]), to="writer-7")


def test_of_several_that_wait_one_must_be_named() -> None:
    nodes = Nodes([waiting(), waiting("writer-1"), Node("reader-0", copy(9))])
    assert "writer-0 and writer-1 wait for a catalog: say which with --to" in refused(nodes)
    nodes.rescue(to="writer-1")
    assert {container for container, _ in nodes.put} == {"writer-1"}


def test_a_damaged_candidate_that_leads_nobody_is_no_source_and_a_sound_one_is() -> None:
    nodes = Nodes([waiting(), waiting("writer-1"), Node("reader-0", copy(3))])
    nodes.rescue(to="writer-0")
    assert nodes.read_from == ["reader-0", "reader-0"]


@pytest.mark.parametrize(
    ("reader", "why"),
    [
        (Node("reader-0", {"damage": "it is cut short"}), "reader-0: it is cut short"),
        (Node("reader-0", copy(0)), "reader-0: has no catalog"),
        (Node("reader-0", copy(9, ANOTHER)), f"reader-0: is of another cluster ({ANOTHER}, not {CLUSTER})"),
        (Node("reader-0", copy(9), running=False), "reader-0: it does not run"),
    ],
)
def test_without_a_sound_copy_of_this_cluster_it_refuses_and_says_why(reader: Node, why: str) -> None:
    said = refused(Nodes([waiting(), reader]))
    assert "no node has a sound catalog to copy. Nothing was changed." in said
    assert why in said
    assert "no node has a sound catalog" in refused(Nodes([waiting(), reader]), source="reader-0")


def test_a_candidate_that_is_stopped_may_have_the_latest_catalog() -> None:
    nodes = Nodes([waiting(), Node("writer-1", copy(9), running=False), Node("reader-0", copy(7))])
    assert "writer-1 does not run, and may have the latest catalog" in refused(nodes)
    nodes.rescue(source="reader-0")
    assert nodes.read_from == ["reader-0", "reader-0"]


def test_a_node_that_has_lost_its_cluster_s_id_takes_a_copy_where_there_is_only_one_cluster() -> None:
    lost = waiting(cluster="")
    nodes = Nodes([lost, Node("reader-0", copy(9)), Node("reader-1", copy(9, ANOTHER))])
    assert "these are of several" in refused(nodes)
    Nodes([lost, Node("reader-0", copy(9))]).rescue()
