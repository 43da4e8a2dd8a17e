"""What each container may do, is reached by and is kept running with, and that no secret can be read from it."""

import json
import re
from typing import Any

import pytest

from config.secret_keys import SECRET_KEYS
from tests.unit.pulumi_mocks import (
    Record,
    declare_stack,
    docker_labels,
    envs,
    is_secret,
    networks,
    readable_texts,
    revealed,
    uploads,
)

PARTS = ["object-store", "writer-0", "reader-0", "reader-1", "ingress"]
NODES = ["writer-0", "reader-0", "reader-1"]
FRONT, BACK = "front-0123abc", "back-0123abc"

every_part = pytest.mark.parametrize("part", PARTS)
every_node = pytest.mark.parametrize("part", NODES)
every_part_but_nodes = pytest.mark.parametrize("part", [part for part in PARTS if part not in NODES])


@pytest.fixture(scope="module")
def default() -> Record:
    """The stack as it is declared from an empty config."""
    return declare_stack()


def inputs(record: Record, part: str) -> dict[str, Any]:
    return record.one(f"Container {part}").inputs


# Privileges


@every_part
def test_no_container_is_privileged(default: Record, part: str) -> None:
    assert not inputs(default, part).get("privileged")
    assert inputs(default, part)["networkMode"] == "bridge", "not the host's"
    assert "pidMode" not in inputs(default, part)
    assert "ipcMode" not in inputs(default, part)


@every_part
def test_every_container_drops_all_capabilities_and_can_gain_none(default: Record, part: str) -> None:
    assert inputs(default, part)["capabilities"]["drops"] == ["ALL"]
    assert "no-new-privileges" in inputs(default, part)["securityOpts"]


@every_node
def test_a_node_has_what_fuse_needs_and_no_more(default: Record, part: str) -> None:
    node = inputs(default, part)
    assert node["capabilities"]["adds"] == ["CAP_SYS_ADMIN"]
    assert node["securityOpts"] == ["apparmor:unconfined", "no-new-privileges"]
    assert [device["hostPath"] for device in node["devices"]] == ["/dev/fuse"]


@every_part_but_nodes
def test_what_mounts_nothing_has_no_capability_no_device_and_apparmors_profile(default: Record, part: str) -> None:
    container = inputs(default, part)
    assert container["capabilities"].get("adds", []) == []
    assert container["securityOpts"] == ["no-new-privileges"]
    assert container.get("devices", []) == []


def test_nginx_does_not_run_as_root(default: Record) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", inputs(default, "ingress")["user"])


@every_part
def test_no_path_of_the_docker_host_is_mounted(default: Record, part: str) -> None:
    container = inputs(default, part)
    assert "volumes" not in container
    assert {mount["type"] for mount in container["mounts"]} <= {"volume"}


# Networks


def test_only_the_ingress_publishes_a_port_and_on_this_host_alone(default: Record) -> None:
    published = {container.name: container.inputs.get("ports", []) for container in default.of("Container")}
    assert {name for name, ports in published.items() if ports} == {"ingress"}
    assert published["ingress"] == [{"internal": 8080, "external": 8080, "ip": "127.0.0.1", "protocol": "tcp"}]
    assert not any(container.inputs.get("publishAllPorts") for container in default.of("Container"))


def test_the_ingress_is_published_where_the_config_says() -> None:
    record = declare_stack({"ingress": {"bindAddress": "0.0.0.0", "port": 80}})
    (port,) = inputs(record, "ingress")["ports"]
    assert (port["ip"], port["external"], port["internal"]) == ("0.0.0.0", 80, 8080)


@pytest.mark.parametrize(
    ("part", "on"),
    [
        ("object-store", {BACK}),
        ("ingress", {FRONT}),
        ("writer-0", {FRONT, BACK}),
        ("reader-0", {FRONT, BACK}),
        ("reader-1", {FRONT, BACK}),
    ],
)
def test_a_container_is_on_the_networks_that_it_needs_alone(default: Record, part: str, on: set[str]) -> None:
    assert networks(default.one(f"Container {part}")).keys() == on


def test_the_network_of_minio_and_litefs_has_no_way_out(default: Record) -> None:
    assert default.one("Network back").inputs["internal"] is True
    assert default.one("Network front").inputs["internal"] is False


def test_each_part_is_found_by_its_name_where_it_is_needed_and_nowhere_else(default: Record) -> None:
    aliases = {part: networks(default.one(f"Container {part}")) for part in PARTS}
    assert aliases["object-store"] == {BACK: ["object-store"]}
    assert aliases["writer-0"] == {FRONT: ["seafowl-writers"], BACK: ["writer-0"]}
    assert aliases["reader-0"] == aliases["reader-1"] == {FRONT: ["seafowl-readers"], BACK: []}


@every_node
def test_a_node_knows_the_replication_network_that_litefs_listens_on(default: Record, part: str) -> None:
    assert envs(default.one(f"Container {part}"))["REPLICATION_NETWORK"] == BACK


