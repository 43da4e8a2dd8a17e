"""seafowl.toml of a node (Seafowl 0.5.8). Credentials are not in it: they reach Seafowl through its environment."""

from typing import Any

import tomli_w

from config.ingress_settings import MAX_UPLOAD, Access
from config.layout import CATALOG_FILE, GATED_SEAFOWL_PORT, SEAFOWL_PORT
from config.litefs import NodeRole
from config.settings import Settings
from config.sizes import whole_mib

ACCESS_KEY_ENV = "SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID"
SECRET_KEY_ENV = "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"  # noqa: S105 (a name, not a secret)

READ_ACCESS_ENV = "SEAFOWL__FRONTEND__HTTP__READ_ACCESS"
WRITE_ACCESS_ENV = "SEAFOWL__FRONTEND__HTTP__WRITE_ACCESS"
"""With `access` token: the SHA-256 of the token, in hexadecimal."""

READER_PREFIX = "READER__"
"""Of a candidate's environment: what its read-only Seafowl has instead, without this prefix."""

_MEMORY_FOR_QUERIES = 0.7
"""Part of a node's memory limit that Seafowl may plan queries with; the rest is for LiteFS, buffers and results."""


def render_seafowl_toml(
    role: NodeRole, settings: Settings, object_store: dict[str, str], *, standby: bool = False
) -> str:
    """The seafowl.toml of a node with `role`, as TOML text.

    `object_store`: `bucket`, and `endpoint`, `region` and `prefix` where there are any. `standby`: whether this reader
    runs in the container of a candidate for the writer. The writer's Seafowl is reached through the write port only.
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
                "bind_host": "0.0.0.0" if reader else "127.0.0.1",
                "bind_port": SEAFOWL_PORT if reader else GATED_SEAFOWL_PORT,
                # A token's hash comes through the environment.
                **_without_tokens("read_access", settings.access.read),
                # A read-only catalog refuses writes anyway; this one is refused before it is planned.
                **_without_tokens("write_access", "off" if reader else settings.access.write),
                # The ingress has the limit that the user sets, and needs no restart of the writer to change it.
                "upload_data_max_length": whole_mib(MAX_UPLOAD),
                # Seafowl's default lets caches keep an answer for twelve hours. What may be kept, the ingress says.
                "cache_control": "no-cache",
            }
        },
    }
    limits = settings.resources.reader if reader and not standby else settings.resources.writer
    if limits.memory is not None:
        document["runtime"] = {"max_memory": int(whole_mib(limits.memory) * _MEMORY_FOR_QUERIES)}
    return tomli_w.dumps(document)


def _without_tokens(key: str, access: Access) -> dict[str, str]:
    return {} if access == "token" else {key: access}
