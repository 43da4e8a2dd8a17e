"""The object store: where a table's files lie, how deltalake reaches them, and how they are removed."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .config import LocalStore, MemoryStore, S3Store
from .config import ObjectStore as StoreSettings
from .errors import Fatal

if TYPE_CHECKING:
    from deltalake import DeltaTable

DEFAULT_REGION = "us-east-1"


class ObjectStore:
    """Tables lie side by side under the root, each in a folder named by its UUID."""

    def __init__(self, settings: StoreSettings) -> None:
        """Raises Fatal where a local directory is missing."""
        self._s3: S3Store | None = None
        self._options: dict[str, str] = {}
        match settings:
            case S3Store():
                self._s3 = settings
                self._root = f"s3://{'/'.join(_parts(settings.bucket, settings.prefix))}"
                self._options = _deltalake_options(settings)
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

    @property
    def options(self) -> dict[str, str]:
        """deltalake's storage options."""
        return self._options

    def open(self, uuid: str) -> "DeltaTable":
        """The table as it is now: lists and reads its log, as the original does for every query."""
        from deltalake import DeltaTable

        return DeltaTable(self.uri(uuid), storage_options=self._options)

    def remove(self, uuid: str) -> None:
        """Remove all objects of a table; none there is fine."""
        if self._s3 is None:
            shutil.rmtree(self.uri(uuid), ignore_errors=False) if os.path.isdir(self.uri(uuid)) else None
            return
        import obstore

        store = _obstore(self._s3)
        prefix = "/".join(_parts(self._s3.prefix, uuid))
        for batch in obstore.list(store, prefix):
            obstore.delete(store, [entry["path"] for entry in batch])


def _parts(*parts: str | None) -> list[str]:
    return [part.strip("/") for part in parts if part and part.strip("/")]


def _deltalake_options(settings: S3Store) -> dict[str, str]:
    """Keys of the object_store crate; an absent key would be looked up in the environment."""
    options = {
        "AWS_REGION": settings.region or DEFAULT_REGION,
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        # Commits rename, as the original's do: two writers on one bucket and prefix can corrupt tables.
        "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if settings.endpoint is not None:
        options["AWS_ENDPOINT_URL"] = settings.endpoint
        options["AWS_ALLOW_HTTP"] = str(settings.endpoint.startswith("http://")).lower()
    if settings.access_key_id is None or settings.secret_access_key is None:
        return options | {"AWS_SKIP_SIGNATURE": "true"}
    options["AWS_ACCESS_KEY_ID"] = settings.access_key_id
    options["AWS_SECRET_ACCESS_KEY"] = settings.secret_access_key
    if settings.session_token is not None:
        options["AWS_SESSION_TOKEN"] = settings.session_token
    return options


def _obstore(settings: S3Store):
    from obstore.store import S3Store as Bucket

    anonymous = settings.access_key_id is None or settings.secret_access_key is None
    return Bucket(
        settings.bucket,
        endpoint=settings.endpoint,
        region=settings.region or DEFAULT_REGION,
        access_key_id=settings.access_key_id,
        secret_access_key=settings.secret_access_key,
        session_token=settings.session_token,
        skip_signature=anonymous,
        virtual_hosted_style_request=False,
        client_options={"allow_http": (settings.endpoint or "").startswith("http://")},
    )