# Running


@every_part
def test_every_container_restarts_and_bounds_its_log(default: Record, part: str) -> None:
    container = inputs(default, part)
    assert container["restart"] == "unless-stopped"
    assert container["logDriver"] == "json-file"
    assert container["logOpts"] == {"max-size": "10m", "max-file": "3"}


@every_part
def test_every_container_has_time_to_end_what_it_does(default: Record, part: str) -> None:
    assert inputs(default, part)["destroyGraceSeconds"] >= 15, "the provider's default kills it at once"


@every_part
def test_every_container_has_a_health_check_and_the_provider_does_not_wait_for_it(default: Record, part: str) -> None:
    container = inputs(default, part)
    kind, command = container["healthcheck"]["tests"]
    assert kind == "CMD-SHELL"
    assert command
    assert not container.get("wait"), "the provider waits at creation only; cluster.health looks at every `up`"


@every_part
@pytest.mark.parametrize("field", ["interval", "timeout", "startPeriod"])
def test_durations_are_written_as_docker_writes_them_back(default: Record, part: str, field: str) -> None:
    seconds = inputs(default, part)["healthcheck"][field]
    assert re.fullmatch(r"[1-5]?\ds", seconds), "60s comes back as 1m0s: a difference in every preview"


@every_part
def test_every_container_says_whose_it_is_and_what_it_does(default: Record, part: str) -> None:
    labels = docker_labels(default.one(f"Container {part}"))
    role = {"object-store": "object-store", "ingress": "ingress", "writer-0": "writer"}.get(part, "reader")
    assert {key: value for key, value in labels.items() if not key.endswith("deployment")} == {
        "org.seafowl.project": "seafowl",
        "org.seafowl.stack": "dev",
        "org.seafowl.role": role,
        "org.seafowl.member": part,
    }
    assert labels["org.seafowl.deployment"]


@pytest.mark.parametrize("kind", ["Network", "Volume"])
def test_networks_and_volumes_say_whose_they_are(default: Record, kind: str) -> None:
    for resource in default.of(kind):
        labels = docker_labels(resource)
        assert (labels["org.seafowl.project"], labels["org.seafowl.stack"]) == ("seafowl", "dev"), resource.label


@pytest.mark.parametrize("kind", ["Container", "Network", "Volume"])
def test_lists_that_docker_sorts_are_declared_sorted(default: Record, kind: str) -> None:
    for resource in default.of(kind):
        names = [item["label"] for item in resource.inputs["labels"]]
        assert names == sorted(names), resource.label


def test_limits_reach_the_containers_of_their_role_alone() -> None:
    limits = {
        "writer": {"memory": "1GiB", "cpus": 0.5},
        "reader": {"memory": "256MiB"},
        "objectStore": {"cpus": 2},
    }
    record = declare_stack({"resources": limits})
    found = {part: [inputs(record, part).get(key) for key in ("memory", "memorySwap", "cpus")] for part in PARTS}
    assert found == {
        "writer-0": [1024, 1024, "0.5"],
        "reader-0": [256, 256, None],
        "reader-1": [256, 256, None],
        "object-store": [None, None, "2.0"],
        "ingress": [None, None, None],
    }


def test_data_is_in_volumes_and_readers_have_none(default: Record) -> None:
    mounts = {part: [(m["source"], m["target"]) for m in inputs(default, part)["mounts"]] for part in PARTS}
    assert mounts == {
        "object-store": [("seafowl-dev-object-store", "/data")],
        "writer-0": [("seafowl-dev-writer-0-catalog", "/var/lib/litefs")],
        "reader-0": [],
        "reader-1": [],
        "ingress": [("ingress-config-0123abc", "/etc/ingress")],
    }


@pytest.mark.parametrize(
    ("part", "files"),
    [
        ("object-store", {"/etc/minio/start.sh"}),
        ("ingress", {"/etc/nginx/start.sh"}),
        ("ingress-routes", {"/etc/ingress/nginx.conf", "/etc/ingress/answers.js", "/etc/ingress/proof.js"}),
        ("writer-0", {"/etc/litefs.yml", "/etc/seafowl/writer.toml"}),
        ("reader-0", {"/etc/litefs.yml", "/etc/seafowl/seafowl.toml"}),
    ],
)
def test_a_container_has_its_rendered_files(default: Record, part: str, files: set[str]) -> None:
    assert uploads(default.one(f"Container {part}")).keys() == files


@every_part
def test_the_program_that_a_container_starts_reads_the_files_it_was_given(default: Record, part: str) -> None:
    command = " ".join(inputs(default, part)["entrypoints"])
    paths = uploads(default.one(f"Container {part}"))
    assert any(path in command for path in paths)


