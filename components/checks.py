"""Where the program looks at the Docker host: before it changes anything, and after everything is declared.

Each is one look at what Docker says (the last one waits, within bounds); nothing is created or exported here.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pulumi

from cluster.engine import ClusterError, DockerHost
from cluster.health import Member, Route, await_healthy
from cluster.preflight import Claim, Seen, judge, look
from components.container import fixed_name
from components.ingress import Ingress
from components.object_store import ObjectStore
from components.seafowl_reader_pool import SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from config.nginx import answering
from config.settings import MinioSettings, Settings

_T = TypeVar("_T")


def deployment_id(host: DockerHost, settings: Settings) -> pulumi.Output[str]:
    """Id of this deployment, made once and kept in the state.

    Containers carry it as a label, and networks and data volumes wait for it, so none is made, replaced or removed
    before the host was looked at (`cluster.preflight`).
    """
    stash = pulumi.Stash(
        "deployment",
        input=secrets.token_hex(4),
        opts=pulumi.ResourceOptions(ignore_changes=["input"]),
    )

    async def looked() -> Seen:
        # In a thread, and before anything else is known: it overlaps with the start of the provider.
        return await asyncio.to_thread(_reported, look, host)

    seen = pulumi.Output.from_input(looked())
    places = seen.apply(lambda known: {**_places(settings), "Docker Engine": known.engine_id})
    kept = pulumi.Stash("data-location", input=places, opts=pulumi.ResourceOptions(ignore_changes=["input"]))

    def checked(known: Sequence[Any]) -> str:
        deployment, what_was_seen, now, before = known
        limits = settings.resources
        claim = Claim(
            project=pulumi.get_project(),
            stack=pulumi.get_stack(),
            deployment=deployment,
            bind_address=settings.ingress.bind_address,
            port=settings.ingress.port,
            cpus=max(one.cpus or 0 for one in (limits.writer, limits.reader, limits.object_store, limits.ingress)),
            places=now,
            places_before=before,
        )
        _reported(judge, what_was_seen, claim)
        return deployment

    return pulumi.Output.all(stash.output, seen, places, kept.output).apply(checked)


def _places(settings: Settings) -> dict[str, str]:
    """Where the config has the stack's data."""
    store = settings.object_store
    if store.s3 is not None:
        place = f"S3 at {store.s3.endpoint or store.s3.region}"
        bucket = f"{store.s3.bucket}/{store.s3.prefix or ''}"
    else:
        minio = store.minio or MinioSettings()
        place = f"MinIO, volume {minio.volume or fixed_name('object-store')}"
        bucket = minio.bucket
    return {"table data": place, "bucket": bucket, "catalog": f"volume {fixed_name('writer-0-catalog')}"}


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
        await asyncio.to_thread(_reported, await_healthy, host, members, routes, _tell)

    return pulumi.Output.all(*(part.id for _, part in parts)).apply(look)


def _tell(text: str) -> None:
    pulumi.log.info(text, ephemeral=True)


def _reported(call: Callable[..., _T], *arguments: Any) -> _T:
    """What `call` returns; its `ClusterError` as the one error that pulumi prints without a traceback."""
    try:
        return call(*arguments)
    except ClusterError as error:
        raise pulumi.RunError(str(error)) from None
