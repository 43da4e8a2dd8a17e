"""The other candidates: which of them have all that was written here.

LiteFS replicates asynchronously, and elects any candidate. So an acknowledgement waits for every candidate that is
**in step**: one that was seen with exactly our position, and has kept up since. One that does not keep up within the
limit is waited for no more, until it has caught up: a standby that is away costs one wait, not one a write.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from supervisor.http_client import HttpError, Names
from supervisor.litefs import LiteFS, Position
from supervisor.log import say

_ASK_SECONDS = 0.5
_PAUSE_SECONDS = 0.005


class _Standby:
    """Another candidate, by its address."""

    def __init__(self, litefs: LiteFS, database: str) -> None:
        self.litefs = litefs
        self.position = Position()
        self.in_step = False
        self._database = database
        self._asking: asyncio.Task[None] | None = None

    async def ask(self) -> None:
        """Ask for its position; whoever asks meanwhile shares the answer. Keeps the last one when there is none."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        await asyncio.shield(self._asking)

    async def _ask(self) -> None:
        try:
            self.position = await self.litefs.position(self._database, _ASK_SECONDS)
        except HttpError:
            await asyncio.sleep(_PAUSE_SECONDS)


class Standbys:
    """All other candidates.

    `alias`: the name on the replication network that all candidates share, None where there are none; `own`: URL of
    this node's LiteFS there (the others' listen on the same port). `limit`: seconds that an acknowledgement waits for a
    standby. `position` tells our own position.
    """

    def __init__(
        self,
        alias: str | None,
        *,
        own: str,
        database: str,
        limit: float,
        names: Names,
        position: Callable[[], Awaitable[Position]],
    ) -> None:
        self._alias = alias
        parts = urlsplit(own)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._database = database
        self._limit = limit
        self._names = names
        self._position = position
        self._standbys: dict[str, _Standby] = {}
        self._said: int | None = None
        self.replicated = 0
        """The last transaction that all standbys in step were seen to have."""

    def forget(self) -> None:
        """Trust nothing that was seen before: what a standby had while another was the primary proves nothing."""
        self._standbys.clear()
        self._said = None
        self.replicated = 0

    def _in_step(self) -> list[_Standby]:
        return [standby for standby in self._standbys.values() if standby.in_step]

    async def look(self) -> None:
        """Look once who is there, and who has caught up. Raises OSError where our position cannot be read."""
        if self._alias is None:
            return
        await self._find(self._alias)
        before = await self._position()
        await asyncio.gather(*(standby.ask() for standby in self._standbys.values()))
        after = await self._position()
        for standby in self._standbys.values():
            # Exactly ours, not merely as far: what a returning primary had not replicated has a number, too.
            if not standby.in_step and standby.position.txid > 0 and standby.position in (before, after):
                standby.in_step = True
        in_step = self._in_step()
        if in_step:
            self.replicated = max(self.replicated, min(standby.position.txid for standby in in_step))
        self._say()

    async def _find(self, alias: str) -> None:
        try:
            own = await self._names.addresses(self._host)
            found = set(await self._names.addresses(alias)) - set(own)
        except OSError:
            return  # no answer says nothing about who is there
        for address in found - self._standbys.keys():
            self._standbys[address] = _Standby(LiteFS(f"http://{address}:{self._port}", self._names), self._database)
        for address in self._standbys.keys() - found:
            del self._standbys[address]

    async def wait_for(self, txid: int) -> bool:
        """Return when every standby in step has transaction `txid`; those that do not in time are out of step then.
        Returns whether all other candidates have it, and there is one.
        """
        end = time.monotonic() + self._limit
        while behind := [standby for standby in self._in_step() if standby.position.txid < txid]:
            left = end - time.monotonic()
            if left <= 0:
                for standby in behind:
                    standby.in_step = False
                break
            asking = [asyncio.ensure_future(standby.ask()) for standby in behind]
            _, pending = await asyncio.wait(asking, timeout=left)
            for ask in pending:
                ask.cancel()
        in_step = self._in_step()
        if in_step:
            self.replicated = max(self.replicated, txid)
        self._say()
        return len(in_step) == len(self._standbys) > 0

    async def successor(self, position: Position, seconds: float) -> LiteFS | None:
        """A standby that has exactly `position`, as soon as there is one within `seconds`."""
        end = time.monotonic() + seconds
        while self._standbys:
            await asyncio.gather(*(standby.ask() for standby in self._standbys.values()))
            for standby in self._standbys.values():
                if standby.position == position:
                    return standby.litefs
            if time.monotonic() >= end:
                break
            await asyncio.sleep(0.02)
        return None

    def _say(self) -> None:
        """One line when the number of standbys in step has changed."""
        number = len(self._in_step())
        if number == self._said:
            return
        self._said = number
        if number:
            say(f"writes are acknowledged when {number} standby{'s' if number > 1 else ''} in step have them")
        else:
            say("no standby is in step: writes are acknowledged without one, and would be lost with this node")
