"""A crash that LiteFS 0.5.14 never starts after, though nothing is lost: mended before it starts.

SQLite does not write into its journal what a page on the freelist had, for that is of no use to anybody. Where a
process is killed in the middle of a transaction that takes such pages, they have other bytes than before once the
journal is rolled back. SQLite does not mind. LiteFS's checksum is of all pages: it says that the database does not
match its last transaction file, and ends, at every start.

What mends it is a transaction that changes just those pages. It is LiteFS's last one then, and the readers follow it.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from supervisor import ltx
from supervisor.catalog_check import DATABASES, DamagedCatalogError, Database

_TRUNK_HEADER_BYTES = 8


def mend(data: Path, name: str) -> int | None:
    """Mend the database `name` in LiteFS's data folder `data`, where it is damaged; returns the number of the
    transaction that mends it. None where something else is wrong with it: where no transaction was cut off, no page is
    on the freelist, or SQLite finds fault with it. Raises OSError.
    """
    database = Database(data / DATABASES / name)
    file = ltx.last_file(database.folder / "ltx")
    parsed = None if file is None else ltx.parse_name(file.name)
    if file is None or parsed is None or not database.was_cut_off():
        return None
    try:
        last = ltx.read(file)
        database.page_size()
        with tempfile.TemporaryDirectory(dir=data) as folder:
            copy = Path(folder, "copy")
            checksum = _copy(database, last, copy)
            free = _free_pages(copy, last.page_size)
            if not free or not _is_fine(copy):
                return None
    except (ltx.LtxError, DamagedCatalogError):
        return None
    after = ltx.Transactions(last.page_size, last.commit, {**last.pages, **free}, 0, 0, (0, 0), checksum)
    number = parsed.last + 1
    ltx.write(file.with_name(f"{number:016x}-{number:016x}.ltx"), number, last.checksum, after)
    return number


def _copy(database: Database, last: ltx.Transactions, to: Path) -> int:
    """Copy the database as it is after its last transaction; returns its checksum."""
    rolling = ltx.RollingChecksum(last.page_size)
    with to.open("wb") as copy:
        for number, page in database.pages(last):
            rolling.add(number, page)
            copy.write(page)
    return rolling.value()


def _free_pages(file: Path, page_size: int) -> dict[int, bytes]:
    """The pages of the freelist whose content is of no use, by number (SQLite, "The Freelist")."""
    with file.open("rb") as opened:

        def page(number: int) -> bytes:
            opened.seek((number - 1) * page_size)
            return opened.read(page_size)

        first = page(1)
        trunk, left = int.from_bytes(first[32:36], "big"), int.from_bytes(first[36:40], "big")
        free: dict[int, bytes] = {}
        while trunk and left > 0:
            content = page(trunk)
            count = int.from_bytes(content[4:8], "big")
            for at in range(_TRUNK_HEADER_BYTES, min(_TRUNK_HEADER_BYTES + 4 * count, page_size), 4):
                number = int.from_bytes(content[at : at + 4], "big")
                free[number] = page(number)
            trunk, left = int.from_bytes(content[:4], "big"), left - count - 1
        return free


def _is_fine(file: Path) -> bool:
    """Whether SQLite finds every page in its place."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?immutable=1", uri=True)) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except sqlite3.Error:
        return False
