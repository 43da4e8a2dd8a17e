"""Which SQLite journal modes of writer and readers fit together when LiteFS replicates the catalog.

Each pair was tried with Seafowl 0.5.8 on LiteFS 0.5.14. A reader whose mode does not fit dies at its start
(exit code 101), so a pair that is not listed here is refused before anything is declared.
"""

from typing import Literal, get_args

WriterJournalMode = Literal["delete", "truncate", "persist", "wal"]
ReaderJournalMode = Literal["off", "delete", "memory", "wal"]

WRITER_MODES: tuple[str, ...] = get_args(WriterJournalMode)
READER_MODES: tuple[str, ...] = get_args(ReaderJournalMode)

_ROLLBACK_READERS = ("off", "delete", "memory")

READERS_THAT_FIT: dict[str, tuple[str, ...]] = {
    "delete": _ROLLBACK_READERS,
    "truncate": _ROLLBACK_READERS,
    "persist": _ROLLBACK_READERS,
    "wal": ("wal",),
}
"""Writer's mode → the readers' modes with which readers start and see the data."""


def misfit(writer: str, reader: str) -> str | None:
    """Why readers with mode `reader` cannot follow a writer with mode `writer`, and what fits; None if they can."""
    fitting = READERS_THAT_FIT[writer]
    if reader in fitting:
        return None
    if writer == "wal":
        reason = (
            "the catalog file that LiteFS replicates is then in WAL format, and a Seafowl that opens it read-only "
            f"cannot turn it to {reader!r}"
        )
    else:
        reason = (
            "the catalog file that LiteFS replicates then has a rollback journal, and a Seafowl that opens it "
            "read-only cannot turn it to WAL"
        )
    writers = " or ".join(mode for mode, readers in READERS_THAT_FIT.items() if reader in readers)
    return (
        f"{reader!r} does not fit writerJournalMode {writer!r}: {reason}, so every reader would die at its start. "
        f"With writer {writer!r} set it to {' or '.join(fitting)}; with readers {reader!r} set the writer to {writers}"
    )
