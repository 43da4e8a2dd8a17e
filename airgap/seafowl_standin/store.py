"""The object store: where a table's files lie, how deltalake reaches them, and how they are put and removed."""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .config import LocalStore, MemoryStore, S3Store
from .config import ObjectStore as StoreSettings
from .errors import Fatal

if TYPE_CHECKING:
    from datetime import datetime

    from deltalake import DeltaTable
    from obstore.store import LocalStore as Folder
    from obstore.store import S3Store as Bucket

DEFAULT_REGION = "us-east-1"
LAST_CHECKPOINT = "_last_checkpoint"


class ObjectStore:
    """Tables lie side by side under the root, each in a folder named by its UUID."""

    def __init__(self, settings: StoreSettings) -> None:
        """Raises Fatal where a local directory is missing."""
        self._s3: S3Store | None = None
        self.options: dict[str, str] = {}
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

    @property
    def overwrites(self) -> bool:
        """Whether a commit takes the place of another of its version: in S3 (see object_store/wrapped.rs)."""
        return self._s3 is not None

    def uri(self, uuid: str) -> str:
        """The table's address."""
        return f"{self._root}/{uuid}"

    def open(self, uuid: str, at: "datetime | None" = None) -> "DeltaTable":
        """The table as it is now, or as it was at a time. Its whole log is read each time; nothing is kept."""
        from deltalake import DeltaTable

        if self.has_checkpoint(uuid):
            # deltalake asks for what follows the checkpoint, the original for all of the log.
            self.list(uuid, "_delta_log")
        table = DeltaTable(self.uri(uuid), storage_options=self.options)
        if at is not None:
            table.load_as_version(at)
        return table

    def has_checkpoint(self, uuid: str) -> bool:
        """Whether somebody has written a checkpoint of the table's log."""
        import obstore

        try:
            obstore.head(self._store, self._path(uuid, "_delta_log", LAST_CHECKPOINT))
        except FileNotFoundError:
            return False
        return True

    def put(self, uuid: str, name: str, content: bytes | IO[bytes]) -> None:
        """Write an object of a table, over the one that is there."""
        import obstore

        obstore.put(self._store, self._path(uuid, name), content)

    def rename(self, uuid: str, old: str, new: str) -> None:
        """Move an object of a table: in S3 over whatever is there, else raises AlreadyExistsError of obstore."""
        import obstore

        obstore.rename(self._store, self._path(uuid, old), self._path(uuid, new), overwrite=self.overwrites)

    def list(self, uuid: str, folder: str = "") -> list[str]:
        """The names of all objects of a table, or of those in one of its folders."""
        import obstore

        prefix = f"{self._path(uuid)}/"
        listed = obstore.list(self._store, f"{prefix}{folder}")
        return [entry["path"].removeprefix(prefix) for entries in listed for entry in entries]

    def remove(self, uuid: str, names: "list[str] | None" = None) -> None:
        """Remove objects of a table, by default all of them; none there is fine."""
        import obstore

        paths = [self._path(uuid, name) for name in (self.list(uuid) if names is None else names)]
        if paths:
            obstore.delete(self._store, paths)

    def _path(self, *parts: str) -> str:
        return "/".join(_parts(None if self._s3 is None else self._s3.prefix, *parts))

    @cached_property
    def _store(self) -> "Bucket | Folder":
        from obstore.store import LocalStore as Folder

        return Folder(self._root) if self._s3 is None else _bucket(self._s3)


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
