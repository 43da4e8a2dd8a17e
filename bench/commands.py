"""Programs that a benchmark runs beside its own clients."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

_GRACE_SECONDS = 120
"""How long an interrupted program may take to end in good order."""


class Command:
    """A program that runs until it is finished. Use it as a context manager: leaving it by an error interrupts it.

    It has a session of its own, so a Ctrl-C at the terminal does not reach it: it gets one from here, once, and its end
    is waited for. (pulumi that is killed instead leaves a locked state, and containers that its state does not know.)
    """

    def __init__(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> None:
        self._name = " ".join((Path(arguments[0]).name, *arguments[1:2]))
        # Files, not pipes: nobody reads while it runs.
        self._output, self._errors = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115
        self._began = time.monotonic()
        self._ended: float | None = None
        self._process = subprocess.Popen(  # noqa: S603
            arguments,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            start_new_session=True,
        )
        self._waiter = threading.Thread(target=self._await_end, daemon=True)
        self._waiter.start()

    def __enter__(self) -> Self:
        """The running program."""
        return self

    def __exit__(self, *_: object) -> None:
        """Interrupt it, unless it has ended, and wait until it has."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._waiter.join(_GRACE_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
        self._waiter.join()
        self._output.close()
        self._errors.close()

    @property
    def ended(self) -> bool:
        """Whether it has ended well. Ends this program where it failed."""
        if self._ended is None:
            return False
        if self._process.returncode != 0:
            sys.exit(f"{self._name} failed:\n{self._text(self._output)}{self._text(self._errors)}")
        return True

    @property
    def seconds(self) -> float:
        """How long it ran, or has been running."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def since_end(self) -> float:
        """Seconds since it has ended; 0 before."""
        return 0 if self._ended is None else time.monotonic() - self._ended

    def finish(self) -> str:
        """Wait for its end; what it printed. Ends this program where it failed."""
        self._waiter.join()
        assert self.ended  # noqa: S101 (a failure has ended this program)
        return self._text(self._output)

    def _await_end(self) -> None:
        self._process.wait()
        self._ended = time.monotonic()

    @staticmethod
    def _text(file: IO[str]) -> str:
        file.seek(0)
        return file.read()


def run(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> tuple[str, float]:
    """What a program printed, and the seconds that it took. Ends this program where it failed."""
    with Command(arguments, cwd, environment) as command:
        return command.finish(), command.seconds
