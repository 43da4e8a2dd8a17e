"""The supervisor as LiteFS runs it: a process of its own, with stand-ins for LiteFS, Consul and Seafowl around it.

What this does not prove: that LiteFS and Consul behave as the stand-ins do.
"""

import compileall
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.supervisor_fakes import DATABASE, FakeConsul, FakeLiteFS, closing, eventually, free_port

SUPERVISOR = Path(__file__).parents[2] / "images" / "seafowl-litefs" / "supervisor"
TTL = 1.5
ACK_TIMEOUT = 0.4

# A copy, compiled once for all.
_COPY = tempfile.TemporaryDirectory(prefix="supervisor-")
shutil.copytree(SUPERVISOR, f"{_COPY.name}/supervisor", ignore=shutil.ignore_patterns("__pycache__"))
compileall.compile_dir(_COPY.name, quiet=1)
PYTHON = [sys.executable]
ENVIRONMENT = {**os.environ, "PYTHONPATH": _COPY.name}

# Starts the supervisor, forwards SIGTERM, ends as it does; what LiteFS would do at SIGHUP it only tells.
LITEFS = """
import os, signal, sys
signal.signal(signal.SIGHUP, lambda *_: print("litefs: SIGHUP", flush=True))
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

# Its config is a seafowl.toml with the keys `port` and `end_code`. It answers the text of a statement. Writes move the
# position, "slow" ones when the file `go` is there; "die N" ends it.
SEAFOWL = """#!{python} -SE
import json, os, pathlib, re, signal, socketserver, sys, threading, time, tomllib
folder, config = pathlib.Path({folder!r}), pathlib.Path(sys.argv[2])
settings = tomllib.loads(config.read_text())
def note(what):
    with (folder / "events").open("a") as events:
        print(config.stem, what, file=events, flush=True)
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        length = 0
        while line := self.rfile.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if not length:
            return
        request = re.search("'(.*)'", json.loads(self.rfile.read(length))["query"])[1]
        note(request)
        if request.startswith("die"):
            os._exit(int(request.split()[1]))
        while request == "slow" and not (folder / "go").exists():
            time.sleep(0.01)
        if request != "read":
            position = folder / "litefs" / {position!r}
            txid = int(position.read_text().split("/")[0], 16) + 1
            new = position.with_suffix(".new")
            new.write_text(f"{{txid:016x}}/{{txid:016x}}")
            new.replace(position)
        answer = b"done: " + request.encode()
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(answer), answer))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
server = Server(("127.0.0.1", settings["port"]), Handler)
def stop(*_):
    note("SIGTERM")
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, stop)
note("starts")
server.serve_forever(0.01)
server.server_close()
note("ends")
sys.exit(settings["end_code"])
"""


class Node:
    """One candidate called writer-0, with another one called writer-1 beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.consul = FakeConsul()
        # The other one has the address of the name that both share here, `localhost`.
        self.other = FakeLiteFS("127.0.0.1")
        self.litefs = FakeLiteFS("127.0.0.2", self.other.port)
        self.write_port, self.seafowl_port, self.reader_port = free_port(), free_port(), free_port()
        (folder / "litefs").mkdir()
        (folder / "data").mkdir()
        (folder / "events").touch()
        self.at(7)
        (folder / "litefs" / DATABASE).write_text("the catalog")
        self.end_codes(0)
        seafowl = folder / "seafowl"
        seafowl.write_text(SEAFOWL.format(python=sys.executable, folder=str(folder), position=f"{DATABASE}-pos"))
        seafowl.chmod(0o755)
        (folder / "litefs.py").write_text(LITEFS)
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def end_codes(self, code: int) -> None:
        for name, port in (("writer", self.seafowl_port), ("reader", self.reader_port)):
            (self.folder / f"{name}.toml").write_text(
                f'port = {port}\nend_code = {code}\n[catalog]\njournal_mode = "delete"\n'
            )

    def at(self, txid: int) -> None:
        """Put this node to a position."""
        (self.folder / "litefs" / f"{DATABASE}-pos").write_text(f"{txid:016x}/{txid:016x}")

    def other_at(self, txid: int) -> None:
        self.other.position = (txid, f"{txid:016x}")

    def make_primary(self) -> None:
        self.consul.give_lease("writer-0")
        self.litefs.is_primary = True

    def start(self, *more: str, static: bool = False) -> None:
        """Run the supervisor of a candidate; with `static`, of the one writer of a static lease."""
        elected = {
            "consul": self.consul.url,
            "key": "test/primary",
            "ttl": TTL,
            "candidates": "localhost",
            "reader-config": self.folder / "reader.toml",
        }
        options = {
            **({} if static else elected),
            "hostname": "writer-0",
            "catalog": self.folder / "litefs" / DATABASE,
            "data": self.folder / "data",
            "litefs": self.litefs.url,
            "writer-config": self.folder / "writer.toml",
            "seafowl-port": self.seafowl_port,
            "write-port": self.write_port,
            "ack-timeout": ACK_TIMEOUT,
            "maintenance-interval": 10,
            "history": 3600,
            "versions": 100,
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PYTHON, str(self.folder / "litefs.py"), *PYTHON, "-m", "supervisor", "run", *arguments, *more],
                env={**ENVIRONMENT, "PATH": f"{self.folder}:{os.environ['PATH']}"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ends_with(self, seconds: float = 15) -> int:
        assert self.process is not None
        return self.process.wait(timeout=seconds)

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()

    def says(self, what: str) -> None:
        eventually(lambda: what in self.log.read_text(), f"{what!r} in the log\n{self.log.read_text()}")

    def happens(self, *events: str) -> None:
        eventually(lambda: set(events) <= set(self.events()), f"{events} in {self.events()}")

    def events(self) -> list[str]:
        return (self.folder / "events").read_text().splitlines()

    def sent(self, request: str, port: int = 0) -> socket.socket:
        """A connection on which the request was sent."""
        sql = f"SELECT '{request}'" if request == "read" else f"INSERT INTO t VALUES ('{request}')"
        body = json.dumps({"query": sql})
        head = f"POST /q HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection = socket.create_connection(("127.0.0.1", port or self.write_port), timeout=10)
        connection.sendall(f"{head}{body}".encode())
        return connection

    def ask(self, request: str = "write", port: int = 0) -> bytes:
        """The body of the answer; a refusal whole."""
        with self.sent(request, port) as connection:
            received = _all_of(connection)
        return received.partition(b"\r\n\r\n")[2] if received.startswith(b"HTTP/1.1 200 ") else received

    def asking(self, request: str = "write") -> tuple[threading.Thread, list[bytes | OSError]]:
        """Ask in the background; the list gets the answer, or the error."""
        answers: list[bytes | OSError] = []

        def ask() -> None:
            try:
                answers.append(self.ask(request))
            except OSError as error:
                answers.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        return thread, answers

    def refuses(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.write_port), timeout=1).close()
        except ConnectionRefusedError:
            return True
        return False

    def runs(self, name: str) -> bool:
        """Whether a Seafowl with the config of this name runs."""
        config = f"{self.folder}/{name}.toml".encode()
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if config in command.read_bytes().split(b"\0")[-3:]:
                    return True
            except OSError:
                continue
        return False

    def close(self) -> None:
        for server in (self.consul, self.litefs, self.other):
            server.hangs.clear()
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _all_of(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(1000):
        received += piece
    return received


@contextmanager
def a_node(folder: Path) -> Iterator[Node]:
    made = Node(folder)
    with closing(made.consul, made.litefs, made.other):
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with a_node(tmp_path) as made:
        yield made


WAITING: dict[str, Callable[[Node], None]] = {}


def beside_the_others(test: Callable[[Node], None]) -> Callable[..., None]:
    """Of a test that waits for a lease to run out: it does so in a thread of its own, with a node of its own."""
    WAITING[test.__name__] = test

    @functools.wraps(test, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=())
    def waited_for(waiting: dict[str, "Future[None]"]) -> None:
        waiting[test.__name__].result()

    del waited_for.__wrapped__  # pytest would ask for the arguments of the test itself
    return waited_for


@pytest.fixture(scope="module", autouse=True)
def waiting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, "Future[None]"]]:
    """Every test that waits and was asked for, started before the first of this file."""

    def run(test: Callable[[Node], None], folder: Path) -> None:
        with a_node(folder) as made:
            test(made)

    asked_for = {item.name for item in request.session.items if item.path == request.path}
    with ThreadPoolExecutor(max_workers=len(WAITING)) as threads:
        yield {
            name: threads.submit(run, test, tmp_path_factory.mktemp("node"))
            for name, test in WAITING.items()
            if name in asked_for
        }


