"""What an `up` that was killed had made, and was not written down any more: it is removed by the next one.

A container of a fixed name would be in the way of its successor, so it goes before that is made: a hook of the engine,
which runs only where one is made. Anything else goes at the end, when it is known what belongs to the stack.
"""

import asyncio
import json
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pulumi

from cluster.engine import DockerHost
from cluster.labels import DEPLOYMENT
from cluster.leftovers import Thing, made_by, make_way, remove
from cluster.preflight import Seen
from components.checks import reported, tell

_CONTAINER = "docker:index/container:Container"


def removed_before_creation(host: DockerHost) -> None:
    """From now on, whatever has the fixed name of a container goes before that is made.

    An engine that replaces such a container has removed the old one by then (`delete_before_replace`), so what still
    has the name is no part of the stack. What another deployment made is left alone; Docker refuses the name then.
    """

    async def make(args: pulumi.ResourceHookArgs) -> None:
        inputs: Mapping[str, Any] = args.new_inputs or {}
        labels = {one["label"]: one["value"] for one in inputs.get("labels", [])}
        call = partial(make_way, host, inputs["name"], labels[DEPLOYMENT], report=tell)
        await asyncio.to_thread(reported, call)

    before = pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("remove-leftover", make)])

    def bind(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.type_ != _CONTAINER or args.props.get("name") is None:
            return None
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=before))
        return pulumi.ResourceTransformationResult(args.props, opts)

    pulumi.runtime.register_stack_transformation(bind)


def nothing_left_behind(
    host: DockerHost,
    seen: pulumi.Output[Seen],
    deployment: pulumi.Output[str],
    *,
    after: pulumi.Output[None],
    declared: Sequence[pulumi.CustomResource],
) -> None:
    """Once `after` has resolved, remove what was there before this `up` and neither the program nor the state knows.

    The state is asked only where something is not declared: that may also be what this `up` removes at its end.
    """

    async def look(known: Sequence[Any]) -> None:
        if not pulumi.runtime.is_dry_run():
            found, own, _, *ids = known
            suspects = [thing for thing in made_by(found, own) if thing.id not in ids]
            if suspects:
                await asyncio.to_thread(_remove_unknown, host, suspects)

    pulumi.Output.all(seen, deployment, after, *(one.id for one in declared)).apply(look)


def _remove_unknown(host: DockerHost, suspects: Sequence[Thing]) -> None:
    known = _known()
    if known is not None:
        for refusal in reported(partial(remove, report=tell), host, [one for one in suspects if one.id not in known]):
            pulumi.log.warn(refusal)


def _known() -> set[str] | None:
    """Ids of all that the state has now; None where pulumi does not tell: then nothing is removed."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    # As a program: the engine tells a program nothing of what is to be removed. It does not wait for this `up`'s lock.
    command = ["pulumi", "stack", "export", "--stack", stack, "--non-interactive"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        pulumi.log.warn(f"what an `up` that was killed may have left behind cannot be told: {done.stderr.strip()}")
        return None
    resources: list[dict[str, Any]] = json.loads(done.stdout)["deployment"].get("resources") or []
    return {one["id"] for one in resources if "id" in one} or None
