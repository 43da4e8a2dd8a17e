"""What a returning primary had not replicated, with LTX files as LiteFS writes them (header, trailer and name)."""

import json
from pathlib import Path

import pytest
from supervisor.lost import Lost

from tests.unit.supervisor_fakes import DATABASE, write_transaction


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """LiteFS's data folder of a primary at transaction 12, whose standbys had 10."""
    write_transaction(tmp_path, 11, 11, before=0x10, after=0x11)
    write_transaction(tmp_path, 12, 12, before=0x11, after=0x12)
    folder = tmp_path / "dbs" / DATABASE
    (folder / "database").write_bytes(b"the catalog")
    (folder / "journal").write_bytes(b"half a transaction")
    Lost(tmp_path, DATABASE).mark(10)
    return tmp_path


def copies(data: Path) -> list[Path]:
    return sorted((data / "lost").glob("*"))


def snapshot(data: Path, txid: int) -> None:
    """LiteFS overwrote this node with another history."""
    for file in (data / "dbs" / DATABASE / "ltx").iterdir():
        file.unlink()
    write_transaction(data, 1, txid, before=0, after=0x99)
    (data / "dbs" / DATABASE / "database").write_bytes(b"another catalog")


def restarted(data: Path) -> Lost:
    """The node ended without a word, and is started again: `prepare`, then `run`."""
    Lost(data, DATABASE).keep()
    lost = Lost(data, DATABASE)
    lost.find()
    return lost


def test_transactions_that_were_not_replicated_are_kept_and_reported(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = restarted(data)
    snapshot(data, 15)
    lost.compare(is_primary=False)
    (kept,) = copies(data)
    assert (kept / DATABASE).read_bytes() == b"the catalog"
    assert (kept / f"{DATABASE}-journal").read_bytes() == b"half a transaction", "sqlite3 rolls it back"
    said = capsys.readouterr().out
    assert "up to 2 of its last transactions (from number 11 to 12)" in said
    assert f"sqlite3 {kept}/{DATABASE}" in said
    assert said.count("\n") == 1


def test_nothing_is_kept_when_the_history_goes_on_from_our_last_transaction(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = restarted(data)
    write_transaction(data, 13, 13, before=0x12, after=0x13)
    lost.compare(is_primary=False)
    assert copies(data) == []
    assert capsys.readouterr().out == ""


def test_a_transaction_of_the_same_number_on_another_history_does_not_count(data: Path) -> None:
    lost = restarted(data)
    write_transaction(data, 13, 13, before=0x99, after=0x13)
    lost.compare(is_primary=False)
    assert len(copies(data)) == 1


def test_nothing_is_decided_while_nothing_was_written_since(data: Path) -> None:
    lost = restarted(data)
    lost.compare(is_primary=False)
    assert lost.pending
    assert len(copies(data)) == 1


def test_a_node_that_is_the_primary_again_lost_nothing(data: Path) -> None:
    lost = restarted(data)
    lost.compare(is_primary=True)
    assert copies(data) == []
    assert not lost.pending


def test_a_node_that_was_no_primary_keeps_nothing(data: Path) -> None:
    Lost(data, DATABASE).unmark()
    restarted(data)
    assert copies(data) == []


def test_a_primary_whose_standbys_had_everything_keeps_nothing(data: Path) -> None:
    Lost(data, DATABASE).mark(12)
    restarted(data)
    assert copies(data) == []


def test_what_is_known_beyond_the_mark_counts(data: Path) -> None:
    Lost(data, DATABASE).keep(replicated=12)
    assert copies(data) == []


def test_a_copy_that_was_cut_off_is_made_again(data: Path) -> None:
    (data / "lost" / "20260101T000000-000000Z.pending").mkdir(parents=True)
    restarted(data)
    (kept,) = copies(data)
    assert json.loads((kept / "kept.json").read_text())["txid"] == 12


def test_only_the_newest_five_are_kept(data: Path) -> None:
    for number in range(7):
        (data / "lost" / f"2026010{number}T000000-000000Z").mkdir(parents=True)
    lost = restarted(data)
    snapshot(data, 15)
    lost.compare(is_primary=False)
    assert len(copies(data)) == 5
    assert not (data / "lost" / "20260102T000000-000000Z").exists()
