"""The lease in Consul by which LiteFS is the primary, and for how long this node may rely on it.

LiteFS renews its session with an HTTP client that has no timeout (0.5.14, consul/consul.go): cut off, it can believe to
be the primary long after another was elected. So the supervisor looks for itself, and leaves a sign in Consul each time
(beside the lease's key): when the sign stays the same for a ttl, the holder has stopped taking writes, or is gone.
"""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from supervisor.http_client import HttpError, Names, Server

_CONFIRMED = "/confirmed"
"""What the key of the sign has after the lease's."""

_TAKING_SECONDS = 1.0
"""LiteFS takes the lease some milliseconds before it says that it is the primary: for that long, it is not stale."""

_CLOCKS_DIFFER = 1.05
"""Two machines' clocks run at speeds that differ by less."""


@dataclass(frozen=True)
class Holder:
    """Who has the lease."""

    hostname: str
    session: str


@dataclass(frozen=True)
class _Seen:
    """What Consul had, once."""

    holder: Holder | None
    confirmed: int
    """Consul's index of the holder's last confirmation; 0 where there was none, as with its supervisor not started."""


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
        self._key = f"{prefix}/{key}" if prefix else key
        self._path = quote(self._key)
        self._consul = Server(f"{parts.scheme}://{parts.netloc}", names, {"X-Consul-Token": token} if token else {})
        self._timeout = min(1.0, ttl / 3)
        self.hostname = hostname
        self.ttl = ttl
        self.expires = 0.0
        """Time (`time.monotonic`) until which no other node can have been elected."""

        self._watched: tuple[_Seen, float] | None = None

    @property
    def confirmed(self) -> float:
        """Time (`time.monotonic`) of the question that the last confirmation answered."""
        return self.expires - self.ttl

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
        holder = (await self._look()).holder
        if holder is None or holder.hostname != self.hostname:
            self.forget()
            raise HttpError(f"{'nobody' if holder is None else holder.hostname} has the lease")
        await self._put(f"/v1/session/renew/{holder.session}")
        # Locked by the session, so that it can be written only while the session lives, and goes with it.
        # Another value each time: Consul does not count a write that changes nothing.
        sign = str(time.time_ns()).encode()
        await self._put(f"/v1/kv/{self._path}{_CONFIRMED}?acquire={holder.session}", sign)
        self.expires = asked + self.ttl

    @property
    def seen_holder(self) -> str | None:
        """Hostname of the holder when `tidy` last looked: empty where there was none, None where that is not known."""
        if self._watched is None:
            return None
        holder = self._watched[0].holder
        return "" if holder is None else holder.hostname

    async def tidy(self) -> str | None:
        """On a node that is not the primary, time and again: end a lease that nobody lives by any more, so that an
        election need not wait for Consul, which lets a session live for two ttls. Returns what was done, in words.
        Raises HttpError.
        """
        asked = time.monotonic()
        try:
            seen = await self._look()
        except HttpError:
            self._watched = None  # what happened meanwhile is not known: watch for a whole ttl again
            raise
        if self._watched is None or self._watched[0] != seen:
            self._watched = (seen, time.monotonic())
            return None
        holder, unchanged = seen.holder, asked - self._watched[1]
        if holder is None:
            return None
        if holder.hostname == self.hostname and unchanged > _TAKING_SECONDS:
            await self._release(holder)
            return "gave back a lease that LiteFS did not know of any more"
        # Its supervisor relies on the lease for a ttl from before the last confirmation, and then takes no more writes.
        if holder.hostname != self.hostname and seen.confirmed and unchanged > self.ttl * _CLOCKS_DIFFER:
            await self._put(f"/v1/session/destroy/{holder.session}")
            return f"ended the lease of {holder.hostname}, which was not confirmed for {self.ttl:g} s"
        return None

    async def give_back(self) -> bool:
        """Give back the lease that this node's last run left behind; call it only while LiteFS does not run here.
        Returns whether there was one; raises HttpError.
        """
        holder = (await self._look()).holder
        if holder is None or holder.hostname != self.hostname:
            return False
        await self._release(holder)
        return True

    async def has_cluster(self) -> bool:
        """Whether a node has founded LiteFS's cluster. Raises HttpError."""
        answer = await self._consul.request("GET", f"/v1/kv/{self._path}/clusterid?consistent", self._timeout)
        if answer.status not in (200, 404):
            raise HttpError(f"Consul did not tell the cluster's id: status {answer.status}")
        return answer.status == 200  # noqa: PLR2004 (OK)

    async def _look(self) -> _Seen:
        """What Consul has, by the quorum's word, not by one server's memory."""
        answer = await self._consul.request("GET", f"/v1/kv/{self._path}?recurse&consistent", self._timeout)
        if answer.status == 404:  # noqa: PLR2004 (no such key)
            return _Seen(None, 0)
        try:
            entries: dict[str, dict[str, Any]] = {entry["Key"]: entry for entry in answer.json()}
            lease = entries.get(self._key, {})
            if not lease.get("Session"):
                return _Seen(None, 0)
            hostname = str(json.loads(base64.b64decode(lease["Value"]))["hostname"])
            confirmed = entries.get(self._key + _CONFIRMED, {})
            current = confirmed.get("Session") == lease["Session"]
            return _Seen(Holder(hostname, lease["Session"]), int(confirmed["ModifyIndex"]) if current else 0)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HttpError(f"the lease's key in Consul has another value than LiteFS's: {error!r}") from error

    async def _release(self, holder: Holder) -> None:
        # Released before its session ends, or Consul would make the next one wait for the lock-delay. With an empty
        # value, which is what LiteFS takes for no primary.
        await self._put(f"/v1/kv/{self._path}?release={holder.session}")
        await self._put(f"/v1/session/destroy/{holder.session}")

    async def _put(self, path: str, body: bytes = b"") -> None:
        answer = await self._consul.request("PUT", path, self._timeout, body)
        if answer.status != 200 or answer.body.strip() == b"false":  # noqa: PLR2004 (OK)
            raise HttpError(f"Consul refused {path.partition('?')[0].rpartition('/')[0]}: status {answer.status}")