def test_a_primary_takes_writes(node: Node) -> None:
    node.make_primary()
    node.start()
    node.says("takes writes")
    assert node.ask() == b"done: write"
    assert not node.runs("reader")


def test_a_standby_refuses_the_connection_and_serves_reads(node: Node) -> None:
    node.litefs.primary = "writer-1"
    node.start("--standby-reads")
    node.happens("reader starts")
    assert node.refuses()
    assert node.ask("read", node.reader_port) == b"done: read"
    assert "supervisor: standby: the primary is writer-1\n" in node.log.read_text()


def test_a_standby_without_reads_runs_nothing(node: Node) -> None:
    node.start()
    node.says("standby: there is no primary")
    node.stop()
    assert node.ends_with() == 0
    assert node.events() == []


def test_a_standby_serves_reads_only_when_there_is_a_catalog(node: Node) -> None:
    catalog = node.folder / "litefs" / DATABASE
    catalog.write_text("")
    node.start("--standby-reads")
    node.says("standby")
    time.sleep(0.3)
    assert node.events() == []
    catalog.write_text("the catalog")
    node.happens("reader starts")


def test_a_promoted_standby_takes_writes_before_it_stops_serving_reads(node: Node) -> None:
    node.start("--standby-reads")
    node.happens("reader starts")
    node.make_primary()
    node.happens("reader ends")
    assert node.events() == ["reader starts", "writer starts", "reader SIGTERM", "reader ends"]
    assert node.ask() == b"done: write"


