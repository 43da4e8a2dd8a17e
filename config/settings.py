"""The stack config as typed, frozen values: what a stack may say, what each key means, and what is refused.

Keys are camelCase in `Pulumi.<stack>.yaml` and snake_case here. No secret passes through this module: secrets stay
Pulumi outputs (`config.stack_config`). The config reference in README.md is made from the descriptions below.
"""

import re
from typing import Annotated, Any, cast

from pydantic import AfterValidator, ByteSize, Field, ValidationInfo, field_validator, model_validator

from config.cpus import as_read_back, is_read_back
from config.ingress_settings import AccessSettings, IngressSettings
from config.journal_modes import ReaderJournalMode, WriterJournalMode, misfit
from config.lease_settings import ConsulSettings, LeaseType
from config.maintenance_settings import MaintenanceSettings
from config.model import UNDERSTANDS_OFF, Model, WholeNumber, refusal
from config.sizes import MIB, Size

MIN_NODE_MEMORY = 128 * MIB
"""Seafowl refuses to run queries in less than 64 MB of its own (0.5.8, `runtime.max_memory`); LiteFS needs its part."""

MIN_OBJECT_STORE_MEMORY = 512 * MIB
"""MinIO holds 350-490 MB at rest; under that it is killed while it starts."""

MIN_INGRESS_MEMORY = 32 * MIB

MIN_CONSUL_MEMORY = 128 * MIB

_ENDPOINT = "must be the URL of an S3 server without a path, such as https://s3.example.org:9000"


def _bucket_name(value: str) -> str:
    like_an_address = re.fullmatch(r"\d+\.\d+\.\d+\.\d+", value)
    if (
        not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value)
        or re.search(r"\.[.-]|-\.", value)
        or like_an_address
    ):
        raise refusal("must be a bucket name as S3 allows it: 3 to 63 of a-z, 0-9, '-' and '.', such as seafowl-dev")
    return value


def _prefix(value: str) -> str:
    # Clients take `.` and `..` out of a URL.
    if not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", value) or {".", ".."} & set(value.split("/")):
        raise refusal("must be a path without a slash at either end, of A-Z, a-z, 0-9, '_', '.', '-', such as team/dev")
    return value


def _endpoint(value: str) -> str:
    if "@" in value:
        raise refusal("must not carry credentials (they would stand in clear text): use s3AccessKeyId and its siblings")
    match = re.fullmatch(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?/?", value)
    if match is None or not 0 < int(match[3] or 1) < 2**16:
        raise refusal(_ENDPOINT)
    return value.rstrip("/")


def _region(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
        raise refusal("must be a region's name, of A-Z, a-z, 0-9, '_' and '-', such as eu-west-1")
    return value


def _volume_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]+", value):
        raise refusal("must be a Docker volume name: letters, digits, '_', '.' and '-', not a path")
    return value


def _image_reference(value: str) -> str:
    # As Docker reads it: [host[:port]/]path, then a tag or a digest. One of these is required: an image without them
    # changes under the stack, and no diff says so.
    # What has no dot and no port is a host only if it is `localhost`.
    host = r"((localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(:[0-9]+)?/)?"
    path = r"[a-z0-9]+((\.|__?|-+|/)[a-z0-9]+)*"
    tag, digest = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", r"@sha256:[0-9a-f]{64}"
    if not re.fullmatch(f"{host}{path}({tag}|{digest}|{tag}{digest})", value):
        raise refusal(
            "must name an image with a tag or a digest, such as nginx:1.30 (without one it can change unseen)"
        )
    return value


ImageReference = Annotated[str, AfterValidator(_image_reference)]
BucketName = Annotated[str, AfterValidator(_bucket_name)]


class MinioSettings(Model):
    """The stack's own MinIO."""

    bucket: BucketName = Field(default="seafowl", description="bucket of the table data, made by the stack")
    volume: Annotated[str, AfterValidator(_volume_name)] | None = Field(
        default=None, description="Docker volume of the data; by default `<project>-<stack>-object-store`"
    )
    password_generation: WholeNumber = Field(
        default=1, ge=1, description="another number gives MinIO's users new passwords"
    )


class S3Settings(Model):
    """An S3 service outside the stack. Its keys are secrets of their own: `s3AccessKeyId` and the other three."""

    bucket: BucketName = Field(description="an existing bucket; no other stack may use the same bucket and prefix")
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, description="URL of the service; left out for AWS"
    )
    region: Annotated[str, AfterValidator(_region)] | None = Field(
        default=None,
        validate_default=True,
        description="region, such as eu-west-1; required without an endpoint",
    )
    prefix: Annotated[str, AfterValidator(_prefix)] | None = Field(
        default=None, description="folder in the bucket; two stacks may share a bucket with different prefixes"
    )

    @field_validator("region")
    @classmethod
    def _region_or_endpoint(cls, region: str | None, info: ValidationInfo) -> str | None:
        if region is None and "endpoint" in info.data and info.data["endpoint"] is None:
            raise refusal(
                "is missing: s3 needs a region (AWS) or an endpoint (any other S3); Seafowl exits at once without"
            )
        return region


