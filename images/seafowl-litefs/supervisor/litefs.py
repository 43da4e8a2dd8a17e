"""LiteFS's HTTP API (0.5.14, http/server.go), and the position that it shows in its mount."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.http_client import HttpError, Names, Server


@dataclass(frozen=True)
class Position:
    """Where a database stands: the number of its last transaction, and the checksum of all pages after it."""

    txid: int = 0
    checksum: str = ""

    def __str__(self) -> str:
        return f"{self.txid:016x}/{self.checksum}"


@dataclass(frozen=True)
class Info:
    """What a LiteFS says of itself."""

    is_primary: bool
    primary: str
    """Hostname of the primary as its lease has it; empty where there is none, or none that is reached."""

    node_id: str
    """Changes with every start."""


class LiteFS:
    """One node's LiteFS. Every method raises HttpError; times are in seconds."""

    def __init__(self, url: str, names: Names) -> None:
        self._server = Server(url, names)

    async def info(self, timeout: float) -> Info:
        """Its role. (`.primary` in the mount is no substitute: it is also missing while the primary is not reached.)"""
        answer = await self._server.request("GET", "/info", timeout)
        document = answer.json()
        primary: Any = document.get("primary") or {}
        return Info(
            is_primary=document.get("isPrimary") is True,
            primary=str(primary.get("hostname") or ""),
            node_id=answer.headers.get("litefs-id", ""),
        )

    async def position(self, database: str, timeout: float) -> Position:
        """Where its copy of `database` stands; the start where there is none."""
        answer = await self._server.request("GET", "/debug/vars", timeout)
        try:
            found = answer.json()["store"]["dbs"].get(database)
            return Position() if found is None else Position(int(found["txid"], 16), str(found["checksum"]))
        except (KeyError, TypeError, ValueError) as error:
            raise HttpError(f"/debug/vars has no positions: {error!r}") from error

    async def hand_over(self, node_id: str, timeout: float) -> None:
        """Make the connected node `node_id` the primary. Returns when LiteFS has set out to do it."""
        answer = await self._server.request("POST", f"/handoff?nodeID={node_id}", timeout)
        if answer.status != 200:  # noqa: PLR2004 (OK)
            raise HttpError(answer.body[:200].decode(errors="replace").strip())


def mounted_position(catalog: Path) -> Position:
    """Where the mounted database stands, from its `-pos` file. Blocks while LiteFS does not answer; raises OSError."""
    try:
        text = catalog.with_name(f"{catalog.name}-pos").read_text()
    except FileNotFoundError:
        return Position()
    txid, _, checksum = text.strip().partition("/")
    try:
        return Position(int(txid, 16), checksum)
    except ValueError as error:
        raise OSError(f"{catalog.name}-pos holds no position: {text!r}") from error
