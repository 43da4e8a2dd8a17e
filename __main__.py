"""The stack: config → networks, ObjectStore, SeafowlWriter, SeafowlReaderPool, Ingress → outputs."""

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
from components.stack import declare

declare(config)
