"""Where the program looks at the Docker host: before it changes anything, and after everything is declared.

Each is one look at what Docker says (the last one waits, within bounds); nothing is created or exported here.
"""

import asyncio
import secrets
from collections.abc import Sequence

import pulumi
import pulumi_docker as docker

from cluster.engine import ClusterError, DockerHost
from cluster.health import Member, await_healthy
from cluster.preflight import check_deployment


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


def when_healthy(host: DockerHost, containers: Sequence[tuple[str, docker.Container]]) -> pulumi.Output[None]:
    """Resolves once all containers are healthy, looked at in the order given; fails the `up` where one is not.

    Runs at every `up`, also when nothing changed. A preview has no containers to look at.
    """

    async def look(ids: Sequence[str]) -> None:
        if pulumi.runtime.is_dry_run():
            return
        members = [Member(name, container_id) for (name, _), container_id in zip(containers, ids, strict=True)]
        try:
            await asyncio.to_thread(await_healthy, host, members, lambda text: pulumi.log.info(text, ephemeral=True))
        except ClusterError as error:
            raise pulumi.RunError(str(error)) from None

    return pulumi.Output.all(*(container.id for _, container in containers)).apply(look)
