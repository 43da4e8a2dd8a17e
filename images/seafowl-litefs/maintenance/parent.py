"""What a process says to the supervisor that started it, and asks of it: lines of JSON."""

import json
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

PROTOCOL = """\
{"wants": "table"}      it needs the table to itself, and goes on when its standard input says `go`
{"releases": "table"}   not any more
{"step": NAME, ...}     one step is done
{"done": {...}}         all is done; how the table is now
"""


class ParentGoneError(Exception):
    """Nobody answers any more."""


class Parent(Protocol):
    """Who keeps the order in which tables change."""

    def tell(self, message: dict[str, Any]) -> None:
        """Pass a message on."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """A block in which no client's change of the table runs."""
        ...


class Supervisor:
    """The parent at the other end of the standard streams."""

    def tell(self, message: dict[str, Any]) -> None:
        """Write one line."""
        print(json.dumps(message), flush=True)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Wait for the table; it is given back at the end. Raises ParentGoneError."""
        self.tell({"wants": "table"})
        if sys.stdin.readline().strip() != "go":
            raise ParentGoneError("the supervisor is gone")
        yield
        # Not after an error: the process ends, and whoever waits for it decides when the table is free again.
        self.tell({"releases": "table"})
