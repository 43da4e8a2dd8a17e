"""Ingress: NGINX, the one part that is reached from outside."""

import hashlib
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.container import Attachment, ContainerSpec, carrier, container, part_image, scratch_volume
from components.credentials import self_signed_certificate
from components.seafowl_reader_pool import SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from config.ingress_settings import AccessSettings, IngressSettings, TlsSettings
from config.ingress_start import ACCEPTED, CERTIFICATE_READY, render_certificate_start, render_ingress_start
from config.layout import (
    CERTIFICATE,
    CERTIFICATE_START,
    INGRESS_PORT,
    INGRESS_REDIRECT_PORT,
    NGINX_CONFIG,
    NGINX_START,
)
from config.nginx import HEALTHY, render_nginx_conf
from config.nginx_cache import SCRIPTS
from config.settings import Limits

_USER = 101
_UNPRIVILEGED = f"{_USER}:{_USER}"
"""User and group `nginx` of the official image. NGINX needs no root: its port is above 1024, its files are in /tmp."""


@dataclass(frozen=True)
class IngressArgs:
    """What an ingress is made of."""

    settings: IngressSettings
    access: AccessSettings
    image: str
    deployment: pulumi.Input[str]
    limits: Limits
    network: pulumi.Input[str]
    """The network that writer and readers are reached on. MinIO and LiteFS are not on it."""

    writer: SeafowlWriter
    readers: SeafowlReaderPool
    tls_key: pulumi.Output[str] | None
    """Key of `settings.tls.certificate`, a secret output."""


class Ingress(pulumi.ComponentResource):
    """NGINX with the routes to writer and readers."""

    container: docker.Container
    """NGINX."""

    routes: docker.Container
    """What carries nginx.conf and its scripts to NGINX. It never runs; a new nginx.conf is a new one of it."""

    holder: docker.Container | None
    """What holds the certificate, where there is one."""

    volumes: list[docker.Volume]
    """What both put their files on."""

    fingerprint: pulumi.Output[str]
    """Of the configuration that NGINX should run with (`config.ingress_start`)."""

    certificate: pulumi.Output[str] | None
    """The certificate, as PEM text, where there is one."""

    url: str
    """Where the cluster is reached from the Docker host."""

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("seafowl:index:Ingress", name, None, opts)
        settings = args.settings
        image = part_image(name, args.image, self)
        conf = render_nginx_conf(settings, args.access)
        config = scratch_volume(f"{name}-config", role="ingress", deployment=args.deployment, parent=self)
        self.routes = carrier(
            f"{name}-routes",
            role="ingress",
            deployment=args.deployment,
            image=image.image_id,
            volume=config.name,
            folder=_folder(NGINX_CONFIG),
            files={**SCRIPTS, NGINX_CONFIG: conf},
            parent=self,
        )
        self.volumes = [config]
        mounts: dict[str, pulumi.Input[str]] = {NGINX_CONFIG: config.name}
        certificate_file: pulumi.Output[str] = pulumi.Output.from_input("")
        self.certificate = self.holder = None
        if settings.tls is not None:
            self.certificate, key = self._pair(name, settings.tls, args)
            memory = scratch_volume(
                f"{name}-certificate", role="ingress", deployment=args.deployment, parent=self, in_memory_for=_USER
            )
            self.holder = self._holder(name, args, image=image, memory=memory, certificate=self.certificate, key=key)
            self.volumes.append(memory)
            mounts[CERTIFICATE] = memory.name
            certificate_file = pulumi.Output.concat(self.certificate, "\n", key, "\n")
        self.fingerprint = certificate_file.apply(
            lambda text: hashlib.sha256("".join([conf, *SCRIPTS.values(), text]).encode()).hexdigest()
        )
        spec = ContainerSpec(
            role="ingress",
            member=name,
            deployment=args.deployment,
            single=True,
            image=image.image_id,
            entrypoint=["sh", NGINX_START],
            health=f"{HEALTHY} && {ACCEPTED}",
            limits=args.limits,
            attachments=[Attachment(args.network)],
            uploads={NGINX_START: render_ingress_start()},
            envs={},
            volumes={_folder(path): volume for path, volume in mounts.items()},
            read_only_volumes=True,
            user=_UNPRIVILEGED,
            ports=_ports(settings),
        )
        opts = pulumi.ResourceOptions(
            parent=self,
            # Two containers cannot publish one port of the host, so the old one goes first.
            delete_before_replace=True,
            depends_on=[*args.writer.containers, *args.readers.containers, self.routes],
        )
        self.container = container(name, spec, opts)
        scheme = "http" if settings.tls is None else "https"
        self.url = f"{scheme}://{_reachable(settings.bind_address)}:{settings.port}"
        self.register_outputs({"url": self.url})

    def _pair(self, name: str, tls: TlsSettings, args: IngressArgs) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The certificate, and its key as a secret."""
        if tls.certificate is None or args.tls_key is None:
            return self_signed_certificate(f"{name}-self-signed", args.settings.bind_address, parent=self)
        return pulumi.Output.from_input(tls.certificate), args.tls_key

    def _holder(
        self,
        name: str,
        args: IngressArgs,
        *,
        image: docker.RemoteImage,
        memory: docker.Volume,
        certificate: pulumi.Output[str],
        key: pulumi.Output[str],
    ) -> docker.Container:
        """The container that puts certificate and key into NGINX's memory: a secret reaches containers through envs
        only, and NGINX's own cannot get another without being replaced.
        """
        member = f"{name}-certificate"
        spec = ContainerSpec(
            role="ingress-certificate",
            member=member,
            deployment=args.deployment,
            single=True,
            image=image.image_id,
            entrypoint=["sh", CERTIFICATE_START],
            health=CERTIFICATE_READY,
            limits=Limits(),
            attachments=[],
            uploads={CERTIFICATE_START: render_certificate_start()},
            envs={"TLS_CERTIFICATE": certificate, "TLS_KEY": key},
            volumes={_folder(CERTIFICATE): memory.name},
            user=_UNPRIVILEGED,
        )
        return container(member, spec, pulumi.ResourceOptions(parent=self, delete_before_replace=True))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _ports(settings: IngressSettings) -> list[docker.ContainerPortArgs]:
    published = {INGRESS_PORT: settings.port}
    if settings.tls is not None and settings.tls.redirect_port is not None:
        published[INGRESS_REDIRECT_PORT] = settings.tls.redirect_port
    return [
        docker.ContainerPortArgs(internal=internal, external=external, ip=settings.bind_address, protocol="tcp")
        for internal, external in published.items()
    ]


def _reachable(address: str) -> str:
    """`address` as it is written in a URL; from the host itself where it stands for every interface."""
    if address == "0.0.0.0":
        return "127.0.0.1"
    if address == "::":
        return "[::1]"
    return f"[{address}]" if ":" in address else address
