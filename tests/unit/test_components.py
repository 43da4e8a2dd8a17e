"""The components' tree, names, order and lifecycle, as the engine is told of them."""

from typing import Any

import pulumi
import pulumi_docker as docker
import pytest

from components.access_tokens import AccessTokens
from components.ingress import Ingress, IngressArgs
from components.object_store import ObjectStore, ObjectStoreArgs
from components.seafowl_node import NodeArgs
from components.seafowl_reader_pool import ReaderPoolArgs, SeafowlReaderPool
from components.seafowl_writer import SeafowlWriter
from config.settings import Limits, Settings
from tests.unit.pulumi_mocks import (
    STACK,
    Record,
    comparable,
    declare_stack,
    envs,
    networks,
    readable_texts,
    run,
    uploads,
)

S3 = {"objectStore": {"s3": {"bucket": "tables", "region": "eu-west-1", "prefix": "team"}}}
S3_KEYS = {
    "s3AccessKeyId": "AKIAWRITER",
    "s3SecretAccessKey": "hunter2-writer",
    "s3ReaderAccessKeyId": "AKIAREADER",
    "s3ReaderSecretAccessKey": "hunter2-reader",
}
CONTAINERS = ["Container object-store", "Container writer-0", "Container reader-0", "Container reader-1"]
CONTAINERS += ["Container ingress"]
NODES = CONTAINERS[1:4]


@pytest.fixture(scope="module")
def default() -> Record:
    """The stack as it is declared from an empty config."""
    return declare_stack()


# The tree


def test_the_default_stack_is_these_resources_and_no_others(default: Record) -> None:
    assert sorted((resource.label, resource.parent) for resource in default.resources) == sorted(
        [
            ("Stash data-location", STACK),
            ("Stash deployment", STACK),
            ("Network front", STACK),
            ("Network back", STACK),
            ("Image seafowl-litefs", STACK),
            ("ObjectStore object-store", STACK),
            ("Stash object-store-credentials-1", "ObjectStore object-store"),
            ("RemoteImage object-store-image", "ObjectStore object-store"),
            ("Volume object-store-data", "ObjectStore object-store"),
            ("Container object-store", "ObjectStore object-store"),
            ("SeafowlWriter writer", STACK),
            ("Volume writer-0-catalog", "SeafowlWriter writer"),
            ("Container writer-0", "SeafowlWriter writer"),
            ("SeafowlReaderPool reader", STACK),
            ("Container reader-0", "SeafowlReaderPool reader"),
            ("Container reader-1", "SeafowlReaderPool reader"),
            ("Ingress ingress", STACK),
            ("RemoteImage ingress-image", "Ingress ingress"),
            ("Volume ingress-config", "Ingress ingress"),
            ("Container ingress-routes", "Ingress ingress"),
            ("Container ingress", "Ingress ingress"),
        ]
    )


def test_components_have_the_types_that_users_see(default: Record) -> None:
    types = {resource.type for resource in default.resources if resource.type.startswith("seafowl:")}
    names = ("ObjectStore", "SeafowlWriter", "SeafowlReaderPool", "Ingress")
    assert types == {f"seafowl:index:{name}" for name in names}


def test_every_component_registers_its_outputs(default: Record) -> None:
    assert default.component_outputs["ObjectStore object-store"] == {
        "bucket": "seafowl",
        "endpoint": "http://object-store:9000",
    }
    assert default.component_outputs["SeafowlReaderPool reader"] == {"readers": 2}
    assert default.component_outputs["Ingress ingress"] == {"url": "http://127.0.0.1:8080"}
    assert default.component_outputs["SeafowlWriter writer"]["containerNames"] == ["seafowl-dev-writer-0"]


def test_readers_and_networks_are_autonamed_so_that_a_successor_can_start_beside_them(default: Record) -> None:
    autonamed = {r.label for kind in ("Container", "Network") for r in default.of(kind) if "name" not in r.inputs}
    carrier = {"Container ingress-routes"}
    assert autonamed == {"Container reader-0", "Container reader-1", "Network front", "Network back"} | carrier


