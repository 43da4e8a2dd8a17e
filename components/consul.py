"""Consul: where LiteFS's lease is kept. The stack's own servers, or one outside of it."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.container import Attachment, ContainerSpec, container, data_volume, fixed_name, part_image
from config.consul import HEALTHY, consul_command, server_name
from config.layout import CONSUL_ALIAS, CONSUL_DATA_DIR, CONSUL_PORT
from config.lease_settings import ConsulSettings
from config.settings import Limits


@dataclass(frozen=True)
class ConsulArgs:
    """What Consul is made of."""

    settings: ConsulSettings
    image: str
    deployment: pulumi.Input[str]
    limits: Limits
    retain_data: bool
    network: pulumi.Input[str]
    """The private network that the nodes reach it on."""


class Consul(pulumi.ComponentResource):
    """One or several Consul servers, found under one network name; or nothing, where the user has one."""

    url: str
    """Where the nodes reach it."""

    containers: list[docker.Container]
    """The servers, in the order of their numbers."""

    def __init__(self, name: str, args: ConsulArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("seafowl:index:Consul", name, None, opts)
        self.url = args.settings.address or f"http://{CONSUL_ALIAS}:{CONSUL_PORT}"
        self.containers = []
        if args.settings.address is None:
            image = part_image(name, args.image, self)
            for index in range(args.settings.servers):
                self.containers.append(self._server(index, args, image.image_id))
        self.register_outputs({"url": self.url})

    def _server(self, index: int, args: ConsulArgs, image: pulumi.Input[str]) -> docker.Container:
        member = server_name(index)
        volume = data_volume(
            f"{member}-data",
            physical_name=fixed_name(f"{member}-data"),
            role="consul",
            retain=args.retain_data,
            deployment=args.deployment,
            parent=self,
        )
        spec = ContainerSpec(
            role="consul",
            member=member,
            deployment=args.deployment,
            single=True,
            image=image,
            entrypoint=consul_command(index, args.settings.servers),
            health=HEALTHY,
            limits=args.limits,
            attachments=[Attachment(args.network, [CONSUL_ALIAS, member])],
            uploads={},
            envs={},
            volumes={CONSUL_DATA_DIR: volume.name},
        )
        # Two servers must never write to one volume, so the old one goes first; one server after the other, so that a
        # change of all leaves a quorum.
        return container(
            member,
            spec,
            pulumi.ResourceOptions(parent=self, delete_before_replace=True, depends_on=[*self.containers]),
        )
