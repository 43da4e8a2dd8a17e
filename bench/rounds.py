"""The rounds of a run: both deployments in turn, each from nothing to its removal, with every topic in between."""

import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.clients import ask
from bench.deployments import STACK, Compose, Deployment, Ours
from bench.figures import Record
from bench.measures import changes, engine, ordered, reads, replication, start, upload, wear
from bench.stack import BenchStack
from components.checks import SETTLED_SECONDS
from config.layout import SEAFOWL_PORT
from ops.client import Client
from ops.demo import load_seattle
from ops.running import ROOT
from ops.waiting import await_true

TITLES = {
    "start": "From nothing to reads and writes, with three readers",
    "scaling": "Another number of readers, while reads run",
    "rolling": "A change of all readers, while reads run",
    "reads": "Reads of one reader at full speed",
    "replication": "Replication of the catalog to three readers",
    "writes": "One client that writes, by journal mode",
    ordered.TOPIC: "Several clients that write",
    upload.TOPIC: "An upload",
    wear.TOPIC: "A table that is written to all the time",
    "memory": "Memory, with three readers",
    "engine": "What the engine takes",
}
TOPICS = tuple(TITLES)

RESULTS = ROOT / "bench" / "results"
"""Where results are kept, unless another folder is named."""

_OURS_ALONE = {upload.TOPIC, wear.TOPIC, "engine"}
"""Topics of which the Compose example has no part."""

_OUTSIDE_THE_ROUNDS = {wear.TOPIC, "engine"}

_READERS = 3
_REPLICATED = 500
"""CREATE TABLE in all rounds together."""

_OTHER_MODES = (("truncate", "off"), ("persist", "off"), ("wal", "wal"))
"""Journal modes of writer and readers, beside that of the Compose example."""


@dataclass(frozen=True)
class Setting:
    """How much is measured."""

    name: Literal["default", "short", "cut"]
    rounds: int
    topics: Sequence[str] = TOPICS
    connections: Sequence[int] = reads.CONNECTIONS
    seconds: int = 2
    """Of each load, and of each kind of write."""

    inserts: int = 400
    """Of several clients into one table."""

    upload_mebibytes: int = 256
    worn: int = 5000
    """INSERTs into the table that may wear out."""

    worn_without_maintenance: int = 500
    neglected: int = 8
    """Tables that are maintained while others read."""

    deployed: Sequence[int] = engine.DEPLOYED
    """With how many readers an `up` without a change is measured."""

    warm_up: bool = True
    """Whether our stack is brought up once before: the first time it pulls and builds images."""


SETTINGS = {
    "default": Setting("default", 5),
    "short": Setting("short", 2, worn=1000),
    "cut": Setting(
        "cut",
        1,
        topics=("start", "scaling", "reads", ordered.TOPIC, upload.TOPIC, wear.TOPIC),
        connections=(8,),
        inserts=40,
        upload_mebibytes=16,
        worn=60,
        worn_without_maintenance=60,
        neglected=2,
        warm_up=False,
    ),
}


