"""What a returning primary had not replicated: LiteFS overwrites it silently, so it is kept aside and reported.

A node that is the primary has a mark in LiteFS's data folder. Where the mark is still there when the node is the
primary no more, its catalog is copied before LiteFS can overwrite it, and compared when LiteFS follows a primary again:
if our last transaction is part of the new history, nothing was lost, and the copy goes. Other starts do nothing.
"""

import json
import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from supervisor.litefs import Position
from supervisor.log import say

_KEPT = 5
"""How many lost catalogs are kept, the newest."""

_FILES = {"database": "", "journal": "-journal", "wal": "-wal"}
"""LiteFS's names for the files of a database → what SQLite appends to the database's name for them."""

_CHECKSUMS_BYTES = 16
"""An LTX file ends with the checksum of the database after it, and one of the file itself, 8 bytes each."""


@dataclass(frozen=True)
class _Copy:
    """A catalog that was copied and not yet compared."""

    folder: Path
    position: Position
    replicated: int


class Lost:
    """What was not replicated, in LiteFS's data folder `data` for the database called `name`. Raises OSError."""

    def __init__(self, data: Path, name: str) -> None:
        self._database = data / "dbs" / name
        self._name = name
        self._folder = data / "lost"
        self._mark = data / "was-primary.json"
        self._copy: _Copy | None = None
        self._marked: int | None = None

    @property
    def pending(self) -> bool:
        """Whether a copy waits to be compared."""
        return self._copy is not None

    def mark(self, replicated: int) -> None:
        """This node is the primary, and its standbys have the transactions up to `replicated`."""
        if replicated == self._marked:
            return
        new = self._mark.with_suffix(".new")
        new.write_text(json.dumps({"replicated": replicated}))
        new.replace(self._mark)
        self._marked = replicated

    def unmark(self) -> None:
        """This node has no transaction that another does not have."""
        self._mark.unlink(missing_ok=True)
        self._marked = None

    def keep(self) -> None:
        """Copy the catalog, if this node was the primary and may have transactions of its own."""
        if not self._mark.exists():
            return
        last = self._last()
        replicated = self._replicated()
        if last is None or last.txid <= replicated:
            self.unmark()
            return
        copy = self._folder / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S-%fZ}.pending"
        copy.mkdir(parents=True)
        for file, suffix in _FILES.items():
            source = self._database / file
            if source.exists():
                shutil.copyfile(source, copy / f"{self._name}{suffix}")
        (copy / "kept.json").write_text(
            json.dumps({"txid": last.txid, "checksum": last.checksum, "replicated": replicated})
        )
        self.unmark()

    def find(self) -> None:
        """Take up the copy that was made before LiteFS's start, if there is one."""
        for folder in sorted(self._folder.glob("*.pending")):
            if self._copy is not None:
                shutil.rmtree(self._copy.folder)  # of an earlier crash: what it had is in the later one, too
            try:
                kept = json.loads((folder / "kept.json").read_text())
            except (OSError, ValueError):
                shutil.rmtree(folder)  # cut off while it was made; the mark made another
                continue
            self._copy = _Copy(folder, Position(kept["txid"], kept["checksum"]), kept["replicated"])

    def compare(self, is_primary: bool) -> None:
        """See whether the copy's last transaction is part of the history that LiteFS has by now."""
        copy = self._copy
        if copy is None:
            return
        last = self._last()
        if last == copy.position and not is_primary:
            return  # not connected yet, or nothing was written since: both can still become either
        if last is not None and last.txid >= copy.position.txid and copy.position in self._ends_of(copy.position.txid):
            shutil.rmtree(copy.folder)
        else:
            self._report(copy)
        self._copy = None

    def _report(self, copy: _Copy) -> None:
        lost = copy.folder.with_suffix("")
        copy.folder.replace(lost)
        number = copy.position.txid - copy.replicated
        say(
            f"this node was the primary, and up to {number} of its last transactions (from number "
            f"{copy.replicated + 1} to {copy.position.txid}) are not in the history that goes on. "
            f"Its catalog as it was is kept: sqlite3 {lost / self._name}"
        )
        for old in sorted(self._folder.glob("*Z"))[:-_KEPT]:
            shutil.rmtree(old)

    def _replicated(self) -> int:
        try:
            return int(json.loads(self._mark.read_text())["replicated"])
        except (ValueError, KeyError, TypeError):
            return 0

    def _last(self) -> Position | None:
        """Where the database stands by LiteFS's transaction files."""
        ends = [_last_txid(file) for file in self._transaction_files()]
        return next(iter(self._ends_of(max(ends))), None) if ends else None

    def _ends_of(self, txid: int) -> list[Position]:
        """The position after transaction `txid`, as the files that end with it have it."""
        return [
            Position(txid, checksum)
            for file in self._transaction_files()
            if _last_txid(file) == txid and (checksum := _checksum(file)) is not None
        ]

    def _transaction_files(self) -> list[Path]:
        return list((self._database / "ltx").glob("????????????????-????????????????.ltx"))


def _last_txid(file: Path) -> int:
    return int(file.stem.split("-")[1], 16)


def _checksum(file: Path) -> str | None:
    """The database's checksum after the transactions in `file`; None where LiteFS removed it meanwhile."""
    try:
        return file.read_bytes()[-_CHECKSUMS_BYTES : -_CHECKSUMS_BYTES // 2].hex()
    except FileNotFoundError:
        return None
