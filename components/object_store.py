"""ObjectStore: where table data lies. A MinIO with a bucket and two users, or an S3 service outside the stack."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.container import Attachment, ContainerSpec, container, data_volume, fixed_name, part_image
from components.credentials import generated_passwords
from config.layout import MINIO_DATA_DIR, MINIO_START, OBJECT_STORE_ALIAS, OBJECT_STORE_PORT
from config.minio import HEALTHY, READER_USER, ROOT_USER, WRITER_USER, render_minio_start
from config.settings import Limits, MinioSettings, ObjectStoreSettings, S3Settings


@dataclass(frozen=True)
class S3Credentials:
    """Keys of one S3 user; the secret is a secret output."""

    access_key_id: pulumi.Input[str]
    secret_access_key: pulumi.Input[str]


@dataclass(frozen=True)
class ObjectStoreArgs:
    """What an ObjectStore is made of."""

    settings: ObjectStoreSettings
    image: str
    deployment: pulumi.Input[str]
    limits: Limits
    retain_data: bool
    secrets: Mapping[str, pulumi.Output[str]]
    """`config.stack_config.SECRET_KEYS`, for an S3 service outside the stack."""

    network: pulumi.Input[str]
    """The private network that the nodes reach MinIO on."""


class ObjectStore(pulumi.ComponentResource):
    """An S3 service with one bucket, a user that reads and writes it, and a user that only reads it."""

    location: dict[str, str]
    """Seafowl's `[object_store]` keys: bucket, and endpoint, region and prefix where there are any."""

    writer: S3Credentials
    """Keys that read and write."""

    reader: S3Credentials
    """Keys that only read."""

    containers: list[docker.Container]
    """MinIO, or nothing where the S3 service is not the stack's."""

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("seafowl:index:ObjectStore", name, None, opts)
        if args.settings.s3 is not None:
            self._outside(args.settings.s3, args.secrets)
        elif args.settings.minio is not None:
            self._minio(name, args.settings.minio, args)
        self.register_outputs({"bucket": self.location["bucket"], "endpoint": self.location.get("endpoint")})

    def _outside(self, s3: S3Settings, secrets: Mapping[str, pulumi.Output[str]]) -> None:
        self.location = s3.model_dump(exclude_none=True)
        self.writer = S3Credentials(secrets["s3AccessKeyId"], secrets["s3SecretAccessKey"])
        self.reader = S3Credentials(secrets["s3ReaderAccessKeyId"], secrets["s3ReaderSecretAccessKey"])
        self.containers = []

    def _minio(self, name: str, minio: MinioSettings, args: ObjectStoreArgs) -> None:
        passwords = generated_passwords(
            f"{name}-credentials",
            (ROOT_USER, WRITER_USER, READER_USER),
            minio.password_generation,
            parent=self,
        )
        image = part_image(name, args.image, self)
        volume = data_volume(
            f"{name}-data",
            physical_name=minio.volume or fixed_name(name),
            role="object-store",
            # A volume that the user made or named is theirs to delete.
            retain=args.retain_data or minio.volume is not None,
            deployment=args.deployment,
            parent=self,
        )
        spec = ContainerSpec(
            role="object-store",
            member=name,
            deployment=args.deployment,
            single=True,
            image=image.image_id,
            entrypoint=["sh", MINIO_START],
            health=HEALTHY,
            limits=args.limits,
            attachments=[Attachment(args.network, [OBJECT_STORE_ALIAS])],
            uploads={MINIO_START: render_minio_start(minio.bucket)},
            envs={
                "MINIO_ROOT_USER": ROOT_USER,
                "MINIO_ROOT_PASSWORD": passwords[ROOT_USER],
                "WRITER_PASSWORD": passwords[WRITER_USER],
                "READER_PASSWORD": passwords[READER_USER],
            },
            volumes={MINIO_DATA_DIR: volume.name},
        )
        # Two MinIOs must never write to one volume, so the old one goes first.
        opts = pulumi.ResourceOptions(parent=self, delete_before_replace=True)
        self.containers = [container(name, spec, opts)]
        self.location = {
            "bucket": minio.bucket,
            "endpoint": f"http://{OBJECT_STORE_ALIAS}:{OBJECT_STORE_PORT}",
            # MinIO's default; signatures name a region.
            "region": "us-east-1",
        }
        self.writer = S3Credentials(WRITER_USER, passwords[WRITER_USER])
        self.reader = S3Credentials(READER_USER, passwords[READER_USER])
