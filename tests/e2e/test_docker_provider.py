"""The air-gapped kit's Docker provider as Pulumi's engine sees it: its process, its protocol, a real Docker Engine.

Needs a Docker Engine on this machine and nothing else: the image is made of this machine's own shell.
"""

import io
import json
import re
import socket
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from airgap.docker_provider import protocol
from airgap.docker_provider.values import plain_map
from tests.e2e.docker_provider_client import (
    BASE,
    ROOT,
    RUN,
    Provider,
    Starter,
    import_shell_image,
    message,
    partly_created,
    starter,
)

pytestmark = pytest.mark.e2e

TRACES = ROOT / "tests" / "traces" / "docker_provider.jsonl"


@pytest.fixture(scope="session")
def api() -> Any:
    return docker.APIClient(version="auto")


@pytest.fixture(scope="session")
def base(api: Any) -> Iterator[str]:
    yield import_shell_image(api)
    api.remove_image(BASE, force=True)


@pytest.fixture(scope="session")
def start() -> Iterator[Starter]:
    with starter() as started:
        yield started


@pytest.fixture
def provider(start: Starter) -> Iterator[Provider]:
    provider = start()
    provider.configure()
    yield provider
    provider.remove_all()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def sleeper(base: str, **inputs: Any) -> dict[str, Any]:
    """A container that runs until it is told to stop, which it obeys at once."""
    script = inputs.pop("script", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    return {"image": base, "entrypoints": ["sh", "-c"], "command": [script], **inputs}


def normal(value: Any) -> Any:
    """The outputs without what differs from run to run."""
    text = json.dumps(value)
    for pattern, stand_in in (
        (r'"(sha256:)?[0-9a-f]{64}', '"<id>'),
        (r"-[0-9a-f]{7}(?=[\"/])", "-<suffix>"),
        (r"\d+\.\d+\.\d+\.(\d+/\d+|\d+)", "<address>"),
        (r"02:42:[0-9a-f:]+", "<mac>"),
        (r'("external": |"ipPrefixLength": )\d+', r"\1 0"),
    ):
        text = re.sub(pattern, stand_in, text)
    outputs = json.loads(text)
    outputs.get("networkDatas", []).sort(key=lambda network: network["networkName"])
    return outputs


def test_creations_give_every_output_of_the_original_and_a_refresh_finds_no_difference(
    provider: Provider, base: str
) -> None:
    calls = [json.loads(line) for line in TRACES.read_text().splitlines()]
    creations = [call for call in calls if call["step"] == "01-create" and call["method"] == "Create"]
    names: dict[str, str] = {"example/base:latest": BASE}
    port = free_port()
    kinds: set[str] = set()
    for call in creations:
        kind = call["request"]["urn"].split("::")[2].rpartition(":")[2]
        if kind == "Image":
            continue
        kinds.add(kind)
        inputs, expected = call["request"]["properties"], call["response"]["properties"]
        if "image" in inputs:
            names[inputs["image"]] = base
        old_name = inputs["name"]
        if kind != "RemoteImage":
            names[old_name] = f"{old_name.rpartition('-')[0]}-{uuid.uuid4().hex[:7]}"
        there = json.dumps([inputs, expected]).replace("/dev/fuse", "/dev/null").replace("18080", str(port))
        for original, ours in names.items():
            there = there.replace(original, ours)
        inputs, expected = json.loads(there)
        given = {key: value for key, value in inputs.items() if key != "__defaults"}
        resource_id, outputs, checked = provider.create(kind, **given)
        assert normal(outputs) == normal(expected), f"{kind}: not the original's outputs"
        answer = provider.read(kind, resource_id, outputs, checked)
        assert answer.id == resource_id
        verdict = provider.diff(kind, plain_map(answer.properties), checked)
        assert verdict.changes == protocol.provider.DiffResponse.DIFF_NONE, (kind, list(verdict.diffs))
    assert kinds == {"Network", "Volume", "RemoteImage", "Container"}


def test_limits_and_restart_policy_change_in_place_and_a_healthcheck_does_not(
    provider: Provider, base: str, api: Any
) -> None:
    check = {"tests": ["CMD", "test", "-e", "/tmp"], "interval": "1s"}
    resource_id, state, inputs = provider.create(
        "Container", **sleeper(base, memory=64, memorySwap=64, healthcheck=check)
    )
    changed = {**inputs, "memory": 96, "memorySwap": 96, "restart": "always"}
    changed["healthcheck"] = {**inputs["healthcheck"], "interval": "2s"}
    verdict = provider.diff("Container", state, changed)
    assert sorted(verdict.diffs) == ["healthcheck", "memory", "memorySwap", "restart"]
    assert not verdict.replaces
    outputs = provider.update("Container", resource_id, state, changed)
    details = api.inspect_container(resource_id)
    assert details["HostConfig"]["Memory"] == 96 * 1024 * 1024
    assert details["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert outputs["healthcheck"]["interval"] == "2s", "the original says that it is done"
    assert details["Config"]["Healthcheck"]["Interval"] == 10**9, "and does not do it"
    seen = provider.read("Container", resource_id, outputs, changed)
    assert plain_map(seen.inputs)["healthcheck"]["interval"] == "1s", "a refresh finds it"


def test_a_container_that_gets_no_health_fails_stays_and_is_updated_without_a_look(
    provider: Provider, base: str, api: Any
) -> None:
    sick = sleeper(base, healthcheck={"tests": ["CMD", "test", "-e", "/never"], "interval": "1s"})
    with pytest.raises(grpc.RpcError) as error:
        provider.create("Container", **sick, wait=True, waitTimeout=2)
    assert message(error) == "container failed to be in healthy state"
    partial = partly_created(error.value)
    assert api.inspect_container(partial.id)["State"]["Running"]
    state = plain_map(partial.properties)
    inputs = provider.check("Container", {**sick, "wait": True, "waitTimeout": 2, "name": state["name"]})
    assert not provider.diff("Container", state, inputs).diffs
    assert provider.update("Container", partial.id, state, inputs)["name"] == state["name"]


def test_a_container_that_becomes_healthy_is_waited_for(provider: Provider, base: str, api: Any) -> None:
    script = "sleep 1; touch /tmp/ok; while :; do sleep 0.1; done"
    check = {"tests": ["CMD", "test", "-e", "/tmp/ok"], "interval": "500ms"}
    resource_id, _, _ = provider.create("Container", **sleeper(base, script=script, healthcheck=check, wait=True))
    assert api.inspect_container(resource_id)["State"]["Health"]["Status"] == "healthy"


def test_waiting_without_a_healthcheck_says_what_is_missing(provider: Provider, base: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        provider.create("Container", **sleeper(base, wait=True))
    assert "healthcheck" in message(error)


def test_a_container_that_exits_at_once_fails_and_leaves_nothing(provider: Provider, base: str, api: Any) -> None:
    name = f"dptest-{RUN}-exits"
    with pytest.raises(grpc.RpcError) as error:
        provider.create("Container", **sleeper(base, script="exit 7", name=name))
    assert message(error) == "container exited immediately"
    assert partly_created(error.value) is None
    assert api.containers(all=True, filters={"name": name}) == []


def test_a_job_gives_its_exit_code_and_logs(provider: Provider, base: str) -> None:
    script = "echo out; echo err >&2; exit 3"
    _, state, _ = provider.create("Container", **sleeper(base, script=script, mustRun=False, attach=True, logs=True))
    assert state["exitCode"] == 3
    assert sorted(state["containerLogs"].splitlines()) == ["err", "out"]


def test_files_are_uploaded_with_their_modes_before_the_start(
    provider: Provider, base: str, api: Any, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"\x00from a file")
    _, volume, _ = provider.create("Volume")
    uploads = [
        {"file": "/etc/deep/app.yml", "content": "a: ä\n"},
        {"file": "/tmp/run.sh", "contentBase64": "IyEvYmluL3NoCg==", "executable": True},
        {"file": "/data/source", "source": str(tmp_path / "source"), "permissions": "0600"},
    ]
    mounts = [{"type": "volume", "source": volume["name"], "target": "/data"}]
    inputs = sleeper(base, uploads=uploads, mounts=mounts, start=False, mustRun=False)
    resource_id, _, _ = provider.create("Container", **inputs)
    expected = {
        "/etc/deep/app.yml": ("a: ä\n".encode(), 0o644),
        "/tmp/run.sh": (b"#!/bin/sh\n", 0o744),
        "/data/source": (b"\x00from a file", 0o600),
    }
    for path, wanted in expected.items():
        chunks, _ = api.get_archive(resource_id, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            [member] = tar.getmembers()
            file = tar.extractfile(member)
            assert file is not None
            assert (file.read(), member.mode & 0o777) == wanted


def test_a_read_only_root_refuses_uploads(provider: Provider, base: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        provider.create("Container", **sleeper(base, readOnly=True, uploads=[{"file": "/etc/a", "content": "a"}]))
    assert "container rootfs is marked read-only" in message(error)


def test_a_container_is_on_its_networks_alone_with_alias_and_address(provider: Provider, base: str, api: Any) -> None:
    _, back, _ = provider.create("Network", ipamConfigs=[{"subnet": "10.213.47.0/24"}], internal=True)
    _, front, _ = provider.create("Network")
    networks = [
        {"name": back["name"], "aliases": ["db"], "ipv4Address": "10.213.47.9"},
        {"name": front["name"]},
    ]
    resource_id, state, inputs = provider.create("Container", **sleeper(base, networksAdvanced=networks))
    seen = api.inspect_container(resource_id)["NetworkSettings"]["Networks"]
    assert set(seen) == {back["name"], front["name"]}
    assert seen[back["name"]]["IPAddress"] == "10.213.47.9"
    assert "db" in seen[back["name"]]["Aliases"]
    read = provider.read("Container", resource_id, state, inputs)
    assert not provider.diff("Container", plain_map(read.properties), inputs).diffs


def test_what_a_container_may_do_reaches_docker(provider: Provider, base: str, api: Any) -> None:
    resource_id, state, inputs = provider.create(
        "Container",
        **sleeper(
            base,
            capabilities={"adds": ["CAP_NET_ADMIN"], "drops": ["ALL"]},
            cpus="0.5",
            dns=["9.9.9.9"],
            groupAdds=["7"],
            hosts=[{"host": "s3.test", "ip": "10.0.0.1"}],
            init=True,
            labels=[{"label": "role", "value": "test"}],
            logDriver="json-file",
            logOpts={"max-size": "1m"},
            memory=64,
            memorySwap=64,
            restart="on-failure",
            maxRetryCount=3,
            securityOpts=["no-new-privileges"],
            shmSize=8,
            stopSignal="SIGINT",
            stopTimeout=4,
            sysctls={"net.ipv4.ip_unprivileged_port_start": "80"},
            tmpfs={"/scratch": "size=1m"},
            ulimits=[{"name": "nofile", "soft": 100, "hard": 200}],
            user="1:1",
            workingDir="/tmp",
        ),
    )
    details = api.inspect_container(resource_id)
    host, config = details["HostConfig"], details["Config"]
    assert (host["CapAdd"], host["CapDrop"], host["SecurityOpt"]) == (["CAP_NET_ADMIN"], ["ALL"], ["no-new-privileges"])
    assert (host["NanoCpus"], host["Memory"], host["ShmSize"]) == (5 * 10**8, 64 * 2**20, 8 * 2**20)
    assert (host["Dns"], host["ExtraHosts"], host["GroupAdd"]) == (["9.9.9.9"], ["s3.test:10.0.0.1"], ["7"])
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert (host["Init"], host["Tmpfs"]) == (True, {"/scratch": "size=1m"})
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    assert (config["User"], config["WorkingDir"], config["Labels"]) == ("1:1", "/tmp", {"role": "test"})
    assert (config["StopSignal"], config["StopTimeout"]) == ("SIGINT", 4)
    read = provider.read("Container", resource_id, state, inputs)
    assert not provider.diff("Container", plain_map(read.properties), inputs).diffs


def test_a_container_is_stopped_with_its_grace_and_its_anonymous_volumes_go_with_it(
    provider: Provider, base: str, api: Any
) -> None:
    _, shared, _ = provider.create("Volume")
    script = "trap 'touch /data/stopped; exit 0' TERM; while :; do sleep 0.1; done"
    resource_id, state, _ = provider.create(
        "Container",
        **sleeper(
            base,
            script=script,
            destroyGraceSeconds=20,
            mounts=[{"type": "volume", "source": shared["name"], "target": "/data"}],
            volumes=[{"containerPath": "/anonymous"}],
        ),
    )
    [anonymous] = [
        item["Name"] for item in api.inspect_container(resource_id)["Mounts"] if item["Destination"] != "/data"
    ]
    provider.delete("Container", resource_id, state)
    assert api.containers(all=True, filters={"id": resource_id}) == []
    assert api.volumes(filters={"name": anonymous})["Volumes"] in (None, [])
    mounts = [{"type": "volume", "source": shared["name"], "target": "/data"}]
    look, _, _ = provider.create("Container", **sleeper(base, mounts=mounts, start=False, mustRun=False))
    assert api.get_archive(look, "/data/stopped"), "it was killed before it could tidy up"
    provider.delete("Container", resource_id, state)


def test_a_container_without_grace_is_killed_at_once(provider: Provider, base: str) -> None:
    script = "trap '' TERM; while :; do sleep 0.1; done"
    resource_id, state, _ = provider.create("Container", **sleeper(base, script=script))
    started = time.monotonic()
    provider.delete("Container", resource_id, state)
    assert time.monotonic() - started < 8, "Docker's own ten seconds were waited for"


def test_what_is_gone_is_read_without_an_id_and_deleted_without_an_error(
    provider: Provider, base: str, api: Any
) -> None:
    made = [provider.create("Container", **sleeper(base)), provider.create("Network"), provider.create("Volume")]
    api.remove_container(made[0][0], force=True)
    api.remove_network(made[1][0])
    api.remove_volume(made[2][0])
    for kind, (resource_id, state, inputs) in zip(("Container", "Network", "Volume"), made, strict=True):
        assert provider.read(kind, resource_id, state, inputs).id == "", kind
        provider.delete(kind, resource_id, state)


def test_a_stopped_container_that_must_run_is_gone_after_a_refresh(provider: Provider, base: str, api: Any) -> None:
    resource_id, state, inputs = provider.create("Container", **sleeper(base))
    api.stop(resource_id, timeout=0)
    assert provider.read("Container", resource_id, state, inputs).id == ""
    assert api.containers(all=True, filters={"id": resource_id}) == []


def test_a_volume_that_is_there_already_is_taken_with_its_data(provider: Provider, base: str, api: Any) -> None:
    name = f"dptest-{RUN}-kept"
    api.create_volume(name=name)
    idle = sleeper(base, start=False, mustRun=False, mounts=[{"type": "volume", "source": name, "target": "/data"}])
    provider.create("Container", **idle, uploads=[{"file": "/data/row", "content": "1"}])
    provider.remove_all()
    provider.made.clear()
    resource_id, state, _ = provider.create("Volume", name=name)
    assert resource_id == state["name"] == name
    look, _, _ = provider.create("Container", **idle)
    assert api.get_archive(look, "/data/row")


def test_a_network_that_is_being_left_is_deleted_when_it_is_free(provider: Provider, base: str, api: Any) -> None:
    network_id, network, _ = provider.create("Network")
    resource_id, state, _ = provider.create("Container", **sleeper(base, networksAdvanced=[{"name": network["name"]}]))
    removal = threading.Timer(1, provider.delete, ("Container", resource_id, state))
    removal.start()
    provider.delete("Network", network_id, network)
    removal.join()
    assert api.networks(ids=[network_id]) == []


def test_an_image_that_cannot_be_had_is_named(provider: Provider) -> None:
    with pytest.raises(grpc.RpcError) as error:
        provider.create("RemoteImage", name="127.0.0.1:1/nowhere/image:1")
    assert "unable to pull image 127.0.0.1:1/nowhere/image:1" in message(error)


def test_an_image_goes_with_its_resource_unless_it_is_kept(provider: Provider, base: str, api: Any) -> None:
    for keep in (True, False):
        name = f"docker-provider-test/{RUN}:{str(keep).lower()}"
        api.tag(base, *name.split(":"))
        resource_id, state, _ = provider.create("RemoteImage", name=name, keepLocally=keep)
        assert (resource_id, state["imageId"]) == (base + name, base)
        provider.delete("RemoteImage", resource_id, state)
        assert bool(api.images(name=name)) == keep
    api.remove_image(f"docker-provider-test/{RUN}:true")


@pytest.fixture
def context(tmp_path: Path, base: str) -> Path:
    (tmp_path / "Dockerfile").write_text(
        'ARG BASE\nFROM $BASE\nARG SAY\nCOPY . /in\nRUN ["sh", "-c", "echo said $SAY"]\n'
    )
    (tmp_path / ".dockerignore").write_text("ignored\nDockerfile\n")
    (tmp_path / "kept").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "ignored").write_text("x")
    return tmp_path


def test_an_image_is_built_from_its_context_shown_line_by_line_and_left_on_the_engine(
    provider: Provider, context: Path, api: Any
) -> None:
    name = f"docker-provider-test/{RUN}:built"
    build = {"context": str(context), "args": {"BASE": BASE, "SAY": "hello"}, "platform": "linux/amd64"}
    if api.info()["Architecture"] not in ("x86_64", "amd64"):
        del build["platform"]
    resource_id, state, inputs = provider.create(
        "Image", imageName=name, skipPush=True, buildOnPreview=False, build=build
    )
    assert resource_id == state["baseImageName"] == name
    assert state["repoDigest"] == api.inspect_image(name)["Id"]
    assert state["dockerfile"] == "Dockerfile"
    assert state["__inputs"]["value"] == inputs, "the inputs are kept, as a secret"
    assert "said hello" in provider.log.lines
    look, _, _ = provider.create("Container", **sleeper(state["repoDigest"], start=False, mustRun=False))
    chunks, _ = api.get_archive(look, "/in")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert {Path(member).name for member in tar.getnames()} >= {"kept", "empty"}
        assert "in/ignored" not in tar.getnames()
    provider.delete("Image", resource_id, state)
    assert api.images(name=name), "the original leaves the image"
    provider.remove_all()
    provider.made.clear()
    api.remove_image(name, force=True)
    assert provider.read("Image", resource_id, state, inputs).id == resource_id, "the original does not look"


def test_a_failed_build_ends_with_its_last_lines(provider: Provider, context: Path) -> None:
    with (context / "Dockerfile").open("a") as file:
        file.write('RUN ["sh", "-c", "echo the reason; exit 9"]\n')
    with pytest.raises(grpc.RpcError) as error:
        build = {"context": str(context), "args": {"BASE": BASE}}
        provider.create("Image", imageName=f"docker-provider-test/{RUN}:bad", skipPush=True, build=build)
    assert "returned a non-zero code: 9" in message(error)
    assert message(error).splitlines()[-1] == "the reason" or "the reason" in message(error)


def test_a_cancelled_creation_returns_at_once_with_what_is_there(start: Starter, base: str, api: Any) -> None:
    provider = start()
    provider.configure()
    cancel = threading.Timer(1.5, provider.stub.Cancel, (Empty(),))
    cancel.start()
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        check = {"tests": ["CMD", "test", "-e", "/never"], "interval": "1s"}
        provider.create("Container", **sleeper(base, healthcheck=check, wait=True, waitTimeout=60))
    cancel.join()
    assert time.monotonic() - started < 10
    partial = partly_created(error.value)
    assert api.inspect_container(partial.id)["State"]["Running"]
    api.remove_container(partial.id, force=True)


def test_an_engine_that_does_not_answer_is_named_and_check_and_diff_do_without_it(
    start: Starter,
) -> None:
    provider = start()
    with pytest.raises(grpc.RpcError) as error:
        provider.configure(host="unix:///nowhere/docker.sock")
    assert "error pinging Docker server at unix:///nowhere/docker.sock" in message(error)
    inputs = provider.check("Volume", {})
    assert not provider.diff("Volume", {"name": inputs["name"], "driver": "local"}, inputs).diffs
