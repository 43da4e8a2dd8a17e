"""Garbage collection: removing the objects of dropped tables that the catalog still notes.

Nothing notes one any more: DROP TABLE removes the objects itself. Catalogs of earlier versions may hold some.
"""

from collections.abc import Callable

from .catalog import Catalog
from .errors import ApiError
from .logs import LOG
from .store import ObjectStore

PENDING, RETRY, FAILED = "PENDING", "RETRY", "FAILED"


def collect(catalog: Catalog, store: ObjectStore, database: str | None = None) -> None:
    """Remove what dropped tables left, of one database or all; what fails is logged, and its row says FAILED.

    A reader tries too, as the original's does: without the right to delete it only logs.
    """
    try:
        dropped = catalog.dropped(database)
    except ApiError as error:
        LOG.warning("Failed to list dropped tables: %s", error)
        return
    for uuid, status in dropped:
        if status == FAILED:
            LOG.warning("The objects of the dropped table %s could not be removed: remove them by hand", uuid)
            continue
        try:
            store.remove(uuid)
        except Exception as error:
            LOG.warning("Failed to remove the dropped table %s: %s", uuid, str(error).splitlines()[0])
            # The original gives up a table at once that it has not tried before, and tries others for ever.
            _note(lambda uuid=uuid, status=status: catalog.set_dropped(uuid, FAILED if status == PENDING else RETRY))
        else:
            _note(lambda uuid=uuid: catalog.forget_dropped(uuid))
            LOG.info("Removed the dropped table %s", uuid)


def _note(change: Callable[[], None]) -> None:
    try:
        change()
    except ApiError as error:
        LOG.warning("Failed to note what became of a dropped table: %s", error)
