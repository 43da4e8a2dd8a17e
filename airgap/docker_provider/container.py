"""Container: created, connected, filled, started and waited for in the original's order."""

import time
from typing import Any

from . import uploads
from .container_spec import UPDATABLE, create_body, update_arguments
from .container_state import state_of
from .container_table import CONTAINER
from .docker_library import failures
from .errors import PartlyCreatedError, ProviderError
from .fields import same
from .plain import Props, listed
from .remote_image import find_or_pull
from .resource import Operation, explanation, failing, found
from .state import created, inputs_after_read, planned

_GONE = ("No such container", "is already in progress")
_NEVER = "0001-01-01"
_REMOVAL_SECONDS = 30
_SETTLING_SECONDS = 0.25
"""Docker takes a moment to notice an exit; the original looks after 0.1 s."""


class Container:
    """docker:index/container:Container; the id is Docker's."""

    def create(self, operation: Operation) -> tuple[str, Props]:
        """Raises PartlyCreatedError when the container exists but did not come up."""
        inputs, image = operation.inputs, operation.inputs["image"]
        try:
            find_or_pull(operation, image)
        except ProviderError as error:
            raise ProviderError(f"Unable to create container with image {image}: {error}") from error
        with failing("Unable to create container"):
            answer = operation.api.create_container_from_config(
                create_body(inputs), inputs["name"], inputs.get("platform")
            )
        container_id: str = answer["Id"]
        try:
            logs = _bring_up(operation, container_id)
            details = _running(operation, container_id)
        except _RemovedError as error:
            raise ProviderError(str(error)) from error
        except ProviderError as error:
            partly = {**planned(CONTAINER, inputs, unknown=None), "id": container_id}
            raise PartlyCreatedError(str(error), container_id, partly) from error
        return container_id, {**created(CONTAINER, inputs, state_of(details)), "containerLogs": logs}

    def read(self, operation: Operation) -> tuple[Props, Props] | None:
        """A stopped container that must run is removed and counts as gone, as with the original."""
        with failing("Unable to read container"):
            details = found(operation.api.inspect_container, operation.resource_id)
        if details is None:
            return None
        if operation.state.get("mustRun", True) and not details["State"]["Running"]:
            _remove(operation, operation.resource_id, operation.state)
            return None
        seen = {**planned(CONTAINER, {}, unknown=None), **operation.state, **state_of(details)}
        return seen, inputs_after_read(CONTAINER, operation.inputs, seen)

    def update(self, operation: Operation) -> Props:
        """Changes limits and the restart policy; other changes that replace nothing are only written down."""
        old, new = operation.state, operation.inputs
        if any(not same(CONTAINER[key], old.get(key), new.get(key)) for key in UPDATABLE):
            with failing("Unable to update a container"):
                operation.api.update_container(operation.resource_id, **update_arguments(new))
        return updated(old, new)

    def delete(self, operation: Operation) -> None:
        """Stops it within `destroyGraceSeconds` (at once without), then removes it."""
        _remove(operation, operation.resource_id, operation.state)


def updated(state: Props, inputs: Props) -> Props:
    """The outputs after an update, without asking Docker: the old ones with the inputs that can change in place."""
    plan = planned(CONTAINER, inputs, unknown=None)
    outputs = dict(state)
    for key, shape in CONTAINER.items():
        filled_in = shape.computed and inputs.get(key) is None
        if not shape.replace and not filled_in and not same(shape, state.get(key), plan[key]):
            outputs[key] = plan[key]
    # The original's update turns these two from null into their zero values.
    for key, inner, zero in (("mounts", "readOnly", False), ("networksAdvanced", "gwPriority", 0)):
        outputs[key] = [{**item, inner: item.get(inner) or zero} for item in listed(state.get(key))]
    return outputs


class _RemovedError(ProviderError):
    """The container was removed again: there is nothing to keep in the state."""


