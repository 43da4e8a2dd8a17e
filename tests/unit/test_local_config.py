"""The untracked copy of a stack's config: in step with the tracked file, and keeping what was set in it alone."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ops import local_config
from ops.local_config import carried_over


class Files:
    """A tracked file and its copy in a folder of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tracked = folder / "Pulumi.dev.yaml"
        self.copy = folder / ".local" / "Pulumi.dev.yaml"
        self.copy.parent.mkdir()
        self._monkeypatch = monkeypatch

    def track(self, **config: Any) -> None:
        """Write the tracked file; keys of the namespace `seafowl`."""
        self.tracked.write_text(yaml.safe_dump({"config": {f"seafowl:{key}": value for key, value in config.items()}}))

    def set_in_copy(self, **config: Any) -> None:
        """Set keys in the copy alone, as `pulumi config set` does."""
        document = self.document()
        document["config"] = {**(document.get("config") or {}), **{f"seafowl:{k}": v for k, v in config.items()}}
        self.copy.write_text(yaml.safe_dump(document))

    def update(self, *images: str) -> int:
        """Run the program; its exit code."""
        options = [option for image in images for option in ("--image", image)]
        self._monkeypatch.setattr(sys, "argv", ["local_config.py", str(self.tracked), str(self.copy), *options])
        return local_config.main()

    def document(self) -> dict[str, Any]:
        """The copy, whole."""
        return (yaml.safe_load(self.copy.read_text()) if self.copy.exists() else None) or {}

    def config(self) -> dict[str, Any]:
        """The copy's keys of the namespace `seafowl`."""
        return {key.removeprefix("seafowl:"): value for key, value in self.document()["config"].items()}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """No tracked file and no copy yet."""
    return Files(tmp_path, monkeypatch)


def test_the_first_copy_has_what_the_tracked_file_has(files: Files) -> None:
    files.track(readers=2, readerJournalMode="off")
    assert files.update() == 0
    assert files.config() == {"readers": 2, "readerJournalMode": "off"}


def test_off_stays_the_word_off(files: Files) -> None:
    files.track(readerJournalMode="off")
    files.update()
    assert yaml.safe_load(files.copy.read_text())["config"]["seafowl:readerJournalMode"] == "off"


def test_what_was_set_in_the_copy_alone_stays(files: Files) -> None:
    files.track(readers=2)
    files.update()
    files.set_in_copy(readers=5, retainData=True)
    files.update()
    assert files.config() == {"readers": 5, "retainData": True}


def test_what_changes_in_the_tracked_file_changes_in_the_copy(files: Files) -> None:
    files.track(readers=2, retainData=False)
    files.update()
    files.set_in_copy(readers=5)
    files.track(readers=3, retainData=True)
    files.update()
    assert files.config() == {"readers": 3, "retainData": True}


def test_an_unrelated_change_in_the_tracked_file_leaves_what_was_set_in_the_copy(files: Files) -> None:
    files.track(readers=2, retainData=False)
    files.update()
    files.set_in_copy(readers=5)
    files.track(readers=2, retainData=True)
    files.update()
    assert files.config() == {"readers": 5, "retainData": True}


def test_what_goes_from_the_tracked_file_goes_from_the_copy(files: Files) -> None:
    files.track(readers=2, retainData=True)
    files.update()
    files.track(readers=2)
    files.update()
    assert files.config() == {"readers": 2}


def test_a_key_that_was_removed_from_the_copy_does_not_come_back(files: Files) -> None:
    files.track(readers=2, retainData=True)
    files.update()
    files.copy.write_text(yaml.safe_dump({"config": {"seafowl:readers": 2}}))
    files.update()
    assert files.config() == {"readers": 2}


def test_the_salt_stays_so_that_secrets_can_be_read(files: Files) -> None:
    files.track(readers=2)
    files.copy.write_text(yaml.safe_dump({"encryptionsalt": "v1:abc", "config": {}}))
    files.track(readers=3)
    files.update()
    assert files.document()["encryptionsalt"] == "v1:abc"
    assert files.config() == {"readers": 3}


def test_secrets_in_the_copy_stay_as_they_are(files: Files) -> None:
    files.track(readers=2)
    files.update()
    files.set_in_copy(s3SecretAccessKey={"secure": "v1:xyz"})
    files.track(readers=3)
    files.update()
    assert files.config()["s3SecretAccessKey"] == {"secure": "v1:xyz"}


