"""The whole stack, wired: what is declared, in which order it is needed, and what is exported."""

import pulumi
import pulumi_docker as docker

from cluster.labels import DEPLOYMENT
from components.access_tokens import access_tokens
from components.checks import deployment_id, first_look, when_healthy
from components.container import stack_labels
from components.ingress import Ingress, IngressArgs
from components.object_store import ObjectStore, ObjectStoreArgs
from components.seafowl_node import NodeArgs
from components.seafowl_reader_pool import ReaderPoolArgs, SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from config.settings import ImageSettings
from config.stack_config import StackConfig


def declare(config: StackConfig, image: pulumi.Input[str]) -> None:
    """Declare every resource and output of the stack. `image`: what `components.node_image` declared."""
    settings = config.settings
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
    node = NodeArgs(
        settings=settings,
        image=image,
        deployment=deployment,
        object_store=object_store,
        tokens=tokens,
        front_network=front.name,
        replication_network=back.name,
    )
    writer = SeafowlWriter("writer", node)
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

    when_healthy(config.docker, seen, object_store=object_store, writer=writer, readers=readers, ingress=ingress)
    pulumi.export("queryUrl", f"{ingress.url}/q")
    pulumi.export("writeUrl", f"{ingress.url}/w/q")
    pulumi.export("readers", settings.readers)
    for key, token in tokens.outputs.items():
        pulumi.export(key, token)
    if ingress.certificate is not None:
        pulumi.export("certificate", ingress.certificate)
    pulumi.export("versions", _versions(settings.images, own_store=settings.object_store.minio is not None))


def _network(name: str, deployment: pulumi.Input[str], internal: bool) -> docker.Network:
    labels = {**stack_labels(name), DEPLOYMENT: deployment}
    return docker.Network(
        name,
        internal=internal,
        labels=[docker.NetworkLabelArgs(label=key, value=value) for key, value in sorted(labels.items())],
    )


def _versions(images: ImageSettings, own_store: bool) -> dict[str, str]:
    """The image of each part that runs."""
    nodes = {"node": images.node} if images.node else {"seafowl": images.seafowl, "litefs": images.litefs}
    store = {"minio": images.minio} if own_store else {}
    return {**nodes, **store, "nginx": images.nginx}
