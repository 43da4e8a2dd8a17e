"""SeafowlWriter: the one node that writes, LiteFS's primary, with the catalog in a volume of its own."""

import pulumi
import pulumi_docker as docker

from components.container import data_volume, fixed_name
from components.seafowl_node import NodeArgs, NodePlace, node_container
from config.layout import LITEFS_DATA_DIR, WRITER, WRITERS_ALIAS


class SeafowlWriter(pulumi.ComponentResource):
    """The writer and its catalog."""

    container: docker.Container
    """The node."""

    catalog: docker.Volume
    """LiteFS's data: the catalog and its transaction files. A new one is a new LiteFS cluster."""

    def __init__(self, name: str, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("seafowl:index:SeafowlWriter", name, None, opts)
        member = f"{name}-0"
        self.catalog = data_volume(
            f"{member}-catalog",
            physical_name=fixed_name(f"{member}-catalog"),
            role="writer",
            retain=args.settings.retain_data,
            deployment=args.deployment,
            parent=self,
        )
        place = NodePlace(
            role="writer",
            member=member,
            front_aliases=[WRITERS_ALIAS],
            replication_aliases=[WRITER],
            volumes={LITEFS_DATA_DIR: self.catalog.name},
        )
        # Two writers must never open one catalog, so the old one goes first: writes pause, reads do not.
        opts = pulumi.ResourceOptions(parent=self, delete_before_replace=True, depends_on=args.object_store.containers)
        self.container = node_container(member, args, place, opts)
        self.register_outputs({"containerName": self.container.name})
