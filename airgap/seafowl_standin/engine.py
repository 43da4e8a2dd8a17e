"""What the statements of one process share."""

from .catalog import Catalog
from .client import Client
from .external import StagingArea
from .registered import Registered
from .session import Session
from .store import ObjectStore
from .tables import Tables


class Engine:
    """Makes sessions over the catalog and the object store."""

    def __init__(self, catalog: Catalog, store: ObjectStore) -> None:
        self.catalog = catalog
        self.store = store
        self.staging = StagingArea()
        self._registered = Registered()
        self.tables = Tables(catalog, store, self._registered)

    def session(self, database: str, client: Client) -> Session:
        """A new view of the catalog as it is now, for a statement of this client."""
        tree = self.catalog.tree()
        self._registered.replace(tree)
        return Session(database, tree, self.store, self.staging, client)
