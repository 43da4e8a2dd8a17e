"""A stack whose table data lies in an S3 service of somebody else: here, a MinIO that the stack knows nothing of."""

import ipaddress
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from tests.e2e.stack import Stack, free_port, local_images

_USERS = {"rw-user": "rw-secret-of-this-test", "ro-user": "ro-secret-of-this-test"}


@dataclass
class OutsideStore:
    """An S3 service with a bucket `outside`, and users who may read and write it, or only read it."""

    container: Any
    endpoint: str

    def objects(self, prefix: str) -> int:
        code, output = self.container.exec_run(["sh", "-c", f"mc ls --recursive root/outside/{prefix} | wc -l"])
        assert code == 0, output
        return int(output)


@pytest.fixture(scope="module")
def store() -> Iterator[OutsideStore]:
    """Reached through the address of Docker's default bridge, as a service on another host would be."""
    engine = docker.from_env()
    bridge = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
    # A Docker Engine that was started for the first time does not name the gateway: it is the subnet's first address.
    gateway = bridge.get("Gateway") or str(ipaddress.ip_network(bridge["Subnet"])[1])
    port = free_port()
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": ["arn:aws:s3:::outside*"]}],
    }
    container = engine.containers.run(
        local_images().get("minio", "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"),
        entrypoint=["minio", "server", "/data"],
        environment={
            "MINIO_ROOT_USER": "outsider",
            "MINIO_ROOT_PASSWORD": "root-secret-of-this-test",
            "MC_HOST_root": "http://outsider:root-secret-of-this-test@127.0.0.1:9000",
        },
        ports={"9000/tcp": (gateway, port)},
        labels={"org.seafowl.stack": "e2e-outside-store"},
        detach=True,
    )
    try:
        for command in (
            "mc ready root",
            "mc mb root/outside",
            f"echo '{json.dumps(policy)}' >/tmp/ro.json && mc admin policy create root ro /tmp/ro.json",
            *(f"mc admin user add root {user} {secret}" for user, secret in _USERS.items()),
            "mc admin policy attach root readwrite --user rw-user",
            "mc admin policy attach root ro --user ro-user",
        ):
            code, output = container.exec_run(["sh", "-c", command])
            assert code == 0, output
        yield OutsideStore(container, f"http://{gateway}:{port}")
    finally:
        container.remove(force=True, v=True)


def test_tables_lie_in_the_outside_service_below_the_prefix(
    store: OutsideStore, new_stack: Callable[[str], Stack]
) -> None:
    stack = new_stack("s3")
    s3 = {"bucket": "outside", "endpoint": store.endpoint, "region": "us-east-1", "prefix": "team/dev"}
    stack.configure(readers=1, objectStore={"s3": s3})
    missing = stack.try_up()
    assert missing.code != 0
    for key in ("s3AccessKeyId", "s3SecretAccessKey", "s3ReaderAccessKeyId", "s3ReaderSecretAccessKey"):
        assert f"seafowl:{key} is missing" in missing.text
    for key, value in (
        ("s3AccessKeyId", "rw-user"),
        ("s3SecretAccessKey", _USERS["rw-user"]),
        ("s3ReaderAccessKeyId", "ro-user"),
        ("s3ReaderSecretAccessKey", _USERS["ro-user"]),
    ):
        assert stack.pulumi("config", "set", "--secret", key, value).code == 0
    stack.up()
    assert stack.containers("object-store") == [], "the stack runs no MinIO of its own"
    stack.write("CREATE TABLE far AS SELECT 1 AS n; INSERT INTO far VALUES (2)")
    assert stack.read("SELECT n FROM far ORDER BY n") == [{"n": 1}, {"n": 2}]
    assert store.objects("team/dev") > 0
    assert store.objects("") == store.objects("team/dev"), "nothing lies beside the prefix"
    assert stack.steps() == {}
    exported = stack.pulumi("stack", "export", config=False).text
    for secret in _USERS.values():
        assert secret not in exported
        assert secret not in stack.config_file.read_text()
    stack.destroy()
    assert store.objects("team/dev") > 0, "the data is not the stack's to delete"
