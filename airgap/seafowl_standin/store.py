"""The object store: where a table's files lie, how deltalake reaches them, and how they are removed."""

import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .config import LocalStore, MemoryStore, S3Store
from .config import ObjectStore as StoreSettings
from .errors import Fatal

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from obstore.store import S3Store as Bucket

DEFAULT_REGION = "us-east-1"
MAX_IDLE = 32


class ObjectStore:
    """Tables lie side by side under the root, each in a folder named by its UUID."""

    def __init__(self, settings: StoreSettings) -> None:
        """Raises Fatal where a local directory is missing."""
        self._s3: S3Store | None = None
        self.options: dict[str, str] = {}
        self._idle = Idle()
        match settings:
            case S3Store():
                self._s3 = settings
                self._root = f"s3://{'/'.join(_parts(settings.bucket, settings.prefix))}"
                self.options = _deltalake_options(settings)
            case LocalStore():
                if not Path(settings.data_dir).is_dir():
                    raise Fatal(f"Error creating object store: there is no directory {settings.data_dir}")
                self._root = str(Path(settings.data_dir).absolute())
            case MemoryStore():
                # Process-wide memory is a directory that ends with the process: deltalake's own is one per table.
                self._scratch = tempfile.TemporaryDirectory(prefix="seafowl-memory-")
                self._root = self._scratch.name

    def uri(self, uuid: str) -> str:
        """The table's address."""
        return f"{self._root}/{uuid}"

    @contextmanager
    def opened(self, uuid: str) -> "Generator[DeltaTable]":
        """The table as it is now, for this thread alone.

        What is newer in its log is read each time. The rest, and the connection, are kept from the last time:
        making them anew costs five times as much.
        """
        from deltalake import DeltaTable

        table = self._idle.take(uuid)
        if table is None:
            table = DeltaTable(self.uri(uuid), storage_options=self.options)
        else:
            table.update_incremental()
        yield table
        self._idle.put(uuid, table)

    def remove(self, uuid: str) -> None:
        """Remove all objects of a table; none there is fine."""
        self._idle.forget(uuid)
        if self._s3 is None:
            path = Path(self.uri(uuid))
            if path.is_dir():
                shutil.rmtree(path)
            return
        import obstore

        store = _bucket(self._s3)
        prefix = "/".join(_parts(self._s3.prefix, uuid))
        for entries in obstore.list(store, prefix):
            obstore.delete(store, [entry["path"] for entry in entries])


class Idle:
    """Open tables that no thread uses, the latest used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: OrderedDict[int, tuple[str, DeltaTable]] = OrderedDict()

    def take(self, uuid: str) -> "DeltaTable | None":
        """An idle table of this UUID, which is idle no more."""
        with self._lock:
            for key in reversed(self._tables):
                if self._tables[key][0] == uuid:
                    return self._tables.pop(key)[1]
        return None

    def put(self, uuid: str, table: "DeltaTable") -> None:
        """Keep a table for later."""
        with self._lock:
            self._tables[id(table)] = (uuid, table)
            if len(self._tables) > MAX_IDLE:
                self._tables.popitem(last=False)

    def forget(self, uuid: str) -> None:
        """Drop all tables of this UUID."""
        with self._lock:
            for key in [key for key, (owner, _) in self._tables.items() if owner == uuid]:
                del self._tables[key]


def _parts(*parts: str | None) -> list[str]:
    return [part.strip("/") for part in parts if part and part.strip("/")]


def _is_anonymous(settings: S3Store) -> bool:
    return settings.access_key_id is None or settings.secret_access_key is None


def _is_plain_http(settings: S3Store) -> bool:
    return (settings.endpoint or "").startswith("http://")


def _deltalake_options(settings: S3Store) -> dict[str, str]:
    """Keys of the object_store crate."""
    options = {
        "AWS_REGION": settings.region or DEFAULT_REGION,
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ALLOW_HTTP": str(_is_plain_http(settings)).lower(),
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        # Commits rename, as the original's do: two writers on one bucket and prefix can corrupt tables.
        "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SKIP_SIGNATURE": str(_is_anonymous(settings)).lower(),
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
        "AWS_SESSION_TOKEN": settings.session_token,
    }
    return {key: value for key, value in options.items() if value is not None}


def _bucket(settings: S3Store) -> "Bucket":
    from obstore.store import S3Store as Bucket

    options = {
        "endpoint": settings.endpoint,
        "region": settings.region or DEFAULT_REGION,
        "access_key_id": settings.access_key_id,
        "secret_access_key": settings.secret_access_key,
        "session_token": settings.session_token,
    }
    given = {key: value for key, value in options.items() if value is not None}
    return Bucket(
        settings.bucket,
        skip_signature=_is_anonymous(settings),
        virtual_hosted_style_request=False,
        client_options={"allow_http": _is_plain_http(settings)},
        **given,  # pyright: ignore[reportArgumentType]
    )