def test_litefs_alone_makes_no_primary(node: Node) -> None:
    node.litefs.is_primary = True
    node.consul.give_lease("writer-1")
    node.start()
    node.says("standby: no lease: writer-1 has the lease")
    assert node.refuses()


def test_a_primary_that_loses_the_role_stops_at_once(node: Node) -> None:
    node.make_primary()
    node.start("--standby-reads")
    node.says("takes writes")
    thread, answers = node.asking("slow")
    node.happens("writer slow")
    node.litefs.is_primary = False
    thread.join(10)
    assert isinstance(answers[0], ConnectionResetError)
    node.happens("reader starts")
    assert not node.runs("writer")


@beside_the_others
def test_a_primary_is_fenced_when_consul_hangs_and_does_not_refuse(node: Node) -> None:
    node.make_primary()
    node.start("--standby-reads")
    node.says("takes writes")
    thread, answers = node.asking("slow")
    node.happens("writer slow")
    node.consul.hangs.set()
    node.says("fenced: the lease was not confirmed for 1.5 s")
    (node.folder / "go").touch()
    thread.join(10)
    assert isinstance(answers[0], ConnectionResetError), "acknowledged after the fence"
    assert node.refuses()
    node.happens("reader starts")
    assert not node.runs("writer")
    assert "writer SIGTERM" not in node.events(), "it would have gone on writing to the object store"


def test_a_consul_that_hangs_does_not_hide_that_litefs_lost_the_role(node: Node) -> None:
    node.make_primary()
    node.start()
    node.says("takes writes")
    node.consul.hangs.set()
    node.litefs.is_primary, node.litefs.primary = False, "writer-1"
    node.says("standby: the primary is writer-1")
    assert "fenced" not in node.log.read_text()


@beside_the_others
def test_a_fenced_node_takes_writes_again_when_its_lease_is_confirmed(node: Node) -> None:
    node.make_primary()
    node.start()
    node.says("takes writes")
    node.consul.hangs.set()
    node.says("fenced")
    node.consul.hangs.clear()
    eventually(lambda: not node.refuses(), "writes are taken again")
    assert node.ask() == b"done: write"


@beside_the_others
def test_the_lease_of_a_litefs_that_hangs_is_not_renewed(node: Node) -> None:
    node.make_primary()
    node.start()
    node.says("takes writes")
    node.litefs.hangs.set()
    node.says("fenced: the lease was not confirmed for 1.5 s (LiteFS does not answer)")
    renewals = len([path for _, path in node.consul.requests if "renew" in path])
    time.sleep(0.5)
    assert len([path for _, path in node.consul.requests if "renew" in path]) == renewals


@beside_the_others
def test_a_litefs_that_keeps_a_lease_that_is_over_is_ended(node: Node) -> None:
    node.make_primary()
    node.start()
    node.says("takes writes")
    node.consul.end_session("session-1")
    node.says("LiteFS goes by a lease that is over")
    assert node.ends_with() == 1
    assert "litefs: SIGHUP" in node.log.read_text()


