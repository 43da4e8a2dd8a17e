"""The stack: config → networks, ObjectStore, SeafowlWriter, SeafowlReaderPool, Ingress → outputs."""

import gc

# Garbage is not collected: this process ends with the `up`, and each walk over all that is imported costs it more time
# than there is garbage to free.
gc.disable()

import asyncio
from importlib import import_module

import pulumi

from cluster.engine import ClusterError
from cluster.preflight import reach
from config import stack_config
from config.problems import ConfigError

try:
    config = stack_config.load()
    reach(config.docker)
except (ConfigError, ClusterError) as error:
    raise pulumi.RunError(str(error)) from None

# Only now: importing the provider's SDK takes longer than refusing a config.
from components.node_image import node_image


def unheard(*_: object, **__: object) -> None:
    """Say nothing."""


# Pulumi's SDK sends the engine a message of its own for every property of every resource, one after the other, which
# `pulumi up --debug` alone shows, beside what the engine itself says there of each resource: 0.1 s of an `up`.
pulumi.log.debug = unheard


async def program() -> None:
    """Declare the whole stack."""
    # Pulumi starts the Docker provider at its first resource. It does so while the rest of the program is imported: in
    # a thread, because no resource is registered while this one imports.
    image = node_image(config.settings.images)
    await asyncio.to_thread(import_module, "components.stack")
    from components.stack import declare  # noqa: PLC0415

    declare(config, image)
    # At its end Python collects garbage once more; what is there by now is left out.
    gc.freeze()


pulumi.run(program)
