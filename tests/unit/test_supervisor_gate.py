"""The write port: what passes it, and what never does.

What this does not prove: that what was given to the kernel before the fence reaches the client after it (it may).
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from supervisor.gate import Gate

from tests.unit.supervisor_fakes import free_port


async def nothing() -> None:
    """All is settled."""


class Seafowl:
    """Answers each connection with `reply(request)`, chunk by chunk, then closes it."""

    def __init__(self, reply: Callable[[bytes], list[bytes]] = lambda request: [b"answer to " + request]) -> None:
        self.reply = reply
        self.requests: asyncio.Queue[bytes] = asyncio.Queue()
        self.answer = asyncio.Event()
        self.answer.set()

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.read(65536)
            self.requests.put_nowait(request)
            await self.answer.wait()
            for piece in self.reply(request):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def a_gate(
    seafowl: Seafowl, settle: Callable[[], Awaitable[None]] = nothing, allowed: Callable[[], bool] = lambda: True
) -> tuple[Gate, int]:
    port = free_port()
    gate = Gate(port, await seafowl.start(), settle, allowed)
    gate.open()
    return gate, port


async def ask(port: int, request: bytes = b"write") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


def test_a_request_and_its_answer_pass() -> None:
    async def run() -> None:
        _, port = await a_gate(Seafowl())
        assert await asyncio.wait_for(ask(port), 5) == b"answer to write"

    asyncio.run(run())


def test_a_long_answer_passes_whole_to_a_client_that_reads_late() -> None:
    pieces = [bytes([number]) * 65536 for number in range(100)]

    async def run() -> None:
        _, port = await a_gate(Seafowl(lambda request: pieces))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(b"read")
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(reader.read(), 5) == b"".join(pieces)
        writer.close()

    asyncio.run(run())


def test_a_client_may_close_its_side_and_still_gets_the_answer() -> None:
    async def run() -> None:
        _, port = await a_gate(Seafowl())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"write")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b"answer to write"
        writer.close()

    asyncio.run(run())


def test_a_gate_that_was_never_opened_or_was_closed_refuses_the_connection() -> None:
    async def run() -> None:
        seafowl = Seafowl()
        gate, port = await a_gate(seafowl)
        gate.abort()
        for closed in (port, free_port()):
            with pytest.raises(ConnectionRefusedError):
                await ask(closed)
        assert seafowl.requests.empty(), "an ingress sends a write again only where nothing was sent"

    asyncio.run(run())


def test_an_answer_waits_until_all_is_settled() -> None:
    async def run() -> None:
        settled = asyncio.Event()
        seafowl = Seafowl()

        async def settle() -> None:
            await settled.wait()

        _, port = await a_gate(seafowl, settle)
        answer = asyncio.create_task(ask(port))
        await seafowl.requests.get()
        done, _ = await asyncio.wait([answer], timeout=0.1)
        assert not done, "acknowledged before a standby had it"
        settled.set()
        assert await asyncio.wait_for(answer, 5) == b"answer to write"

    asyncio.run(run())


def test_no_byte_passes_after_the_lease_has_run_out() -> None:
    async def run() -> None:
        held = True
        seafowl = Seafowl()
        _, port = await a_gate(seafowl, allowed=lambda: held)
        seafowl.answer.clear()
        answer = asyncio.create_task(ask(port))
        await seafowl.requests.get()
        held = False
        seafowl.answer.set()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(answer, 5)

    asyncio.run(run())


def test_an_end_of_stream_does_not_pass_either_for_it_ends_an_answer() -> None:
    async def run() -> None:
        answers = iter([True, False])
        _, port = await a_gate(Seafowl(lambda request: [b"rows"]), allowed=lambda: next(answers, False))
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(ask(port), 5)

    asyncio.run(run())


def test_what_a_slow_client_has_not_taken_when_the_lease_runs_out_is_never_sent() -> None:
    async def run() -> None:
        held = True
        whole = 64 * 1024 * 1024
        _, port = await a_gate(Seafowl(lambda request: [b"x" * whole]), allowed=lambda: held)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(b"read")
        received = len(await reader.readexactly(4096))
        held = False
        with pytest.raises(ConnectionResetError):
            while piece := await asyncio.wait_for(reader.read(65536), 5):
                received += len(piece)
        assert received < whole
        writer.close()

    asyncio.run(run())


def test_an_abort_resets_the_connections_that_are_there() -> None:
    async def run() -> None:
        seafowl = Seafowl()
        gate, port = await a_gate(seafowl)
        seafowl.answer.clear()
        answer = asyncio.create_task(ask(port))
        await seafowl.requests.get()
        gate.abort()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(answer, 5)

    asyncio.run(run())


def test_a_gate_that_stops_accepting_answers_what_it_was_asked() -> None:
    async def run() -> None:
        seafowl = Seafowl()
        gate, port = await a_gate(seafowl)
        seafowl.answer.clear()
        answer = asyncio.create_task(ask(port))
        await seafowl.requests.get()
        gate.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await ask(port)
        waiting = asyncio.create_task(gate.answered(5))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done, "a write was in flight"
        seafowl.answer.set()
        assert await asyncio.wait_for(answer, 5) == b"answer to write"
        await asyncio.wait_for(waiting, 1)

    asyncio.run(run())


def test_writes_in_flight_are_waited_for_no_longer_than_asked() -> None:
    async def run() -> None:
        seafowl = Seafowl()
        gate, port = await a_gate(seafowl)
        seafowl.answer.clear()
        answer = asyncio.create_task(ask(port))
        await seafowl.requests.get()
        await asyncio.wait_for(gate.answered(0.05), 1)
        answer.cancel()

    asyncio.run(run())
