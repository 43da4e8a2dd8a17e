"""Before LiteFS starts: waiting with a damaged catalog, and following the orders of `make rescue-catalog`."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from supervisor.catalog_check import MARK, check
from supervisor.catalog_rescue import wait_until_sound

from ops.waiting import await_true
from tests.unit.litefs_data import files_of, left_by_litefs
from tests.unit.supervisor_fakes import DATABASE

PACKAGES = Path(__file__).parents[2] / "images" / "seafowl-litefs"
NAME = "20260101T000000-000000Z"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return left_by_litefs(tmp_path / "sound", "at-rest")


@pytest.fixture
def data(tmp_path: Path, sound: Path) -> Path:
    """LiteFS's data folder of a writer whose catalog has another beginning."""
    shutil.copytree(sound, tmp_path / "data")
    (tmp_path / "data" / "was-primary.json").write_text('{"replicated": 6}')
    damage(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def damage(data: Path) -> None:
    database = data / "dbs" / DATABASE / "database"
    database.write_bytes(bytes(100) + database.read_bytes()[100:])


def order(data: Path, action: str, files: Path | None = None, name: str = NAME) -> None:
    """As `ops.rescue_catalog` sends it: the files first, and then the order, whole."""
    folder = data / "rescue" / name
    if files is None:
        folder.mkdir(parents=True)
    else:
        shutil.copytree(files, folder)
    new = folder / "order.new"
    new.write_text(json.dumps({"action": action, "from": "reader-1"}))
    (folder / "order.json").hardlink_to(new)


def catalog(data: Path) -> dict[str, bytes]:
    """What LiteFS would start with."""
    return {path: content for path, content in files_of(data).items() if path.startswith(("dbs/", "clusterid"))}


def test_a_sound_catalog_is_passed_at_once_and_remembered(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(sound)
    wait_until_sound(sound, DATABASE)
    assert files_of(sound) == {**before, MARK: b""}
    assert capsys.readouterr().out == ""


def test_a_new_node_is_passed_and_nothing_is_written(tmp_path: Path) -> None:
    wait_until_sound(tmp_path, DATABASE)
    assert files_of(tmp_path) == {}


def test_a_damaged_catalog_is_kept_and_reported_until_the_files_are_sound(
    data: Path, sound: Path, threads: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(data)
    waiting = threads.submit(wait_until_sound, data, DATABASE)
    said = ""

    def has_said() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "\n" in said

    await_true(has_said, "it says nothing")
    assert not waiting.done()
    assert files_of(data) == before
    assert said.count("\n") == 1
    assert f"{data}/dbs/{DATABASE}/database does not begin as a SQLite database does" in said
    assert "make an empty catalog" in said
    assert "LiteFS is not started, and nothing is changed" in said
    assert "`make rescue-catalog`" in said
    database = f"dbs/{DATABASE}/database"
    shutil.copyfile(sound / database, data / database)
    waiting.result(timeout=30)
    assert catalog(data) == catalog(sound)


def test_what_is_sent_takes_the_place_of_the_damaged_one_which_is_kept(
    data: Path, sound: Path, threads: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = files_of(data)
    waiting = threads.submit(wait_until_sound, data, DATABASE)
    await_true(lambda: "is damaged" in capsys.readouterr().out, "it does not say that the catalog is damaged")
    order(data, "replace", sound)
    waiting.result(timeout=30)
    assert catalog(data) == catalog(sound)
    kept = files_of(data / "damaged" / NAME)
    assert damaged.items() <= kept.items(), "also the mark that it was the primary, which the new copy was not"
    assert not (data / "was-primary.json").exists()
    assert list((data / "rescue").iterdir()) == []
    said = capsys.readouterr().out
    assert f"the damaged catalog is kept in {data}/damaged/{NAME}" in said
    assert "in its place is the copy of reader-1 (transaction 6)" in said


def test_a_candidate_rejoins_with_nothing(data: Path) -> None:
    damaged = files_of(data)
    (data / MARK).touch()
    order(data, "rejoin")
    wait_until_sound(data, DATABASE)
    assert catalog(data) == {}
    assert not (data / MARK).exists(), "it is a new node"
    assert damaged.items() <= files_of(data / "damaged" / NAME).items()


@pytest.mark.parametrize("moved", range(4))
def test_a_replacement_that_was_cut_off_is_finished_at_the_next_start(data: Path, sound: Path, moved: int) -> None:
    damaged = files_of(data)
    order(data, "replace", sound)
    inbox, kept = data / "rescue" / NAME, data / "damaged" / NAME
    (inbox / "order.json").rename(inbox / "begun.json")
    kept.mkdir(parents=True)
    steps = [
        (data / "was-primary.json", kept / "was-primary.json"),
        (data / "dbs", kept / "dbs"),
        (inbox / "dbs", data / "dbs"),
        (data / "clusterid", kept / "clusterid"),
    ]
    for source, target in steps[: moved + 1]:
        source.rename(target)
    wait_until_sound(data, DATABASE)
    assert catalog(data) == catalog(sound)
    assert damaged.items() <= files_of(kept).items()


def test_a_replacement_of_a_node_that_lost_its_cluster_id_is_finished_too(data: Path, sound: Path) -> None:
    (data / "clusterid").unlink()
    order(data, "replace", sound)
    inbox = data / "rescue" / NAME
    (inbox / "order.json").rename(inbox / "begun.json")
    (inbox / "clusterid").rename(data / "clusterid")
    wait_until_sound(data, DATABASE)
    assert catalog(data) == catalog(sound)


@pytest.mark.parametrize("text", ["", "[]", '{"action": "replace"}', '{"action": "empty"}'])
def test_an_order_that_cannot_be_followed_changes_nothing_and_is_kept(
    data: Path, threads: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    before = catalog(data)
    order(data, "replace")
    (data / "rescue" / NAME / "order.json").write_text(text)
    waiting = threads.submit(wait_until_sound, data, DATABASE)
    said = ""

    def has_said() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "the catalog is damaged" in said

    await_true(has_said, "it does not go on waiting")
    assert f"cannot be used, and is kept in {data}/damaged/{NAME}-not-used" in said
    assert catalog(data) == before
    order(data, "rejoin", name="a-later-one")
    waiting.result(timeout=30)


def test_a_damaged_copy_is_not_taken(
    data: Path, sound: Path, threads: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(sound)
    before = catalog(data)
    order(data, "replace", sound)
    waiting = threads.submit(wait_until_sound, data, DATABASE)
    await_true(lambda: "cannot be used" in capsys.readouterr().out, "it does not refuse the copy")
    assert catalog(data) == before
    order(data, "rejoin", name="a-later-one")
    waiting.result(timeout=30)


def test_an_order_for_a_sound_catalog_is_not_followed(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = catalog(sound)
    order(sound, "rejoin")
    wait_until_sound(sound, DATABASE)
    assert catalog(sound) == before
    assert "the catalog is sound: the order to replace it is not followed" in capsys.readouterr().out
    assert list((sound / "rescue").iterdir()) == []


def test_free_pages_that_a_killed_transaction_left_need_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = left_by_litefs(tmp_path, "in-a-transaction")
    wait_until_sound(data, DATABASE)
    assert check(data, DATABASE).txid == 7
    assert "a transaction was cut off" in capsys.readouterr().out


def test_a_process_that_waits_ends_at_sigterm(data: Path) -> None:
    program = (
        "import signal, sys; from pathlib import Path; from supervisor.catalog_rescue import wait_until_sound;"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); wait_until_sound(Path(sys.argv[1]), sys.argv[2])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(data), DATABASE], cwd=PACKAGES, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "the catalog is damaged" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    process.stdout.close()
