"""The lease in Consul by which LiteFS is the primary, and for how long this node may rely on it.

LiteFS renews its session with an HTTP client that has no timeout (0.5.14, consul/consul.go): cut off, it can believe to
be the primary long after another was elected. So the supervisor looks for itself.
"""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from supervisor.http_client import HttpError, Names, Server


@dataclass(frozen=True)
class Holder:
    """Who has the lease."""

    hostname: str
    session: str


class Lease:
    """The lease of LiteFS's cluster, as Consul has it.

    `url` and `key` are those of litefs.yml's `lease.consul` (a path in `url` goes before `key`, as in LiteFS);
    `hostname` is this node's in litefs.yml; `ttl` is in seconds.
    """

    def __init__(
        self, url: str, key: str, *, hostname: str, ttl: float, names: Names, token: str | None = None
    ) -> None:
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        self._key = quote(f"{prefix}/{key}" if prefix else key)
        self._consul = Server(f"{parts.scheme}://{parts.netloc}", names, {"X-Consul-Token": token} if token else {})
        self._timeout = min(1.0, ttl / 3)
        self.hostname = hostname
        self.ttl = ttl
        self.expires = 0.0
        """Time (`time.monotonic`) until which no other node can have been elected."""

    def left(self) -> float:
        """Seconds for which the lease is still certain; 0 or less when it is not."""
        return self.expires - time.monotonic()

    def is_held(self) -> bool:
        """Whether the lease is ours, for certain, now."""
        return self.left() > 0

    def forget(self) -> None:
        """Rely on it no more."""
        self.expires = 0.0

    async def confirm(self) -> None:
        """Prove that the lease is ours, and renew it; call it only while LiteFS itself says that it is the primary, for
        a LiteFS that hangs must lose its lease. Raises HttpError, and then `expires` is as it was.
        """
        # From before the first request: however long the answers take, Consul keeps the session for a ttl after it.
        asked = time.monotonic()
        holder = await self.holder()
        if holder is None or holder.hostname != self.hostname:
            self.forget()
            raise HttpError(f"{'nobody' if holder is None else holder.hostname} has the lease")
        renewed = await self._consul.request("PUT", f"/v1/session/renew/{holder.session}", self._timeout)
        if renewed.status != 200:  # noqa: PLR2004 (OK)
            raise HttpError(f"Consul did not renew the session: status {renewed.status}")
        self.expires = asked + self.ttl

    async def holder(self) -> Holder | None:
        """Who has the lease, by the quorum's word, not by one server's memory; raises HttpError."""
        answer = await self._consul.request("GET", f"/v1/kv/{self._key}?consistent", self._timeout)
        if answer.status == 404:  # noqa: PLR2004 (no such key)
            return None
        try:
            entry: dict[str, Any] = answer.json()[0]
            session = entry.get("Session")
            if not session:
                return None
            return Holder(str(json.loads(base64.b64decode(entry["Value"]))["hostname"]), str(session))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise HttpError(f"the lease's key in Consul has another value than LiteFS's: {error!r}") from error

    async def release(self, holder: Holder) -> None:
        """Give the lease back that this node holds by mistake, so that the next primary need not wait until it expires:
        after a crash, or after an outage of Consul. Raises HttpError.
        """
        # Released before its session ends, or Consul would make the next one wait for the lock-delay.
        for path in (f"/v1/kv/{self._key}?release={holder.session}", f"/v1/session/destroy/{holder.session}"):
            answer = await self._consul.request("PUT", path, self._timeout)
            if answer.status != 200:  # noqa: PLR2004 (OK)
                raise HttpError(f"Consul did not release the lease: status {answer.status}")