def test_the_writer_writes_and_readers_read(default: Record) -> None:
    for part in NODES:
        files = uploads(default.one(f"Container {part}"))
        is_writer = part == "writer-0"
        assert f"candidate: {str(is_writer).lower()}" in files["/etc/litefs.yml"]
        seafowl = files["/etc/seafowl/writer.toml" if is_writer else "/etc/seafowl/seafowl.toml"]
        assert f"read_only = {str(not is_writer).lower()}" in seafowl


# Secrets

S3 = {"objectStore": {"s3": {"bucket": "tables", "region": "eu-west-1"}}}
S3_SECRETS = {key: f"hunter2-{key}" for key in SECRET_KEYS if key.startswith("s3")}


@pytest.fixture(scope="module")
def external() -> Record:
    """A stack with an S3 service outside."""
    return declare_stack(S3, S3_SECRETS)


def test_generated_passwords_enter_the_state_as_a_secret(default: Record) -> None:
    stash = default.one("Stash object-store-credentials-1")
    assert is_secret(stash.inputs["input"])
    passwords = revealed(stash.inputs["input"])
    assert set(passwords) == {"root", "seafowl-writer", "seafowl-reader"}
    assert len(set(passwords.values())) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", password) for password in passwords.values())


def test_passwords_differ_from_stack_to_stack(default: Record) -> None:
    other = revealed(declare_stack().one("Stash object-store-credentials-1").inputs["input"])
    mine = revealed(default.one("Stash object-store-credentials-1").inputs["input"])
    assert not set(mine.values()) & set(other.values())


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("object-store", {"MINIO_ROOT_PASSWORD", "WRITER_PASSWORD", "READER_PASSWORD"}),
        ("writer-0", {"SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"}),
        ("reader-0", {"SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"}),
        ("reader-1", {"SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"}),
    ],
)
def test_passwords_reach_containers_as_secret_environment(default: Record, part: str, names: set[str]) -> None:
    secret = [revealed(line) for line in inputs(default, part)["envs"] if is_secret(line)]
    assert {line.partition("=")[0] for line in secret} == names
    assert all(len(line.partition("=")[2]) == 32 for line in secret)


def test_no_reader_has_the_writers_or_the_root_password(default: Record) -> None:
    passwords = revealed(default.one("Stash object-store-credentials-1").inputs["input"])
    for part in ("reader-0", "reader-1"):
        text = json.dumps(revealed(inputs(default, part)))
        assert passwords["seafowl-reader"] in text
        assert passwords["seafowl-writer"] not in text
        assert passwords["root"] not in text


def test_no_node_has_the_root_password_and_the_ingress_has_none(default: Record) -> None:
    passwords = revealed(default.one("Stash object-store-credentials-1").inputs["input"])
    assert passwords["root"] not in json.dumps(revealed(inputs(default, "writer-0")))
    assert not any(password in json.dumps(revealed(inputs(default, "ingress"))) for password in passwords.values())


def test_minio_gives_the_nodes_the_users_whose_keys_they_have(default: Record) -> None:
    minio = envs(default.one("Container object-store"))
    for part, user, password in (
        ("writer-0", "seafowl-writer", minio["WRITER_PASSWORD"]),
        ("reader-0", "seafowl-reader", minio["READER_PASSWORD"]),
    ):
        node = envs(default.one(f"Container {part}"))
        assert node["SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID"] == user
        assert node["SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"] == password


def test_no_password_can_be_read_in_any_resource_or_output(default: Record) -> None:
    passwords = revealed(default.one("Stash object-store-credentials-1").inputs["input"]).values()
    shown = [*readable_texts([resource.inputs for resource in default.resources])]
    shown += readable_texts([default.component_outputs, default.outputs])
    assert not any(password in text for password in passwords for text in shown)


def test_no_key_of_an_s3_service_can_be_read_in_any_resource_or_output(external: Record) -> None:
    shown = [*readable_texts([resource.inputs for resource in external.resources])]
    shown += readable_texts([external.component_outputs, external.outputs])
    assert not any(secret in text for secret in S3_SECRETS.values() for text in shown)
    everything = json.dumps(revealed([resource.inputs for resource in external.resources]))
    assert all(secret in everything for secret in S3_SECRETS.values()), "unused, it would prove nothing"


@pytest.mark.parametrize("record_name", ["default", "external"])
def test_uploaded_files_hold_no_secret_so_that_their_diff_can_be_read(
    record_name: str, request: pytest.FixtureRequest
) -> None:
    record: Record = request.getfixturevalue(record_name)
    for container in record.of("Container"):
        assert not is_secret(container.inputs["uploads"])
        for upload in container.inputs["uploads"]:
            assert isinstance(upload["content"], str), f"{container.label} {upload['file']} is hidden whole"


@every_part
def test_the_rest_of_a_container_can_be_read_in_a_preview(default: Record, part: str) -> None:
    hidden = {key for key, value in inputs(default, part).items() if is_secret(value)}
    assert hidden == set(), "one secret environment value must not hide the others"
