"""What a stack does over its life: break, recover, keep its data, live beside others, and go."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from cluster import labels
from tests.e2e.stack import Stack, free_port

NewStack = Callable[[str], Stack]


@pytest.fixture(scope="module")
def stack(new_stack: NewStack) -> Stack:
    """A running stack with one reader and a table; a test that breaks it mends it."""
    made = new_stack("life")
    made.configure(readers=1)
    made.up()
    made.write("CREATE TABLE kept AS SELECT 1 AS n")
    return made


def test_a_part_that_cannot_become_healthy_fails_every_up_with_its_log_until_it_is_mended(stack: Stack) -> None:
    images = stack.engine.images.list(filters={"reference": "nginx:1.30"})
    assert images, "NGINX's image is there: it is what cannot run as MinIO"
    good = stack.configuration("images")
    stack.configure(images={**good, "minio": "nginx:1.30"})
    first = stack.try_up()
    assert first.code != 0
    assert "object-store is not healthy" in first.text
    assert "minio: not found" in first.text, "the container's last log lines are in the error"
    assert "Traceback" not in first.text
    again = stack.try_up()
    assert again.code != 0, "an up that changes nothing must not end green over an unhealthy part"
    assert "object-store is not healthy" in again.text
    stack.configure(images=good)
    stack.up()
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_an_up_without_a_change_fails_while_a_part_is_stopped(stack: Stack) -> None:
    reader = stack.container("reader")
    reader.stop(timeout=5)
    outcome = stack.try_up()
    assert outcome.code != 0
    assert "reader-0 is not healthy: it is exited" in outcome.text
    assert "`docker start` it" in outcome.text
    reader.start()
    stack.up()


def test_a_container_removed_by_hand_is_noticed_and_made_again_by_a_refresh(stack: Stack) -> None:
    stack.container("reader").remove(force=True, v=True)
    outcome = stack.try_up()
    assert outcome.code != 0
    assert "reader-0: its container" in outcome.text
    assert "pulumi up --refresh" in outcome.text
    stack.up("--refresh")
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_after_a_restart_of_everything_the_cluster_comes_back_by_itself(stack: Stack) -> None:
    containers = stack.containers()
    for container in containers:
        container.kill()
    for container in containers:
        container.start()
    stack.up()
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_a_change_of_all_readers_is_seen_by_the_ingress_when_the_up_ends(stack: Stack) -> None:
    stack.configure(resources={"reader": {"memory": "1GiB"}})
    stack.up()
    assert stack.container("reader").attrs["HostConfig"]["Memory"] == 1024**3
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]
    stack.configure(resources={"ingress": {"memory": "64MiB"}})
    stack.up()
    assert stack.container("ingress").attrs["HostConfig"]["Memory"] == 64 * 1024**2
    stack.configure(resources=None)
    stack.up()
    for container in stack.containers():
        assert container.attrs["HostConfig"]["Memory"] == 0, "a limit that is taken away is gone in Docker too"
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_an_interrupted_up_is_finished_by_the_next(stack: Stack) -> None:
    stack.configure(readers=3)
    interrupted = stack.interrupted_up(at="reader-2 creating")
    assert interrupted.code != 0
    stack.up()
    assert len(stack.containers("reader")) == 3
    assert stack.steps() == {}
    stack.configure(readers=1)
    stack.up()
    assert len(stack.containers("reader")) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"replcas": 3}, "seafowl:replcas is not a key of this program"),
        ({"readers": 0}, "seafowl:readers must be at least 1"),
        ({"readers": -1}, "seafowl:readers must be at least 1"),
        ({"readers": "three"}, "readers"),
        ({"readers": 1.5}, "readers"),
        ({"writerJournalMode": "fast"}, "seafowl:writerJournalMode must be one of"),
        ({"ingress": {"port": 70000}}, "seafowl:ingress.port must be at most 65535"),
        (
            {"objectStore": {"s3": {"bucket": "data-1", "region": "eu-west-1"}}},
            "seafowl:s3SecretAccessKey is missing",
        ),
        ({"objectStore": {"minio": {"bucket": "other"}}}, "bucket: it lies in seafowl, and the config now says other"),
        ({"ingress": {"bindAddress": "192.0.2.7"}}, "this host does not have that address"),
        ({"resources": {"writer": {"cpus": 1000}}}, "asks for 1000 CPUs for one container"),
        ({"docker__host": "unix:///nowhere.sock"}, "No Docker Engine answers at unix:///nowhere.sock"),
    ],
    ids=lambda value: " ".join(map(str, value.items())) if isinstance(value, dict) else "",
)
def test_a_config_that_cannot_work_is_refused_and_leaves_the_cluster_as_it_was(
    stack: Stack, config: dict[str, object], message: str
) -> None:
    before = {container.id for container in stack.containers()}
    good = {key: stack.configuration(key) for key in config}
    stack.configure(**config)
    outcome = stack.try_up()
    assert outcome.code != 0
    assert message in outcome.text
    assert "Traceback" not in outcome.text
    stack.configure(**good)
    assert {container.id for container in stack.containers()} == before
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_a_config_file_that_is_not_yaml_is_refused_with_the_line(stack: Stack) -> None:
    good = stack.config_file.read_text()
    stack.config_file.write_text("config: [oops\n")
    outcome = stack.try_up()
    stack.config_file.write_text(good)
    assert outcome.code != 0
    assert "invalid YAML file: yaml: line 1" in outcome.text
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_without_the_passphrase_nothing_happens(stack: Stack) -> None:
    outcome = stack.pulumi("up", "--yes", "--skip-preview", environment={"PULUMI_CONFIG_PASSPHRASE": "another"})
    assert outcome.code != 0
    assert "passphrase" in outcome.text
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_two_stacks_live_side_by_side_on_one_host(stack: Stack, new_stack: NewStack) -> None:
    other = new_stack("side")
    other.configure(readers=1, ingress={"port": stack.port})
    taken = other.try_up()
    assert taken.code != 0
    assert f"seafowl:ingress.port {stack.port} is taken" in taken.text
    assert "--path ingress.port" in taken.text
    assert other.containers() == [], "a taken port is seen before anything is made"
    other.configure(ingress={"port": other.port})
    other.up()
    other.write("CREATE TABLE other AS SELECT 2 AS n")
    assert other.read("SELECT n FROM other") == [{"n": 2}]
    assert requests.post(f"{stack.url}/q", json={"query": "SELECT n FROM other"}, timeout=10).status_code == 400
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]
    other.destroy()
    assert (other.containers(), other.volumes(), other.networks()) == ([], [], [])
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_a_second_state_with_a_stack_of_the_same_name_touches_nothing(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {container.id for container in stack.containers()}
    monkeypatch.setattr(Stack, "remove_leftovers", lambda self: None)
    twin = Stack(stack.name, tmp_path / "twin")
    twin.configure(readers=1)
    outcome = twin.try_up()
    assert outcome.code != 0
    assert f"Another deployment of stack '{stack.name}' runs on this Docker host" in outcome.text
    assert {container.id for container in stack.containers()} == before
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]
    twin.pulumi("destroy", "--yes", "--skip-preview")
    assert {container.id for container in stack.containers()} == before
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]


def test_a_new_password_generation_changes_every_password_and_keeps_the_data(stack: Stack) -> None:
    def passwords() -> set[str]:
        environment = stack.container("object-store").attrs["Config"]["Env"]
        return {value for key, _, value in (env.partition("=") for env in environment) if key.endswith("PASSWORD")}

    before = passwords()
    stack.configure(objectStore={"minio": {"passwordGeneration": 2}})
    stack.up()
    assert len(passwords()) == 3
    assert not passwords() & before
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]
    stack.write("CREATE TABLE after_rotation AS SELECT 1 AS n; DROP TABLE after_rotation")


def test_retained_data_is_found_again_by_the_next_up(stack: Stack) -> None:
    stack.configure(retainData=True)
    stack.up()
    stack.destroy()
    assert stack.containers() == []
    assert stack.networks() == []
    assert stack.volumes() == [f"seafowl-{stack.name}-object-store", f"seafowl-{stack.name}-writer-0-catalog"]
    stack.configure(retainData=False)
    stack.up()
    assert stack.read("SELECT n FROM kept") == [{"n": 1}]
    stack.write("INSERT INTO kept VALUES (2)")
    assert stack.read("SELECT n FROM kept ORDER BY n") == [{"n": 1}, {"n": 2}]


def test_a_volume_that_was_made_by_hand_is_used_and_never_deleted(new_stack: NewStack, tmp_path: Path) -> None:
    stack = new_stack("mine")
    # With options, as one on a disk of its own or on NFS has them.
    elsewhere = {"type": "none", "o": "bind", "device": str(tmp_path)}
    volume = stack.engine.volumes.create("e2e-mine-data", labels={"made": "by hand"}, driver_opts=elsewhere)
    try:
        stack.configure(readers=1, objectStore={"minio": {"volume": volume.name}})
        stack.up()
        stack.write("CREATE TABLE kept AS SELECT 1 AS n")
        assert stack.steps() == {}
        stack.up("--refresh")
        assert stack.read("SELECT n FROM kept") == [{"n": 1}]
        stack.destroy()
        assert volume.name in {left.name for left in stack.engine.volumes.list()}
    finally:
        stack.destroy()
        volume.remove()


def test_a_killed_up_leaves_no_second_writer(new_stack: NewStack) -> None:
    stack = new_stack("killed")
    stack.configure(readers=1)
    killed = stack.interrupted_up(at="writer-0 creating", how=signal.SIGKILL)
    assert killed.code != 0
    stack.pulumi("cancel", "--yes", config=False)
    stack.up("--refresh")
    assert strangers(stack) == set()
    stack.write("CREATE TABLE after AS SELECT 1 AS n")
    assert stack.read("SELECT n FROM after") == [{"n": 1}]

    # What a kill leaves in the worst case, without the luck that it takes: all that runs, and no word of it.
    (writer,) = [one["urn"] for one in state(stack) if one["urn"].endswith("Container::writer-0")]
    forgotten = stack.pulumi("state", "delete", writer, "--target-dependents", "--yes", config=False)
    assert forgotten.code == 0, forgotten.text
    assert len(strangers(stack)) >= 3, "the writer, the reader and the ingress"
    stack.up()
    assert strangers(stack) == set()
    assert len(stack.containers("reader")) == 1
    assert stack.read("SELECT n FROM after") == [{"n": 1}]
    assert stack.steps() == {}


def state(stack: Stack) -> list[dict[str, Any]]:
    exported = stack.pulumi("stack", "export", config=False)
    return json.loads(exported.text)["deployment"].get("resources", [])


def strangers(stack: Stack) -> set[str]:
    """The stack's containers that its state does not know."""
    return {one.id for one in stack.everything()} - {resource.get("id") for resource in state(stack)}


def test_destroy_leaves_nothing(new_stack: NewStack) -> None:
    stack = new_stack("gone")
    stack.configure(readers=1, ingress={"port": free_port()})
    before = {volume.name for volume in stack.engine.volumes.list()}
    stack.up()
    stack.destroy()
    assert (stack.containers(), stack.volumes(), stack.networks()) == ([], [], [])
    assert {volume.name for volume in stack.engine.volumes.list()} - before == set(), "anonymous volumes go too"
    assert [resource["urn"] for resource in state(stack) if not re.search("providers|Stack::", resource["urn"])] == []


def test_labels_say_which_stack_a_container_belongs_to(stack: Stack) -> None:
    for container in stack.containers():
        assert container.labels[labels.PROJECT] == "seafowl"
        assert container.labels[labels.STACK] == stack.name
        assert container.labels[labels.ROLE] in {"object-store", "writer", "reader", "ingress"}
