"""seafowl.toml and SEAFOWL__… variables into frozen settings, with the original's checks (src/config/schema.rs).

Unknown keys are ignored, as the original ignores them. Every problem is `Fatal` (exit 101).
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from .access import ANY, OFF, AccessPolicy
from .errors import Fatal
from .values import Section

ENV_PREFIX = "SEAFOWL__"
JOURNAL_MODES = ("delete", "truncate", "persist", "memory", "wal", "off")
MIN_MEMORY_MB = 64
MAX_GC_INTERVAL_HOURS = 18
DEFAULT_CACHE_CONTROL = "max-age=43200, public"
NO_FRONTEND = "No frontends configured: you will not be able to connect. Add [frontend.http] to the configuration."


@dataclass(frozen=True)
class LocalStore:
    """Objects in a directory."""

    data_dir: str


@dataclass(frozen=True)
class MemoryStore:
    """Objects that end with the process."""


@dataclass(frozen=True)
class S3Store:
    """Objects in a bucket. Without keys, requests are anonymous."""

    bucket: str
    region: str | None = None
    endpoint: str | None = None
    prefix: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


ObjectStore = LocalStore | MemoryStore | S3Store


@dataclass(frozen=True)
class Catalog:
    """The SQLite catalog: `dsn` is a path, `sqlite:<path>` or `:memory:`."""

    dsn: str
    journal_mode: str = "wal"
    read_only: bool = False

    @property
    def in_memory(self) -> bool:
        """Whether the catalog ends with the process."""
        return ":memory:" in self.dsn


@dataclass(frozen=True)
class Http:
    """The HTTP frontend; the upload limit is in MiB."""

    bind_host: str = "127.0.0.1"
    bind_port: int = 8080
    access: AccessPolicy = field(default_factory=AccessPolicy)
    upload_data_max_length: int = 256
    cache_control: str = DEFAULT_CACHE_CONTROL


@dataclass(frozen=True)
class Settings:
    """What the stand-in uses of seafowl.toml; `gc_interval` in hours, 0 for never. `unused` names what it does not."""

    object_store: ObjectStore
    catalog: Catalog
    http: Http
    gc_interval: int = 0
    ssl_cert_file: str | None = None
    temp_dir: str | None = None
    unused: tuple[str, ...] = ()


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the file and the environment, which wins; raises Fatal with the reason."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Fatal(f"Error loading config: cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise Fatal(f"Error loading config: {path} is not TOML: {error}") from error
    return parse(document, environ)


def parse(document: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Settings from a parsed TOML document with the environment laid over it; raises Fatal."""
    root = Section(_with_environment(document, environ), "")
    misc, runtime = root.section("misc"), root.section("runtime")
    settings = Settings(
        object_store=_object_store(root),
        catalog=_catalog(root),
        http=_http(root.section("frontend")),
        gc_interval=_gc_interval(misc),
        ssl_cert_file=misc.text("ssl_cert_file"),
        temp_dir=runtime.text("temp_dir"),
        unused=_unused(misc, runtime),
    )
    if settings.catalog.in_memory != isinstance(settings.object_store, MemoryStore):
        raise Fatal(
            "Error loading config: an in-memory catalog needs an in-memory object store, and the other way "
            "round: one of them would forget at a restart what the other keeps"
        )
    return settings


def _with_environment(document: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, object]:
    """A copy of the document with every SEAFOWL__A__B=text set as a.b."""
    merged = _copy(document)
    for name, text in environ.items():
        if not name.upper().startswith(ENV_PREFIX):
            continue
        *sections, key = name[len(ENV_PREFIX) :].lower().split("__")
        target = merged
        for section in sections:
            inner = target.get(section)
            below = cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
            target[section] = below
            target = below
        target[key] = text
    return merged


def _copy(table: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _copy(cast("dict[str, object]", value)) if isinstance(value, dict) else value
        for key, value in table.items()
    }


