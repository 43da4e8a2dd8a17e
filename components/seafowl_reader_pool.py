"""SeafowlReaderPool: any number of stateless nodes that follow the writer's catalog and read table data."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.seafowl_node import NodeArgs, NodePlace, node_container
from components.seafowl_writer import SeafowlWriter
from config.layout import READERS_ALIAS


@dataclass(frozen=True)
class ReaderPoolArgs:
    """What a pool of readers is made of."""

    node: NodeArgs
    writer: SeafowlWriter


class SeafowlReaderPool(pulumi.ComponentResource):
    """`settings.readers` readers, found under one network name."""

    containers: list[docker.Container]
    """The readers, in the order of their numbers."""

    def __init__(self, name: str, args: ReaderPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("seafowl:index:SeafowlReaderPool", name, None, opts)
        self.containers = []
        for index in range(args.node.settings.readers):
            member = f"{name}-{index}"
            place = NodePlace(role="reader", member=member, front_aliases=[READERS_ALIAS])
            opts = pulumi.ResourceOptions(
                parent=self,
                # A reader owns nothing, so its successor can start beside it; the old one goes when the new one serves.
                delete_before_replace=False,
                depends_on=args.writer.containers,
                # A new catalog volume is a new LiteFS cluster, which a reader of the old one never joins.
                replace_with=[args.writer.catalogs[0]],
            )
            self.containers.append(node_container(member, args.node, place, opts))
        self.register_outputs({"readers": len(self.containers)})
