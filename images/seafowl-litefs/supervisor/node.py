"""One node that is the writer, or may become it: which Seafowl runs, who may write, and how it ends."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from supervisor.catalog import Catalog
from supervisor.catalog_rescue import remember
from supervisor.gate import MAX_WAITING, Gate
from supervisor.http_client import HttpError, Names
from supervisor.lease import Lease
from supervisor.litefs import LiteFS, Position, mounted_position
from supervisor.log import say
from supervisor.lost import Lost
from supervisor.maintenance import Maintenance, MaintenanceSettings
from supervisor.seafowl_process import SeafowlProcess, reader_environment
from supervisor.standbys import Standbys
from supervisor.static_lease import StaticLease
from supervisor.table_order import TableOrder, Tables

Role = Literal["primary", "standby"]
T = TypeVar("T")

_ROUND_SECONDS = 0.2
_SOON_SECONDS = 0.01
_LITEFS_SECONDS = 0.5
_STANDBYS_SECONDS = 0.5
"""Between two looks at who the standbys are, and which have caught up."""

_ANSWER_SECONDS = 4.0
"""For writes in flight at SIGTERM; Seafowl's own five seconds to end come after them."""

_END_SECONDS = 5.5
_SUCCESSOR_SECONDS = 1.0
_HAND_OVER_SECONDS = 2.0
_ADRIFT_SECONDS = 0.5
"""For which a standby's LiteFS may follow a primary that has no lease: it takes some milliseconds to notice."""


@dataclass(frozen=True)
class NodeSettings:
    """What differs from node to node; times are in seconds."""

    litefs: str
    catalog: Path
    data: Path
    writer_config: Path
    reader_config: Path
    seafowl_port: int
    write_port: int
    standby_reads: bool
    candidates: str | None
    """Network name that all candidates share; None where this node is the only one, for good."""

    ack_timeout: float
    maintenance: MaintenanceSettings


def _tell_of_end(caring: "asyncio.Task[None]") -> None:
    if not caring.cancelled() and (error := caring.exception()) is not None:
        say(f"tables are cared for no more until the next start: {error}")