def test_a_copy_that_is_in_step_is_not_written(files: Files) -> None:
    files.track(readers=2)
    files.update()
    files.copy.write_text(files.copy.read_text() + "# a comment of the user's\n")
    before = files.copy.read_text()
    files.update()
    assert files.copy.read_text() == before


def test_the_kits_image_is_used_where_the_config_names_none(files: Files) -> None:
    files.track(readers=2)
    assert files.update("seafowl=kit/seafowl:1", "litefs=kit/litefs:1") == 0
    assert files.config()["images"] == {"seafowl": "kit/seafowl:1", "litefs": "kit/litefs:1"}


def test_an_image_that_the_config_names_is_used_and_not_the_kits(files: Files) -> None:
    files.track(images={"seafowl": "mine:1"})
    files.update("seafowl=kit/seafowl:1", "litefs=kit/litefs:1")
    assert files.config()["images"] == {"seafowl": "mine:1", "litefs": "kit/litefs:1"}


def test_the_kits_image_of_this_version_takes_the_place_of_an_older_one(files: Files) -> None:
    files.update("seafowl=kit/seafowl:1")
    files.update("seafowl=kit/seafowl:2")
    assert files.config()["images"] == {"seafowl": "kit/seafowl:2"}, "the kit of this checkout makes no other"


def test_an_image_with_a_digest_is_taken_whole(files: Files) -> None:
    files.track(readers=2)
    files.update("seafowl=host:5000/seafowl@sha256:abc=")
    assert files.config()["images"] == {"seafowl": "host:5000/seafowl@sha256:abc="}


def test_the_kits_images_do_not_spread_where_the_kit_is_not_used(files: Files) -> None:
    files.track(readers=2)
    files.update()
    assert "images" not in files.config()


@pytest.mark.parametrize("which", ["tracked", "copy"])
@pytest.mark.parametrize(
    "content",
    [
        b"config:\n  seafowl:x: [hunter2\n",
        b"config: {a: 1\n  b: hunter2}\n",
        b"config:\n\tseafowl:x: hunter2\n",
        b"config:\n  seafowl:x: *hunter2\n",
        b"config:\n  seafowl:x: !hunter2 1\n",
        b"hunter2",
        b"- hunter2\n",
        b"config: hunter2\n",
        b"config:\n  seafowl:x: hunter2\x00\n",
        b"config:\n  seafowl:x: hunter2\xff\n",
    ],
    ids=[
        "list",
        "map",
        "tab",
        "alias",
        "tag",
        "word",
        "sequence",
        "config-is-a-word",
        "control-character",
        "not-utf-8",
    ],
)
def test_a_file_that_is_no_config_is_named_changes_nothing_and_is_not_printed(
    files: Files, capsys: pytest.CaptureFixture[str], which: str, content: bytes
) -> None:
    files.track(readers=2)
    files.update()
    files.track(readers=3)
    path: Path = getattr(files, which)
    path.write_bytes(content)
    before = files.copy.read_bytes()
    assert files.update() == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert str(path) in error
    assert "Nothing was changed" in error
    assert "hunter2" not in error
    assert files.copy.read_bytes() == before


def test_a_file_that_is_not_yaml_is_named_with_the_line(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.tracked.write_text("config:\n  seafowl:readers: [2\n  seafowl:retainData: true\n")
    assert files.update() == 1
    assert "line 3, column" in capsys.readouterr().err
    assert not files.copy.exists()


def test_an_empty_tracked_file_is_an_empty_config(files: Files) -> None:
    files.tracked.write_text("# nothing yet\n")
    assert files.update() == 0


CONFIGS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 2))


@given(base=CONFIGS, tracked=CONFIGS, copy=CONFIGS)
def test_a_key_is_the_tracked_files_if_it_changed_there_and_the_copys_if_not(
    base: dict[str, Any], tracked: dict[str, Any], copy: dict[str, Any]
) -> None:
    before = dict(copy)
    result = carried_over(base, tracked, copy)
    assert copy == before, "the argument is left as it was"
    for key in ("a", "b", "c"):
        source = tracked if base.get(key) != tracked.get(key) else copy
        assert result.get(key) == source.get(key)
    assert carried_over(tracked, tracked, result) == result
