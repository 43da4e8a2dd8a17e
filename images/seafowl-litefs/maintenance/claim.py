"""Who writes to a bucket and prefix: one cluster. Seafowl's commits overwrite those of a second one (0.5.8).

Each writer that lives says so once a minute, in an object of its own. Whoever comes later, and sees another, withdraws.
Times are of the store's own clock.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from maintenance.store import Store

ALIVE = timedelta(minutes=3)
"""A writer that has not been seen for so long is gone."""

_FOLDER = "_writers"
_ID = re.compile(r"[A-Za-z0-9._-]+")


class StrangerError(Exception):
    """Another cluster writes there, and was there first."""


@dataclass(frozen=True)
class _Claim:
    owner: str
    since: datetime
    seen: datetime


def claim(store: Store, owner: str) -> None:
    """Say that `owner` writes there. Raises StrangerError where another one was there first, and StoreError."""
    own = next((one for one in _claims(store) if one.owner == owner), None)
    store.put(_path(owner), b"" if own is None else _since(own.since))
    seen = store.modified(_path(owner))
    since = own.since if own is not None and own.seen > seen - ALIVE else seen
    if own is None or since != own.since:
        store.put(_path(owner), _since(since))
    for other in _claims(store):
        lives = other.seen > seen - ALIVE
        if other.owner != owner and lives and (other.since, other.owner) < (since, owner):
            release(store, owner)
            raise StrangerError(
                f"another cluster writes to the same bucket and prefix: {other.owner}, since "
                f"{other.since:%Y-%m-%d %H:%M} UTC. Two overwrite each other's rows: give each a bucket or a prefix of "
                "its own"
            )


def release(store: Store, owner: str) -> None:
    """Say that `owner` writes there no more. Raises StoreError."""
    store.delete([_path(owner)])


def _claims(store: Store) -> Iterator[_Claim]:
    for one in store.list(_FOLDER):
        owner, _, kind = one.name.rpartition(".")
        content = store.get(one.path) if kind == "json" else None
        if content is not None:
            # (Without a time it is new: its owner adds that at once.)
            since = datetime.fromisoformat(json.loads(content)["since"]) if content else one.modified
            yield _Claim(owner, since, one.modified)


def _path(owner: str) -> str:
    if not _ID.fullmatch(owner):
        raise ValueError(f"{owner!r} cannot be the name of an object")
    return f"{_FOLDER}/{owner}.json"


def _since(moment: datetime) -> bytes:
    return json.dumps({"since": moment.isoformat()}).encode()
