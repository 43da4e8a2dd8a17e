"""Where the program looks at the Docker host: before it changes anything, and after everything is declared.

Each is one look at what Docker says (the last one waits, within bounds); nothing is created or exported here.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import pulumi

from cluster.engine import ClusterError, DockerHost
from cluster.health import Configuration, Member, Route, await_healthy
from cluster.preflight import Claim, Seen, judge, look, members_of
from components.consul import Consul
from components.container import fixed_name
from components.ingress import Ingress
from components.object_store import ObjectStore
from components.seafowl_reader_pool import SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from config.ingress_start import REFUSED
from config.nginx import RUNNING, answering
from config.settings import MinioSettings, Settings

_T = TypeVar("_T")

_HOLDER = "ingress-certificate"

SETTLED_SECONDS = 70
"""Age of a configuration from which Docker's health checks of the ingress have surely judged it (there are two of them
in a minute, `components.container`).
"""


def first_look(host: DockerHost) -> pulumi.Output[Seen]:
    """What is on the Docker host before anything is changed."""

    async def looked() -> Seen:
        # In a thread, and before anything else is known: it overlaps with the start of the provider.
        return await asyncio.to_thread(reported, look, host)

    return pulumi.Output.from_input(looked())


def deployment_id(seen: pulumi.Output[Seen], settings: Settings) -> pulumi.Output[str]:
    """Id of this deployment, made once and kept in the state.

    Containers carry it as a label, and networks and data volumes wait for it, so none is made, replaced or removed
    before what is on the host was judged (`cluster.preflight`).
    """
    stash = pulumi.Stash(
        "deployment",
        input=secrets.token_hex(4),
        opts=pulumi.ResourceOptions(ignore_changes=["input"]),
    )

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
            ports=_ports(settings),
            candidates=settings.writer_candidates if settings.lease == "consul" else None,
            consul_servers=settings.consul.servers if settings.consul.address is None else None,
            cpus=max(
                one.cpus or 0
                for one in (limits.writer, limits.reader, limits.object_store, limits.ingress, limits.consul)
            ),
            places=now,
            places_before=before,
        )
        reported(judge, what_was_seen, claim)
        return deployment

    return pulumi.Output.all(stash.output, seen, places, kept.output).apply(checked)


def once_judged(deployment: pulumi.Output[str]) -> pulumi.Output[None]:
    """Resolves once the host was judged, in a preview too; fails where it was found unfit.

    For what the stack exports: else a refused `up` would leave outputs that tell of a cluster which is not there.
    """

    async def judged() -> None:
        # Not by `apply`: in the preview of a new stack the id is not known, and so would be no output.
        await deployment.future()

    return pulumi.Output.from_input(judged())


def _ports(settings: Settings) -> dict[str, int]:
    tls = settings.ingress.tls
    redirect = {} if tls is None or tls.redirect_port is None else {"ingress.tls.redirectPort": tls.redirect_port}
    return {"ingress.port": settings.ingress.port, **redirect}


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


def _settled(ids: set[str], seen: Seen) -> bool:
    """Whether all of these containers were there for a while."""
    created = {one["Id"]: one["Created"] for one in seen.containers if one["Id"] in ids}
    return created.keys() == ids and all(time.time() - then > SETTLED_SECONDS for then in created.values())


def when_healthy(
    host: DockerHost,
    seen: pulumi.Output[Seen],
    *,
    consul: Consul | None,
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
        *((f"consul-{index}", server) for index, server in enumerate(consul.containers if consul is not None else [])),
        *((f"writer-{index}", container) for index, container in enumerate(writer.containers)),
        *((f"reader-{index}", container) for index, container in enumerate(readers.containers)),
        *((_HOLDER, holder) for holder in (ingress.holder,) if holder is not None),
        ("ingress", ingress.container),
    ]

    async def look(known: Sequence[Any]) -> None:
        if pulumi.runtime.is_dry_run():
            return
        routes_id, fingerprint, seen, *ids = known
        members = [Member(name, container_id) for (name, _), container_id in zip(parts, ids, strict=True)]
        names = {one.name for one in members}
        there = members_of(seen, pulumi.get_project(), pulumi.get_stack())
        # One that goes hands its lease over as it stops, after this.
        leaving = [Member(*one) for one in there.items() if one[0].startswith("writer-") and one[0] not in names]
        routes = [
            Route(
                members[-1],
                [one for one in members if one.name.startswith(f"{role}-")],
                answering(role),
                # Of the candidates, the primary alone.
                one_is_enough=role == "writer",
                # Without the lease that is kept there, nobody is the primary.
                needs=[one for one in members if role == "writer" and one.name.startswith("consul-")],
                leaving=leaving if role == "writer" else [],
            )
            for role in ("writer", "reader")
        ]
        configuration = Configuration(
            ingress=members[-1],
            fingerprint=fingerprint,
            # The routes are in one container, the certificate in another.
            is_new=not _settled({routes_id, *(one.container_id for one in members if one.name == _HOLDER)}, seen),
            running=RUNNING,
            refused=REFUSED,
        )
        await asyncio.to_thread(reported, partial(await_healthy, report=tell), host, members, routes, configuration)

    return pulumi.Output.all(ingress.routes.id, ingress.fingerprint, seen, *(part.id for _, part in parts)).apply(look)


def tell(text: str) -> None:
    """Show `text` while pulumi works."""
    pulumi.log.info(text, ephemeral=True)


def reported(call: Callable[..., _T], *arguments: Any) -> _T:
    """What `call` returns; its `ClusterError` as the one error that pulumi prints without a traceback."""
    try:
        return call(*arguments)
    except ClusterError as error:
        raise pulumi.RunError(str(error)) from None
