"""The care for one table: compaction, a checkpoint, a shorter log, and no files that no kept version needs.

What makes it safe:

- Seafowl's commits overwrite whatever is there (0.5.8, src/object_store/wrapped.rs). So a version is final only when no
  write is in flight that loaded an older one: when the table was to itself for a moment. Only such a version is given a
  checkpoint, and only then is a version added.
- A version is added with a condition: never over one that is there. So a request that arrives late, from a process that
  was killed, does nothing.
- Whatever is written is of no use to anybody until the last request of its step, and whatever is deleted was of no use
  any more before. So the process may be killed at any moment.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deltalake.exceptions import TableNotFoundError

from maintenance.log import (
    Action,
    BrokenLogError,
    GoneError,
    Listing,
    Log,
    State,
    checkpoint_path,
    file_path,
    hint_path,
)
from maintenance.parent import Parent
from maintenance.rewrite import TIERS, Rewritten, removal, rewrite, small_files
from maintenance.store import Store

CHECKPOINT_AFTER = 50
"""So many commits, which each query reads one by one, are worth a checkpoint."""

READ_GRACE = timedelta(seconds=20)
"""For a query that began to read the log before there was a newer checkpoint."""

FILE_GRACE = timedelta(hours=1)
"""For a query that reads a file which was removed since it began, and for a write whose commit is still to come."""

PROPERTIES = {
    # Seafowl would delete entries older than a month at each write, needed or not (delta-rs 0.18).
    "delta.enableExpiredLogCleanup": "false",
    # How long checkpoints tell of removed files: longer than `FILE_GRACE`.
    "delta.deletedFileRetentionDuration": "interval 2 hours",
}

_LONG_LOG = 4 * CHECKPOINT_AFTER
"""Each compaction reads the log, so one that is this long is given a checkpoint before the first."""

_MOST_COMPACTIONS = 8
"""Of one process: a table that is written to all the time needs its checkpoint, too."""

_OURS = re.compile(r"part-[^/]+\.parquet")
"""Names of data files, Seafowl's and those of `rewrite`."""

_CLOCK = "_writers/clock"


@dataclass(frozen=True)
class Keep:
    """How far back a table can be read: all versions of the last while, but not more than so many."""

    history: timedelta
    versions: int


@dataclass(frozen=True)
class Look:
    """What a table is like, and what it needs."""

    version: int
    checkpoint: int | None
    since_checkpoint: int
    entries: int
    files: int
    small: int
    size: int
    needs: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """As the protocol has it."""
        return {
            "version": self.version,
            "checkpoint": self.checkpoint,
            "commits": self.since_checkpoint,
            "entries": self.entries,
            "files": self.files,
            "small": self.small,
            "bytes": self.size,
            "needs": list(self.needs),
        }


def store_now(store: Store) -> datetime:
    """The store's own clock."""
    store.put(_CLOCK, b"")
    return store.modified(_CLOCK)


def look(log: Log, keep: Keep, now: datetime) -> Look:
    """See what a table needs, and change nothing. Raises GoneError, BrokenLogError."""
    listing = log.listing()
    state = log.state(listing, listing.version)
    needs = [
        name
        for name, needed in (
            ("compaction", bool(small_files(state))),
            ("checkpoint", _needs_checkpoint(listing, state, keep, now)),
            ("trimming", _floor(listing, keep, now) > listing.oldest),
        )
        if needed
    ]
    return Look(
        version=listing.version,
        checkpoint=listing.hint,
        since_checkpoint=listing.since_checkpoint,
        entries=listing.entries,
        files=len(state.files),
        small=sum(one["size"] < TIERS[0] for one in state.files.values()),
        size=sum(one["size"] for one in state.files.values()),
        needs=tuple(needs),
    )


