"""The stacks that faults happen to: one at a time, each under the same name and port."""

from collections.abc import Mapping
from typing import Any

READ_TIMEOUT_SECONDS = 5.0
"""`ingress.readTimeout` of these stacks: shorter than a freeze, so that reads must find another reader."""

STACKS: Mapping[str, Mapping[str, Any]] = {
    "static": {},
    "consul": {"seafowl:lease": "consul"},
    # Its volumes are made, and removed, by `bench.chaos.disks`.
    "disks": {"seafowl:retainData": True},
    "retained": {"seafowl:retainData": True},
}
"""Name → what its config has beside the dev stack's defaults."""


def config(kind: str, stack: str, port: int, images: Mapping[str, str]) -> dict[str, Any]:
    """The config of a stack of this kind."""
    own: dict[str, Any] = {
        "seafowl:ingress": {"port": port, "readTimeout": f"{READ_TIMEOUT_SECONDS:.0f}s"},
        "seafowl:images": dict(images),
        # So that the care for tables runs during every fault, and cuts logs off in each run.
        "seafowl:maintenance": {"interval": "3s", "versions": 200},
        **STACKS[kind],
    }
    if kind == "disks":
        own["seafowl:objectStore"] = {"minio": {"volume": minio_volume(stack)}}
    return own


def minio_volume(stack: str) -> str:
    """Name of MinIO's volume, where its disk gets full."""
    return f"seafowl-{stack}-small-object-store"
