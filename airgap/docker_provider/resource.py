"""What every kind of resource offers the provider, and the helpers that they share."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from .docker_library import docker, failures
from .engine import Engine
from .errors import ProviderError
from .plain import Props


@dataclass(frozen=True)
class Operation:
    """One call of the engine: what it is about, and what it may use."""

    engine: Engine
    cancelled: threading.Event
    """Set when Pulumi's engine asks to stop: waits end early."""
    status: Callable[[str], None]
    """Shows one line beside the resource while the operation runs."""
    inputs: Props
    resource_id: str = ""
    state: Props = field(default_factory=Props)

    @property
    def api(self) -> Any:
        """The Docker client."""
        return self.engine.api

    def pause(self, seconds: float, deadline: float) -> bool:
        """Waits a little; false when the deadline (of time.monotonic) has passed or the operation was cancelled."""
        left = deadline - time.monotonic()
        return left > 0 and not self.cancelled.wait(min(seconds, left))


class Resource(Protocol):
    """The operations of one resource type; they raise ProviderError."""

    def create(self, operation: Operation) -> tuple[str, Props]:
        """Makes it from the inputs; gives its id and outputs."""
        ...

    def read(self, operation: Operation) -> tuple[Props, Props] | None:
        """Its outputs and inputs as they are now; None when it is gone."""
        ...

    def update(self, operation: Operation) -> Props:
        """Changes it in place to fit the inputs; gives its outputs."""
        ...

    def delete(self, operation: Operation) -> None:
        """Removes it; one that is gone already is no error."""
        ...


@contextmanager
def failing(what: str) -> Generator[None]:
    """Turns Docker's own error into `what: <its explanation>`."""
    try:
        yield
    except failures() as error:
        raise ProviderError(f"{what}: {explanation(error)}") from error


def explanation(error: Exception) -> str:
    """Docker's explanation of an error, without the request's address."""
    return str(getattr(error, "explanation", None) or error).strip()


def found(inspect: Callable[[str], Any], name: str) -> Any:
    """What an inspect call gives, or None when Docker has no such thing."""
    library = docker()
    try:
        return inspect(name)
    except library.errors.NotFound:
        return None


def remove_when_free(operation: Operation, remove: Callable[[str], Any], what: str, busy: str, seconds: int) -> None:
    """Removes a thing as soon as what still uses it is gone: for so long Docker's answer holds the text `busy`."""
    library = docker()
    deadline = time.monotonic() + seconds
    while True:
        try:
            remove(operation.resource_id)
        except library.errors.NotFound:
            return
        except failures() as error:
            if busy not in explanation(error) or not operation.pause(0.5, deadline):
                raise ProviderError(f"Unable to delete {what}: {explanation(error)}") from error
        else:
            return


def labels_to_map(labels: list[Props] | None) -> dict[str, str]:
    """[{label, value}] as Docker wants it."""
    return {item["label"]: item["value"] for item in labels or []}


def map_to_labels(labels: dict[str, str] | None) -> list[Props]:
    """Docker's labels as [{label, value}], sorted."""
    return [{"label": key, "value": value} for key, value in sorted((labels or {}).items())]