class Care:
    """Looks after one table, in a process of its own."""

    def __init__(self, store: Store, table: str, keep: Keep, parent: Parent) -> None:
        self._store = store
        self._table = table
        self._log = Log(store, table)
        self._keep = keep
        self._parent = parent
        self._waits_for: list[timedelta] = []

    def run(self, *, sweep: bool) -> None:
        """Do what the table needs, and tell the parent; `sweep`: look for files that nothing needs, too.

        Raises GoneError, BrokenLogError, StoreError.
        """
        now = store_now(self._store)
        listing = self._log.listing()
        self._remove_unfinished(listing, now)
        if listing.since_checkpoint >= _LONG_LOG:
            self._write_checkpoint(now)
        compactions = 0
        while compactions < _MOST_COMPACTIONS and self._compact(now):
            compactions += 1
        self._write_checkpoint(now, anyway=compactions > 0)
        now = store_now(self._store)
        self._trim(now)
        if sweep:
            self._sweep(now)
        found = look(self._log, self._keep, now)
        again = min(self._waits_for, default=None)
        after = {} if again is None else {"again": again.total_seconds()}
        self._parent.tell({"done": {**found.told(), **after}})

    # What a process that was killed left behind.

    def _remove_unfinished(self, listing: Listing, now: datetime) -> None:
        """Checkpoints that readers were never sent to, and commits that were never made."""
        hint = listing.hint
        stale = [one for version, one in listing.checkpoints.items() if hint is not None and version > hint]
        stale += [one for one in listing.temporary if one.modified < now - FILE_GRACE]
        if stale:
            self._store.delete([one.path for one in stale])

    # Compaction.

    def _compact(self, now: datetime) -> bool:
        """Make one file of small ones; whether there may be more to do."""
        listing = self._log.listing()
        state = self._log.state(listing, listing.version)
        files = small_files(state)
        if not files:
            return False
        made = rewrite(self._store, self._table, files, state.metadata["schemaString"], now)
        if made is None:
            return False
        with self._alone() as final:
            version = self._replace(final, listing, state, made, now)
        if version is None:
            # A client has changed these very rows meanwhile.
            self._store.delete([file_path(self._table, made.added["path"])])
        else:
            self._tell("compaction", version=version, files=len(made.sources), bytes=made.added["size"])
        return version is not None

    def _replace(self, final: Listing, listed: Listing, seen: State, made: Rewritten, now: datetime) -> int | None:
        """Commit a new file in place of others. None where they are not as they were seen: its rows may be wrong."""
        newest = self._caught_up(final, listed, seen)
        if newest is None:
            return None
        as_seen = all(newest.files.get(one["path"]) is seen.files[one["path"]] for one in made.sources)
        if not as_seen or newest.metadata is not seen.metadata or newest.protocol is not seen.protocol:
            return None
        actions = [*_properties(newest), {"add": made.added}, *(removal(one, now) for one in made.sources)]
        version = final.version + 1
        return version if self._log.commit(version, "OPTIMIZE", now, actions) else None

    def _caught_up(self, final: Listing, listed: Listing, seen: State) -> State | None:
        """The newest state, of the one that was seen and the commits since; None where that one was overwritten."""
        if any(final.commits.get(version) != one for version, one in listed.commits.items()):
            return None
        newest = State(final.version, dict(seen.files), dict(seen.removed), seen.metadata, seen.protocol)
        for actions in self._log.commits(final, range(seen.version + 1, final.version + 1)):
            newest.apply(actions)
        return newest

    # The checkpoint.

    def _write_checkpoint(self, now: datetime, *, anyway: bool = False) -> None:
        listing = self._log.listing()
        state = self._log.state(listing, listing.version)
        if not anyway and not _needs_checkpoint(listing, state, self._keep, now):
            return
        with self._alone() as final:
            version = final.version
            if _properties(state):
                # With a checkpoint, Seafowl begins to clean up: before there is one, it must know not to.
                version = self._set_properties(final, listing, state, now)
        # From here on no version up to this one changes any more: every later write loads this one, or a newer one.
        # The log can be trimmed up to a checkpoint only. Where none is near the oldest kept version, it gets one, too.
        oldest = _oldest_wanted(final, self._keep, now)
        for one in (oldest, version) if version > oldest > _checkpointed(listing) + CHECKPOINT_AFTER else (version,):
            self._write_checkpoint_of(one)
        self._tell("checkpoint", version=version, commits=listing.since_checkpoint)

    def _write_checkpoint_of(self, version: int) -> None:
        try:
            self._store.write_checkpoint(self._table, version)
        except TableNotFoundError as error:
            raise GoneError(str(error)) from error
        self._check_still_there(version)

    def _set_properties(self, final: Listing, listed: Listing, seen: State, now: datetime) -> int:
        """Returns the newest version."""
        newest = self._caught_up(final, listed, seen) or self._log.state(final, final.version)
        actions = _properties(newest)
        if not actions:
            return final.version
        version = final.version + 1
        if not self._log.commit(version, "SET TBLPROPERTIES", now, actions):
            raise BrokenLogError(f"version {version} was made by somebody who does not wait for his turn")
        return version

    def _check_still_there(self, version: int) -> None:
        """A table that was dropped meanwhile must not come back as a checkpoint of it."""
        try:
            self._log.listing()
        except GoneError:
            self._store.delete([checkpoint_path(self._table, version), hint_path(self._table)])
            raise

    # The log.

    def _trim(self, now: datetime) -> None:
        """Delete the entries that no kept version needs."""
        listing = self._log.listing()
        floor = _floor(listing, self._keep, now)
        if _floor(listing, self._keep, now, grace=timedelta.min) > floor:
            self._waits_for.append(READ_GRACE + timedelta(seconds=5))
        checkpoints = sorted(version for version in listing.checkpoints if version < floor)
        commits = sorted(version for version in listing.commits if version < floor)
        if not checkpoints and not commits:
            return
        # Checkpoints first, then commits from the oldest on: at every moment a version is there as a whole, or cannot
        # be read at all. A commit on an older checkpoint, with those between missing, would be read as if it was whole.
        self._store.delete([checkpoint_path(self._table, version) for version in checkpoints])
        self._store.delete([listing.commits[version].path for version in commits[:1]])
        self._store.delete([listing.commits[version].path for version in commits[1:]])
        self._tell("trimming", oldest=floor, entries=len(checkpoints) + len(commits))

    # Data files.

    def _sweep(self, now: datetime) -> None:
        """Delete the data files that no kept version needs."""
        listing = self._log.listing()
        oldest = listing.oldest
        state = self._log.state(listing, oldest)
        needed = set(state.files)
        for actions in self._log.commits(listing, range(oldest + 1, listing.version + 1)):
            state.apply(actions)
            needed.update(action["add"]["path"] for action in actions if "add" in action)
        kept = {file_path(self._table, path) for path in needed}
        limit = (now - FILE_GRACE).timestamp() * 1000
        in_use = {file_path(self._table, path) for path, removed in state.removed.items() if removed > limit}
        stale: list[str] = []
        size = 0
        for one in self._store.list(self._table):
            path = one.path.removeprefix(f"{self._table}/")
            if one.path in kept or not _OURS.fullmatch(path):
                continue
            if one.modified > now - FILE_GRACE or one.path in in_use:
                self._waits_for.append(FILE_GRACE + timedelta(minutes=1))
                continue
            stale.append(one.path)
            size += one.size
        if stale:
            self._store.delete(stale)
            self._tell("files", files=len(stale), bytes=size)

    # Together.

    @contextmanager
    def _alone(self) -> Generator[Listing]:
        """The log while no write is in flight. Raises GoneError."""
        with self._parent.alone():
            yield self._log.listing()

    def _tell(self, step: str, **figures: Any) -> None:
        self._parent.tell({"step": step, **figures})


