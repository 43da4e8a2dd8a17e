"""Where the program looks at the Docker host: before it changes anything, and after everything is declared.

Each is one look at what Docker says (the last one waits, within bounds); nothing is created or exported here.
"""

import asyncio
import secrets
from collections.abc import Sequence

import pulumi

from cluster.engine import ClusterError, DockerHost
from cluster.health import Member, Route, await_healthy
from cluster.preflight import check_deployment
from components.ingress import Ingress
from components.object_store import ObjectStore
from components.seafowl_reader_pool import SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from config.nginx import answering


def deployment_id(host: DockerHost) -> pulumi.Output[str]:
    """Id of this deployment, made once and kept in the state.

    Containers carry it as a label, so none is made before it is known that no other deployment of the same stack name
    runs on the host.
    """
    stash = pulumi.Stash(
        "deployment",
        input=secrets.token_hex(4),
        opts=pulumi.ResourceOptions(ignore_changes=["input"]),
    )

    async def checked(deployment: str) -> str:
        try:
            await asyncio.to_thread(check_deployment, host, pulumi.get_project(), pulumi.get_stack(), deployment)
        except ClusterError as error:
            raise pulumi.RunError(str(error)) from None
        return deployment

    return stash.output.apply(checked)


def when_healthy(
    host: DockerHost,
    object_store: ObjectStore,
    writer: SeafowlWriter,
    readers: SeafowlReaderPool,
    ingress: Ingress,
) -> pulumi.Output[None]:
    """Resolves once the whole cluster is healthy and answers through the ingress; fails the `up` where it does not.

    Runs at every `up`, also when nothing changed. A preview has no containers to look at.
    """
    parts = [
        *(("object-store", container) for container in object_store.containers),
        ("writer-0", writer.container),
        *((f"reader-{index}", container) for index, container in enumerate(readers.containers)),
        ("ingress", ingress.container),
    ]

    async def look(ids: Sequence[str]) -> None:
        if pulumi.runtime.is_dry_run():
            return
        members = [Member(name, container_id) for (name, _), container_id in zip(parts, ids, strict=True)]
        routes = [
            Route(members[-1], [one for one in members if one.name.startswith(f"{role}-")], answering(role))
            for role in ("writer", "reader")
        ]
        try:
            await asyncio.to_thread(
                await_healthy, host, members, routes, lambda text: pulumi.log.info(text, ephemeral=True)
            )
        except ClusterError as error:
            raise pulumi.RunError(str(error)) from None

    return pulumi.Output.all(*(part.id for _, part in parts)).apply(look)
