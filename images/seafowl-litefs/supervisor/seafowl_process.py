"""Seafowl as a child process."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from supervisor.log import say

_SEAFOWL = "SEAFOWL__"
_READER = "READER__"
"""In front of a variable that is for the read-only Seafowl alone."""


def reader_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with a reader's settings of Seafowl in place of the writer's: it must not collect garbage, nor take
    a token for writes.
    """
    kept = {key: value for key, value in environment.items() if not key.startswith((_SEAFOWL, _READER))}
    own = {key.removeprefix(_READER): value for key, value in environment.items() if key.startswith(_READER)}
    return {**kept, **own}


class SeafowlProcess:
    """One running Seafowl. Its credentials are in the environment; its log is this process's."""

    def __init__(self, config: Path, environment: Mapping[str, str], on_death: Callable[[int], None]) -> None:
        """Start it; raises OSError. `on_death` gets the exit code of one that ends without having been told to."""
        self._config = config
        self._told_to_end = False
        command = ["seafowl", "--config-path", str(config)]
        self._process = subprocess.Popen(command, env=environment)  # noqa: S603 (PATH is the image's)
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._on_death = on_death
        self._pidfd = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()
        # As a shell has it: 128 and the signal's number.
        code = code if code >= 0 else 128 - code
        self._ended.set_result(code)
        if not self._told_to_end:
            say(f"Seafowl with {self._config} ended by itself, with exit code {code}")
            self._on_death(code)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.done()

    @property
    def ends(self) -> bool:
        """Whether it was told to end, or has ended."""
        return self._told_to_end or not self.runs

    def terminate(self) -> None:
        """Ask it to end: it answers what it was asked, for up to five seconds."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        self._told_to_end = True
        if self.runs:
            self._process.send_signal(number)

    async def wait(self, seconds: float | None = None) -> int:
        """Its exit code. One that has not ended after `seconds` is killed."""
        ended, _ = await asyncio.wait({self._ended}, timeout=seconds)
        if not ended:
            self.kill()
        return await asyncio.shield(self._ended)

    async def listens(self, port: int) -> None:
        """Return when it takes connections on 127.0.0.1:`port`, or has ended."""
        while self.runs:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