@beside_the_others
def test_a_litefs_that_follows_a_primary_without_a_lease_is_ended(node: Node) -> None:
    node.litefs.primary = "writer-1"
    node.consul.give_lease("writer-1")
    node.consul.confirm()
    node.start()
    node.says("ended the lease of writer-1, which was not confirmed for 1.5 s")
    node.says("LiteFS goes by a lease that is over")
    assert node.ends_with() == 1


def test_a_write_is_acknowledged_when_the_standby_has_it(node: Node) -> None:
    node.other_at(7)
    node.make_primary()
    node.start("--ack-timeout", "10")
    node.says("writes are acknowledged when 1 standby")
    node.says("takes writes")
    thread, answers = node.asking()
    node.happens("writer write")
    thread.join(0.3)
    assert answers == []
    node.other_at(8)
    thread.join(10)
    assert answers == [b"done: write"]


def test_a_read_waits_for_no_standby(node: Node) -> None:
    node.other_at(7)
    node.make_primary()
    node.start("--ack-timeout", "10")
    node.says("takes writes")
    node.other.hangs.set()
    started = time.monotonic()
    assert node.ask("read") == b"done: read"
    assert time.monotonic() - started < 5


def test_a_standby_that_is_away_delays_one_write_and_no_further(node: Node) -> None:
    node.other_at(7)
    node.make_primary()
    node.start()
    node.says("takes writes")
    node.says("writes are acknowledged when 1 standby")
    times: list[float] = []
    for _ in range(3):
        started = time.monotonic()
        assert node.ask() == b"done: write"
        times.append(time.monotonic() - started)
    assert times[0] >= ACK_TIMEOUT
    assert max(times[1:]) < ACK_TIMEOUT
    assert node.log.read_text().count("no standby is in step") == 1
    node.other_at(10)
    eventually(lambda: node.log.read_text().count("1 standby in step") == 2, "the standby counts again")


@beside_the_others
def test_a_node_that_is_cut_off_from_standby_and_consul_acknowledges_nothing(node: Node) -> None:
    node.other_at(7)
    node.make_primary()
    node.start()
    node.says("writes are acknowledged when 1 standby")
    node.says("takes writes")
    node.consul.hangs.set()
    node.other.hangs.set()
    thread, answers = node.asking()
    thread.join(10)
    assert isinstance(answers[0], ConnectionResetError), "the standby will be elected, and does not have it"


def test_a_stopped_primary_ends_its_writes_then_hands_over_and_exits_with_0(node: Node) -> None:
    node.other_at(7)
    node.make_primary()
    node.start("--ack-timeout", "10")
    node.says("writes are acknowledged when 1 standby")
    node.says("takes writes")
    thread, answers = node.asking("slow")
    node.happens("writer slow")
    at_handoff: list[list[str]] = []

    def hand_over(node_id: str) -> None:
        assert node_id == "ID-127.0.0.1"
        at_handoff.append(node.events())
        node.consul.give_lease("writer-1")
        node.litefs.is_primary, node.other.is_primary = False, True

    node.litefs.on_handoff = hand_over
    node.stop()
    eventually(node.refuses, "no new writes")
    (node.folder / "go").touch()
    time.sleep(0.2)
    assert answers == [], "acknowledged before the standby has it"
    node.other_at(8)
    assert node.ends_with() == 0
    thread.join(10)
    assert answers == [b"done: slow"]
    assert at_handoff[0][-1] == "writer ends", "a write after the hand-over would be lost"
    assert "supervisor: handed the lease over\n" in node.log.read_text()


@beside_the_others
def test_a_stopped_primary_without_a_standby_gives_the_lease_back_by_exiting_with_0(node: Node) -> None:
    node.make_primary()
    node.end_codes(9)
    node.start()
    node.says("takes writes")
    node.stop()
    assert node.ends_with() == 0, "LiteFS keeps the lease of a child that fails"
    assert "not handed over, but given back: no standby has all transactions" in node.log.read_text()


@pytest.mark.parametrize("code", [0, 7])
def test_a_stopped_standby_exits_as_its_seafowl_does(node: Node, code: int) -> None:
    node.end_codes(code)
    node.start("--standby-reads")
    node.happens("reader starts")
    node.stop()
    assert node.ends_with() == code
    assert node.events() == ["reader starts", "reader SIGTERM", "reader ends"]


