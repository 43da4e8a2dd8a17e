"""What writer and readers share: the container in which LiteFS runs Seafowl."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from components.access_tokens import AccessTokens
from components.container import Attachment, ContainerSpec, container
from components.object_store import ObjectStore
from config.layout import LITEFS_CONFIG, LITEFS_PORT, SEAFOWL_CONFIG, SEAFOWL_PORT
from config.litefs import REPLICATION_NETWORK_ENV, NodeRole, render_litefs_yml
from config.seafowl import ACCESS_KEY_ENV, READ_ACCESS_ENV, SECRET_KEY_ENV, WRITE_ACCESS_ENV, render_seafowl_toml
from config.settings import Settings

_SERVES = f"curl --fail --silent --output /dev/null http://127.0.0.1:{SEAFOWL_PORT}/healthz"
# No pipe: its shell may end before its programs do, and LiteFS, the container's first process, reaps no orphans.
_INFO = f'expr "$(curl --fail --silent http://$HOSTNAME.${REPLICATION_NETWORK_ENV}:{LITEFS_PORT}/info)"'

HEALTHY: dict[NodeRole, str] = {
    "writer": f"{_SERVES} && {_INFO} : '.*\"isPrimary\": *true' >/dev/null",
    # A node that is not connected names no primary. (It also reports a lag of 0, which proves nothing.)
    "reader": f'{_SERVES} && {_INFO} : \'.*"hostname": *"[^"]\' >/dev/null',
}
"""Shell command that succeeds while the node serves, and is the primary or follows one."""


@dataclass(frozen=True)
class NodeArgs:
    """What a node is made of, whatever its role."""

    settings: Settings
    image: pulumi.Input[str]
    deployment: pulumi.Input[str]
    object_store: ObjectStore
    tokens: AccessTokens
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


def node_container(name: str, args: NodeArgs, place: NodePlace, opts: pulumi.ResourceOptions) -> docker.Container:
    """The container of one node."""
    role = place.role
    credentials = args.object_store.writer if role == "writer" else args.object_store.reader
    limits = args.settings.resources.writer if role == "writer" else args.settings.resources.reader
    spec = ContainerSpec(
        role=role,
        member=place.member,
        deployment=args.deployment,
        single=role == "writer",
        image=args.image,
        entrypoint=["litefs", "mount", "-config", LITEFS_CONFIG],
        health=HEALTHY[role],
        limits=limits,
        attachments=[
            Attachment(args.front_network, place.front_aliases),
            Attachment(args.replication_network, place.replication_aliases),
        ],
        uploads={
            LITEFS_CONFIG: render_litefs_yml(role),
            SEAFOWL_CONFIG: render_seafowl_toml(role, args.settings, args.object_store.location),
        },
        envs={
            REPLICATION_NETWORK_ENV: args.replication_network,
            ACCESS_KEY_ENV: credentials.access_key_id,
            SECRET_KEY_ENV: credentials.secret_access_key,
            **_token_hashes(role, args.tokens),
        },
        volumes=dict(place.volumes),
        # LiteFS mounts FUSE: the one thing that needs a capability.
        capabilities=["CAP_SYS_ADMIN"],
        fuse=True,
    )
    return container(name, spec, opts)
