"""Data folders of LiteFS: those that LiteFS itself left (`tests/traces`), and one that is made step by step."""

import shutil
import sqlite3
import tarfile
from pathlib import Path

from supervisor import ltx

from tests.unit.supervisor_fakes import DATABASE

CLUSTER = "LFSC0123456789ABCDEF"
PAGE = 4096
_LEFT = Path(__file__).parents[1] / "traces" / "litefs_data.tar.xz"


def left_by_litefs(folder: Path, state: str) -> Path:
    """The data folder that LiteFS left in `state` (see tests/traces/README.md)."""
    with tarfile.open(_LEFT) as archive:
        archive.extractall(folder, filter="data")
    return folder / state


def files_of(data: Path) -> dict[str, bytes]:
    """Everything in a folder, by path."""
    return {str(file.relative_to(data)): file.read_bytes() for file in sorted(data.rglob("*")) if file.is_file()}


def last_transaction(data: Path) -> Path:
    found = ltx.last_file(data / "dbs" / DATABASE / "ltx")
    assert found is not None
    return found


class Primary:
    """A primary's data folder, made as LiteFS makes it with a rollback journal, of what a real SQLite writes.

    What a crash leaves is what `data` holds between two steps.
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.folder = self.data / "dbs" / DATABASE
        (self.folder / "ltx").mkdir(parents=True)
        (self.data / "clusterid").write_text(f"{CLUSTER}\n")
        self._database = folder / "work"
        self._journal = folder / "work-journal"
        self._whole_journal = folder / "whole-journal"
        self._pages: dict[int, bytes] = {}
        self._checksum = 0
        self.txid = 0
        self.client = sqlite3.connect(self._database, isolation_level=None)
        # So small that pages of a transaction reach the file before its end.
        self.client.execute("PRAGMA cache_size = 1")
        self.client.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT)")
        self.insert(range(10))
        self.is_committed()
        self.change(9)
        self.is_committed()

    def is_committed(self) -> None:
        """All steps of a transaction, after which it is the last."""
        self.database_is_written()
        self.has_its_transaction_file()
        self.journal_is_written()

    def change(self, number: int) -> None:
        """A row, in a page that no other has."""
        self.client.execute("UPDATE t SET x = replace(x, substr(x, 1, 1), 'A') WHERE n = ?", (number,))

    def insert(self, numbers: range) -> None:
        """Rows that take a page each."""
        self.client.executemany("INSERT INTO t VALUES (?, ?)", [(n, chr(97 + n % 26) * 3000) for n in numbers])

    def database_is_written(self) -> None:
        """The database is as SQLite has written it so far."""
        shutil.copyfile(self._database, self.folder / "database")

    def journal_is_written(self) -> None:
        """The journal is as SQLite has written it so far, or gone."""
        if self._journal.exists():
            shutil.copyfile(self._journal, self.folder / "journal")
        else:
            (self.folder / "journal").unlink(missing_ok=True)

    def commits_but_for_the_journal(self) -> None:
        """SQLite has written the database of what was open, and its journal, which goes next, is still there."""
        self._whole_journal.hardlink_to(self._journal)
        self.client.execute("COMMIT")
        self.database_is_written()
        shutil.copyfile(self._whole_journal, self.folder / "journal")
        self._whole_journal.unlink()

    def has_its_transaction_file(self) -> None:
        """LiteFS has made the file of what SQLite has committed since the one before."""
        content = self._database.read_bytes()
        pages = {at // PAGE + 1: content[at : at + PAGE] for at in range(0, len(content), PAGE)}
        rolling = ltx.RollingChecksum(PAGE)
        for number, page in pages.items():
            rolling.add(number, page)
        changed = {number: page for number, page in pages.items() if self._pages.get(number) != page}
        self.txid += 1
        file = self.folder / "ltx" / f"{self.txid:016x}-{self.txid:016x}.ltx"
        after = ltx.Transactions(PAGE, len(pages), changed, 0, 0, (0, 0), rolling.value())
        ltx.write(file, self.txid, self._checksum, after)
        self._pages, self._checksum = pages, rolling.value()
