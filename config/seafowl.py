"""seafowl.toml of a node (Seafowl 0.5.8). Credentials are not in it: they reach Seafowl through its environment."""

from typing import Any

import tomli_w

from config.layout import CATALOG_FILE, SEAFOWL_PORT
from config.litefs import NodeRole
from config.settings import Settings
from config.sizes import whole_mib

ACCESS_KEY_ENV = "SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID"
SECRET_KEY_ENV = "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"  # noqa: S105 (a name, not a secret)

_MEMORY_FOR_QUERIES = 0.7
"""Part of a node's memory limit that Seafowl may plan queries with; the rest is for LiteFS, buffers and results."""


def render_seafowl_toml(role: NodeRole, settings: Settings, object_store: dict[str, str]) -> str:
    """The seafowl.toml of a node with `role`, as TOML text.

    `object_store`: `bucket`, and `endpoint`, `region` and `prefix` where there are any.
    """
    reader = role == "reader"
    document: dict[str, Any] = {
        "object_store": {"type": "s3", **object_store},
        "catalog": {
            "type": "sqlite",
            "dsn": f"sqlite://{CATALOG_FILE}",
            "journal_mode": settings.reader_journal_mode if reader else settings.writer_journal_mode,
            "read_only": reader,
        },
        "frontend": {
            "http": {
                "bind_host": "0.0.0.0",
                "bind_port": SEAFOWL_PORT,
                "read_access": settings.access.read,
                # A read-only catalog refuses writes anyway; this one is refused before it is planned.
                "write_access": "off" if reader else settings.access.write,
                "upload_data_max_length": whole_mib(settings.ingress.upload_limit),
                # Seafowl's default lets caches keep an answer for twelve hours. Ours: ask again, with the ETag.
                "cache_control": "no-cache",
            }
        },
    }
    limits = settings.resources.reader if reader else settings.resources.writer
    if limits.memory is not None:
        document["runtime"] = {"max_memory": int(whole_mib(limits.memory) * _MEMORY_FOR_QUERIES)}
    return tomli_w.dumps(document)
