"""What the statements of one process share."""

from .catalog import Catalog
from .external import StagingArea
from .session import Session
from .store import ObjectStore
from .tables import Tables


class Engine:
    """Makes sessions over the catalog and the object store."""

    def __init__(self, catalog: Catalog, store: ObjectStore) -> None:
        self.catalog = catalog
        self.store = store
        self.staging = StagingArea()
        self.tables = Tables(catalog, store)

    def session(self, database: str) -> Session:
        """A new view of the catalog as it is now."""
        return Session(database, self.catalog.tree(), self.store, self.staging)
