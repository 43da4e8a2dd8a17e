"""Volume: made and removed, never changed in place. Docker takes an existing volume of the name as it is."""

from .plain import Props
from .resource import Operation, failing, found, labels_to_map, map_to_labels, remove_when_free
from .state import created, inputs_after_read
from .tables import VOLUME

_REMOVAL_SECONDS = 20


class Volume:
    """docker:index/volume:Volume; the id is its name."""

    def create(self, operation: Operation) -> tuple[str, Props]:
        """A volume of the name that is there already is taken, with its data."""
        inputs = operation.inputs
        with failing("Unable to create volume"):
            details = operation.api.create_volume(
                name=inputs["name"],
                driver=inputs.get("driver"),
                driver_opts=inputs.get("driverOpts"),
                labels=labels_to_map(inputs.get("labels")),
            )
        return details["Name"], created(VOLUME, inputs, _state(details))

    def read(self, operation: Operation) -> tuple[Props, Props] | None:
        """Reads everything back."""
        with failing("Unable to read volume"):
            details = found(operation.api.inspect_volume, operation.resource_id)
        if details is None:
            return None
        seen = {"cluster": None, **_state(details)}
        return seen, inputs_after_read(VOLUME, operation.inputs, seen)

    def update(self, operation: Operation) -> Props:
        """Nothing: every change replaces."""
        return operation.state

    def delete(self, operation: Operation) -> None:
        """Waits for containers that still use the volume, up to 20 seconds."""
        remove_when_free(operation, operation.api.remove_volume, "volume", "volume is in use", _REMOVAL_SECONDS)


def _state(details: Props) -> Props:
    return {
        "driver": details["Driver"],
        "driverOpts": details["Options"] or {},
        "id": details["Name"],
        "labels": map_to_labels(details["Labels"]),
        "mountpoint": details["Mountpoint"],
        "name": details["Name"],
    }