def _properties(state: State) -> list[Action]:
    """What must be said of the table before there is a checkpoint; nothing where it is said."""
    configuration: dict[str, str] = state.metadata.get("configuration") or {}
    if configuration.items() >= PROPERTIES.items():
        return []
    return [{"metaData": {**state.metadata, "configuration": {**configuration, **PROPERTIES}}}]


def _needs_checkpoint(listing: Listing, state: State, keep: Keep, now: datetime) -> bool:
    if listing.since_checkpoint >= CHECKPOINT_AFTER:
        return True
    # Without a newer checkpoint, the log has to be kept, and so have files that were removed long ago.
    limit = (now - max(keep.history, FILE_GRACE)).timestamp() * 1000
    is_past = listing.commits[listing.version].modified < now - keep.history
    return (
        is_past
        and _checkpointed(listing) < listing.version
        and any(removed < limit for removed in state.removed.values())
    )


def _floor(listing: Listing, keep: Keep, now: datetime, grace: timedelta | None = None) -> int:
    """The version below which the log is needed by nobody: there is a checkpoint of it, and readers know that one."""
    known_by = READ_GRACE if grace is None else grace
    wanted = _oldest_wanted(listing, keep, now)
    return max(
        (
            version
            for version, one in listing.checkpoints.items()
            if version <= wanted
            and version in listing.commits
            and version <= _checkpointed(listing)
            and now - one.modified >= known_by
        ),
        default=listing.oldest,
    )


def _oldest_wanted(listing: Listing, keep: Keep, now: datetime) -> int:
    """The oldest version that is to be kept."""
    at_start = max(
        (version for version, one in listing.commits.items() if one.modified <= now - keep.history), default=-1
    )
    return max(at_start, listing.version - keep.versions + 1)


def _checkpointed(listing: Listing) -> int:
    """The version that readers begin with; -1 where they begin with the first commit."""
    return -1 if listing.hint is None else listing.hint
