"""What LiteFS would make of its copy of the catalog: after a crash, and where it is damaged.

The folders that LiteFS itself left (`tests/traces`) came with what LiteFS said of them.
"""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor import ltx
from supervisor.catalog_check import MARK, Copy, DamagedCatalogError, check, main
from supervisor.catalog_mend import mend

from tests.unit.litefs_data import CLUSTER, PAGE, Primary, files_of, last_transaction, left_by_litefs
from tests.unit.supervisor_fakes import DATABASE

JOURNALS_AFTER: dict[str, Callable[[Path], object]] = {
    "delete": lambda journal: journal.unlink(),
    "truncate": lambda journal: journal.write_bytes(b""),
    "persist": lambda journal: journal.write_bytes(bytes(28) + journal.read_bytes()[28:]),
}
"""What the journal modes make of a journal that is over."""


def wrong(data: Path) -> str:
    """What is said of a damaged folder; nothing in it changes."""
    before = files_of(data)
    with pytest.raises(DamagedCatalogError) as refused:
        check(data, DATABASE)
    assert files_of(data) == before
    return str(refused.value)


def database(data: Path) -> Path:
    return data / "dbs" / DATABASE / "database"


def overwrite(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


# LiteFS's checksums


def test_the_crc_is_the_one_of_the_standard() -> None:
    assert ltx.crc64(b"123456789") == 0xB90956C775A41001


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_crc_of_two_pieces_is_that_of_the_whole(first: bytes, second: bytes) -> None:
    assert ltx.crc64(second, ltx.crc64(first)) == ltx.crc64(first + second)


def test_every_bit_counts_in_the_crc() -> None:
    content = random.Random(1).randbytes(PAGE)
    crcs = {ltx.crc64(content)}
    for bit in range(0, 8 * PAGE, 7):
        changed = int.from_bytes(content, "little") ^ 1 << bit
        crcs.add(ltx.crc64(changed.to_bytes(PAGE, "little")))
    assert len(crcs) == 1 + len(range(0, 8 * PAGE, 7))


# What is sound


@pytest.mark.parametrize(
    ("state", "txid", "checksum"),
    [
        ("at-rest", 6, "9dbd96aa502a16d5"),
        ("wal", 7, "f5c27856c250f39d"),
        ("wal-in-a-transaction", 7, "f5c27856c250f39d"),
    ],
)
def test_the_position_is_the_one_that_litefs_itself_had(tmp_path: Path, state: str, txid: int, checksum: str) -> None:
    data = left_by_litefs(tmp_path, state)
    before = files_of(data)
    found = check(data, DATABASE)
    assert (found.txid, found.checksum) == (txid, checksum)
    assert found.cluster == (data / "clusterid").read_text().strip()
    assert files_of(data) == before


def test_a_node_that_is_new_is_fine(tmp_path: Path) -> None:
    assert check(tmp_path, DATABASE) == Copy("", 0, "")


def test_a_node_that_has_joined_and_has_no_catalog_yet_is_fine(tmp_path: Path) -> None:
    (tmp_path / "clusterid").write_text(f"{CLUSTER}\n")
    (tmp_path / "dbs" / DATABASE / "ltx").mkdir(parents=True)
    database(tmp_path).touch()
    assert check(tmp_path, DATABASE) == Copy(CLUSTER, 0, "")


def test_a_node_killed_in_its_very_first_transaction_is_fine(tmp_path: Path) -> None:
    primary = Primary(tmp_path)
    for file in last_transaction(primary.data).parent.iterdir():
        file.unlink()
    other = sqlite3.connect(tmp_path / "first", isolation_level=None)
    other.execute("PRAGMA cache_size = 1")
    other.execute("BEGIN")
    other.execute("CREATE TABLE t (x)")
    other.executemany("INSERT INTO t VALUES (?)", [("x" * 3000,)] * 50)
    (primary.folder / "journal").write_bytes((tmp_path / "first-journal").read_bytes())
    # Whatever of the database was written: LiteFS deletes it, and there was nothing.
    for content in ((tmp_path / "first").read_bytes(), bytes(PAGE)):
        database(primary.data).write_bytes(content)
        assert check(primary.data, DATABASE).txid == 0


@pytest.mark.parametrize("journal_mode", JOURNALS_AFTER)
def test_every_step_of_a_transaction_may_be_the_last(tmp_path: Path, journal_mode: str) -> None:
    primary = Primary(tmp_path)

    def is_at(txid: int) -> None:
        assert check(primary.data, DATABASE).txid == txid

    is_at(2)
    primary.client.execute("BEGIN")
    primary.insert(range(100, 130))
    primary.client.execute("UPDATE t SET x = 'y' WHERE n < 5")
    primary.journal_is_written()
    is_at(2)
    primary.database_is_written()
    assert database(primary.data).stat().st_size > 25 * PAGE, "pages were written before the end"
    is_at(2)
    primary.commits_but_for_the_journal()
    is_at(2)
    primary.has_its_transaction_file()
    is_at(3)
    JOURNALS_AFTER[journal_mode](primary.folder / "journal")
    is_at(3)


def test_a_database_that_shrinks_is_sound_at_every_step(tmp_path: Path) -> None:
    primary = Primary(tmp_path)
    primary.client.execute("DELETE FROM t WHERE n > 2")
    primary.is_committed()
    before = database(primary.data).stat().st_size
    primary.client.execute("VACUUM")
    primary.has_its_transaction_file()
    assert check(primary.data, DATABASE).txid == 4, "its transaction file has the rest"
    primary.database_is_written()
    assert database(primary.data).stat().st_size < before
    assert check(primary.data, DATABASE).txid == 4


def test_pages_that_the_last_transaction_has_are_litefs_s_to_repair(tmp_path: Path) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    page = max(ltx.read(last_transaction(data)).pages)
    overwrite(database(data), (page - 1) * PAGE, bytes(PAGE))
    assert check(data, DATABASE).txid == 6


# What is not


@pytest.mark.parametrize("state", ["at-rest", "wal"])
@pytest.mark.parametrize("content", [bytes(100), b"no database" * 9, b"\0"])
def test_a_database_with_another_beginning_would_be_deleted(tmp_path: Path, state: str, content: bytes) -> None:
    data = left_by_litefs(tmp_path, state)
    overwrite(database(data), 0, content)
    said = wrong(data)
    assert str(database(data)) in said
    assert "does not begin as a SQLite database does" in said
    assert "would delete this copy and make an empty catalog" in said


def test_a_database_shorter_than_a_header_would_be_deleted(tmp_path: Path) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    os.truncate(database(data), 99)
    assert "would delete this copy" in wrong(data)


@pytest.mark.parametrize("at", [2, 6, 20])
def test_garbage_in_the_middle_is_found_by_the_checksum(tmp_path: Path, at: int) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    assert at + 1 not in ltx.read(last_transaction(data)).pages
    overwrite(database(data), at * PAGE + 1000, b"\xff")
    assert "has other bytes than were written: its checksum is" in wrong(data)


def test_a_database_that_is_cut_or_gone_is_damaged(tmp_path: Path) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    os.truncate(database(data), 20 * PAGE)
    assert "database has no page 21, and 26 pages after its last transaction" in wrong(data)
    database(data).unlink()
    assert "database has no page" in wrong(data)


def test_a_database_that_says_another_number_or_size_of_pages_is_damaged(tmp_path: Path) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    sound = database(data).read_bytes()
    overwrite(database(data), 28, b"\xff\xff\xff\xff")
    assert "says that it has 4294967295 pages" in wrong(data)
    database(data).write_bytes(sound)
    overwrite(database(data), 28, b"\0\0\0\5")
    assert "has no page" in wrong(data)
    database(data).write_bytes(sound)
    overwrite(database(data), 16, b"\x08\0")
    assert "has pages of 2048 bytes, and its last transaction 4096" in wrong(data)


@pytest.mark.parametrize("state", ["at-rest", "wal"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:50],
        lambda content: content[:150],
        lambda content: content[:-1],
        lambda content: content[:-30],
        lambda content: b"\xff" * 16 + content[16:],
        lambda content: content[:40] + b"\xff" + content[41:],
        lambda content: content[:200] + bytes(byte ^ 0xFF for byte in content[200:203]) + content[203:],
        lambda content: content[:-9] + b"\xff" + content[-8:],
    ],
)
def test_a_last_transaction_that_is_cut_or_garbage_is_damaged(
    tmp_path: Path, state: str, damage: Callable[[bytes], bytes]
) -> None:
    data = left_by_litefs(tmp_path, state)
    last = last_transaction(data)
    last.write_bytes(damage(last.read_bytes()))
    said = wrong(data)
    assert str(last) in said
    assert "LiteFS would end with an error, time and again" in said


