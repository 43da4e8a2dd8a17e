"""In which order the candidates are changed: one at a time, the primary last.

So writes pause once, however many candidates there are: when the primary goes, every other one is as new as it will be.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import pulumi
import pulumi_docker as docker

from cluster.engine import DockerHost
from cluster.health import Member, await_member, first_that
from cluster.preflight import Seen, members_of
from components.checks import reported, tell
from components.seafowl_node import IS_PRIMARY


class Turns:
    """Whose turn it is, found out once in an `up`."""

    def __init__(self, host: DockerHost, seen: pulumi.Output[Seen]) -> None:
        self._host = host
        self._seen = seen
        self._order: asyncio.Future[list[str]] | None = None

    def gate(self, member: str, candidates: Mapping[str, docker.Container]) -> pulumi.Output[None]:
        """Resolves when `member` may be changed: when the candidate before it is, and could take over from it.

        Where neither is there yet, as in a new stack, they need not wait for each other. `candidates` has all of them
        by the time that the program is through.
        """

        async def wait() -> None:
            seen = await self._seen.future()
            if pulumi.runtime.is_dry_run() or seen is None:
                return
            there = members_of(seen, pulumi.get_project(), pulumi.get_stack())
            order = await self._found(list(candidates), there)
            if member == order[0]:
                return
            before = order[order.index(member) - 1]
            container_id = await candidates[before].id.future()
            if container_id and {before, member} & there.keys():
                one = Member(before, container_id)
                await asyncio.to_thread(reported, partial(await_member, report=tell), self._host, one)

        # Not by `apply`: Pulumi would take that for a dependency of `member`'s inputs, and remove `member` before it
        # replaces the one that it waits for. Then nobody could take over.
        return pulumi.Output.from_input(wait())

    async def _found(self, candidates: Sequence[str], there: Mapping[str, str]) -> list[str]:
        if self._order is None:
            self._order = asyncio.ensure_future(asyncio.to_thread(reported, self._find, candidates, there))
        return await self._order

    def _find(self, candidates: Sequence[str], there: Mapping[str, str]) -> list[str]:
        """All candidates in their turns, given the containers that are there.

        One that is alone has its turn first: beside a writer with a static lease, which knows of no election, a new
        candidate would be elected with nothing in its catalog.
        """
        present = [Member(name, there[name]) for name in candidates if name in there]
        primary = first_that(self._host, IS_PRIMARY, present) if len(present) > 1 else None
        if primary is None:
            return list(candidates)
        others = [one.name for one in present if one != primary]
        return [*others, primary.name, *(name for name in candidates if name not in there)]
