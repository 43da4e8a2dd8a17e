"""Whether LiteFS would start on its own copy of the catalog, and have all of it, found out before it starts.

What LiteFS 0.5.14 does with a database at its start (`db.go`, `DB.Open`), and what this follows step by step, without a
change to any file:

1. A database that does not begin with SQLite's name is **deleted, its transaction files too**. The next catalog is an
   empty one, and every node that follows takes it over.
2. The last transaction file is verified. Where that fails, LiteFS ends.
3. A write-ahead log of another generation than the last transaction file's is put aside; a longer one is cut to it.
4. The journal of a transaction that was cut off is rolled back, the write-ahead log is copied into the database.
5. The last transaction file is applied (again), and the checksum of all pages must be the one that it says.

After a crash the files differ from each other. The transaction file gets its name in one step, when all of a
transaction is in the database (or in the write-ahead log), and the journal goes after that. So whatever was cut off,
steps 3 to 5 lead to the state after the last transaction file, and its checksum is the one to compare with, every time.

`python3 -m supervisor.catalog_check DATA NAME` tells the outcome as JSON.
"""

import json
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import SEEK_END, BytesIO
from pathlib import Path

from supervisor import ltx

MARK = "had-catalog"
"""A file in LiteFS's data folder: there was a catalog here, so that its absence is damage."""

CLUSTER = "clusterid"
DATABASES = "dbs"

_SQLITE = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_CLUSTER_ID = re.compile(rb"LFSC[0-9A-F]{16}\n?")

_JOURNAL = bytes.fromhex("d9d505f920a163d7")
_JOURNAL_HEADER_BYTES = 28
_JOURNAL_NOT_SYNCED, _JOURNAL_NEVER_SYNCED = 0, 0xFFFFFFFF
_JOURNAL_CHECKSUM_STEP = 200

_WAL_HEADER_BYTES, _WAL_FRAME_HEADER_BYTES = 32, 24
_WAL_LITTLE_ENDIAN, _WAL_BIG_ENDIAN = 0x377F0682, 0x377F0683
_CHECKSUM_MASK = 0xFFFFFFFF

_EMPTIED = "LiteFS would delete this copy and make an empty catalog, and every reader would follow it"
_ENDS = "LiteFS would end with an error, time and again"
_RENUMBERED = "LiteFS would count its transactions from 1 again, and the readers would give theirs up"
_EMPTY = "LiteFS would make an empty catalog, and every reader would follow it"
_FOUNDS = "LiteFS would found another cluster, which no reader of this one joins"
_NO_CLUSTER = "LiteFS would not start, or be in another cluster, which no reader of this one joins"


class DamagedCatalogError(Exception):
    """LiteFS must not start on this copy of the catalog."""

    def __init__(self, file: Path, wrong: str, otherwise: str) -> None:
        super().__init__(f"{file} {wrong}. {otherwise}.")


@dataclass(frozen=True)
class Copy:
    """A sound copy of the catalog."""

    cluster: str
    """Id of LiteFS's cluster; empty where this node has joined none."""

    txid: int
    """Number of its last transaction; 0 where there is no catalog yet."""

    checksum: str
    """Of all pages, in hexadecimal; empty where there is no catalog yet."""


def check(data: Path, name: str) -> Copy:
    """The copy of database `name` in LiteFS's data folder `data`, as LiteFS will have it once it has started.

    Call it only while LiteFS does not write there. Reads every byte of the database once (in Python: 0.1 s for 100 MB),
    and holds the last transaction file in memory. Raises DamagedCatalogError; OSError where a file cannot be read.
    """
    database = Database(data / DATABASES / name)
    last = ltx.last_file(database.folder / "ltx")
    if last is None:
        _must_be_new(data, database)
        return Copy(_cluster(data, needed=False), 0, "")
    try:
        transactions = ltx.read(last)
    except ltx.LtxError as error:
        raise DamagedCatalogError(last, str(error), _ENDS) from None
    cluster = _cluster(data, needed=True)
    _must_be_applied(database, last, transactions)
    parsed = ltx.parse_name(last.name)
    return Copy(cluster, parsed.last if parsed is not None else 0, f"{transactions.checksum:016x}")


def _cluster(data: Path, *, needed: bool) -> str:
    file = data / CLUSTER
    cluster = _read(file)
    if not cluster and not needed:
        return ""
    if not cluster:
        raise DamagedCatalogError(file, "is not there or empty, though there is a catalog", _FOUNDS)
    if _CLUSTER_ID.fullmatch(cluster) is None:
        raise DamagedCatalogError(file, "has no id of a cluster", _NO_CLUSTER)
    return cluster.decode().strip()


