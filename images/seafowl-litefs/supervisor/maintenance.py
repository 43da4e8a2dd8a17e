"""The care for tables on the primary: when, for which, and in what order with the clients' changes.

The work itself is done by `seafowl-maintenance`, in processes that may be killed at any moment. One runs at a time.
"""

import asyncio
import json
import re
import signal
import sqlite3
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import tomli

from supervisor.catalog import Catalog, CatalogTable
from supervisor.log import say
from supervisor.table_order import OrderClosedError, TableName

SOCKET = Path("/run/seafowl-maintenance.sock")
"""Where `seafowl-supervisor maintain` and `seafowl-supervisor tables` reach the supervisor of their container."""

_COMMITS = 50
"""A table that changed so often needs care again."""

_DAY = 86400.0
_CLAIM_SECONDS = 60.0
_AFTER_FAILURE = 60.0
_SWEEP_SECONDS = 600.0
"""Between two looks at all files of a table."""

_PATIENCE = 1.0
"""For which a client waits for a table that a process has; then that is killed, and what it did is lost."""

_LATE_SECONDS = 1.0
"""For which a table stays taken after a process that had it was killed: its last request may still arrive."""

_LONGEST = 900.0
"""For which one process may run."""

_TOLD_SECONDS = 3600.0
_ROUND_SECONDS = 0.05
_ALIVE_SECONDS = 5.0
"""Between two lines to whoever asked, who may take silence for a connection that is gone."""

_STRANGER = 3
_GONE = 2
_LINE_BYTES = 2**20

Report = Callable[[dict[str, Any]], Awaitable[None]]


class Order(Protocol):
    """Who may change which table: `supervisor.table_order.TableOrder`."""

    def place(self, tables: frozenset[TableName]) -> AbstractAsyncContextManager[None]:
        """The tables for nobody else. Raises OrderClosedError."""
        ...

    def waiting(self, tables: frozenset[TableName]) -> int:
        """How many clients wait for one of them."""
        ...


@dataclass(frozen=True)
class MaintenanceSettings:
    """What is done, and how far back tables stay readable; times are in seconds."""

    config: Path
    """seafowl.toml of the writer."""

    catalog: Path
    cluster_id: Path
    """LiteFS's file with the id of the cluster: who this is, for other clusters on the same bucket and prefix."""

    enabled: bool
    interval: float
    history: float
    versions: int
    program: str = "seafowl-maintenance"
    socket: Path = SOCKET


@dataclass
class _Cared:
    """What is known of a table."""

    version: int
    again: float
    """When it is looked at next, even if nothing changes; monotonic."""

    swept: float = float("-inf")


class _FailedError(Exception):
    """A process ended with an error."""


