"""A table's log as Delta's protocol has it: listed, replayed, and continued by one commit."""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote

from arro3.io import read_parquet

from maintenance.store import Store, StoredObject

Action = dict[str, Any]

_THREADS = 16
_KINDS = frozenset({"metaData", "protocol", "remove", "add"})
_MAPS = frozenset({"partitionValues", "tags", "configuration", "options"})
"""Of a checkpoint: the actions that are read, and their columns that are maps."""

_VERSIONED = re.compile(r"(\d{20})\.(.+)")
_TEMPORARY = re.compile(r"_commit_.+\.json\.tmp")
"""What a commit of Seafowl's delta-rs is before its rename (0.18)."""


class GoneError(Exception):
    """The table is not there (any more)."""


class BrokenLogError(Exception):
    """The log cannot be read as a whole: nothing may be concluded from it."""


def log_folder(table: str) -> str:
    """Where a table's log lies."""
    return f"{table}/_delta_log"


def commit_path(table: str, version: int) -> str:
    """The log entry that makes a version."""
    return f"{log_folder(table)}/{version:020}.json"


def checkpoint_path(table: str, version: int) -> str:
    """The checkpoint of a version, in one file: as deltalake writes it."""
    return f"{log_folder(table)}/{version:020}.checkpoint.parquet"


def hint_path(table: str) -> str:
    """The object that names the checkpoint which readers begin with."""
    return f"{log_folder(table)}/_last_checkpoint"


@dataclass(frozen=True)
class Listing:
    """What lies in a table's log."""

    commits: Mapping[int, StoredObject]
    checkpoints: Mapping[int, StoredObject]
    temporary: Sequence[StoredObject]
    hint: int | None
    """The checkpoint that readers begin with."""

    @property
    def version(self) -> int:
        """The table's newest version."""
        return max(self.commits)

    @property
    def entries(self) -> int:
        """How many objects each query lists."""
        return len(self.commits) + len(self.checkpoints)

    @property
    def since_checkpoint(self) -> int:
        """How many commits each query reads beside the checkpoint."""
        return self.version - (-1 if self.hint is None else self.hint)

    def base(self, version: int) -> int | None:
        """The checkpoint that a state of `version` is read from; None where it is read from the first commit."""
        return max((one for one in self.checkpoints if one <= version), default=None)

    @property
    def oldest(self) -> int:
        """The oldest version that can be read. Raises BrokenLogError where there is a hole in what follows."""
        if 0 in self.commits:
            first = 0
        elif self.checkpoints:
            first = min(self.checkpoints)
        else:
            raise BrokenLogError("the log has neither its beginning nor a checkpoint")
        self.must_be_whole(first)
        return first

    def must_be_whole(self, first: int) -> None:
        """Raise BrokenLogError unless every commit after `first` is there."""
        missing = next((one for one in range(first + 1, self.version + 1) if one not in self.commits), None)
        if missing is not None:
            raise BrokenLogError(f"log entry {missing} is missing")


@dataclass
class State:
    """A table at one version."""

    version: int
    files: dict[str, Action] = field(default_factory=lambda: {})
    """Its data files: what was added, by path."""

    removed: dict[str, int] = field(default_factory=lambda: {})
    """Files that it had before: when they were removed, in milliseconds since 1970."""

    metadata: Action = field(default_factory=lambda: {})
    protocol: Action = field(default_factory=lambda: {})

    def apply(self, actions: Iterable[Action]) -> None:
        """Go one version on."""
        for action in actions:
            if added := action.get("add"):
                self.files[added["path"]] = added
                self.removed.pop(added["path"], None)
            elif gone := action.get("remove"):
                self.files.pop(gone["path"], None)
                self.removed[gone["path"]] = gone.get("deletionTimestamp") or 0
            elif metadata := action.get("metaData"):
                self.metadata = metadata
            elif protocol := action.get("protocol"):
                self.protocol = protocol


class Log:
    """The log of one table."""

    def __init__(self, store: Store, table: str) -> None:
        self._store = store
        self.table = table

    def listing(self) -> Listing:
        """The log as it is now. Raises GoneError."""
        commits: dict[int, StoredObject] = {}
        checkpoints: dict[int, StoredObject] = {}
        temporary: list[StoredObject] = []
        # First: a checkpoint that it names is there when the folder is listed after it.
        hint = self._store.get(hint_path(self.table))
        for one in self._store.list(log_folder(self.table)):
            if match := _VERSIONED.fullmatch(one.name):
                kinds = {"json": commits, "checkpoint.parquet": checkpoints}
                kinds.get(match[2], {})[int(match[1])] = one
            elif _TEMPORARY.fullmatch(one.name):
                temporary.append(one)
        if not commits:
            raise GoneError(f"table {self.table} is not there")
        return Listing(commits, checkpoints, temporary, None if hint is None else json.loads(hint)["version"])

    def state(self, listing: Listing, version: int) -> State:
        """The table at one version. Raises BrokenLogError, GoneError."""
        base = listing.base(version)
        state = State(version)
        if base is not None:
            state.apply(self._checkpoint(base))
        elif 0 not in listing.commits:
            raise BrokenLogError(f"there is no checkpoint at or before version {version}")
        wanted = range(0 if base is None else base + 1, version + 1)
        for actions in self.commits(listing, wanted):
            state.apply(actions)
        if not state.metadata or not state.protocol:
            raise BrokenLogError(f"version {version} has no schema")
        return state

    def commits(self, listing: Listing, wanted: Iterable[int]) -> Iterator[list[Action]]:
        """The actions of commits, in their order. Raises BrokenLogError, GoneError."""
        versions = list(wanted)
        missing = next((one for one in versions if one not in listing.commits), None)
        if missing is not None:
            raise BrokenLogError(f"log entry {missing} is missing")
        with ThreadPoolExecutor(_THREADS) as threads:
            for content in threads.map(self._store.get, (commit_path(self.table, one) for one in versions)):
                if content is None:
                    raise GoneError(f"table {self.table} lost log entries meanwhile")
                yield [json.loads(line) for line in content.splitlines() if line]

    def commit(self, version: int, operation: str, now: datetime, actions: Sequence[Action]) -> bool:
        """Make a version of the table; False where another has made it."""
        about: dict[str, Any] = {
            "timestamp": round(now.timestamp() * 1000),
            "operation": operation,
            "operationParameters": {},
            "engineInfo": "seafowl-maintenance",
        }
        lines: list[Action] = [{"commitInfo": about}, *actions]
        return self._store.create(commit_path(self.table, version), "\n".join(map(json.dumps, lines)).encode())

    def _checkpoint(self, version: int) -> Iterator[Action]:
        content = self._store.get(checkpoint_path(self.table, version))
        if content is None:
            raise GoneError(f"table {self.table} lost its checkpoint meanwhile")
        for batch in read_parquet(io.BytesIO(content)):
            for kind in _KINDS & set(batch.column_names):
                # (arro3 annotates the list as an array of NumPy's.)
                values: list[Any] = cast("Any", batch.column(kind)).to_pylist()
                yield from ({kind: _plain(value)} for value in values if value is not None)


def file_path(table: str, path: str) -> str:
    """The object of a data file, whose path in the log is percent-encoded."""
    return f"{table}/{unquote(path)}"


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """As JSON would have it: Arrow's maps are lists of pairs."""
    return {name: _plain_value(name, value) for name, value in fields.items()}


def _plain_value(name: str, value: Any) -> Any:
    if name in _MAPS and value is not None:
        return dict(value)
    return _plain(cast("dict[str, Any]", value)) if isinstance(value, dict) else value
