"""litefs.yml of a node (LiteFS 0.5, static lease)."""

from typing import Literal

import yaml

from config.layout import CATALOG_DIR, CATALOG_FILE, LITEFS_DATA_DIR, LITEFS_PORT, SEAFOWL_CONFIG, WRITER

NodeRole = Literal["writer", "reader"]

REPLICATION_NETWORK_ENV = "REPLICATION_NETWORK"
"""Environment variable of a node that holds the replication network's name; litefs.yml expands it."""

_SEAFOWL = f"seafowl --config-path {SEAFOWL_CONFIG}"

# LiteFS runs its child as soon as the node is connected, which can be before the catalog's first transaction has
# arrived; a Seafowl that finds no catalog dies (0.5.8). LiteFS splits words as a shell does, but runs no shell.
_SEAFOWL_ONCE_THERE_IS_A_CATALOG = f"sh -c 'until [ -s {CATALOG_FILE} ]; do sleep 0.1; done; exec {_SEAFOWL}'"


def render_litefs_yml(role: NodeRole) -> str:
    """The litefs.yml of a node with `role`, as YAML text.

    All nodes name the same primary: the writer, the only candidate (a reader that left `candidate` out would become
    a second primary). The API is bound to the node's address on the replication network: Docker resolves
    `<container>.<network>` to it, and to no other.
    """
    return yaml.safe_dump(
        {
            "fuse": {"dir": CATALOG_DIR},
            "data": {"dir": LITEFS_DATA_DIR},
            "http": {"addr": f"${{HOSTNAME}}.${{{REPLICATION_NETWORK_ENV}}}:{LITEFS_PORT}"},
            "lease": {
                "type": "static",
                "candidate": role == "writer",
                "hostname": WRITER,
                "advertise-url": f"http://{WRITER}:{LITEFS_PORT}",
            },
            "exec": [{"cmd": _SEAFOWL if role == "writer" else _SEAFOWL_ONCE_THERE_IS_A_CATALOG}],
        },
        sort_keys=False,
        width=1000,
    )