def test_of_what_there_must_be_one_only_docker_itself_refuses_a_second(default: Record) -> None:
    names = {container.inputs["name"] for container in default.of("Container") if "name" in container.inputs}
    assert names == {"seafowl-dev-object-store", "seafowl-dev-writer-0", "seafowl-dev-ingress"}


def test_data_volumes_have_a_name_per_stack_so_that_retained_data_is_found_again(default: Record) -> None:
    named = {volume.name: volume.inputs["name"] for volume in default.of("Volume") if "name" in volume.inputs}
    assert named == {
        "object-store-data": "seafowl-dev-object-store",
        "writer-0-catalog": "seafowl-dev-writer-0-catalog",
    }


def test_a_volume_that_the_config_names_is_the_one_of_the_data() -> None:
    record = declare_stack({"objectStore": {"minio": {"volume": "old-data"}}})
    assert record.one("Volume object-store-data").inputs["name"] == "old-data"


def _cluster(name: str) -> None:
    """A whole cluster whose components are named after `name`."""
    settings = Settings.model_validate({"readers": 1})
    front, back = docker.Network(f"{name}-front"), docker.Network(f"{name}-back")
    store = ObjectStore(
        f"{name}-store",
        ObjectStoreArgs(
            settings=settings.object_store,
            image=settings.images.minio,
            deployment="d",
            limits=Limits(),
            retain_data=False,
            secrets={},
            network=back.name,
        ),
    )
    tokens = AccessTokens(read=None, write=None)
    node = NodeArgs(
        settings=settings,
        image="node:1",
        deployment="d",
        object_store=store,
        tokens=tokens,
        lease=None,
        consul_token=None,
        front_network=front.name,
        replication_network=back.name,
    )
    writer = SeafowlWriter(
        f"{name}-writer", node, after=store.containers, gate=lambda *_: pulumi.Output.from_input(None)
    )
    readers = SeafowlReaderPool(f"{name}-reader", ReaderPoolArgs(node=node, writer=writer))
    Ingress(
        f"{name}-ingress",
        IngressArgs(
            settings=settings.ingress,
            access=settings.access,
            image=settings.images.nginx,
            deployment="d",
            limits=Limits(),
            network=front.name,
            writer=writer,
            readers=readers,
            tls_key=None,
        ),
    )


@pytest.fixture(scope="module")
def two_clusters() -> Record:
    """Two clusters side by side in one stack."""

    def program() -> None:
        _cluster("a")
        _cluster("b")

    return run(program)


def test_the_names_of_two_clusters_in_one_stack_do_not_collide(two_clusters: Record) -> None:
    labels = [resource.label for resource in two_clusters.resources]
    assert len(labels) == len(set(labels))
    assert all(label.split(" ")[1].startswith(("a-", "b-")) for label in labels), labels


def test_two_clusters_in_one_stack_do_not_share_a_data_volume(two_clusters: Record) -> None:
    names = [volume.inputs["name"] for volume in two_clusters.of("Volume") if "name" in volume.inputs]
    assert len(names) == 4
    assert len(set(names)) == 4, f"two of {names} are one: the clusters would write over each other's data"


def test_a_component_keeps_the_options_of_its_caller_to_itself() -> None:
    def program() -> None:
        parent = pulumi.ComponentResource("test:index:Parent", "outer")
        settings = Settings.model_validate({}).object_store
        args = ObjectStoreArgs(settings, "minio:1", "d", Limits(), False, {}, "net")
        ObjectStore("store", args, pulumi.ResourceOptions(parent=parent))

    record = run(program)
    assert record.one("ObjectStore store").parent == "Parent outer"
    children = [resource for resource in record.resources if resource.name.startswith("store") and resource.parent]
    assert {child.parent for child in children if not child.type.startswith("seafowl:")} == {"ObjectStore store"}


# Order


@pytest.mark.parametrize(
    ("part", "needs"),
    [
        ("Container writer-0", {"Container object-store"}),
        ("Container reader-0", {"Container writer-0"}),
        ("Container reader-1", {"Container writer-0"}),
        (
            "Container ingress",
            {"Container writer-0", "Container reader-0", "Container reader-1", "Container ingress-routes"},
        ),
        ("Container ingress-routes", set[str]()),
        ("Container object-store", set[str]()),
    ],
)
def test_a_part_is_made_after_the_parts_that_it_needs(default: Record, part: str, needs: set[str]) -> None:
    dependencies = default.one(part).dependencies
    assert {label for label in dependencies if label.startswith("Container ")} == needs


