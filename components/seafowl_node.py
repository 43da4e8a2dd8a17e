"""What writer and readers share: the container in which LiteFS runs Seafowl."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_docker as docker

from components.access_tokens import AccessTokens
from components.container import Attachment, ContainerSpec, container
from components.object_store import ObjectStore
from config.layout import (
    LITEFS_CONFIG,
    LITEFS_PORT,
    SEAFOWL_CONFIG,
    SEAFOWL_PORT,
    STANDBY_CONFIG,
    WRITE_PORT,
    WRITER_CONFIG,
)
from config.litefs import REPLICATION_NETWORK_ENV, ConsulLease, NodeRole, litefs_command, render_litefs_yml
from config.seafowl import (
    ACCESS_KEY_ENV,
    READ_ACCESS_ENV,
    READER_PREFIX,
    SECRET_KEY_ENV,
    WRITE_ACCESS_ENV,
    render_seafowl_toml,
)
from config.settings import Settings


def _serves(port: int) -> str:
    return f"curl --fail --silent --output /dev/null http://127.0.0.1:{port}/healthz"


# No pipe: its shell may end before its programs do, and LiteFS, the container's first process, reaps no orphans.
_INFO = f'expr "$(curl --fail --silent http://$HOSTNAME.${REPLICATION_NETWORK_ENV}:{LITEFS_PORT}/info)"'
IS_PRIMARY = f"{_INFO} : '.*\"isPrimary\": *true' >/dev/null"
# A node that is not connected names no primary. (It also reports a lag of 0, which proves nothing.)
_FOLLOWS = f'{_INFO} : \'.*"hostname": *"[^"]\' >/dev/null'

HEALTHY: dict[NodeRole, str] = {
    "writer": f"{_serves(WRITE_PORT)} && {IS_PRIMARY}",
    "reader": f"{_serves(SEAFOWL_PORT)} && {_FOLLOWS}",
}
"""Shell command that succeeds while the node serves, and is the primary or follows one."""


def candidate_healthy(standby_reads: bool) -> str:
    """The same for a candidate: as the primary it takes writes, else it follows the one that does."""
    standby = f"{_FOLLOWS} && {_serves(SEAFOWL_PORT)}" if standby_reads else _FOLLOWS
    return f"if {IS_PRIMARY}; then {_serves(WRITE_PORT)}; else {standby}; fi"


_SYSCTLS = {"net.ipv4.tcp_retries2": "5"}
"""Give a connection up after some 13 seconds without a sign of the other side (Linux: a quarter of an hour).

TCP waits twice as long before each try: after a network that was cut for a minute, LiteFS's replication stood still for
another 52 seconds. A connection that was given up is made anew at once.
"""


@dataclass(frozen=True)
class NodeArgs:
    """What a node is made of, whatever its role."""

    settings: Settings
    image: pulumi.Input[str]
    deployment: pulumi.Input[str]
    object_store: ObjectStore
    tokens: AccessTokens
    lease: ConsulLease | None
    """The lease, where LiteFS elects the writer; None where there is one writer for good."""

    consul_token: pulumi.Output[str] | None
    """What the user's own Consul wants to be told, a secret output."""

    front_network: pulumi.Input[str]
    """The network that the ingress reaches the node on."""

    replication_network: pulumi.Input[str]
    """The network that LiteFS replicates over; S3 is on it too."""


def _token_hashes(role: NodeRole, tokens: AccessTokens) -> dict[str, pulumi.Input[str]]:
    """What Seafowl compares tokens with. A reader takes no writes, whatever the token."""
    wanted = {READ_ACCESS_ENV: tokens.read, WRITE_ACCESS_ENV: tokens.write if role == "writer" else None}
    return {
        key: token.apply(lambda text: hashlib.sha256(text.encode()).hexdigest())
        for key, token in wanted.items()
        if token is not None
    }


@dataclass(frozen=True)
class NodePlace:
    """Where in the cluster one node stands."""

    role: NodeRole
    member: str
    front_aliases: Sequence[str]
    replication_aliases: Sequence[str] = ()
    volumes: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    gate: pulumi.Output[None] | None = None
    """Resolves when it may be changed."""


def node_container(name: str, args: NodeArgs, place: NodePlace, opts: pulumi.ResourceOptions) -> docker.Container:
    """The container of one node."""
    role, lease = place.role, args.lease
    candidate = lease if role == "writer" else None
    limits = args.settings.resources.writer if role == "writer" else args.settings.resources.reader
    spec = ContainerSpec(
        role=role,
        member=place.member,
        deployment=args.deployment,
        single=role == "writer",
        image=args.image if place.gate is None else pulumi.Output.all(args.image, place.gate).apply(_first),
        entrypoint=litefs_command(role, place.member, candidate),
        health=HEALTHY[role] if candidate is None else candidate_healthy(candidate.standby_reads),
        limits=limits,
        attachments=[
            Attachment(args.front_network, place.front_aliases),
            Attachment(args.replication_network, place.replication_aliases),
        ],
        uploads={
            LITEFS_CONFIG: render_litefs_yml(role, place.member, lease, args.settings.maintenance),
            **_seafowl_configs(role, args, candidate=candidate is not None),
        },
        envs={
            REPLICATION_NETWORK_ENV: args.replication_network,
            **_credentials(role, args),
            # Its read-only Seafowl has a reader's rights: one with the writer's would collect garbage.
            **(
                {f"{READER_PREFIX}{key}": value for key, value in _credentials("reader", args).items()}
                if candidate
                else {}
            ),
            **({"CONSUL_HTTP_TOKEN": args.consul_token} if lease and args.consul_token else {}),
        },
        volumes=dict(place.volumes),
        # LiteFS mounts FUSE: the one thing that needs a capability.
        capabilities=["CAP_SYS_ADMIN"],
        fuse=True,
        sysctls=_SYSCTLS,
    )
    return container(name, spec, opts)


def _first(values: Sequence[Any]) -> str:
    return values[0]


def _seafowl_configs(role: NodeRole, args: NodeArgs, *, candidate: bool) -> dict[str, str]:
    store = args.object_store.location
    if role == "reader":
        return {SEAFOWL_CONFIG: render_seafowl_toml("reader", args.settings, store)}
    standby = {STANDBY_CONFIG: render_seafowl_toml("reader", args.settings, store, standby=True)} if candidate else {}
    return {WRITER_CONFIG: render_seafowl_toml("writer", args.settings, store), **standby}


def _credentials(role: NodeRole, args: NodeArgs) -> dict[str, pulumi.Input[str]]:
    """The environment that makes a Seafowl a writer or a reader."""
    keys = args.object_store.writer if role == "writer" else args.object_store.reader
    return {
        ACCESS_KEY_ENV: keys.access_key_id,
        SECRET_KEY_ENV: keys.secret_access_key,
        **_token_hashes(role, args.tokens),
    }
