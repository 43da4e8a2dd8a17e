"""The PyPI library `docker`, imported when the Engine is first needed: Check and Diff do without its 0.25 s."""

import importlib
import threading
from typing import Any

_LOCK = threading.Lock()


def docker() -> Any:
    """The library with the parts that are used here.

    Two threads that import parts of it at once can get half of a module, hence one place and a lock.
    """
    with _LOCK:
        for part in ("errors", "tls", "utils"):
            importlib.import_module(f"docker.{part}")
        return importlib.import_module("docker")


def failures() -> tuple[type[Exception], ...]:
    """What a call of Docker can raise: its own errors, and those of a connection that breaks."""
    return (docker().errors.DockerException, OSError)