@given(st.data())
def test_no_change_of_a_byte_of_the_last_transaction_goes_unseen(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    data = left_by_litefs(tmp_path_factory.mktemp("ltx"), "at-rest")
    last = last_transaction(data)
    sound = ltx.read(last).pages
    content = bytearray(last.read_bytes())
    at = draw.draw(st.integers(0, len(content) - 1))
    content[at] ^= draw.draw(st.integers(1, 255))
    last.write_bytes(content)
    try:
        found = ltx.read(last).pages
    except ltx.LtxError:
        return
    # What LZ4 says of itself (its own checksums) is of no account where the pages are right.
    assert found == sound


def test_a_last_transaction_that_is_gone_is_found_by_the_checksum(tmp_path: Path) -> None:
    primary = Primary(tmp_path)
    primary.change(1)
    primary.is_committed()
    last_transaction(primary.data).unlink()
    assert "has other bytes than were written" in wrong(primary.data)


def test_a_database_without_any_transaction_file_is_damaged(tmp_path: Path) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    for file in last_transaction(data).parent.iterdir():
        file.unlink()
    assert "has no transaction file, though there is a database" in wrong(data)


def test_a_catalog_that_is_gone_is_damage_where_there_was_one(tmp_path: Path) -> None:
    (tmp_path / "clusterid").write_text(f"{CLUSTER}\n")
    (tmp_path / MARK).touch()
    assert "is not there or empty, though there was a catalog" in wrong(tmp_path)


@pytest.mark.parametrize(
    "content", [None, b"", b"LFSC", b"\xff" * 20, b"LFSC0123456789abcdef", b"XXXX0123456789ABCDEF"]
)
def test_a_catalog_without_the_id_of_its_cluster_is_damaged(tmp_path: Path, content: bytes | None) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    if content is None:
        (data / "clusterid").unlink()
    else:
        (data / "clusterid").write_bytes(content)
    assert str(data / "clusterid") in wrong(data)


@pytest.mark.parametrize("at", [0, 20, 24])
def test_a_journal_with_another_beginning_is_damage_where_it_was_needed(tmp_path: Path, at: int) -> None:
    primary = Primary(tmp_path)
    primary.client.execute("BEGIN")
    primary.client.execute("UPDATE t SET x = 'y' WHERE n < 5")
    primary.insert(range(100, 130))
    primary.database_is_written()
    primary.journal_is_written()
    assert check(primary.data, DATABASE).txid == 2
    overwrite(primary.folder / "journal", at, bytes(512 if at == 0 else 4) if at != 24 else b"\0\0\1\0")
    assert wrong(primary.data)


def test_a_write_ahead_log_with_garbage_in_it_is_damage(tmp_path: Path) -> None:
    data = left_by_litefs(tmp_path, "wal")
    overwrite(data / "dbs" / DATABASE / "wal", 30000, b"\xff\xff\xff\xff")
    assert wrong(data)


def test_the_program_tells_what_it_finds_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    assert main([str(data), DATABASE]) == 0
    assert '"txid": 6' in capsys.readouterr().out
    overwrite(database(data), 0, b"\0")
    assert main([str(data), DATABASE]) == 0
    assert "does not begin as" in capsys.readouterr().out


# A crash that LiteFS does not start after


def test_free_pages_that_a_killed_transaction_left_are_given_to_litefs_in_a_transaction_of_their_own(
    tmp_path: Path,
) -> None:
    data = left_by_litefs(tmp_path, "in-a-transaction")
    assert "its checksum is f606a1bc76848d03, and not 9dbd96aa502a16d5" in wrong(data), "as LiteFS said it"
    before = files_of(data)
    assert mend(data, DATABASE) == 7
    assert check(data, DATABASE).txid == 7
    (added,) = files_of(data).keys() - before.keys()
    assert added.endswith("0000000000000007-0000000000000007.ltx")
    assert before.items() <= files_of(data).items(), "nothing else has changed"
    header = (data / added).read_bytes()[:100]
    assert header[40:48].hex() == "9dbd96aa502a16d5", "whoever is at transaction 6 can follow"


def test_what_is_damaged_besides_is_not_mended(tmp_path: Path) -> None:
    data = left_by_litefs(tmp_path, "in-a-transaction")
    overwrite(database(data), 2 * PAGE, bytes(8))
    before = files_of(data)
    assert mend(data, DATABASE) is None
    assert files_of(data) == before


@pytest.mark.parametrize("place", [0, 5 * PAGE + 1000])
def test_a_catalog_that_was_at_rest_is_never_mended(tmp_path: Path, place: int) -> None:
    data = left_by_litefs(tmp_path, "at-rest")
    overwrite(database(data), place, b"\xff")
    assert wrong(data)
    assert mend(data, DATABASE) is None