def _must_be_new(data: Path, database: "Database") -> None:
    """Without a transaction file, there may be no more than the beginning of the first transaction."""
    if database.is_first_transaction():
        if not (data / MARK).exists():
            return
        raise DamagedCatalogError(database.file, "is not there or empty, though there was a catalog", _EMPTY)
    raise DamagedCatalogError(
        database.folder / "ltx", "has no transaction file, though there is a database", _RENUMBERED
    )


def _must_be_applied(database: "Database", file: Path, last: ltx.Transactions) -> None:
    """Follow steps 1 and 3 to 5."""
    page_size = database.page_size()
    if last.commit == 0:
        return  # dropped: LiteFS removes the database
    if page_size not in (0, last.page_size):
        wrong = f"has pages of {page_size} bytes, and its last transaction {last.page_size}"
        raise DamagedCatalogError(database.file, wrong, _ENDS)
    rolling = ltx.RollingChecksum(last.page_size)
    for number, page in database.pages(last):
        if len(page) < last.page_size:
            wrong = f"has no page {number}, and {last.commit} pages after its last transaction"
            raise DamagedCatalogError(database.file, wrong, _ENDS)
        rolling.add(number, page)
    if rolling.value() != last.checksum:
        wrong = f"has other bytes than were written: its checksum is {rolling.value():016x}, and not "
        wrong += f"{last.checksum:016x} as its last transaction says ({file.name})"
        raise DamagedCatalogError(database.file, wrong, _ENDS)


