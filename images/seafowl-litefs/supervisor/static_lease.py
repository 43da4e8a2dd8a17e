"""The lease of a cluster with one writer for good: LiteFS's static lease, which nobody can take away."""

import math


class StaticLease:
    """Held as long as LiteFS says that this node is the primary. The interface is `supervisor.lease.Lease`'s."""

    ttl = math.inf
    confirmed = math.inf
    seen_holder = None

    def left(self) -> float:
        """Seconds for which the lease is certain."""
        return math.inf

    def is_held(self) -> bool:
        """Always: no other node can be elected."""
        return True

    def forget(self) -> None:
        """Do nothing: there is nothing to rely on that could end."""

    async def confirm(self) -> None:
        """Do nothing: nobody has to be asked."""

    async def tidy(self) -> str | None:
        """Do nothing: there is no lease of another node."""
        return None
