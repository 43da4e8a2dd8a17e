"""Garbage collection: removing the objects of dropped tables."""

from .catalog import Catalog
from .errors import ApiError
from .logs import LOG
from .store import ObjectStore


def collect(catalog: Catalog, store: ObjectStore, database: str | None = None) -> None:
    """Remove what dropped tables left, of one database or all; what fails is logged and tried again next time.

    A reader tries too, as the original's does: without the right to delete it only logs.
    """
    try:
        dropped = catalog.dropped(database)
    except ApiError as error:
        LOG.warning("Failed to list dropped tables: %s", error)
        return
    for uuid in dropped:
        try:
            store.remove(uuid)
            catalog.forget_dropped(uuid)
        except Exception as error:
            LOG.warning("Failed to remove the dropped table %s: %s", uuid, str(error).splitlines()[0])
        else:
            LOG.info("Removed the dropped table %s", uuid)