def _object_store(root: Section) -> ObjectStore:
    section = root.tagged("object_store", ("local", "memory", "s3", "gcs"))
    if section.tag == "local":
        return LocalStore(section.required_text("data_dir"))
    if section.tag == "memory":
        return MemoryStore()
    if section.tag == "gcs":
        raise Fatal("Error loading config: object_store.type gcs is not part of the stand-in; use s3 or local")
    store = S3Store(
        bucket=section.required_text("bucket"),
        region=section.text("region"),
        endpoint=section.text("endpoint"),
        prefix=section.text("prefix"),
        access_key_id=section.text("access_key_id"),
        secret_access_key=section.text("secret_access_key"),
        session_token=section.text("session_token"),
    )
    if store.region is None and store.endpoint is None:
        raise Fatal(
            "Error loading config: You need to supply either the region or the endpoint of the S3 object store."
        )
    return store


def _catalog(root: Section) -> Catalog:
    section = root.tagged("catalog", ("sqlite", "postgres", "clade"))
    if section.tag != "sqlite":
        raise Fatal(f"Error loading config: catalog.type {section.tag} is not part of the stand-in; use sqlite")
    return Catalog(
        dsn=section.required_text("dsn"),
        journal_mode=section.choice("journal_mode", JOURNAL_MODES, "wal"),
        read_only=section.boolean("read_only", False),
    )


def _http(frontend: Section) -> Http:
    for name in ("postgres", "flight"):
        if frontend.has(name):
            raise Fatal(f"Error loading config: frontend.{name} is not part of the stand-in; remove the section")
    if not frontend.has("http"):
        raise Fatal(NO_FRONTEND, exit_code=255)
    section = frontend.section("http")
    host = section.text("bind_host") or Http.bind_host
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise Fatal(f"Error parsing the listen address: frontend.http.bind_host {host!r} is no IP") from error
    return Http(
        bind_host=host,
        bind_port=section.integer("bind_port", Http.bind_port, 0, 65535),
        access=AccessPolicy(_access(section, "read_access", ANY), _access(section, "write_access", OFF)),
        upload_data_max_length=section.integer("upload_data_max_length", Http.upload_data_max_length, 0, 2**44),
        cache_control=_header_value(section, "cache_control", DEFAULT_CACHE_CONTROL),
    )


def _access(section: Section, key: str, default: str) -> str:
    """The original takes any other text for a hash; one that no password can have locks everyone out."""
    value = section.text(key)
    if value is None:
        return default
    if value in (ANY, OFF) or re.fullmatch("[0-9a-f]{64}", value):
        return value
    raise Fatal(
        f"Error loading config: frontend.http.{key} must be any, off or the SHA-256 of a password as 64 "
        "lowercase hex digits"
    )


def _header_value(section: Section, key: str, default: str) -> str:
    value = section.text(key)
    if value is not None and not re.fullmatch(r"[\t\x20-\x7e]*", value):
        raise Fatal(f"Error loading config: {section.path(key)} has characters that no HTTP header may have")
    return default if value is None else value


def _gc_interval(misc: Section) -> int:
    interval = misc.integer("gc_interval", 0, 0, 2**16 - 1)
    if interval > MAX_GC_INTERVAL_HOURS:
        raise Fatal(f"Error loading config: misc.gc_interval overflows above {MAX_GC_INTERVAL_HOURS} hours")
    return interval


def _unused(misc: Section, runtime: Section) -> tuple[str, ...]:
    """The settings that are given and do nothing here; wrong ones are refused all the same."""
    metrics, cache = misc.section("metrics"), misc.section("object_store_cache")
    metrics.text("host")
    metrics.integer("port", 0, 0, 2**16 - 1)
    misc.integer("max_partition_size", 0, 0, 2**32 - 1)
    for key in ("capacity", "min_fetch_size", "ttl"):
        cache.integer(key, 0, 0, 2**64 - 1)
    if runtime.integer("max_memory", MIN_MEMORY_MB, 0, 2**64 - 1) < MIN_MEMORY_MB:
        raise Fatal(f"Error loading config: runtime.max_memory is too low (minimum {MIN_MEMORY_MB} MB)")
    candidates = [
        *((misc, key) for key in ("metrics", "object_store_cache", "max_partition_size")),
        (runtime, "max_memory"),
    ]
    return tuple(section.path(key) for section, key in candidates if section.has(key))
