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

_PRE_APPLY_CHECKSUM = slice(40, 48)
"""Where an LTX file has the checksum of the database before it (superfly/ltx 0.3.14, ltx.go)."""

_TRAILER_BYTES = 16
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

    def keep(self, replicated: int = 0) -> None:
        """Copy the catalog, if this node was the primary and may have transactions of its own: later ones than
        `replicated`, where more is known than the mark says.
        """
        if not self._mark.exists():
            return
        last = self._last()
        replicated = max(replicated, self._replicated())
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
        """See whether the history that goes on was built on the copy's last transaction. Call it while this node is the
        primary, or LiteFS follows one.
        """
        copy = self._copy
        if copy is None:
            return
        if self._last() == copy.position:
            if not is_primary:
                return  # not connected yet, or nothing was written since: it can still become either
        elif self._before(copy.position.txid + 1) != copy.position.checksum:
            # (Also where LiteFS took a snapshot because it was away for longer than it keeps single transactions.)
            self._report(copy)
            self._copy = None
            return
        shutil.rmtree(copy.folder)
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
        """Where the database stands by LiteFS's transaction files; None where there are none."""
        last = max(self._database.glob("ltx/????????????????-????????????????.ltx"), key=_last_txid, default=None)
        if last is None:
            return None
        return Position(_last_txid(last), last.read_bytes()[-_TRAILER_BYTES : -_TRAILER_BYTES // 2].hex())

    def _before(self, txid: int) -> str | None:
        """The database's checksum before transaction `txid`, by its file; None where LiteFS has no file of it alone."""
        try:
            header = (self._database / "ltx" / f"{txid:016x}-{txid:016x}.ltx").read_bytes()
        except FileNotFoundError:
            return None
        return header[_PRE_APPLY_CHECKSUM].hex()


def _last_txid(file: Path) -> int:
    return int(file.stem.split("-")[1], 16)
