"""Writing a table's data and committing it as the original does: without a look at who else commits.

A commit reads the table's log, writes its entry beside it, and moves the entry to the place after the last one that
was read. In S3 that is a copy over whatever is there: of two writers that read the same log, both succeed, and the
first one's rows are gone. No lock, no checkpoint, no clean-up.
"""

import json
import tempfile
import time
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arro3.core import RecordBatchReader
from deltalake import DeltaTable, write_deltalake
from deltalake import Schema as DeltaSchema
from obstore.exceptions import AlreadyExistsError

from .errors import QueryError
from .store import ObjectStore
from .version import BANNER

LOG = "_delta_log"
# Where a store refuses to overwrite (a local directory), the original tries the next versions this often.
MAX_COMMITS = 15

Action = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """What a commit says about itself."""

    name: str
    parameters: dict[str, str]


APPEND = Operation("WRITE", {"mode": "Append"})
DELETE = Operation("DELETE", {})
VACUUM_START = Operation("VACUUM START", {"retentionCheckEnabled": "false", "specifiedRetentionMillis": "0"})
VACUUM_END = Operation("VACUUM END", {"status": "COMPLETED"})


def write_rows(store: ObjectStore, uuid: str, schema: DeltaSchema, rows: RecordBatchReader) -> list[Action]:
    """Write rows as data files of a table that no log entry names yet; returns the actions that would.

    deltalake writes and describes the files in a table of its own on this machine's disk.
    """
    with tempfile.TemporaryDirectory(prefix="seafowl-write-") as folder:
        write_deltalake(DeltaTable.create(folder, schema=schema), rows, mode="append")
        entries = (Path(folder) / LOG).glob("*.json")
        actions = [json.loads(line) for entry in sorted(entries) for line in entry.read_text().splitlines()]
        adds = [action for action in actions if "add" in action]
        for action in adds:
            with (Path(folder) / action["add"]["path"]).open("rb") as file:
                store.put(uuid, action["add"]["path"], file)
    return adds


def files(table: DeltaTable) -> list[str]:
    """The names of a table's data files. No table here is partitioned: they lie side by side."""
    return [uri.rpartition("/")[2] for uri in table.file_uris()]


def removals(table: DeltaTable) -> list[Action]:
    """The actions that take all of a table's files out of it."""
    now = _now_ms()
    return [{"remove": {"path": name, "dataChange": True, "deletionTimestamp": now}} for name in files(table)]


def commit(store: ObjectStore, uuid: str, read: int, operation: Operation, actions: list[Action]) -> int:
    """Commit actions to a table whose log was read up to version `read`; returns the new version.

    Raises QueryError where the store refuses to overwrite and others are quicker MAX_COMMITS times.
    """
    info = {
        "timestamp": _now_ms(),
        "operation": operation.name,
        "operationParameters": operation.parameters,
        "clientVersion": BANNER,
    }
    entry = "\n".join(json.dumps(action, separators=(",", ":")) for action in [{"commitInfo": info}, *actions])
    written = f"{LOG}/_commit_{uuids.uuid4()}.json.tmp"
    store.put(uuid, written, entry.encode())
    version = _place(store, uuid, written, read + 1)
    # Where there is a checkpoint, the original looks for entries of the log to clean up: it removes those of 30 days.
    if store.has_checkpoint(uuid):
        store.list(uuid, LOG)
    return version


def _place(store: ObjectStore, uuid: str, written: str, version: int) -> int:
    """Give a written entry the first version from this one on that the store lets it have."""
    for attempt in range(version, version + MAX_COMMITS):
        try:
            store.rename(uuid, written, f"{LOG}/{attempt:020}.json")
        except AlreadyExistsError:
            continue
        return attempt
    store.remove(uuid, [written])
    raise QueryError("Generic delta kernel error: Exceeded the maximum number of attempts to commit")


def _now_ms() -> int:
    return int(time.time() * 1000)