@pytest.mark.parametrize("part", [*CONTAINERS, "Container ingress-routes"])
def test_no_container_is_made_before_its_deployment_is_known_to_be_the_only_one(default: Record, part: str) -> None:
    assert "Stash deployment" in default.one(part).dependencies


def test_a_node_gives_up_a_connection_that_the_network_lost_before_tcp_waits_for_long(default: Record) -> None:
    for node in NODES:
        assert default.one(node).inputs["sysctls"] == {"net.ipv4.tcp_retries2": "5"}


# Replacement


@pytest.mark.parametrize("part", ["Container object-store", "Container writer-0", "Container ingress"])
def test_what_owns_data_or_a_port_is_deleted_before_its_successor_is_made(default: Record, part: str) -> None:
    assert default.one(part).delete_before_replace is True


@pytest.mark.parametrize("part", ["Container reader-0", "Container reader-1"])
def test_a_reader_goes_only_when_its_successor_is_there(default: Record, part: str) -> None:
    assert default.one(part).delete_before_replace is False


@pytest.mark.parametrize("part", ["Container reader-0", "Container reader-1"])
def test_readers_are_replaced_with_the_writers_catalog(default: Record, part: str) -> None:
    assert default.one(part).replace_with == ("Volume writer-0-catalog",), "they never join another LiteFS cluster"


def test_nothing_else_is_replaced_with_the_catalog(default: Record) -> None:
    assert {r.label for r in default.resources if r.replace_with} == {"Container reader-0", "Container reader-1"}


@pytest.mark.parametrize("part", CONTAINERS)
def test_what_docker_does_not_change_in_place_replaces_the_container(default: Record, part: str) -> None:
    assert set(default.one(part).replace_on_changes) == {"healthcheck", "memory", "memorySwap"}


@pytest.mark.parametrize("part", CONTAINERS)
def test_what_the_daemon_adds_to_the_log_options_replaces_no_container(default: Record, part: str) -> None:
    assert default.one(part).ignore_changes == ("logOpts",)


def test_a_data_volume_that_was_there_before_is_not_replaced_for_how_it_was_made(default: Record) -> None:
    for volume in ("object-store-data", "writer-0-catalog"):
        assert default.one(f"Volume {volume}").ignore_changes == ("labels", "driver", "driverOpts")


def test_a_volume_that_the_user_named_is_never_deleted() -> None:
    record = declare_stack({"objectStore": {"minio": {"volume": "mine"}}})
    assert {resource.label for resource in record.resources if resource.retain_on_delete} == {
        "Volume object-store-data"
    }


@pytest.mark.parametrize("retain", [True, False])
def test_only_data_volumes_are_kept_on_destroy_and_only_if_asked(retain: bool) -> None:
    record = declare_stack({"retainData": retain})
    kept = {resource.label for resource in record.resources if resource.retain_on_delete}
    assert kept == ({"Volume object-store-data", "Volume writer-0-catalog"} if retain else set())


@pytest.mark.parametrize("volume", ["Volume object-store-data", "Volume writer-0-catalog"])
def test_a_volume_with_a_fixed_name_goes_before_its_successor(default: Record, volume: str) -> None:
    assert default.one(volume).delete_before_replace is True, "two cannot have one name"


@pytest.mark.parametrize("stash", ["Stash deployment", "Stash object-store-credentials-1"])
def test_what_was_made_once_is_kept_whatever_a_later_run_offers(default: Record, stash: str) -> None:
    assert default.one(stash).ignore_changes == ("input",)


# Scaling


