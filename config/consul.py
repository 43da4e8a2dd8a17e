"""The command of the stack's own Consul servers."""

from config.durations import shown
from config.layout import CONSUL_DATA_DIR
from config.lease_settings import OWN_MINIMUM_TTL

HEALTHY = "consul operator raft list-peers >/dev/null"
"""Shell command that succeeds while the servers have a leader."""


def server_name(index: int) -> str:
    """Name of a server, in Docker's DNS and among the servers."""
    return f"consul-{index}"


def consul_command(index: int, servers: int) -> list[str]:
    """The command of server number `index` of `servers`."""
    joins = [word for other in range(servers) if other != index for word in ("-retry-join", server_name(other))]
    return [
        "consul",
        "agent",
        "-server",
        f"-bootstrap-expect={servers}",
        "-node",
        server_name(index),
        "-data-dir",
        CONSUL_DATA_DIR,
        "-client",
        "0.0.0.0",
        "-log-level",
        "warn",
        *joins,
        "-hcl",
        # Shorter than Consul's own 10 s: how long writes are away for when the writer dies.
        f'session_ttl_min = "{shown(OWN_MINIMUM_TTL)}"',
        "-hcl",
        # Consul's advice for production: leaders are elected five times as fast as with its default.
        "performance { raft_multiplier = 1 }",
    ]
