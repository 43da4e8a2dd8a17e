"""Where the tables lie: the object store of a seafowl.toml, with the keys of the environment."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import obstore
import tomli
from deltalake import DeltaTable
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

KEY_ID_ENV = "SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID"
KEY_ENV = "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"
"""As Seafowl itself takes them (0.5.8)."""

_REGION = "us-east-1"
_REQUEST_TIMEOUT = timedelta(seconds=30)
_RETRY_FOR = timedelta(seconds=10)

StoreError = BaseError
"""The store does not answer, or refuses."""

_SAME = TypeVar("_SAME", bound="Store")


@dataclass(frozen=True)
class StoredObject:
    """One object: its path below the prefix, bytes, when it was written, by the store's own clock, and its ETag."""

    path: str
    size: int
    modified: datetime
    etag: str | None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class Store:
    """The objects of one bucket and prefix. Every change of them is one of its methods."""

    def __init__(self, objects: "S3Store | LocalStore", root: str, options: dict[str, str]) -> None:
        """`root`, `options`: what deltalake reaches the same place with."""
        self._objects = objects
        self._root = root
        self._options = options

    @classmethod
    def of(cls: type[_SAME], config: Path) -> _SAME:
        """The store that a seafowl.toml names. Raises OSError, tomli.TOMLDecodeError, KeyError."""
        settings: dict[str, Any] = tomli.loads(config.read_text())["object_store"]
        if settings["type"] == "local":
            folder = Path(settings["data_dir"]).absolute()
            return cls(LocalStore(folder), str(folder), {})
        endpoint: str | None = settings.get("endpoint")
        region: str = settings.get("region", _REGION)
        prefix: str | None = settings.get("prefix")
        key_id, key = os.environ.get(KEY_ID_ENV), os.environ.get(KEY_ENV)
        plain = (endpoint or "").startswith("http://")
        given = {"endpoint": endpoint, "access_key_id": key_id, "secret_access_key": key}
        objects = S3Store(
            settings["bucket"],
            prefix=prefix,
            region=region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": plain, "timeout": _REQUEST_TIMEOUT, "connect_timeout": _RETRY_FOR},
            retry_config={"max_retries": 3, "retry_timeout": _RETRY_FOR},
            **{name: value for name, value in given.items() if value is not None},  # pyright: ignore[reportArgumentType]
        )
        options = {
            "AWS_REGION": region,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": str(plain).lower(),
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": key,
        }
        root = "/".join(part for part in (f"s3://{settings['bucket']}", prefix) if part)
        return cls(objects, root, {name: value for name, value in options.items() if value is not None})

    def list(self, folder: str) -> Iterator[StoredObject]:
        """All objects below a folder."""
        for found in obstore.list(self._objects, folder, chunk_size=1000):
            for one in found:
                yield StoredObject(one["path"], one["size"], one["last_modified"], one["e_tag"])

    def get(self, path: str) -> bytes | None:
        """An object's bytes; None where it is not there."""
        try:
            return obstore.get(self._objects, path).bytes().to_bytes()
        except FileNotFoundError:
            return None

    def put(self, path: str, content: bytes) -> None:
        """Write an object, over one that is there."""
        obstore.put(self._objects, path, content)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object that is not there; False where it is."""
        try:
            obstore.put(self._objects, path, content, mode="create", use_multipart=False)
        except obstore.exceptions.AlreadyExistsError:
            return False
        return True

    def write_checkpoint(self, table: str, version: int) -> None:
        """Write a table's checkpoint, and name it as the one to begin with. Raises TableNotFoundError, DeltaError."""
        DeltaTable(f"{self._root}/{table}", version, storage_options=self._options).create_checkpoint()

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; one that is not there is deleted."""
        for start in range(0, len(paths), 1000):
            try:
                obstore.delete(self._objects, paths[start : start + 1000])
            except FileNotFoundError:
                for path in paths[start : start + 1000]:
                    self._delete_one(path)

    def modified(self, path: str) -> datetime:
        """When an object was written, by the store's own clock. Raises FileNotFoundError."""
        return obstore.head(self._objects, path)["last_modified"]

    def _delete_one(self, path: str) -> None:
        try:
            obstore.delete(self._objects, path)
        except FileNotFoundError:
            return
