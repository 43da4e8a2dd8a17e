"""The whole stack, wired: what is declared, in which order it is needed, and what is exported."""

from functools import partial

import pulumi
import pulumi_docker as docker

from cluster.labels import DEPLOYMENT
from components.access_tokens import access_tokens
from components.checks import deployment_id, first_look, once_judged, when_healthy
from components.consul import Consul, ConsulArgs
from components.container import stack_labels
from components.ingress import Ingress, IngressArgs
from components.leftovers import nothing_left_behind, removed_before_creation
from components.object_store import ObjectStore, ObjectStoreArgs
from components.seafowl_node import NodeArgs
from components.seafowl_reader_pool import ReaderPoolArgs, SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from components.turns import Turns
from config.litefs import ConsulLease
from config.settings import Settings
from config.stack_config import StackConfig


def declare(config: StackConfig, image: pulumi.Input[str]) -> None:
    """Declare every resource and output of the stack. `image`: what `components.node_image` declared."""
    settings = config.settings
    removed_before_creation(config.docker)
    seen = first_look(config.docker)
    deployment = deployment_id(seen, settings)
    front = _network("front", deployment, internal=False)
    # MinIO, LiteFS and what they hold: no way out of it, and none in but through the nodes.
    back = _network("back", deployment, internal=True)

    object_store = ObjectStore(
        "object-store",
        ObjectStoreArgs(
            settings=settings.object_store,
            image=settings.images.minio,
            deployment=deployment,
            limits=settings.resources.object_store,
            retain_data=settings.retain_data,
            secrets=config.secrets,
            network=back.name,
        ),
    )
    tokens = access_tokens(settings.access, config.secrets)
    consul = _consul(config, deployment, back)
    node = NodeArgs(
        settings=settings,
        image=image,
        deployment=deployment,
        object_store=object_store,
        tokens=tokens,
        lease=None if consul is None else _lease(settings, consul),
        consul_token=config.secrets.get("consulToken"),
        front_network=front.name,
        replication_network=back.name,
    )
    servers = [] if consul is None else consul.containers
    writer = SeafowlWriter(
        "writer", node, after=[*object_store.containers, *servers], gate=Turns(config.docker, seen).gate
    )
    readers = SeafowlReaderPool("reader", ReaderPoolArgs(node=node, writer=writer))
    ingress = Ingress(
        "ingress",
        IngressArgs(
            settings=settings.ingress,
            access=settings.access,
            image=settings.images.nginx,
            deployment=deployment,
            limits=settings.resources.ingress,
            network=front.name,
            writer=writer,
            readers=readers,
            tls_key=config.secrets.get("tlsKey"),
        ),
    )

    healthy = when_healthy(
        config.docker, seen, consul=consul, object_store=object_store, writer=writer, readers=readers, ingress=ingress
    )
    nothing_left_behind(
        config.docker,
        seen,
        deployment,
        after=healthy,
        declared=[
            *(front, back, ingress.container, ingress.routes, *ingress.volumes),
            *([] if ingress.holder is None else [ingress.holder]),
            *(*object_store.containers, *servers, *writer.containers, *readers.containers),
        ],
    )
    outputs: dict[str, pulumi.Input[object]] = {
        "queryUrl": f"{ingress.url}/q",
        "writeUrl": f"{ingress.url}/w/q",
        "readers": settings.readers,
        **tokens.outputs,
        **({} if ingress.certificate is None else {"certificate": ingress.certificate}),
        "versions": _versions(settings),
    }
    judged = once_judged(deployment)
    for key, value in outputs.items():
        pulumi.export(key, judged.apply(partial(_itself, value)))


def _itself(value: pulumi.Input[object], _: None) -> pulumi.Input[object]:
    return value


def _network(name: str, deployment: pulumi.Input[str], internal: bool) -> docker.Network:
    labels = {**stack_labels(name), DEPLOYMENT: deployment}
    return docker.Network(
        name,
        internal=internal,
        labels=[docker.NetworkLabelArgs(label=key, value=value) for key, value in sorted(labels.items())],
    )


def _consul(config: StackConfig, deployment: pulumi.Input[str], network: docker.Network) -> Consul | None:
    settings = config.settings
    if settings.lease == "static":
        return None
    return Consul(
        "consul",
        ConsulArgs(
            settings=settings.consul,
            image=settings.images.consul,
            deployment=deployment,
            limits=settings.resources.consul,
            retain_data=settings.retain_data,
            network=network.name,
        ),
    )


def _lease(settings: Settings, consul: Consul) -> ConsulLease:
    return ConsulLease(
        url=consul.url,
        # A Consul of the user's may serve several stacks.
        key=f"{pulumi.get_project()}-{pulumi.get_stack()}/primary",
        ttl=settings.consul.known_ttl,
        lock_delay=settings.consul.lock_delay,
        standby_reads=settings.standby_reads,
    )


def _versions(settings: Settings) -> dict[str, str]:
    """The image of each part that runs."""
    images = settings.images
    nodes = {"node": images.node} if images.node else {"seafowl": images.seafowl, "litefs": images.litefs}
    store = {"minio": images.minio} if settings.object_store.minio is not None else {}
    own_consul = settings.lease == "consul" and settings.consul.address is None
    return {**nodes, **store, **({"consul": images.consul} if own_consul else {}), "nginx": images.nginx}
