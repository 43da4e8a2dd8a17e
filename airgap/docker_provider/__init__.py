"""The air-gapped kit's Docker provider: what `pulumi-resource-docker` is where only package registries are reachable.

It answers the engine as the original does for Container, Network, Volume, RemoteImage and Image, and refuses
every input it does not implement by name. Start it with `python -P -m airgap.docker_provider <engine address>`
and the folder that holds `airgap/` on PYTHONPATH.
"""

import os
from typing import Final

VERSION: Final = "5.2.0"
"""The original's version that this one stands in for."""

# Before anything imports gRPC: its fork handlers break the `ssh` that docker starts for an ssh:// host.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
