"""litefs.yml of a node (LiteFS 0.5), and how LiteFS is started: with a static lease, or with one in Consul."""

import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import yaml

from config.durations import shown
from config.layout import (
    CANDIDATES_ALIAS,
    CATALOG_DIR,
    CATALOG_FILE,
    GATED_SEAFOWL_PORT,
    LITEFS_CONFIG,
    LITEFS_DATA_DIR,
    LITEFS_PORT,
    SEAFOWL_CONFIG,
    STANDBY_CONFIG,
    WRITE_PORT,
    WRITER,
    WRITER_CONFIG,
)
from config.maintenance_settings import MaintenanceSettings

NodeRole = Literal["writer", "reader"]

REPLICATION_NETWORK_ENV = "REPLICATION_NETWORK"
"""Environment variable of a node that holds the replication network's name; litefs.yml expands it."""

_OWN_ADDRESS = f"${{HOSTNAME}}.${{{REPLICATION_NETWORK_ENV}}}:{LITEFS_PORT}"
"""Docker resolves `<container>.<network>` to the node's address on that network, and to no other."""

_SEAFOWL = f"seafowl --config-path {SEAFOWL_CONFIG}"

# LiteFS runs its child as soon as the node is connected, which can be before the catalog's first transaction has
# arrived; a Seafowl that finds no catalog dies (0.5.8). LiteFS splits words as a shell does, but runs no shell.
_SEAFOWL_ONCE_THERE_IS_A_CATALOG = f"sh -c 'until [ -s {CATALOG_FILE} ]; do sleep 0.1; done; exec {_SEAFOWL}'"


@dataclass(frozen=True)
class ConsulLease:
    """A lease that is kept in Consul."""

    url: str
    key: str
    """Of the lease in Consul's store; no other stack may use it."""

    ttl: timedelta
    lock_delay: timedelta
    standby_reads: bool
    """Whether a candidate that is not the primary serves reads."""


def litefs_command(role: NodeRole, member: str, lease: ConsulLease | None) -> list[str]:
    """The command that starts LiteFS in the container of `member`."""
    mount = ["litefs", "mount", "-config", LITEFS_CONFIG]
    if role == "reader":
        return mount
    # The first candidate founds LiteFS's cluster, for it has the catalog if there is one; the others join it.
    join = [] if lease is None or member == WRITER else ["--join"]
    return ["seafowl-supervisor", "prepare", *_words(_shared(member, lease)), *join, "--", *mount]


def _shared(member: str, lease: ConsulLease | None) -> dict[str, str]:
    """What both commands of the supervisor are told."""
    own = {"hostname": member, "catalog": CATALOG_FILE, "data": LITEFS_DATA_DIR}
    if lease is None:
        return own
    return {"consul": lease.url, "key": lease.key, "ttl": f"{lease.ttl.total_seconds():g}", **own}


def _words(options: dict[str, str]) -> list[str]:
    return [word for key, value in options.items() for word in (f"--{key}", value)]


def render_litefs_yml(
    role: NodeRole, member: str, lease: ConsulLease | None = None, maintenance: MaintenanceSettings | None = None
) -> str:
    """The litefs.yml of a node with `role`, known to the others as `member`, as YAML text. `maintenance` is a writer's.

    Without `lease`, all nodes name the same primary: the writer, the only candidate (a reader that left `candidate` out
    would become a second primary). The API is bound to the node's address on the replication network.
    """
    return yaml.safe_dump(
        {
            "fuse": {"dir": CATALOG_DIR},
            "data": {"dir": LITEFS_DATA_DIR},
            "http": {"addr": _OWN_ADDRESS},
            "lease": _static_lease(role) if lease is None else _consul_lease(role, member, lease),
            "exec": [{"cmd": _exec(role, member, lease, maintenance or MaintenanceSettings())}],
        },
        sort_keys=False,
        width=1000,
    )


def _static_lease(role: NodeRole) -> dict[str, Any]:
    return {
        "type": "static",
        "candidate": role == "writer",
        "hostname": WRITER,
        "advertise-url": f"http://{WRITER}:{LITEFS_PORT}",
    }


def _consul_lease(role: NodeRole, member: str, lease: ConsulLease) -> dict[str, Any]:
    candidate = role == "writer"
    return {
        "type": "consul",
        "candidate": candidate,
        # A reader is never asked for, so all of them share one file.
        "hostname": member if candidate else "${HOSTNAME}",
        "advertise-url": f"http://{member}:{LITEFS_PORT}" if candidate else f"http://{_OWN_ADDRESS}",
        # LiteFS looks for a new primary once a second by itself: a third of the time that writes are away for.
        "reconnect-delay": "250ms",
        "consul": {
            "url": lease.url,
            "key": lease.key,
            "ttl": shown(lease.ttl),
            "lock-delay": shown(lease.lock_delay),
        },
    }


def _exec(role: NodeRole, member: str, lease: ConsulLease | None, maintenance: MaintenanceSettings) -> str:
    if role == "reader":
        return _SEAFOWL_ONCE_THERE_IS_A_CATALOG
    own = {
        "litefs": f"http://{_OWN_ADDRESS}",
        "writer-config": WRITER_CONFIG,
        "seafowl-port": str(GATED_SEAFOWL_PORT),
        "write-port": str(WRITE_PORT),
        "maintenance-interval": str(maintenance.interval.total_seconds()),
        "history": f"{maintenance.history.total_seconds():.0f}",
        "versions": str(maintenance.versions),
    }
    words = ["seafowl-supervisor", "run", *_words(_shared(member, lease)), *_words(own)]
    if lease is not None:
        words += ["--candidates", CANDIDATES_ALIAS, "--reader-config", STANDBY_CONFIG]
        words += ["--standby-reads"] if lease.standby_reads else []
    words += [] if maintenance.enabled else ["--no-maintenance"]
    # What LiteFS expands itself (`${…}`) must not be quoted.
    return " ".join(word if "${" in word else shlex.quote(word) for word in words)
