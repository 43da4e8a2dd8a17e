"""Waiting until something is so."""

import time
from collections.abc import Callable
from contextlib import suppress

_POLL_SECONDS = 0.05


def await_true(until: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
    """Wait until something is so; an error of the network counts as not yet. Raises TimeoutError, which says
    `otherwise`.
    """
    end = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            if until():
                return
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        time.sleep(_POLL_SECONDS)