class Maintenance:
    """Looks after the tables for as long as `run` runs: while this node is the primary."""

    def __init__(self, settings: MaintenanceSettings, order: Order, on_stranger: Callable[[str | None], None]) -> None:
        """`on_stranger` gets a text when another cluster is seen at the same place, and None when none is there.

        Raises OSError and KeyError where the writer's config cannot be read.
        """
        self._settings = settings
        self._order = order
        self._on_stranger = on_stranger
        self._journal_mode: str = tomli.loads(settings.config.read_text())["catalog"]["journal_mode"]
        self._catalog = Catalog(settings.catalog)
        self._cared: dict[str, _Cared] = {}
        self._told: dict[str, float] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Look after the tables, say that this cluster writes there, and answer at the socket, until cancelled."""
        self._cared.clear()  # another node may have been the primary meanwhile
        server = await asyncio.start_unix_server(self._answer, self._settings.socket, limit=_LINE_BYTES)
        tasks = [asyncio.create_task(one) for one in (self._keep_claim(), self._rounds())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # neither ends but with an error, which is this one's then
        finally:
            server.close()
            tasks += self._answers
            for task in tasks:
                task.cancel()
            # No process outlives this. (A second cancellation would break off what the first one began.)
            await asyncio.wait(tasks)
            self._settings.socket.unlink(missing_ok=True)

    async def withdraw(self) -> None:
        """Say that this cluster writes there no more: for its last writer, when it ends as it should."""
        with suppress(_FailedError, OSError):
            await self._claim("--release")

    # By themselves.

    async def _rounds(self) -> None:
        while self._settings.enabled:
            await asyncio.sleep(self._settings.interval)
            async with self._turn:
                with self._telling():
                    for table in await self._due():
                        await self._care_once(table)
        await asyncio.Event().wait()

    async def _due(self) -> list[CatalogTable]:
        """The tables that need care. A look at one that is not known tells."""
        tables = await asyncio.to_thread(self._catalog.tables)
        self._forget_dropped(tables)
        unknown = [table for table in tables if table.folder not in self._cared]
        due = [table for table in tables if table.folder in self._cared and self._is_due(table)]
        for table, found in await self._look(unknown):
            self._cared[table.folder] = _Cared(table.version, time.monotonic() + _DAY)
            if found["needs"]:
                due.append(table)
        return due

    def _is_due(self, table: CatalogTable) -> bool:
        cared = self._cared[table.folder]
        return table.version - cared.version >= _COMMITS or time.monotonic() >= cared.again

    def _forget_dropped(self, tables: Iterable[CatalogTable]) -> None:
        there = {table.folder for table in tables}
        for folder in self._cared.keys() - there:
            del self._cared[folder]

    async def _care_once(self, table: CatalogTable) -> None:
        with self._telling():
            await self._care(table, _nobody)

    # When asked.

    async def maintain(self, report: Report) -> bool:
        """Look after every table now; whether that succeeded. `report` gets what is done."""
        async with self._turn:
            tables = await asyncio.to_thread(self._catalog.tables)
            succeeded = True
            for number, table in enumerate(tables, 1):
                await report({"table": table.shown, "number": number, "of": len(tables)})
                self._cared.setdefault(table.folder, _Cared(table.version, 0)).swept = float("-inf")
                try:
                    await self._care(table, report)
                except _FailedError as error:
                    succeeded = False
                    await report({"problem": f"{table.shown}: {error}"})
            return succeeded

    async def tables(self, report: Report) -> bool:
        """Tell what each table is like, and what it needs."""
        for table, found in await self._look(await asyncio.to_thread(self._catalog.tables)):
            await report({**found, "table": table.shown})
        return True

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def report(message: dict[str, Any]) -> None:
            writer.write(json.dumps(message).encode() + b"\n")
            await writer.drain()

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (for the type checker)
        self._answers.add(task)

        async def go_on() -> None:
            while True:
                await asyncio.sleep(_ALIVE_SECONDS)
                await report({"waits": True})

        alive = asyncio.create_task(go_on())
        commands = {"maintain": self.maintain, "tables": self.tables}
        try:
            command = (await reader.readline()).decode().strip()
            with suppress(ConnectionError):
                try:
                    succeeded = await commands[command](report)
                except (_FailedError, OrderClosedError, OSError, sqlite3.Error, KeyError) as error:
                    await report({"problem": str(error) or type(error).__name__})
                    succeeded = False
                await report({"end": succeeded})
        finally:
            alive.cancel()
            self._answers.discard(task)
            writer.close()

    # One table.

    async def _care(self, table: CatalogTable, report: Report) -> None:
        """Look after one table. Raises _FailedError."""
        started = time.monotonic()
        cared = self._cared.setdefault(table.folder, _Cared(table.version, started))
        sweep = started - cared.swept >= _SWEEP_SECONDS
        cared.again = started + _AFTER_FAILURE
        done = await self._run_process(table, report, sweep=sweep)
        await self._forget_versions(table, report)
        cared.version = max(table.version, done.get("version", 0))
        cared.again = started + done.get("again", _DAY)
        if sweep:
            cared.swept = started

    async def _run_process(self, table: CatalogTable, report: Report, *, sweep: bool) -> dict[str, Any]:
        """How the table is then; nothing where it is not there any more."""
        kept = ["--history", str(self._settings.history), "--versions", str(self._settings.versions)]
        arguments = ["table", "--uuid", table.folder, *kept, *(["--sweep"] if sweep else [])]
        done: dict[str, Any] = {}
        # The process is dead before anybody else gets the table.
        async with AsyncExitStack() as held, self._process(*arguments) as process:
            assert process.stdout is not None and process.stdin is not None  # noqa: S101 (for the type checker)
            watch: asyncio.Task[bool] | None = None
            end = asyncio.get_running_loop().call_later(_LONGEST, _kill, process)
            try:
                async for line in process.stdout:
                    message: dict[str, Any] = json.loads(line)
                    if message.get("wants"):
                        name = await self._take(table, held)
                        if name is None:
                            return done
                        process.stdin.write(b"go\n")
                        watch = asyncio.create_task(self._watch(process, name))
                    elif message.get("releases"):
                        if watch is not None:
                            watch.cancel()
                            watch = None
                        await held.aclose()
                    elif "done" in message:
                        done = message["done"]
                    else:
                        await report(message)
                if watch is not None:
                    await process.wait()
                    await asyncio.sleep(_LATE_SECONDS)
                    if watch.done():
                        raise _FailedError("a client waited for the table for too long, so this was broken off")
                await self._must_have_succeeded(process)
            finally:
                end.cancel()
                if watch is not None:
                    watch.cancel()
        return done

    async def _must_have_succeeded(self, process: Process) -> None:
        assert process.stderr is not None  # noqa: S101 (for the type checker)
        said = (await process.stderr.read()).decode(errors="replace").strip()
        code = await process.wait()
        if code == _GONE:
            return
        if code == -signal.SIGKILL:
            raise _FailedError("the process was killed: it took too long, or there is too little memory")
        if code:
            raise _FailedError(said or f"exit code {code}")

    async def _take(self, table: CatalogTable, held: AsyncExitStack) -> TableName | None:
        """Wait for the table's turn; `held` has it then. None where it was dropped."""
        name = table.name
        while True:
            await held.enter_async_context(self._order.place(frozenset({name})))
            # It may have been renamed while this waited.
            now = await asyncio.to_thread(self._catalog.name_of, table.folder)
            if now == name:
                return name
            await held.aclose()
            if now is None:
                return None
            name = now

    async def _watch(self, process: Process, name: TableName) -> bool:
        """Kill a process that keeps a client waiting; returns then."""
        since: float | None = None
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            if not self._order.waiting(frozenset({name})):
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since > _PATIENCE:
                _kill(process)
                return True

    async def _forget_versions(self, table: CatalogTable, report: Report) -> None:
        kept = (table.folder, self._settings.history, self._settings.versions)
        if not await asyncio.to_thread(self._catalog.has_old_versions, *kept):
            return
        async with AsyncExitStack() as held:
            if await self._take(table, held) is None:
                return
            deleted = await asyncio.to_thread(self._catalog.forget_old_versions, *kept, journal_mode=self._journal_mode)
        await report({"step": "catalog", "versions": deleted})

    # Other processes.

    async def _look(self, tables: list[CatalogTable]) -> list[tuple[CatalogTable, dict[str, Any]]]:
        seen: list[tuple[CatalogTable, dict[str, Any]]] = []
        if not tables:
            return seen
        by_folder = {table.folder: table for table in tables}
        kept = ["--history", str(self._settings.history), "--versions", str(self._settings.versions)]
        async with self._process("look", *kept) as process:
            assert process.stdout is not None and process.stdin is not None  # noqa: S101 (for the type checker)
            process.stdin.write("".join(f"{folder}\n" for folder in by_folder).encode())
            process.stdin.write_eof()
            async for line in process.stdout:
                found: dict[str, Any] = json.loads(line)
                seen.append((by_folder[found.pop("uuid")], found))
            await self._must_have_succeeded(process)
        return seen

    async def _keep_claim(self) -> None:
        while True:
            with self._telling():
                await self._claim()
            await asyncio.sleep(_CLAIM_SECONDS)

    async def _claim(self, *flags: str) -> None:
        cluster = self._settings.cluster_id.read_text().strip()
        async with self._process("claim", "--id", cluster, *flags) as process:
            assert process.stderr is not None  # noqa: S101 (for the type checker)
            said = (await process.stderr.read()).decode(errors="replace").strip()
            code = await process.wait()
        if code == _STRANGER:
            self._on_stranger(said)
        elif code:
            raise _FailedError(said)
        else:
            self._on_stranger(None)

    @asynccontextmanager
    async def _process(self, command: str, *arguments: str) -> AsyncGenerator[Process, None]:
        """A process of the program, which is dead at the end of the block."""
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                self._settings.program,
                command,
                "--config",
                str(self._settings.config),
                *arguments,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                limit=_LINE_BYTES,
            )
        )
        try:
            # Whoever is cancelled while it starts would not know what to kill.
            yield await asyncio.shield(starting)
        finally:
            process = await starting
            _kill(process)
            # To the end of all its pipes, which are closed then.
            assert process.stdin is not None  # noqa: S101 (for the type checker)
            process.stdin.close()
            await process.communicate()

    def _telling(self) -> "_Telling":
        return _Telling(self._told)


class _Telling:
    """Logs what fails in its block, once an hour for each kind, and goes on."""

    def __init__(self, told: dict[str, float]) -> None:
        self._told = told

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, _FailedError | OSError | sqlite3.Error):
            return isinstance(error, OrderClosedError)
        text = str(error)
        kind = re.sub(r"[0-9a-f-]{36}|\d+", "…", text)
        now = time.monotonic()
        if now - self._told.get(kind, float("-inf")) >= _TOLD_SECONDS:
            self._told[kind] = now
            say(f"the care for tables failed, and is tried again later: {text}")
        return True


async def _nobody(_message: dict[str, Any]) -> None:
    """Nobody watches."""


def _kill(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
