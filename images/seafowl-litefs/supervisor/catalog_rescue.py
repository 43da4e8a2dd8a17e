"""Before LiteFS starts: wait until its copy of the catalog is sound, and put another in its place when one is sent.

`ops.rescue_catalog` sends one through Docker: files in a folder of their own below `rescue/` of LiteFS's data folder,
and `order.json` last, which makes the order complete. This node's own check judges what was sent. Nothing is deleted:
what was there moves to `damaged/<name of the order's folder>/`.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from supervisor.catalog_check import CLUSTER, DATABASES, MARK, Copy, DamagedCatalogError, check
from supervisor.catalog_mend import mend
from supervisor.log import say

INBOX, DAMAGED = "rescue", "damaged"
ORDER = "order.json"
"""`{"action": "replace", "from": <name of a node>}`, with the files of its data folder beside it; or
`{"action": "rejoin"}`: start with nothing, and get the catalog from the primary.
"""

_BEGUN = "begun.json"
_LOOK_SECONDS = 2.0
_SAY_SECONDS = 60.0

_REPLACED = (DATABASES, CLUSTER)
_GOES = "was-primary.json"
"""Of a copy of the catalog in LiteFS's data folder: what a new copy has, and what it has not."""

_WHAT_TO_DO = (
    "LiteFS is not started, and nothing is changed. Bring the catalog back from a reader or another candidate: "
    "`make rescue-catalog`, or `python -m ops.rescue_catalog` (docs/catalog.md). This node waits for it."
)


def wait_until_sound(data: Path, name: str) -> None:
    """Return once LiteFS can start on the database `name` in its data folder `data`, or on none.

    Says what is wrong, and again every minute; looks every two seconds whether a file has changed. It has no other end:
    let SIGTERM raise SystemExit.
    """
    # What was begun is finished, whatever it looks like: half of it may look like a node that is new.
    for order in _orders(data, _BEGUN):
        _finish(data, order)
    while True:
        state = _state(data)
        found = _found(data, name)
        if isinstance(found, Copy):
            break
        orders = _orders(data, ORDER)
        if orders:
            _take(data, name, orders[-1])
        elif (mended := _mended(data, name)) is not None:
            say(f"a transaction was cut off; number {mended} gives LiteFS the free pages that it left behind")
        else:
            say(f"the catalog is damaged: {found} {_WHAT_TO_DO}")
            _await_change(data, state)
    if found.txid > 0:
        remember(data)
    for order in _orders(data, ORDER):
        say(f"the catalog is sound: the order to replace it is not followed, and is kept in {_keep(data, order)}")


def remember(data: Path) -> None:
    """Mark that there is a catalog in this data folder: its absence is damage from now on."""
    with suppress(OSError):  # a full disk: the next start has another try
        (data / MARK).touch()


def _found(data: Path, name: str) -> Copy | str:
    """The copy, or what is wrong with it."""
    try:
        return check(data, name)
    except (DamagedCatalogError, OSError) as error:
        return str(error)


def _mended(data: Path, name: str) -> int | None:
    try:
        return mend(data, name)
    except OSError:
        return None  # a full disk: not worse than before


def _orders(data: Path, file: str) -> list[Path]:
    """The folders below the inbox with an order that is complete (or begun), the oldest first."""
    return sorted(found.parent for found in (data / INBOX).glob(f"*/{file}"))


def _await_change(data: Path, before: set[tuple[str, int, int]]) -> None:
    """Return when a file of the catalog has changed or an order has come, and after a minute anyway."""
    end = time.monotonic() + _SAY_SECONDS
    while time.monotonic() < end and _state(data) == before:
        time.sleep(_LOOK_SECONDS)


def _state(data: Path) -> set[tuple[str, int, int]]:
    """Every file that counts, with what changes when it does."""
    walked = (Path(folder, file) for folder, _, files in os.walk(data / DATABASES) for file in files)
    state: set[tuple[str, int, int]] = set()
    for file in (data / CLUSTER, *walked, *(order / ORDER for order in _orders(data, ORDER))):
        with suppress(OSError):  # gone meanwhile
            seen = file.stat()
            state.add((str(file), seen.st_ino, seen.st_ctime_ns))
    return state


def _take(data: Path, name: str, order: Path) -> None:
    """Follow an order, if what was sent is sound."""
    try:
        wanted: dict[str, str] = json.loads((order / ORDER).read_text())
        if wanted["action"] not in ("replace", "rejoin"):
            raise ValueError(f"what is {wanted['action']}?")
        sent = check(order, name) if wanted["action"] == "replace" else None
        if sent is not None and sent.txid == 0:
            raise ValueError("it has no catalog")
    except (DamagedCatalogError, OSError, ValueError, KeyError, TypeError) as error:
        say(f"what was sent to replace the catalog cannot be used, and is kept in {_keep(data, order)}: {error}")
        return
    # From here on, it is finished at the next start, too.
    (order / ORDER).rename(order / _BEGUN)
    kept = _finish(data, order)
    came = f"the copy of {wanted.get('from')} (transaction {sent.txid})" if sent is not None else "nothing: it rejoins"
    say(f"the damaged catalog is kept in {kept}, and in its place is {came}")


def _finish(data: Path, order: Path) -> Path:
    """Move the damaged catalog away, and what was sent to its place; where this was cut off, what is left of it.
    Returns where the damaged one is.
    """
    rejoins = json.loads((order / _BEGUN).read_text())["action"] == "rejoin"
    kept = data / DAMAGED / order.name
    kept.mkdir(parents=True, exist_ok=True)
    away = (_GOES, *_REPLACED, MARK) if rejoins else (_GOES,)
    # As long as the new file is in the order, what has its place is the damaged one.
    new = [file for file in _REPLACED if (order / file).exists()]
    for file in (*away, *new):
        if (data / file).exists():
            (data / file).rename(kept / file)
        if file in new:
            (order / file).rename(data / file)
    os.sync()
    order.rename(kept / "order")
    return kept


def _keep(data: Path, order: Path) -> Path:
    """Put an order aside that is not followed; returns where it is."""
    kept = data / DAMAGED / f"{order.name}-not-used"
    kept.parent.mkdir(exist_ok=True)
    order.rename(kept)
    return kept