def _bring_up(operation: Operation, container_id: str) -> str | None:
    """From a created container to a running one. Gives its logs when they were asked for."""
    api, inputs = operation.api, operation.inputs
    if inputs.get("networksAdvanced"):
        _connect(api, container_id, inputs["networksAdvanced"])
    for upload in inputs.get("uploads", []):
        archive = uploads.archive(upload)
        with failing("Unable to upload volume content"):
            api.put_archive(container_id, "/", archive)
    if inputs.get("start"):
        with failing("Unable to start container"):
            api.start(container_id)
        if inputs.get("wait"):
            _wait_until_healthy(operation, container_id)
    return _attach(operation, container_id) if inputs.get("attach") else None


def _connect(api: Any, container_id: str, networks: list[Props]) -> None:
    try:
        api.disconnect_container_from_network(container_id, "bridge")
    except failures() as error:
        if "is not connected to" not in explanation(error):
            raise ProviderError(f"Unable to disconnect the default network: {explanation(error)}") from error
    for network in sorted(networks, key=lambda item: str(item["name"])):
        options = dict(item.partition("=")[::2] for item in network.get("driverOpts", []))
        with failing(f"Unable to connect to network '{network['name']}'"):
            api.connect_container_to_network(
                container_id,
                network["name"],
                aliases=network.get("aliases"),
                ipv4_address=network.get("ipv4Address"),
                ipv6_address=network.get("ipv6Address"),
                link_local_ips=network.get("linkLocalIps"),
                driver_opt=options or None,
                mac_address=network.get("macAddress"),
            )


def _wait_until_healthy(operation: Operation, container_id: str) -> None:
    deadline = time.monotonic() + operation.inputs["waitTimeout"]
    while True:
        with failing("error inspecting container state"):
            state: Props = operation.api.inspect_container(container_id)["State"]
        if "Health" not in state:
            raise ProviderError("`wait` needs a container with a healthcheck: set `healthcheck`, or leave `wait` out")
        if state["Health"]["Status"] == "healthy":
            return
        if not operation.pause(0.25, deadline):
            _stop_if_cancelled(operation)
            raise ProviderError("container failed to be in healthy state")


def _stop_if_cancelled(operation: Operation) -> None:
    if operation.cancelled.is_set():
        raise ProviderError("the creation was cancelled before the container was up")


def _attach(operation: Operation, container_id: str) -> str | None:
    with failing("Unable to wait container end of execution"):
        while operation.api.inspect_container(container_id)["State"]["Running"]:
            operation.cancelled.wait(0.2)
            _stop_if_cancelled(operation)
        if not operation.inputs.get("logs"):
            return None
        text: bytes = operation.api.logs(container_id, stdout=True, stderr=True)
    return text.decode(errors="replace")


def _running(operation: Operation, container_id: str) -> Props:
    """Docker's description of the container, once it runs or need not. Removes it when it exited at once."""
    inputs = operation.inputs
    deadline = time.monotonic() + inputs["containerReadRefreshTimeoutMilliseconds"] / 1000
    if inputs.get("start") and inputs.get("mustRun") and not inputs.get("wait"):
        operation.pause(_SETTLING_SECONDS, deadline)
    while True:
        _stop_if_cancelled(operation)
        with failing("Unable to read container"):
            details: Props = operation.api.inspect_container(container_id)
        if details["State"]["Running"] or not inputs.get("mustRun"):
            return details
        exited = not details["State"]["FinishedAt"].startswith(_NEVER)
        if exited or not operation.pause(0.1, deadline):
            _stop_if_cancelled(operation)
            _remove(operation, container_id, inputs)
            raise _RemovedError("container exited immediately" if exited else "container failed to be in running state")


def _remove(operation: Operation, container_id: str, state: Props) -> None:
    api = operation.api
    try:
        if not state.get("attach"):
            api.stop(container_id, timeout=state.get("destroyGraceSeconds") or 0)
        api.remove_container(container_id, v=bool(state.get("removeVolumes", True)), force=True)
    except failures() as error:
        if not any(word in explanation(error) for word in _GONE):
            raise ProviderError(f"Error deleting container {container_id}: {explanation(error)}") from error
    deadline = time.monotonic() + _REMOVAL_SECONDS
    while found(api.inspect_container, container_id) is not None:
        if not operation.pause(0.1, deadline):
            raise ProviderError(f"Error waiting for container removal '{container_id}'")
