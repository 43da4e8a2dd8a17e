"""Network: made and removed, never changed in place."""

from .fields import canonical
from .plain import Props, listed
from .resource import Operation, failing, found, labels_to_map, map_to_labels, remove_when_free
from .state import created, inputs_after_read
from .tables import NETWORK

_REMOVAL_SECONDS = 30
_IPAM_NAMES = {"subnet": "Subnet", "ipRange": "IPRange", "gateway": "Gateway", "auxAddress": "AuxiliaryAddresses"}


class Network:
    """docker:index/network:Network; the id is Docker's."""

    def create(self, operation: Operation) -> tuple[str, Props]:
        """Gives Docker the addresses only where the inputs do."""
        inputs = operation.inputs
        ipam: Props = {
            "Driver": inputs["ipamDriver"],
            "Config": [_to_docker(item) for item in inputs.get("ipamConfigs", [])],
        }
        if inputs.get("ipamOptions"):
            ipam["Options"] = inputs["ipamOptions"]
        with failing("Unable to create network"):
            network_id: str = operation.api.create_network(
                inputs["name"],
                driver=inputs.get("driver"),
                options=inputs.get("options"),
                ipam=ipam,
                check_duplicate=True,
                internal=bool(inputs.get("internal")),
                labels=labels_to_map(inputs.get("labels")),
                enable_ipv6=bool(inputs.get("ipv6")),
                attachable=bool(inputs.get("attachable")),
                ingress=bool(inputs.get("ingress")),
            )["Id"]
            return network_id, created(NETWORK, inputs, _state(operation.api.inspect_network(network_id)))

    def read(self, operation: Operation) -> tuple[Props, Props] | None:
        """Reads everything back."""
        with failing("Unable to read network"):
            details = found(operation.api.inspect_network, operation.resource_id)
        if details is None:
            return None
        seen = _state(details)
        return seen, inputs_after_read(NETWORK, operation.inputs, seen)

    def update(self, operation: Operation) -> Props:
        """Nothing: every change replaces."""
        return operation.state

    def delete(self, operation: Operation) -> None:
        """Waits for containers that are still leaving the network, up to 30 seconds."""
        remove_when_free(operation, operation.api.remove_network, "network", "has active endpoints", _REMOVAL_SECONDS)


def _to_docker(config: Props) -> Props:
    return {docker: config[key] for key, docker in _IPAM_NAMES.items() if config.get(key)}


def _state(details: Props) -> Props:
    ipam: Props = details["IPAM"]
    return {
        "attachable": details["Attachable"],
        "driver": details["Driver"],
        "id": details["Id"],
        "ingress": details["Ingress"],
        "internal": details["Internal"],
        "ipamConfigs": sorted((_from_docker(item) for item in listed(ipam.get("Config"))), key=canonical),
        "ipamDriver": ipam["Driver"],
        "ipamOptions": ipam.get("Options") or {},
        "ipv6": details["EnableIPv6"],
        "labels": map_to_labels(details["Labels"]),
        "name": details["Name"],
        "options": details["Options"] or {},
        "scope": details["Scope"],
    }


def _from_docker(config: Props) -> Props:
    return {key: config.get(docker) or ({} if key == "auxAddress" else "") for key, docker in _IPAM_NAMES.items()}