class ObjectStoreSettings(Model):
    """Where table data lies: exactly one of the two."""

    minio: MinioSettings | None = Field(default=None, description="a MinIO that the stack runs (the default)")
    s3: S3Settings | None = Field(default=None, description="an S3 service outside the stack")

    @model_validator(mode="before")
    @classmethod
    def _minio_by_default(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = cast(dict[str, Any], values)
        return given if given.keys() & {"minio", "s3"} else {**given, "minio": {}}

    @model_validator(mode="after")
    def _one_store(self) -> "ObjectStoreSettings":
        if (self.minio is None) == (self.s3 is None):
            raise refusal("must name either minio or s3: table data can lie in one place only")
        return self


class ImageSettings(Model):
    """Which image each part runs. Programs of other versions than the defaults were not tried."""

    seafowl: ImageReference = Field(
        default="splitgraph/seafowl:0.5.8", description="Seafowl; the node image is built on it"
    )
    litefs: ImageReference = Field(
        default="flyio/litefs:0.5.14", description="LiteFS; the node image takes its program"
    )
    python: ImageReference = Field(
        default="python:3.13-slim",
        description="Python with pip, which fetches the node image's Python packages while that is built",
    )
    node: ImageReference | None = Field(
        default=None, description="a node image that was built and pushed before; nothing is built then"
    )
    minio: ImageReference = Field(default="quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z", description="MinIO")
    consul: ImageReference = Field(default="hashicorp/consul:1.21.0", description="Consul, with lease `consul`")
    nginx: ImageReference = Field(
        default="nginx:1.30", description="NGINX, 1.27.4 or newer, with njs where the cache is on"
    )

    @model_validator(mode="after")
    def _node_or_its_parts(self) -> "ImageSettings":
        if self.node is not None and self.model_fields_set & {"seafowl", "litefs", "python"}:
            raise refusal(
                "node is used as it is, so seafowl, litefs and python beside it would do nothing: leave one out"
            )
        return self


def _cpus(value: float) -> float:
    if round(value, 9) != value:
        raise refusal("must have at most 9 digits behind the point, such as 0.333: Docker counts in billionths")
    if not is_read_back(value):
        raise refusal(
            f"must not be {value:g}: the Docker provider reads it back as {as_read_back(value)}, and would replace the "
            f"container at every `pulumi up`; write {as_read_back(value + 0.05)}, or three decimals, such as 0.051"
        )
    return value


class Limits(Model):
    """Limits of one container of a role; what is left out is not limited."""

    memory: Size | None = Field(default=None, description="memory, such as 1GiB; the container is killed above it")
    cpus: Annotated[float, Field(ge=0.01, le=1024), AfterValidator(_cpus)] | None = Field(
        default=None, description="CPUs, such as 0.5"
    )


def _starts_with(minimum: int) -> AfterValidator:
    def check(size: ByteSize | None) -> ByteSize | None:
        if size is not None and size < minimum:
            raise refusal(f"must be at least {minimum // MIB}MiB: with less the container is killed before it serves")
        return size

    return AfterValidator(check)


class NodeLimits(Limits):
    """Limits of a Seafowl node."""

    memory: Annotated[Size | None, _starts_with(MIN_NODE_MEMORY)] = Field(
        default=None, description="memory of a node, such as 1GiB; Seafowl plans its queries with 70 % of it"
    )


class ObjectStoreLimits(Limits):
    """Limits of MinIO."""

    memory: Annotated[Size | None, _starts_with(MIN_OBJECT_STORE_MEMORY)] = Field(
        default=None, description="memory of MinIO, such as 1GiB"
    )


class IngressLimits(Limits):
    """Limits of NGINX."""

    memory: Annotated[Size | None, _starts_with(MIN_INGRESS_MEMORY)] = Field(
        default=None, description="memory of NGINX, such as 64MiB"
    )


class ConsulLimits(Limits):
    """Limits of a Consul server."""

    memory: Annotated[Size | None, _starts_with(MIN_CONSUL_MEMORY)] = Field(
        default=None, description="memory of a Consul server, such as 256MiB"
    )


class ResourceSettings(Model):
    """Limits per role."""

    writer: NodeLimits = Field(default=NodeLimits(), description="limits of the writer")
    reader: NodeLimits = Field(default=NodeLimits(), description="limits of each reader")
    object_store: ObjectStoreLimits = Field(default=ObjectStoreLimits(), description="limits of MinIO")
    ingress: IngressLimits = Field(default=IngressLimits(), description="limits of NGINX")
    consul: ConsulLimits = Field(default=ConsulLimits(), description="limits of each Consul server")


class Settings(Model):
    """One stack's config, validated as a whole."""

    readers: WholeNumber = Field(default=2, ge=1, le=1000, description="number of readers in the pool")
    writer_journal_mode: WriterJournalMode = Field(
        default="delete", description="SQLite journal mode of the writer's catalog; `wal` needs readers with `wal`"
    )
    reader_journal_mode: Annotated[ReaderJournalMode, UNDERSTANDS_OFF] = Field(
        default="off",
        validate_default=True,
        description="journal mode that the readers open the catalog with; must fit the writer's",
    )
    lease: LeaseType = Field(
        default="static",
        description="`static`: one writer; `consul`: several candidates, of which LiteFS elects one, and another when "
        "it dies",
    )
    writer_candidates: WholeNumber = Field(
        default=2, ge=1, le=9, description="with lease `consul`: nodes that may become the writer"
    )
    standby_reads: bool = Field(
        default=False, description="with lease `consul`: candidates that are not the writer serve reads, too"
    )
    consul: ConsulSettings = Field(default=ConsulSettings(), description="where the lease is kept")
    ingress: IngressSettings = Field(default=IngressSettings(), description="where the cluster is reached")
    object_store: ObjectStoreSettings = Field(default=ObjectStoreSettings(), description="where table data lies")
    maintenance: MaintenanceSettings = Field(default=MaintenanceSettings(), description="the care for tables")
    images: ImageSettings = Field(default=ImageSettings(), description="image of each part")
    access: AccessSettings = Field(default=AccessSettings(), description="who may read and write")
    resources: ResourceSettings = Field(default=ResourceSettings(), description="memory and CPU limits per role")
    retain_data: bool = Field(
        default=False,
        description="keep the data volumes on `pulumi destroy`; the next `pulumi up` finds the data again",
    )

    @field_validator("reader_journal_mode")
    @classmethod
    def _journal_modes_fit(cls, reader: ReaderJournalMode, info: ValidationInfo) -> ReaderJournalMode:
        # A field's validator, not the model's: it also runs where another key is wrong, so that all is told at once.
        writer = info.data.get("writer_journal_mode")
        reason = misfit(writer, reader) if writer is not None else None
        if reason is not None:
            raise refusal(reason)
        return reader
