"""Pulumi's plugin protocol: the messages that the SDK has generated, without the rest of the SDK.

Importing `pulumi` takes 0.2 s on top (automation API, dill, OpenTelemetry), and this process starts in every
`pulumi up`. The generated modules need each other alone, so this module poses as the package that holds them.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Any


def _sdk_folder() -> Path:
    spec = importlib.util.find_spec("pulumi")
    if spec is None or spec.origin is None:
        raise ImportError("the PyPI package `pulumi` is not installed beside the air-gapped kit's Docker provider")
    return Path(spec.origin).parent


__path__ = [str(_sdk_folder() / "runtime" / "proto")]

plugin: Any = importlib.import_module(".plugin_pb2", __name__)
"""What a plugin says of itself."""
provider: Any = importlib.import_module(".provider_pb2", __name__)
"""Requests and responses of the ResourceProvider service."""
provider_grpc: Any = importlib.import_module(".provider_pb2_grpc", __name__)
status: Any = importlib.import_module(".status_pb2", __name__)
"""An error with details."""


def engine_stub(channel: Any) -> Any:
    """A client of the Engine service, which shows log lines."""
    return importlib.import_module(".engine_pb2_grpc", __name__).EngineStub(channel)


def log_request(urn: str, line: str) -> Any:
    """A line shown beside a resource for as long as it is worked on."""
    messages: Any = importlib.import_module(".engine_pb2", __name__)
    return messages.LogRequest(severity=messages.INFO, message=line, urn=urn, ephemeral=True)
