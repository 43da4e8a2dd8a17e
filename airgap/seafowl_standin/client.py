"""Whoever sent a request, as the statements that run for it see them: still there, or gone.

The original's HTTP server drops a request with the connection that it came on, wherever its work has got to. What was
done stays, what was not begun never happens: an empty table without its rows, data files that no log names.
"""

import threading


class ClientGone(Exception):
    """The client has closed its connection: nothing more is done for it."""


class Client:
    """One request's client; set by the HTTP frontend, asked by the threads that work for it."""

    def __init__(self) -> None:
        self._gone = threading.Event()

    def leave(self) -> None:
        """Note that the connection is closed."""
        self._gone.set()

    def check(self) -> None:
        """Go on where the client is still there; raises ClientGone. Called between the steps of a write."""
        if self._gone.is_set():
            raise ClientGone