@pytest.mark.parametrize("readers", [1, 3, 7])
def test_scaling_the_pool_adds_or_removes_readers_and_changes_nothing_else(default: Record, readers: int) -> None:
    before, after = comparable(default), comparable(declare_stack({"readers": readers}))
    expected = {f"Container reader-{index}" for index in range(readers)}
    assert {label for label in after if label.startswith("Container reader-")} == expected
    common = before.keys() & after.keys()
    assert before.keys() ^ after.keys() == {
        f"Container reader-{index}" for index in range(min(2, readers), max(2, readers))
    }
    assert {label for label in common if before[label] != after[label]} == set()


# Other shapes of the stack


def test_an_s3_service_outside_the_stack_makes_no_minio() -> None:
    record = declare_stack(S3, S3_KEYS)
    assert {resource.label for resource in record.resources if resource.parent == "ObjectStore object-store"} == set()
    assert not any("minio" in text for text in readable_texts([resource.inputs for resource in record.resources]))
    assert not any(r.name.startswith("object-store") for r in record.resources if r.type != "seafowl:index:ObjectStore")
    assert not any(
        label.startswith("Container object-store") for label in record.one("Container writer-0").dependencies
    )
    assert "minio" not in record.outputs["versions"]


def test_nodes_can_reach_an_s3_service_outside_the_stack() -> None:
    record = declare_stack(S3, S3_KEYS)
    for node in NODES:
        assert any('region = "eu-west-1"' in text for text in uploads(record.one(node)).values())
        reachable = networks(record.one(node)).keys()
        assert any(
            not network.inputs["internal"] for network in record.of("Network") if f"{network.name}-0123abc" in reachable
        )


def test_each_role_has_its_own_keys_of_an_s3_service_outside() -> None:
    record = declare_stack(S3, S3_KEYS)
    key_id, key = "SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID", "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"
    writer, reader = envs(record.one("Container writer-0")), envs(record.one("Container reader-0"))
    assert (writer[key_id], writer[key]) == ("AKIAWRITER", "hunter2-writer")
    assert (reader[key_id], reader[key]) == ("AKIAREADER", "hunter2-reader")


def test_a_node_image_that_exists_is_used_and_nothing_is_built() -> None:
    record = declare_stack({"images": {"node": "me/node:1"}})
    assert record.of("Image") == []
    assert record.one("RemoteImage seafowl-litefs").inputs == {"name": "me/node:1", "keepLocally": True}
    assert {record.one(node).inputs["image"] for node in NODES} == {"sha256:of-me/node:1"}


def test_the_node_image_is_built_of_the_images_that_the_config_names() -> None:
    record = declare_stack({"images": {"seafowl": "s:1", "litefs": "l:2", "python": "p:3"}})
    image = record.one("Image seafowl-litefs").inputs
    assert image["build"]["args"] == {"SEAFOWL_IMAGE": "s:1", "LITEFS_IMAGE": "l:2", "PYTHON_IMAGE": "p:3"}
    assert image["skipPush"] is True
    assert {record.one(node).inputs["image"] for node in NODES} == {"sha256:of-the-built-node-image"}


def test_the_built_node_image_is_of_this_stack_alone(default: Record) -> None:
    assert default.one("Image seafowl-litefs").inputs["imageName"].startswith("seafowl-dev/")


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"ingress": {"bindAddress": "0.0.0.0", "port": 80}}, "http://127.0.0.1:80"),
        ({"ingress": {"bindAddress": "::", "port": 81}}, "http://[::1]:81"),
        ({"ingress": {"bindAddress": "::1"}}, "http://[::1]:8080"),
        ({"ingress": {"bindAddress": "192.0.2.7"}}, "http://192.0.2.7:8080"),
    ],
)
def test_the_outputs_say_where_to_read_and_write(config: dict[str, Any], url: str) -> None:
    outputs = declare_stack(config).outputs
    assert outputs["queryUrl"] == f"{url}/q"
    assert outputs["writeUrl"] == f"{url}/w/q"


def test_the_outputs_say_how_many_readers_and_which_versions_run() -> None:
    outputs = declare_stack({"readers": 3, "images": {"node": "me/node:1", "nginx": "nginx:1.31"}}).outputs
    assert outputs["readers"] == 3
    assert outputs["versions"] == {
        "node": "me/node:1",
        "minio": "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z",
        "nginx": "nginx:1.31",
    }
