"""Ingress: NGINX, the one part that is reached from outside."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.container import Attachment, ContainerSpec, container
from components.seafowl_reader_pool import SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from config.layout import INGRESS_PORT, NGINX_CONFIG
from config.nginx import HEALTHY, render_nginx_conf
from config.settings import IngressSettings, Limits

_UNPRIVILEGED = "101:101"
"""User and group `nginx` of the official image. NGINX needs no root: its port is above 1024, its files are in /tmp."""


@dataclass(frozen=True)
class IngressArgs:
    """What an ingress is made of."""

    settings: IngressSettings
    image: str
    deployment: pulumi.Input[str]
    limits: Limits
    network: pulumi.Input[str]
    """The network that writer and readers are reached on. MinIO and LiteFS are not on it."""

    writer: SeafowlWriter
    readers: SeafowlReaderPool


class Ingress(pulumi.ComponentResource):
    """NGINX with the routes to writer and readers."""

    container: docker.Container
    """NGINX."""

    url: str
    """Where the cluster is reached from the Docker host."""

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("seafowl:index:Ingress", name, None, opts)
        image = docker.RemoteImage(
            f"{name}-image", name=args.image, keep_locally=True, opts=pulumi.ResourceOptions(parent=self)
        )
        settings = args.settings
        spec = ContainerSpec(
            role="ingress",
            member=name,
            deployment=args.deployment,
            single=True,
            image=image.image_id,
            entrypoint=["nginx", "-g", "daemon off;"],
            health=HEALTHY,
            limits=args.limits,
            attachments=[Attachment(args.network)],
            uploads={NGINX_CONFIG: render_nginx_conf(settings)},
            envs={},
            volumes={},
            user=_UNPRIVILEGED,
            ports=[
                docker.ContainerPortArgs(
                    internal=INGRESS_PORT, external=settings.port, ip=settings.bind_address, protocol="tcp"
                )
            ],
        )
        opts = pulumi.ResourceOptions(
            parent=self,
            # Two containers cannot publish one port of the host, so the old one goes first.
            delete_before_replace=True,
            depends_on=[args.writer.container, *args.readers.containers],
        )
        self.container = container(name, spec, opts)
        self.url = f"http://{_reachable(settings.bind_address)}:{settings.port}"
        self.register_outputs({"url": self.url})


def _reachable(address: str) -> str:
    """`address` as it is written in a URL; from the host itself where it stands for every interface."""
    if address == "0.0.0.0":
        return "127.0.0.1"
    if address == "::":
        return "[::1]"
    return f"[{address}]" if ":" in address else address