class Node:
    """Follows LiteFS's role, and ends when told to or when a Seafowl dies."""

    def __init__(self, settings: NodeSettings, lease: Lease | StaticLease, names: Names) -> None:
        self._settings = settings
        self._lease = lease
        # Reading a file of the mount blocks for as long as LiteFS hangs.
        self._files = ThreadPoolExecutor(max_workers=4, thread_name_prefix="files")
        self._litefs = LiteFS(settings.litefs, names)
        name = settings.catalog.name
        self._standbys = Standbys(
            settings.candidates,
            own=settings.litefs,
            database=name,
            limit=settings.ack_timeout,
            names=names,
            position=self._position,
        )
        self._catalog = Catalog(settings.catalog)
        self._gate = Gate(
            settings.write_port,
            settings.seafowl_port,
            settle=self._settle,
            allowed=lease.is_held,
            are_made=self._are_made,
        )
        self._maintenance: Maintenance | None = None
        self._caring: asyncio.Task[None] | None = None
        self._lost = Lost(settings.data, name)
        self._role: Role | None = None
        self._turn: asyncio.Task[None] | None = None
        self._writer: SeafowlProcess | None = None
        self._reader: SeafowlProcess | None = None
        self._settled = 0
        self._marking = asyncio.Lock()
        self._asked_consul = 0.0
        self._confirming: asyncio.Task[None] | None = None
        self._lease_problem = ""
        self._adrift_since: float | None = None
        self._confirm_now = asyncio.Event()
        self._stopping = asyncio.Event()
        self._died: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Run until SIGTERM, or until a Seafowl dies. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        await self._file(self._lost.find)
        watchers = [asyncio.create_task(watch) for watch in (self._observe(), self._watch_lease(), self._look_around())]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait([stopping, self._died, *watchers], return_when=asyncio.FIRST_COMPLETED)
            for ended in done - {stopping}:
                if ended is not self._died:
                    ended.result()  # a watcher never returns: its error ends this process, and so the node
            code = self._died.result() if self._died.done() else await self._end()
        finally:
            self._stop_caring()
            for task in [stopping, *watchers]:
                task.cancel()
            self._gate.abort()
            for process in (self._writer, self._reader):
                if process is not None and process.runs:
                    process.kill()
        return code

    # What LiteFS and Consul say.

    async def _observe(self) -> None:
        """Follow the role. A LiteFS that does not answer changes nothing: the lease, unconfirmed, runs out."""
        while True:
            started = time.monotonic()
            soon = self._confirm_now.is_set()
            self._confirm_now.clear()
            with suppress(HttpError):
                info = await self._litefs.info(_LITEFS_SECONDS)
                if info.is_primary:
                    await self._confirm(soon)
                    held = self._lease.is_held()
                    self._become(
                        "primary" if held else "standby",
                        "LiteFS has the lease"
                        if held
                        else f"no lease: {self._lease_problem or 'Consul has not answered yet'}",
                    )
                    self._watch_litefs(adrift=not held, patience=self._lease.ttl)
                else:
                    self._forget_lease()
                    self._become("standby", f"the primary is {info.primary}" if info.primary else "there is no primary")
                    await self._tidy()
                    holder = self._lease.seen_holder
                    adrift = bool(info.primary) and holder is not None and holder != info.primary
                    self._watch_litefs(adrift=adrift, patience=_ADRIFT_SECONDS)
                # (Not by LiteFS's word alone: one that lost its lease can say for long that it is the primary.)
                if self._lost.pending and (self._role == "primary" or (info.primary and not info.is_primary)):
                    await self._compare()
            pause = max(_SOON_SECONDS, started + _ROUND_SECONDS - time.monotonic())
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._confirm_now.wait(), pause)

    async def _confirm(self, soon: bool) -> None:
        """Confirm the lease, ten times in a ttl; at once if `soon`. Waits for one round: a Consul that hangs must not
        hide what LiteFS says.
        """
        if self._confirming is None or self._confirming.done():
            now = time.monotonic()
            if not soon and self._lease.is_held() and now - self._asked_consul < self._lease.ttl / 10:
                return
            self._asked_consul = now
            self._confirming = asyncio.create_task(self._ask_consul())
        await asyncio.wait([self._confirming], timeout=_ROUND_SECONDS)

    async def _ask_consul(self) -> None:
        try:
            await self._lease.confirm()
            self._lease_problem = ""
        except HttpError as error:
            self._lease_problem = str(error)

    def _forget_lease(self) -> None:
        if self._confirming is not None:
            self._confirming.cancel()
        self._lease.forget()

    async def _tidy(self) -> None:
        """See to a lease that nobody lives by any more."""
        now = time.monotonic()
        if now - self._asked_consul < self._lease.ttl / 10 or self._stopping.is_set():
            return
        self._asked_consul = now
        try:
            done = await self._lease.tidy()
        except HttpError:
            self._adrift_since = None  # not known any more
            raise
        if done is not None:
            say(done)

    def _watch_litefs(self, *, adrift: bool, patience: float) -> None:
        """End a LiteFS that has been adrift for `patience` seconds: it is the primary without a lease, or follows one.

        It can stay so for very long. Its renewal has no timeout, and neither has its reading from the primary: while
        that connection is there, or seems to be, a standby does not even look for another primary (0.5.14).
        """
        if not adrift or self._stopping.is_set():
            self._adrift_since = None
        elif self._adrift_since is None:
            self._adrift_since = time.monotonic()
        elif time.monotonic() - self._adrift_since > patience and not self._died.done():
            say("LiteFS goes by a lease that is over: ending it, so that it starts anew")
            # At once: on SIGTERM it would wait for the very request that hangs. The first process of a container
            # ignores SIGKILL from inside; a Go program ends at SIGHUP all the same.
            os.kill(os.getppid(), signal.SIGHUP)
            self._die(1)

    async def _watch_lease(self) -> None:
        """The fence: when the lease is not certain any more, another node may be the primary soon."""
        while True:
            if self._role == "primary" and not self._lease.is_held():
                reason = self._lease_problem or "LiteFS does not answer"
                self._become("standby", f"fenced: the lease was not confirmed for {self._lease.ttl:g} s ({reason})")
            await asyncio.sleep(min(max(self._lease.left(), 0.01), _ROUND_SECONDS))

    async def _look_around(self) -> None:
        while True:
            if self._role == "primary" and self._settings.candidates:
                with suppress(OSError):
                    await self._standbys.look()
                    await self._mark()
            await asyncio.sleep(_STANDBYS_SECONDS)

    # The two roles.

    def _become(self, role: Role, reason: str) -> None:
        """Take a role. What must not wait is done when this returns: a primary no more answers nobody."""
        if role == self._role:
            return
        if self._turn is not None:
            self._turn.cancel()
        if role == "standby":
            self._stop_caring()
            self._gate.abort()
            if self._writer is not None:
                self._writer.kill()
        say(f"{role}: {reason}")
        self._role = role
        if not self._stopping.is_set():
            self._turn = asyncio.create_task(self._as_primary() if role == "primary" else self._as_standby())
            self._turn.add_done_callback(self._turned)

    def _turned(self, turn: "asyncio.Task[None]") -> None:
        if not turn.cancelled() and (error := turn.exception()) is not None:
            say(f"cannot go on: {error}")
            self._die(1)

    def _stop_caring(self) -> None:
        if self._caring is not None:
            self._caring.cancel()

    async def _as_primary(self) -> None:
        if self._writer is not None:
            await self._writer.wait()
        if self._caring is not None:
            await asyncio.wait({self._caring})
        self._standbys.forget()
        self._settled = 0
        self._writer = SeafowlProcess(self._settings.writer_config, os.environ, self._die)
        await asyncio.gather(self._writer.listens(self._settings.seafowl_port), self._standbys.look())
        await self._mark()
        if (await self._position()).txid > 0:
            await self._file(lambda: remember(self._settings.data))
        order = TableOrder(MAX_WAITING)
        self._gate.open(order)
        self._maintenance = Maintenance(self._settings.maintenance, order, self._gate.refuse)
        self._caring = asyncio.create_task(self._maintenance.run())
        self._caring.add_done_callback(_tell_of_end)
        say(f"takes writes on port {self._settings.write_port}")
        if self._reader is not None:
            self._reader.terminate()
            await self._reader.wait(_END_SECONDS)
            self._reader = None

    async def _as_standby(self) -> None:
        if self._writer is not None:
            await self._writer.wait()
            self._writer = None
            await self._keep()
        if not self._settings.standby_reads:
            return
        if self._reader is not None and self._reader.ends:
            await self._reader.wait(_END_SECONDS)
            self._reader = None
        # A Seafowl that finds no catalog dies (0.5.8).
        while self._reader is None:
            if await self._file(self._has_catalog):
                self._reader = SeafowlProcess(self._settings.reader_config, reader_environment(os.environ), self._die)
            else:
                await asyncio.sleep(_ROUND_SECONDS)

    def _die(self, code: int) -> None:
        """End this node; LiteFS ends with it, and Docker starts both anew. Never with 0: that means success."""
        if not self._died.done():
            self._died.set_result(code or 1)

    # What an acknowledgement waits for.

    async def _settle(self) -> None:
        """Return when all that was committed by now is where it should be; raises OSError."""
        if self._settings.candidates is None:
            return
        position = await self._position()
        if position.txid > self._settled:
            if not await self._standbys.wait_for(position.txid):
                # A node that is cut off, and so has no standby, must not acknowledge until its lease runs out what is
                # lost then: with the standby's word missing, Consul's is needed.
                await self._confirmed_after(time.monotonic())
            self._settled = max(self._settled, position.txid)

    async def _confirmed_after(self, moment: float) -> None:
        """Return when the lease was confirmed by a question from after `moment`. If it never is, the fence ends it."""
        while self._lease.confirmed < moment:
            self._confirm_now.set()
            await asyncio.sleep(_SOON_SECONDS)

    async def _are_made(self, tables: Tables) -> bool:
        """Whether these tables are in the catalog; False also where that cannot be told now."""
        try:
            return await self._file(lambda: self._catalog.has(tables))
        except (OSError, sqlite3.Error):
            return False

    async def _position(self) -> Position:
        return await self._file(lambda: mounted_position(self._settings.catalog))

    async def _mark(self) -> None:
        async with self._marking:
            # (Without other candidates there is no history that could go on without this node's.)
            if self._role == "primary" and self._settings.candidates and not self._stopping.is_set():
                await self._file(lambda: self._lost.mark(self._standbys.replicated))

    async def _keep(self) -> None:
        """Keep what may be lost, before LiteFS follows another primary."""
        async with self._marking:
            replicated = self._standbys.replicated
            try:
                await self._file(lambda: self._lost.keep(replicated))
                await self._file(self._lost.find)
            except OSError as error:
                say(f"could not copy the catalog: {error}")

    async def _compare(self) -> None:
        is_primary = self._role == "primary"
        with suppress(OSError):  # LiteFS changes the files meanwhile: the next round sees them
            await self._file(lambda: self._lost.compare(is_primary))

    def _has_catalog(self) -> bool:
        try:
            return self._settings.catalog.stat().st_size > 0
        except OSError:
            return False

    async def _file(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._files, work)

    # The end.

    async def _end(self) -> int:
        """After SIGTERM: end what is in flight, hand the lease over, stop. Returns the exit code."""
        if self._turn is not None and not self._gate.is_open:
            self._turn.cancel()
        code = 0
        if self._role == "primary" and self._writer is not None:
            say("stops: takes no more writes")
            await self._end_writes(self._writer)
        if self._reader is not None:
            self._reader.terminate()
            ended = await self._reader.wait(_END_SECONDS)
            code = 0 if self._writer is not None else ended
        return code

    async def _end_writes(self, writer: SeafowlProcess) -> None:
        self._gate.stop_accepting()
        self._stop_caring()
        await self._gate.answered(_ANSWER_SECONDS)
        writer.terminate()
        await writer.wait(_END_SECONDS)
        if self._settings.candidates is None:
            if self._maintenance is not None:
                await self._maintenance.withdraw()
            return
        # Nothing writes any more: this position is the last.
        try:
            await self._hand_over(await self._position())
        except (HttpError, OSError) as error:
            say(f"the lease is not handed over, but given back: {error}")

    async def _hand_over(self, position: Position) -> None:
        if not self._lease.is_held():
            raise HttpError("this node is the primary no more")
        successor = await self._standbys.successor(position, _SUCCESSOR_SECONDS)
        if successor is None:
            raise HttpError("no standby has all transactions")
        node = await successor.info(_LITEFS_SECONDS)
        await self._litefs.hand_over(node.node_id, _HAND_OVER_SECONDS)
        end = time.monotonic() + _HAND_OVER_SECONDS
        while time.monotonic() < end:
            if (await successor.info(_LITEFS_SECONDS)).is_primary:
                await self._file(self._lost.unmark)
                say("handed the lease over")
                return
            await asyncio.sleep(0.02)
        raise HttpError("the standby did not take it")
