"""SeafowlWriter: the node that writes, LiteFS's primary, with the catalog in a volume of its own; or its candidates."""

from collections.abc import Callable, Mapping, Sequence

import pulumi
import pulumi_docker as docker

from components.container import data_volume, fixed_name
from components.seafowl_node import NodeArgs, NodePlace, node_container
from config.layout import CANDIDATES_ALIAS, LITEFS_DATA_DIR, READERS_ALIAS, WRITERS_ALIAS

Gate = Callable[[str, Mapping[str, docker.Container]], pulumi.Output[None]]
"""Given a candidate's name and, by name, all that there will be: resolves when that one may be changed."""


class SeafowlWriter(pulumi.ComponentResource):
    """The writer and its catalog; with a lease in Consul, all nodes that may become it."""

    containers: list[docker.Container]
    """The writer, or the candidates in the order of their numbers."""

    catalogs: list[docker.Volume]
    """LiteFS's data of each: the catalog and its transaction files. A new first one is a new LiteFS cluster."""

    def __init__(
        self,
        name: str,
        args: NodeArgs,
        *,
        after: Sequence[docker.Container],
        gate: Gate,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("seafowl:index:SeafowlWriter", name, None, opts)
        self.containers, self.catalogs = [], []
        candidates: dict[str, docker.Container] = {}
        for index in range(args.settings.writer_candidates if args.lease is not None else 1):
            member = f"{name}-{index}"
            its_turn = gate(member, candidates) if args.lease is not None else None
            candidates[member] = self._node(member, args, after, its_turn)
        self.containers = list(candidates.values())
        self.register_outputs({"containerNames": [container.name for container in self.containers]})

    def _node(
        self, member: str, args: NodeArgs, after: Sequence[docker.Container], gate: pulumi.Output[None] | None
    ) -> docker.Container:
        catalog = data_volume(
            f"{member}-catalog",
            physical_name=fixed_name(f"{member}-catalog"),
            role="writer",
            retain=args.settings.retain_data,
            deployment=args.deployment,
            parent=self,
        )
        serves_reads = args.lease is not None and args.lease.standby_reads
        place = NodePlace(
            role="writer",
            member=member,
            front_aliases=[WRITERS_ALIAS, *([READERS_ALIAS] if serves_reads else [])],
            replication_aliases=[member, *([CANDIDATES_ALIAS] if args.lease is not None else [])],
            volumes={LITEFS_DATA_DIR: catalog.name},
            gate=gate,
        )
        opts = pulumi.ResourceOptions(
            parent=self,
            # Two writers must never open one catalog, so the old one goes first: writes pause, reads do not.
            delete_before_replace=True,
            depends_on=[*after],
        )
        self.catalogs.append(catalog)
        return node_container(member, args, place, opts)