@dataclass
class Run:
    """One run of the benchmark."""

    setting: Setting
    ours: Ours
    compose: Compose
    empty: BenchStack
    say: Callable[[str], None]
    record: Record = field(default_factory=Record)

    def warm_up(self) -> None:
        """Have our images there, as those of the Compose example are."""
        with self._removed(self.ours):
            self.say(f"the images of {self.ours.label}")
            _bring_to(self.ours, 1)

    def rounds(self) -> None:
        """Both deployments in turn, with the topics that compare them."""
        topics = set(self.setting.topics)
        if not topics - _OUTSIDE_THE_ROUNDS:
            return
        for number in range(self.setting.rounds):
            self._empty_up()
            for deployment in (self.ours, self.compose) if topics - _OURS_ALONE else (self.ours,):
                self._life(deployment, number, f"round {number + 1} of {self.setting.rounds}, {deployment.label}")
                self.say(f"{deployment.label}: removing it")
                self.record.add("start", start.REMOVED, deployment.side, "s", deployment.remove())

    def journal_modes(self) -> None:
        """Our stack with the modes that the Compose example has not."""
        for writer, readers in _OTHER_MODES:
            if self._wants("writes") or (writer == "wal" and self._wants("replication")):
                self._other_mode(writer, readers)

    def wear(self) -> None:
        """Our stack with the maintenance of tables and without: one table that is written to all the time."""
        if self._wants(wear.TOPIC):
            with self._removed(self.ours):
                self._wear()

    def engine(self) -> None:
        """Our stack with more and more readers, and the program that declares nothing."""
        if self._wants("engine"):
            with self._removed(self.ours):
                self._engine()

    def _wants(self, topic: str) -> bool:
        return topic in self.setting.topics

    def _empty_up(self) -> None:
        for topic in {"start", "scaling"} & set(self.setting.topics):
            engine.empty_up(self.empty, self.record, topic)

    def _life(self, deployment: Deployment, number: int, prefix: str) -> None:
        setting, record = self.setting, self.record
        self.say(f"{prefix}: from nothing")
        start.bring_up(deployment, _READERS, record)
        loaded = load_seattle(Client(deployment.running))
        count = f"SELECT COUNT(*) AS n FROM {loaded.table}"
        _await_everywhere(deployment, count)
        if self._wants("replication"):
            self.say(f"{prefix}: replication")
            self._replication(deployment, "delete")
        if self._wants("writes"):
            self.say(f"{prefix}: writes")
            replication.writes_per_second(deployment, "delete", setting.seconds, record)
        if self._wants(ordered.TOPIC):
            self.say(f"{prefix}: several clients that write")
            ordered.measure(deployment, setting.inserts, number, record)
        if self._wants(upload.TOPIC) and deployment.side == "ours":
            self.say(f"{prefix}: uploads")
            upload.measure(deployment, setting.upload_mebibytes, number, record)
        if self._wants("memory"):
            start.memory_of_parts(deployment, record)
        if self._wants("rolling"):
            self.say(f"{prefix}: all readers replaced under load")
            changes.replace_all(deployment, count, record)
        if self._wants("scaling"):
            self._scale(deployment, count, changes.STEPS_DOWN, prefix)
        if self._wants("reads"):
            self.say(f"{prefix}: reads at full speed")
            _bring_to(deployment, 1)
            reads.measure(deployment, loaded.by_month, setting.connections, setting.seconds, record)
        if self._wants("scaling"):
            _bring_to(deployment, 1)
            self._scale(deployment, count, changes.STEPS_UP, prefix)
            self.say(f"{prefix}: {changes.ONE_MORE_IDLE}")
            _bring_to(deployment, changes.STEPS_UP[-1][0])
            changes.scale_idle(deployment, self.record)

    def _replication(self, deployment: Deployment, mode: str) -> None:
        writes = _REPLICATED // self.setting.rounds
        replication.copied(deployment, mode, writes, self.record)
        replication.replication(deployment, mode, writes, self.record)

    def _scale(self, deployment: Deployment, query: str, steps: Sequence[tuple[int, int]], prefix: str) -> None:
        for before, after in steps:
            self.say(f"{prefix}: {changes.scale_label(before, after)} under load")
            changes.scale(deployment, query, before, after, self.record)

    def _other_mode(self, writer: str, readers: str) -> None:
        keys = {"seafowl:writerJournalMode": writer, "seafowl:readerJournalMode": readers}
        self.ours.stack.configure(keys)
        with self._removed(self.ours):
            self.say(f"{self.ours.label}, journal mode {writer}: bringing it up")
            _bring_to(self.ours, _READERS)
            for number in range(self.setting.rounds):
                self.say(f"{self.ours.label}, journal mode {writer}: round {number + 1} of {self.setting.rounds}")
                if self._wants("writes"):
                    replication.writes_per_second(self.ours, writer, self.setting.seconds, self.record)
                if self._wants("replication") and writer == "wal":
                    self._replication(self.ours, writer)
        self.ours.stack.configure({"seafowl:writerJournalMode": "delete", "seafowl:readerJournalMode": "off"})

    def _wear(self) -> None:
        setting, record = self.setting, self.record
        self.say(f"a table that may wear out: {setting.worn} INSERTs, with maintenance")
        _bring_to(self.ours, 1)
        wear.wear(self.ours, setting.worn, wear.WITH, record)
        self.ours.stack.configure({"seafowl:maintenance": {"enabled": False}})
        _bring_to(self.ours, 1)
        self.say(f"a table that may wear out: {setting.worn_without_maintenance} INSERTs, without maintenance")
        wear.wear(self.ours, setting.worn_without_maintenance, wear.WITHOUT, record)
        loaded = load_seattle(Client(self.ours.running))
        _await_everywhere(self.ours, loaded.by_month)
        for number in range(setting.rounds):
            self.say(f"reads while tables are maintained: round {number + 1} of {setting.rounds}")
            wear.reads_meanwhile(self.ours, loaded.by_month, setting.neglected, record)
        self.ours.stack.configure({"seafowl:maintenance": {}})

    def _engine(self) -> None:
        for readers in self.setting.deployed:
            self.say(f"the engine: bringing it up with readers: {readers}")
            _bring_to(self.ours, readers)
            self.say("the engine: waiting until the stack has settled")
            time.sleep(SETTLED_SECONDS)
            self.say(f"the engine: up and preview without a change, readers: {readers}")
            engine.no_change(self.ours, self.empty, readers, self.setting.rounds, self.record)
        only_declared = [count for count in engine.DECLARED if count not in self.setting.deployed]
        self.say(f"the engine: previews with {', '.join(map(str, only_declared))} readers")
        engine.declared_only(self.ours, only_declared, self.setting.rounds, self.record)

    @contextmanager
    def _removed(self, deployment: Deployment) -> Generator[None]:
        yield
        self.say(f"{deployment.label}: removing it")
        deployment.remove()


@contextmanager
def new_run(
    setting: Setting, images: Mapping[str, str], compose: Sequence[str], say: Callable[[str], None]
) -> Generator[Run]:
    """A run with stacks of its own. What is left of them when it breaks off, the caller removes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = Ours(folder / "ours", images)
        empty = BenchStack(STACK, folder / "empty", ROOT / "bench" / "empty")
        yield Run(setting, ours, Compose(compose, images), empty, say)


def _bring_to(deployment: Deployment, readers: int) -> None:
    """So many readers, and an ingress that knows them."""
    with deployment.start(readers) as command:
        command.finish()
    deployment.tell_the_ingress()


def _await_everywhere(deployment: Deployment, query: str) -> None:
    addresses = [part.address for part in deployment.readers()]
    await_true(
        lambda: all(ask(SEAFOWL_PORT, "/q", query, address)[0] == "200" for address in addresses),
        f"not every reader of {deployment.label} gets the table",
    )