@pytest.mark.parametrize(("code", "exit_code"), [(3, 3), (0, 1)])
def test_a_seafowl_that_dies_ends_the_node_and_never_with_0(node: Node, code: int, exit_code: int) -> None:
    node.make_primary()
    node.start()
    node.says("takes writes")
    node.asking(f"die {code}")
    assert node.ends_with() == exit_code


@pytest.mark.parametrize("static", [True, False])
def test_a_writer_that_stops_answers_what_runs_and_refuses_what_waits(node: Node, static: bool) -> None:
    node.make_primary()
    node.start(static=static)
    node.says("takes writes")
    running, answers = node.asking("slow")
    node.happens("writer slow")
    with node.sent("write") as waiting:
        # What came later and waits for nobody has its answer: so the write has been taken, and waits.
        assert node.ask("read") == b"done: read"
        node.stop()
        refusal = _all_of(waiting)
    assert refusal.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in refusal.lower()
    assert node.refuses(), "no new writes"
    (node.folder / "go").touch()
    running.join(10)
    assert answers == [b"done: slow"]
    assert node.ends_with() == 0
    assert "writer write" not in node.events()


def test_the_writer_of_a_static_lease_takes_writes_on_litefs_s_word_alone(node: Node) -> None:
    node.start(static=True)
    node.says("standby: there is no primary")
    assert node.refuses()
    node.litefs.is_primary = True
    node.says("takes writes")
    assert node.ask() == b"done: write"
    assert node.consul.requests == []


def test_the_writer_of_a_static_lease_that_stops_has_nobody_to_hand_over_to(node: Node) -> None:
    node.other_at(7)
    node.litefs.is_primary = True
    handed: list[str] = []
    node.litefs.on_handoff = handed.append
    node.end_codes(9)
    node.start(static=True)
    node.says("takes writes")
    node.stop()
    assert node.ends_with() == 0, "Docker would take another code for a failure"
    assert node.events() == ["writer starts", "writer SIGTERM", "writer ends"]
    assert handed == []
    assert "handed over" not in node.log.read_text()
    assert (node.consul.requests, node.other.requests) == ([], [])
    assert not (node.folder / "data" / "was-primary.json").exists(), "there is no other history"


def prepare(node: Node, *more: str, static: bool = False) -> str:
    """What `prepare` and the program that it runs write."""
    elected = {"consul": node.consul.url, "key": "test/primary", "ttl": "1.5"}
    arguments = {
        **({} if static else elected),
        "hostname": "writer-0",
        "catalog": f"/litefs/{DATABASE}",
        "data": str(node.folder / "data"),
    }
    options = [text for name, value in arguments.items() for text in (f"--{name}", value)]
    done = subprocess.run(
        [*PYTHON, "-m", "supervisor", "prepare", *options, *more],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_prepare_gives_the_lease_back_and_then_runs_the_program(node: Node) -> None:
    node.consul.give_lease("writer-0")
    said = prepare(node, "--", "sh", "-c", "echo now $1", "sh", "litefs")
    assert said == "supervisor: gave back the lease of this node's last run\nnow litefs\n"
    assert not node.consul.sessions


def test_prepare_with_a_static_lease_asks_nobody_and_runs_the_program(node: Node) -> None:
    node.consul.give_lease("writer-0")
    assert prepare(node, "--", "echo", "now", static=True) == "now\n"
    assert node.consul.requests == []


@beside_the_others
def test_a_candidate_without_data_waits_until_there_is_a_cluster_to_join(node: Node) -> None:

    def found() -> None:
        eventually(lambda: any("clusterid" in path for _, path in node.consul.requests), "it looks for a cluster")
        node.consul.put("test/primary/clusterid", b"LFSC0123456789ABCDEF")

    founder = threading.Thread(target=found)
    founder.start()
    said = prepare(node, "--join", "--", "echo", "now")
    founder.join()
    assert said == "supervisor: has no data: waits until another candidate has founded the cluster\nnow\n"


def test_a_candidate_with_data_waits_for_nobody(node: Node) -> None:
    (node.folder / "data" / "clusterid").write_text("LFSC0123456789ABCDEF\n")
    assert prepare(node, "--join", "--", "echo", "now") == "now\n"


@beside_the_others
def test_prepare_runs_the_program_though_consul_is_away(node: Node) -> None:
    node.consul.hangs.set()
    said = prepare(node, "--", "echo", "now")
    assert "could not look for a lease" in said
    assert said.endswith("now\n")
