"""RemoteImage: an image that is on the Engine already, or else is pulled."""

from typing import Any

from .docker_library import docker, failures
from .errors import ProviderError
from .plain import Props
from .resource import Operation, explanation, failing, found
from .state import inputs_after_read, planned
from .tables import REMOTE_IMAGE

_ID_LENGTH = len("sha256:") + 64


class RemoteImage:
    """docker:index/remoteImage:RemoteImage; the id is the image's id followed by the name."""

    def create(self, operation: Operation) -> tuple[str, Props]:
        """Pulls only what the Engine does not have."""
        details = find_or_pull(operation, operation.inputs["name"], operation.inputs.get("platform"))
        outputs = _state(planned(REMOTE_IMAGE, operation.inputs, unknown=None), operation.inputs["name"], details)
        return outputs["id"], outputs

    def read(self, operation: Operation) -> tuple[Props, Props] | None:
        """Looks the name up again. An import has nothing but the id, which ends with the name."""
        name: str = operation.state.get("name") or operation.resource_id[_ID_LENGTH:]
        with failing("Unable to read image"):
            details = found(operation.api.inspect_image, name)
        if details is None:
            return None
        seen = _state({**planned(REMOTE_IMAGE, {"name": name}, unknown=None), **operation.state}, name, details)
        return seen, inputs_after_read(REMOTE_IMAGE, operation.inputs, seen)

    def update(self, operation: Operation) -> Props:
        """Looks the name up again."""
        return self.create(operation)[1]

    def delete(self, operation: Operation) -> None:
        """Leaves the image where `keepLocally` says so."""
        if operation.state.get("keepLocally"):
            return
        library = docker()
        try:
            operation.api.remove_image(operation.state["name"], force=bool(operation.state.get("forceRemove")))
        except library.errors.NotFound:
            return
        except failures() as error:
            raise ProviderError(f"Unable to remove Docker image: {explanation(error)}") from error


def find_or_pull(operation: Operation, name: str, platform: str | None = None) -> Any:
    """Docker's description of the image of this name, pulled if the Engine does not have it."""
    with failing(f"unable to find image {name}"):
        details = found(operation.api.inspect_image, name)
    if details is None:
        _pull(operation, name, platform)
        with failing(f"unable to find or pull image {name}"):
            details = operation.api.inspect_image(name)
    return details


def _pull(operation: Operation, name: str, platform: str | None) -> None:
    repository, tag = docker().utils.parse_repository_tag(name)
    operation.status(f"pulling {name}")
    with failing(f"unable to pull image {name}"):
        messages = operation.api.pull(repository, tag=tag or "latest", stream=True, decode=True, platform=platform)
        for message in messages:
            if "error" in message:
                raise ProviderError(f"unable to pull image {name}: {message['error']}")


def _state(outputs: Props, name: str, details: Props) -> Props:
    digests: list[str] = details.get("RepoDigests") or []
    return {
        **outputs,
        "id": details["Id"] + name,
        "imageId": details["Id"],
        "repoDigest": digests[0] if digests else "",
    }