class Database:
    """The files of one database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "database"
        self._journal = folder / "journal"
        self._wal = folder / "wal"

    def page_size(self) -> int:
        """By the database's own header; 0 where the database is empty or not there. Step 1."""
        header = _read(self.file, _HEADER_BYTES)
        if not header:
            return 0
        if len(header) < _HEADER_BYTES or not header.startswith(_SQLITE):
            raise DamagedCatalogError(self.file, "does not begin as a SQLite database does", _EMPTIED)
        size = int.from_bytes(header[16:18], "big")
        return 65536 if size == 1 else size

    def is_first_transaction(self) -> bool:
        """Whether what is there is rolled back to nothing, or is nothing."""
        header = _read(self._journal, _JOURNAL_HEADER_BYTES)
        return not _read(self.file, 1) or (self.was_cut_off() and int.from_bytes(header[16:20], "big") == 0)

    def was_cut_off(self) -> bool:
        """Whether there is the journal of a transaction that was neither committed nor rolled back."""
        return _read(self._journal, len(_JOURNAL)) == _JOURNAL

    def pages(self, last: ltx.Transactions) -> Iterator[tuple[int, bytes]]:
        """All pages as they are after step 5, by number; shorter than a page where there is none."""
        there = self.file.exists()
        if not there and self._journal.exists():
            raise DamagedCatalogError(self.file, "is not there, though there is its journal", _ENDS)
        recovered = {**self._rolled_back(last.page_size), **self._logged(last)} if there else {}
        with self.file.open("rb") if there else BytesIO() as file:
            size = file.seek(0, SEEK_END) // last.page_size
            file.seek(0)
            first = recovered.get(1) or file.read(_HEADER_BYTES)
            file.seek(0)
            # LiteFS reads as many pages as the database says that it has, and makes room for them.
            said = int.from_bytes(first[28:32], "big")
            if said > max(size, last.commit, *recovered):
                raise DamagedCatalogError(self.file, f"says that it has {said} pages, and has {size}", _ENDS)
            for number in range(1, last.commit + 1):
                page = file.read(last.page_size)
                kept = recovered.get(number, page) if number <= said else b""
                yield number, last.pages.get(number, kept)

    def _rolled_back(self, page_size: int) -> dict[int, bytes]:
        """The pages that the journal has of before a transaction that was cut off. (LiteFS takes one that begins with
        zeros, as one does that is kept after its transaction, for none; and it reads frames up to a wrong checksum.)
        """
        journal = _read(self._journal)
        pages: dict[int, bytes] = {}
        at = sector = 0
        while True:
            at = -(-at // sector) * sector if at else 0
            header = journal[at : at + _JOURNAL_HEADER_BYTES]
            if len(header) < _JOURNAL_HEADER_BYTES or not any(header) or (at and not header.startswith(_JOURNAL)):
                return pages
            frames, nonce, _, header_sector, header_page = struct.unpack(">5I", header[8:])
            if at == 0:
                if header_page not in (0, page_size) or header_sector == 0:
                    raise DamagedCatalogError(self._journal, "does not begin as a journal of this database does", _ENDS)
                sector = header_sector
            if frames in (_JOURNAL_NOT_SYNCED, _JOURNAL_NEVER_SYNCED):
                frames = len(journal)  # as many as there are
            if at + sector > len(journal):
                return pages
            at += sector
            for _ in range(frames):
                frame = journal[at : at + page_size + 8]
                if len(frame) < page_size + 8 or not _journal_frame_is_whole(frame, nonce):
                    break
                # Of a page that is there twice the later one, as LiteFS writes them one after the other.
                pages[int.from_bytes(frame[:4], "big")] = frame[4:-4]
                at += len(frame)

    def _logged(self, last: ltx.Transactions) -> dict[int, bytes]:
        """The pages that the write-ahead log has, of whole transactions."""
        log = _read(self._wal)
        if len(log) < _WAL_HEADER_BYTES:
            return {}
        salts = struct.unpack(">2I", log[16:24])
        if salts != last.wal_salts:
            return {}
        if len(log) < last.wal_offset:
            raise DamagedCatalogError(self._wal, "is shorter than its last transaction says", _ENDS)
        log = log[: last.wal_offset + last.wal_size]
        magic, version, page_size = struct.unpack(">3I", log[:12])
        order = {_WAL_LITTLE_ENDIAN: "<", _WAL_BIG_ENDIAN: ">"}.get(magic)
        if order is None or _wal_checksum(log[:24], order, (0, 0)) != struct.unpack(">2I", log[24:32]):
            return {}
        if version != 3007000 or page_size != last.page_size:  # noqa: PLR2004 (the one version that there is)
            raise DamagedCatalogError(self._wal, "does not begin as a write-ahead log of this database does", _ENDS)
        return _whole_transactions(log, page_size, order, salts)


def _whole_transactions(log: bytes, page_size: int, order: str, salts: tuple[int, ...]) -> dict[int, bytes]:
    """The last version of each page that a transaction of the write-ahead log has, up to the last whole one."""
    pages: dict[int, bytes] = {}
    unfinished: dict[int, bytes] = {}
    sums: tuple[int, ...] = struct.unpack(">2I", log[24:32])
    for at in range(_WAL_HEADER_BYTES, len(log), _WAL_FRAME_HEADER_BYTES + page_size):
        frame = log[at : at + _WAL_FRAME_HEADER_BYTES + page_size]
        if len(frame) < _WAL_FRAME_HEADER_BYTES + page_size:
            break
        number, commit, *rest = struct.unpack(">6I", frame[:_WAL_FRAME_HEADER_BYTES])
        sums = _wal_checksum(frame[:8], order, sums)
        sums = _wal_checksum(frame[_WAL_FRAME_HEADER_BYTES:], order, sums)
        if (*salts, *sums) != tuple(rest):
            break
        unfinished[number] = frame[_WAL_FRAME_HEADER_BYTES:]
        if commit:
            pages.update(unfinished)
            unfinished.clear()
    return pages


def _journal_frame_is_whole(frame: bytes, nonce: int) -> bool:
    page = frame[4:-4]
    # Every 200th byte from the end, and never the first (SQLite, "Rollback Journal").
    total = nonce + sum(page[len(page) - _JOURNAL_CHECKSUM_STEP : 0 : -_JOURNAL_CHECKSUM_STEP])
    return total & _CHECKSUM_MASK == int.from_bytes(frame[-4:], "big")


def _wal_checksum(words: bytes, order: str, sums: tuple[int, ...]) -> tuple[int, ...]:
    first, second = sums
    numbers = struct.unpack(f"{order}{len(words) // 4}I", words)
    for even, odd in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + even + second) & _CHECKSUM_MASK
        second = (second + odd + first) & _CHECKSUM_MASK
    return first, second


def _read(file: Path, size: int = -1) -> bytes:
    """The file's first `size` bytes, or all of it; nothing where it is not there."""
    try:
        with file.open("rb") as opened:
            return opened.read(size)
    except FileNotFoundError:
        return b""


def main(arguments: list[str]) -> int:
    """Print the copy as JSON, or `{"damage": …}` where it must not be used; exit code 0 either way."""
    data, name = arguments
    try:
        found: dict[str, object] = asdict(check(Path(data), name))
    except (DamagedCatalogError, OSError) as error:
        found = {"damage": str(error)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
