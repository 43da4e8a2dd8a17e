"""The stack: config → networks, ObjectStore, SeafowlWriter, SeafowlReaderPool, Ingress → outputs."""

import gc

# Garbage is not collected: this process ends with the `up`, and each walk over all that is imported costs it more time
# than there is garbage to free.
gc.disable()

import pulumi  # noqa: E402

from cluster.engine import ClusterError  # noqa: E402
from cluster.preflight import reach  # noqa: E402
from config import stack_config  # noqa: E402
from config.problems import ConfigError  # noqa: E402

try:
    config = stack_config.load()
    reach(config.docker)
except (ConfigError, ClusterError) as error:
    raise pulumi.RunError(str(error)) from None

# Only now: importing the provider's SDK takes longer than refusing a config.
from components.stack import declare  # noqa: E402

declare(config)
# At its end Python collects garbage once more; what is there by now is left out.
gc.freeze()
