"""The write port: what passes it, in which order, and what never does.

What this does not prove: that what was given to the kernel before the fence reaches the client after it (it may); and
that Seafowl executes nothing of an upload whose end it has not got (read in its source, src/frontend/http.rs).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import h11
import pytest
from supervisor import http_connection
from supervisor.gate import MAX_STATEMENT_BYTES, Gate
from supervisor.table_order import TableOrder, Tables

from tests.unit.supervisor_fakes import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"


async def nothing() -> None:
    """All is settled."""


async def all_are_made(_: Tables) -> bool:
    """All tables are in the catalog."""
    return True


class Seafowl:
    """Answers each request with `reply(body)`, when `answer` is set. Knows nothing of tables, as the original."""

    def __init__(self, reply: Callable[[bytes], list[bytes]] = lambda body: [OK]) -> None:
        self.reply = reply
        self.heads: list[h11.Request] = []
        self.begun: asyncio.Queue[bytes] = asyncio.Queue()
        self.bodies: list[bytearray] = []
        self.cut_off = self.running = self.most = 0
        self.answer = asyncio.Event()
        self.answer.set()

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        body = bytearray()
        self.bodies.append(body)
        try:
            while not isinstance(event := http.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    self.heads.append(event)
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.ConnectionClosed):
                    return
                else:
                    http.receive_data(await reader.read(65536))
            self.begun.put_nowait(bytes(body))
            self.running += 1
            self.most = max(self.most, self.running)
            await self.answer.wait()
            self.running -= 1
            for piece in self.reply(bytes(body)):
                writer.write(piece)
                await writer.drain()
        except h11.RemoteProtocolError:
            self.cut_off += 1
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def runs(self) -> str:
        """The next query that begins to run."""
        return json.loads(await asyncio.wait_for(self.begun.get(), 5))["query"]


class Running:
    """A gate before a Seafowl."""

    def __init__(self, gate: Gate, port: int) -> None:
        self.gate = gate
        self.port = port

    async def send(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4096)
        writer.write(request)
        return reader, writer

    async def ask(self, request: bytes) -> bytes:
        reader, writer = await self.send(request)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    def asks(self, sql: str) -> "asyncio.Task[bytes]":
        return asyncio.create_task(self.ask(post(sql)))


async def a_gate(
    seafowl: Seafowl,
    settle: Callable[[], Awaitable[None]] = nothing,
    allowed: Callable[[], bool] = lambda: True,
    limit: int = 100,
    are_made: Callable[[Tables], Awaitable[bool]] = all_are_made,
) -> Running:
    port = free_port()
    gate = Gate(port, await seafowl.start(), settle=settle, allowed=allowed, are_made=are_made)
    gate.open(TableOrder(limit))
    return Running(gate, port)


def post(sql: str, *headers: str, path: str = "/q") -> bytes:
    body = json.dumps({"query": sql}).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def upload(content: bytes, *, path: str = "/upload/public/t", end: bytes = b"\r\n--B--\r\n") -> tuple[bytes, bytes]:
    """The head of an upload, and its body."""
    body = b'--B\r\nContent-Disposition: form-data; name="data"; filename="x.csv"\r\n\r\n' + content + end
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


async def quiet(seafowl: Seafowl, seconds: float = 0.1) -> bool:
    """Whether no request begins to run for a while."""
    try:
        await asyncio.wait_for(seafowl.begun.get(), seconds)
    except TimeoutError:
        return True
    return False


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


def test_a_request_and_its_answer_pass() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        answer = await gate.ask(post("SELECT 1", "Authorization: Bearer x", path="/other/q/?a=b"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\ndone")
        (head,) = seafowl.heads
        assert head.target == b"/other/q/?a=b"
        assert (b"authorization", b"Bearer x") in list(head.headers)

    run(test())


def test_an_answer_in_pieces_passes_whole_to_a_client_that_reads_late() -> None:
    pieces = [b"%x\r\n%s\r\n" % (65536, bytes([number]) * 65536) for number in range(65, 165)]

    async def test() -> None:
        seafowl = Seafowl(lambda _: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *pieces, b"0\r\n\r\n"])
        gate = await a_gate(seafowl)
        reader, writer = await gate.send(post("SELECT 1"))
        await seafowl.runs()
        received = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(received)
        body = b""
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            body += bytes(event.data) if isinstance(event, h11.Data) else b""
        assert body == b"".join(bytes([number]) * 65536 for number in range(65, 165))

    run(test())


def test_the_head_of_an_answer_may_be_long() -> None:
    async def test() -> None:
        gate = await a_gate(Seafowl(lambda _: [b"HTTP/1.1 200 OK\r\nX-Schema: " + b"x" * 400_000 + b"\r\n\r\n"]))
        assert b"x" * 400_000 in await gate.ask(post("SELECT 1"))

    run(test())


def test_an_answer_that_seafowl_breaks_off_never_looks_whole() -> None:
    async def test() -> None:
        gate = await a_gate(Seafowl(lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nrows"]))
        with pytest.raises(ConnectionResetError):
            await gate.ask(post("SELECT 1"))

    run(test())


def test_a_connection_that_seafowl_ends_without_an_answer_is_reset() -> None:
    async def test() -> None:
        gate = await a_gate(Seafowl(lambda _: []))
        with pytest.raises(ConnectionResetError):
            await gate.ask(post("INSERT INTO t VALUES (1)"))

    run(test())


def test_a_gate_that_was_never_opened_or_was_closed_refuses_the_connection() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        gate.gate.abort()
        for port in (gate.port, free_port()):
            with pytest.raises(ConnectionRefusedError):
                await Running(gate.gate, port).ask(post("SELECT 1"))
        assert seafowl.begun.empty(), "an ingress sends a write again only where nothing was sent"

    run(test())


# The order of changes.


def test_changes_of_one_table_run_one_after_the_other() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        answers: list[asyncio.Task[bytes]] = []
        for number in range(3):
            answers.append(gate.asks(f"INSERT INTO t VALUES ({number})"))
            if number == 0:
                assert await seafowl.runs() == "INSERT INTO t VALUES (0)"
            else:
                assert await quiet(seafowl, 0.05)
        for number in range(3):
            if number:
                assert await seafowl.runs() == f"INSERT INTO t VALUES ({number})"
            assert await quiet(seafowl, 0.05), "two at a time would lose one"
            seafowl.answer.set()
            await answers[number]
            seafowl.answer.clear()

    run(test())


@pytest.mark.parametrize(
    "other",
    [
        "UPDATE t SET a = 1",
        "DELETE FROM public.t",
        "DROP TABLE default.public.t",
        "ALTER TABLE u RENAME TO t",
        "VACUUM TABLE T",
        "SELECT 1; INSERT INTO u VALUES (1); INSERT INTO t VALUES (2)",
        "what no parser knows",
        "DROP SCHEMA public",
    ],
)
def test_what_touches_the_same_table_waits(other: str) -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        first = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        second = gate.asks(other)
        assert await quiet(seafowl)
        seafowl.answer.set()
        await asyncio.gather(first, second)

    run(test())


@pytest.mark.parametrize("other", ["INSERT INTO u SELECT * FROM t", "SELECT * FROM t", "SHOW TABLES", "DROP TABLE u"])
def test_what_touches_other_tables_and_what_reads_waits_for_nobody(other: str) -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        first = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        second = gate.asks(other)
        assert await seafowl.runs() == other
        seafowl.answer.set()
        await asyncio.gather(first, second)

    run(test())


def test_what_makes_a_table_begins_alone_until_the_table_is_in_the_catalog() -> None:
    async def test() -> None:
        is_made = False

        async def are_made(_: Tables) -> bool:
            return is_made

        seafowl = Seafowl()
        gate = await a_gate(seafowl, are_made=are_made)
        seafowl.answer.clear()
        making = gate.asks("CREATE TABLE t AS SELECT 1")
        await seafowl.runs()
        others = [gate.asks("INSERT INTO t VALUES (1)"), gate.asks("INSERT INTO u VALUES (1)")]
        assert await quiet(seafowl), "a statement that begins now would make the other one fail"
        is_made = True
        assert await seafowl.runs() == "INSERT INTO u VALUES (1)"
        assert await quiet(seafowl), "its rows are still to come"
        seafowl.answer.set()
        await asyncio.gather(making, *others)

    run(test())


def test_a_table_that_is_there_already_is_made_beside_others() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        first = gate.asks("INSERT INTO u VALUES (1)")
        await seafowl.runs()
        second = gate.asks("CREATE TABLE IF NOT EXISTS t (a INT)")
        assert await seafowl.runs() == "CREATE TABLE IF NOT EXISTS t (a INT)"
        seafowl.answer.set()
        await asyncio.gather(first, second)

    run(test())


def test_a_delete_that_would_take_all_rows_never_reaches_seafowl() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        answer = await gate.ask(post("DELETE FROM t WHERE id IN (SELECT id FROM u)"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"would delete all rows" in answer
        assert not seafowl.heads

    run(test())


def test_a_condition_reaches_seafowl_guarded() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        assert (await gate.ask(post("DELETE FROM t WHERE a = 'ä'"))).endswith(b"done")
        assert await seafowl.runs() == "DELETE FROM t WHERE coalesce((a = 'ä'\n), FALSE)"

    run(test())


def test_a_read_by_get_waits_for_nobody() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        first = gate.asks("DROP SCHEMA s")
        await seafowl.runs()
        second = asyncio.create_task(gate.ask(b"GET /q/SELECT%201 HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert await asyncio.wait_for(seafowl.begun.get(), 5) == b""
        seafowl.answer.set()
        await asyncio.gather(first, second)

    run(test())


def test_a_client_that_leaves_while_it_waits_is_taken_out_unexecuted() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        first = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        _, leaving = await gate.send(post("INSERT INTO t VALUES (2)"))
        assert await quiet(seafowl)
        leaving.close()
        await leaving.wait_closed()
        third = gate.asks("INSERT INTO t VALUES (3)")
        assert await quiet(seafowl)
        seafowl.answer.set()
        await asyncio.gather(first, third)
        assert await seafowl.runs() == "INSERT INTO t VALUES (3)"

    run(test())


def test_a_client_that_leaves_later_does_not_cut_off_what_runs_nor_free_the_table() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        _, leaving = await gate.send(post("INSERT INTO t VALUES (1)"))
        await seafowl.runs()
        leaving.transport.abort()
        second = gate.asks("INSERT INTO t VALUES (2)")
        assert await quiet(seafowl), "the first one still runs"
        seafowl.answer.set()
        assert (await second).endswith(b"done")
        assert seafowl.cut_off == 0

    run(test())


def test_a_client_that_does_not_take_its_answer_holds_no_table() -> None:
    async def test() -> None:
        rows = b"x" * 64 * 1024 * 1024
        seafowl = Seafowl(
            lambda body: (
                [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(rows), rows] if b"FROM u" in body else [OK]
            )
        )
        gate = await a_gate(seafowl)
        _, hanging = await gate.send(post("INSERT INTO t VALUES (1); SELECT * FROM u"))
        await seafowl.runs()
        assert (await gate.ask(post("INSERT INTO t VALUES (2)"))).endswith(b"done")
        hanging.transport.abort()

    run(test())


def test_when_too_many_wait_the_next_one_is_told_so_and_not_executed() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl, limit=1)
        seafowl.answer.clear()
        first = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        second = gate.asks("INSERT INTO t VALUES (2)")
        assert await quiet(seafowl)
        refused = await gate.ask(post("INSERT INTO t VALUES (3)"))
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in refused.lower()
        assert b"Nothing was executed" in refused
        seafowl.answer.set()
        await asyncio.gather(first, second)
        assert await seafowl.runs() == "INSERT INTO t VALUES (2)"
        assert seafowl.begun.empty()

    run(test())


def test_a_change_waits_no_longer_than_the_ingress_does() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        first = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        refused = await gate.ask(post("INSERT INTO t VALUES (2)", "X-Seconds-To-Wait: 0"))
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Nothing was executed" in refused
        seafowl.answer.set()
        await first

    run(test())


def test_many_writers_at_once_all_get_an_answer_and_none_runs_beside_another() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl, limit=500)
        answers = await asyncio.gather(*(gate.ask(post(f"INSERT INTO t VALUES ({n})")) for n in range(1000)))
        statuses = [answer.split(b" ")[1] for answer in answers]
        assert set(statuses) <= {b"200", b"503"}
        assert statuses.count(b"200") >= 500
        assert seafowl.most == 1

    run(test())


# Bodies.


def test_a_body_of_16_mib_passes() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        sql = "INSERT INTO t VALUES ('" + "x" * 16 * 1024 * 1024 + "')"
        assert (await gate.ask(post(sql))).endswith(b"done")
        assert await seafowl.runs() == sql

    run(test())


def test_statements_that_are_too_long_are_refused_before_they_are_read() -> None:
    async def test() -> None:
        gate = await a_gate(Seafowl())
        head = f"POST /q HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_STATEMENT_BYTES + 1}\r\n\r\n"
        assert (await gate.ask(head.encode())).startswith(b"HTTP/1.1 413 ")

    run(test())


def test_a_chunked_body_that_stops_holds_up_nobody() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        _, stopped = await gate.send(b'POST /q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"que')
        assert (await gate.ask(post("INSERT INTO t VALUES (1)"))).endswith(b"done")
        stopped.close()

    run(test())


def test_a_chunked_body_passes() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        request = post("INSERT INTO t VALUES (1)").replace(b"Content-Length", b"X-Was")
        head, body = request.split(b"\r\n\r\n")
        chunked = head + b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        assert (await gate.ask(chunked)).endswith(b"done")
        assert await seafowl.runs() == "INSERT INTO t VALUES (1)"

    run(test())


def test_what_is_no_json_waits_for_all_and_is_seafowl_s_to_refuse() -> None:
    async def test() -> None:
        seafowl = Seafowl(lambda _: [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"])
        gate = await a_gate(seafowl)
        request = b"POST /q HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{{{"
        assert (await gate.ask(request)).startswith(b"HTTP/1.1 400 ")

    run(test())


# Uploads.


@pytest.mark.parametrize("end", [b"\r\n--B--\r\n", b"\r\n--B--", b"\r\n--B--\r\nepilogue" + b"." * 5000])
def test_an_upload_holds_its_table_only_when_all_of_it_is_there(end: bytes) -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        head, body = upload(b"x" * 1_000_000, end=end)
        _, uploading = await gate.send(head + body[:900_000])
        assert (await gate.ask(post("INSERT INTO t VALUES (1)"))).endswith(b"done"), "bytes still arrive"
        await seafowl.runs()
        seafowl.answer.clear()
        writing = gate.asks("INSERT INTO t VALUES (2)")
        await seafowl.runs()
        uploading.write(body[900_000:])
        assert await quiet(seafowl), "the upload has all its bytes, and waits for its table"
        seafowl.answer.set()
        await writing
        assert await asyncio.wait_for(seafowl.begun.get(), 5) == body
        uploading.close()

    run(test())


def test_seafowl_never_has_the_end_of_an_upload_that_waits() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        writing = gate.asks("INSERT INTO t VALUES (2)")
        await seafowl.runs()
        uploading: list[asyncio.StreamWriter] = []
        for filled in range(1000, 1100):
            # Whatever the length: no piece may pass together with the end.
            head, body = upload(b"x" * filled, end=b"\r\n--B--\r\n" + b"epilogue" * 1000)
            uploading.append((await gate.send(head + body))[1])
        assert await quiet(seafowl, 0.2)
        assert len(seafowl.bodies) == 101
        assert not [body for body in seafowl.bodies if b"--B--" in body]
        for writer in uploading:
            writer.close()
        seafowl.answer.set()
        await writing

    run(test())


@pytest.mark.parametrize("is_upload", [True, False])
def test_a_client_that_falls_silent_in_its_request_is_reset(is_upload: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_SILENCE_SECONDS", 0.05)

    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        head, body = upload(b"x" * 1000)
        reader, writer = await gate.send(head + body[:500] if is_upload else post("SELECT 1")[:-5])
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        assert seafowl.begun.empty()
        writer.close()

    run(test())


def test_a_refusal_of_an_upload_passes_before_its_end() -> None:
    async def test() -> None:
        class Refusing(Seafowl):
            async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                await writer.drain()
                writer.close()

        gate = await a_gate(Refusing())
        head, body = upload(b"x" * 8_000_000)
        reader, writer = await gate.send(head + body)
        answer = await asyncio.wait_for(reader.readuntil(b"no"), 10)
        assert answer.startswith(b"HTTP/1.1 401 ")
        writer.close()

    run(test())


def test_an_upload_without_one_boundary_is_refused() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        head, body = upload(b"x")
        for kind in (b"multipart/form-data", b"multipart/form-data; boundary=A; boundary=B"):
            answer = await gate.ask(head.replace(b"multipart/form-data; boundary=B", kind) + body)
            assert answer.startswith(b"HTTP/1.1 400 ")
        assert not seafowl.heads

    run(test())


# What an answer waits for, and when none is sent any more.


def test_an_answer_waits_until_all_is_settled() -> None:
    async def test() -> None:
        settled = asyncio.Event()
        seafowl = Seafowl()

        async def settle() -> None:
            await settled.wait()

        gate = await a_gate(seafowl, settle)
        answer = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        done, _ = await asyncio.wait([answer], timeout=0.1)
        assert not done, "acknowledged before a standby had it"
        settled.set()
        assert (await answer).endswith(b"done")

    run(test())


def test_the_next_change_runs_while_the_last_one_waits_for_its_standby() -> None:
    async def test() -> None:
        settled = asyncio.Event()
        seafowl = Seafowl()

        async def settle() -> None:
            await settled.wait()

        gate = await a_gate(seafowl, settle)
        answers = [gate.asks("INSERT INTO t VALUES (1)"), gate.asks("INSERT INTO t VALUES (2)")]
        await seafowl.runs()
        await seafowl.runs()
        settled.set()
        await asyncio.gather(*answers)

    run(test())


def test_no_byte_passes_after_the_lease_has_run_out() -> None:
    async def test() -> None:
        held = True
        seafowl = Seafowl()
        gate = await a_gate(seafowl, allowed=lambda: held)
        seafowl.answer.clear()
        answer = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        held = False
        seafowl.answer.set()
        with pytest.raises(ConnectionResetError):
            await answer

    run(test())


def test_what_a_slow_client_has_not_taken_when_the_lease_runs_out_is_never_sent() -> None:
    async def test() -> None:
        held = True
        whole = 64 * 1024 * 1024
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % whole
        gate = await a_gate(Seafowl(lambda _: [head, b"x" * whole]), allowed=lambda: held)
        reader, writer = await gate.send(post("SELECT 1"))
        received = len(await reader.readexactly(4096))
        held = False
        with pytest.raises(ConnectionResetError):
            while piece := await asyncio.wait_for(reader.read(65536), 5):
                received += len(piece)
        assert received < whole
        writer.close()

    run(test())


def test_an_abort_resets_the_connections_that_are_there() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        answers = [gate.asks("INSERT INTO t VALUES (1)"), gate.asks("INSERT INTO t VALUES (2)")]
        await seafowl.runs()
        gate.gate.abort()
        for answer in answers:
            with pytest.raises(ConnectionResetError):
                await answer

    run(test())


def test_a_gate_that_stops_answers_what_runs_and_refuses_what_waits() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        running = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        waiting = gate.asks("INSERT INTO t VALUES (2)")
        assert await quiet(seafowl)
        gate.gate.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await gate.ask(post("SELECT 1"))
        refused = await waiting
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after" in refused.lower()
        answered = asyncio.create_task(gate.gate.answered(5))
        done, _ = await asyncio.wait([answered], timeout=0.1)
        assert not done, "a write runs"
        seafowl.answer.set()
        assert (await running).endswith(b"done")
        await answered

    run(test())


def test_writes_in_flight_are_waited_for_no_longer_than_asked() -> None:
    async def test() -> None:
        seafowl = Seafowl()
        gate = await a_gate(seafowl)
        seafowl.answer.clear()
        answer = gate.asks("INSERT INTO t VALUES (1)")
        await seafowl.runs()
        await asyncio.wait_for(gate.gate.answered(0.05), 1)
        answer.cancel()

    run(test())
