"""What `make maintain` and `make status` say of tables."""

import json
from typing import Any

import pytest

from ops.maintain import told
from ops.status import need


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"table": "default.public.t", "number": 1, "of": 3}, "default.public.t (1 of 3)"),
        ({"step": "compaction", "version": 9, "files": 40, "bytes": 12345}, "  40 small files are one of 12,345 bytes"),
        ({"step": "checkpoint", "version": 9, "commits": 60}, "  checkpoint of version 9, in place of 60 commits"),
        ({"step": "trimming", "oldest": 5, "entries": 4}, "  4 log entries deleted: versions since 5 are kept"),
        ({"step": "files", "files": 2, "bytes": 10}, "  2 files deleted that no kept version needs, 10 bytes"),
        ({"step": "catalog", "versions": 8}, "  8 notes of older versions deleted from the catalog"),
        ({"problem": "default.public.t: no answer"}, "  failed: default.public.t: no answer"),
        ({"waits": True}, ""),
    ],
)
def test_each_line_of_the_supervisor_is_told_in_words(message: dict[str, Any], text: str) -> None:
    assert told(json.dumps(message)) == text


def test_what_is_no_message_is_told_as_it_is() -> None:
    assert told("exec failed: no such file") == "exec failed: no such file"


def test_what_a_table_needs_is_told_with_its_figures() -> None:
    found = {"needs": ["compaction", "checkpoint"], "commits": 60, "entries": 61, "small": 60, "files": 61}
    assert need(found) == (
        "compaction, checkpoint (60 commits since its checkpoint, 61 log entries, 60 small files of 61)"
    )
    assert need({"needs": [], "problem": "log entry 3 is missing"}) == "log entry 3 is missing"
