"""The air-gapped kit's Docker provider against what the original answered, as far as no Docker is needed.

What this does not prove: that Docker is asked for the right things (tests/e2e/test_docker_provider.py does).
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from airgap.docker_provider import image
from airgap.docker_provider.check import Naming, check
from airgap.docker_provider.container import updated
from airgap.docker_provider.container_table import CONTAINER
from airgap.docker_provider.diff import diff
from airgap.docker_provider.durations import duration, nanoseconds
from airgap.docker_provider.fields import Table
from airgap.docker_provider.plain import UNKNOWN
from airgap.docker_provider.state import inputs_after_read, planned
from airgap.docker_provider.tables import IMAGE, TABLES

TRACES = Path(__file__).parents[1] / "traces" / "docker_provider.jsonl"
CALLS = [json.loads(line) for line in TRACES.read_text().splitlines()]
CONTAINER_TYPE = "docker:index/container:Container"
NETWORK_TYPE = "docker:index/network:Network"


def _type(call: dict[str, Any]) -> str:
    return call["request"]["urn"].split("::")[2]


def _calls(method: str, *, of_image: bool = False) -> list[Any]:
    chosen = [call for call in CALLS if call["method"] == method and (_type(call) == IMAGE) == of_image]
    assert chosen, f"no {method} in the traces: the test would prove nothing"
    return [pytest.param(call, id=f"{call['step']}-{call['request']['urn'].rpartition('::')[2]}") for call in chosen]


def _container_inputs(**changes: Any) -> dict[str, Any]:
    """Checked inputs of a small container."""
    news = {"image": "sha256:1", "name": "svc", **changes}
    return check(CONTAINER_TYPE, "svc", {}, news, random_seed=b"seed").inputs


@pytest.mark.parametrize("call", _calls("Check"))
def test_check_completes_the_inputs_as_the_original_does(call: dict[str, Any]) -> None:
    request, expected = call["request"], call["response"]["inputs"]
    name = request["urn"].rpartition("::")[2]
    seed = base64.b64decode(request["randomSeed"])
    checked = check(_type(call), name, request["olds"], request["news"], random_seed=seed)
    assert checked.failures == []
    if "name" in expected["__defaults"] and not request["olds"]:
        assert re.fullmatch(rf"{name}-[0-9a-f]{{7}}", checked.inputs["name"])
        checked.inputs["name"] = expected["name"]
    assert checked.inputs == expected


@pytest.mark.parametrize("call", _calls("Diff"))
def test_diff_gives_the_originals_verdict_replaces_stables_and_details(call: dict[str, Any]) -> None:
    request, expected = call["request"], call["response"]
    answer = diff(_type(call), request["olds"], request["news"], [])
    assert ("DIFF_SOME" if answer.changes else "DIFF_NONE") == expected["changes"]
    assert answer.stables == expected["stables"]
    assert answer.diffs == expected.get("diffs", [])
    assert answer.replaces == expected.get("replaces", [])
    assert answer.detailed == {path: detail["kind"] for path, detail in expected.get("detailedDiff", {}).items()}
    assert answer.delete_before_replace == expected.get("deleteBeforeReplace", False)


@pytest.mark.parametrize("call", _calls("Diff", of_image=True))
def test_an_unchanged_image_is_no_difference(call: dict[str, Any]) -> None:
    answer = image.diff(call["request"]["olds"], call["request"]["news"], [])
    assert call["response"]["changes"] == "DIFF_NONE"
    assert not answer.changes


@pytest.mark.parametrize("call", _calls("Update"))
def test_an_update_answers_with_the_originals_outputs(call: dict[str, Any]) -> None:
    assert updated(call["request"]["olds"], call["request"]["news"]) == call["response"]["properties"]


@pytest.mark.parametrize("call", [call for call in _calls("Create") if call.values[0]["request"].get("preview")])
def test_a_preview_foretells_the_originals_outputs(call: dict[str, Any]) -> None:
    expected = call["response"]["properties"]
    assert {**planned(CONTAINER, call["request"]["properties"]), "id": UNKNOWN} == expected


@pytest.mark.parametrize("call", [call for call in _calls("Read") if "id" in call.values[0]["response"]])
def test_a_refresh_leaves_the_originals_inputs_behind(call: dict[str, Any]) -> None:
    kept = inputs_after_read(TABLES[_type(call)], call["request"]["inputs"], call["response"]["properties"])
    assert kept == call["response"]["inputs"]


def _schema_outputs(table: Table) -> set[str]:
    return {*table, "id"}


@pytest.mark.parametrize("call", [call for call in _calls("Create") if not call.values[0]["request"].get("preview")])
def test_every_output_of_the_original_is_known(call: dict[str, Any]) -> None:
    assert _schema_outputs(TABLES[_type(call)]) == set(call["response"]["properties"])


def test_a_name_is_kept_from_the_old_inputs_even_with_another_seed() -> None:
    first = check(NETWORK_TYPE, "back", {}, {}, random_seed=b"one").inputs
    again = check(NETWORK_TYPE, "back", first, {}, random_seed=b"two").inputs
    assert again == first


def test_a_replacement_gets_a_new_name() -> None:
    names = {check(NETWORK_TYPE, "back", {}, {}, random_seed=seed).inputs["name"] for seed in (b"one", b"two")}
    assert len(names) == 2


def test_a_name_that_the_engine_proposes_is_taken() -> None:
    naming = Naming("propose", "back-of-the-stack")
    assert check(NETWORK_TYPE, "back", {}, {}, random_seed=b"1", naming=naming).inputs["name"] == "back-of-the-stack"


def test_no_name_is_made_up_where_automatic_naming_is_disabled() -> None:
    checked = check(NETWORK_TYPE, "back", {}, {}, random_seed=b"1", naming=Naming("disable", ""))
    assert checked.failures[0][0] == "name"


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"gpus": "all"}, "gpus"),
        ({"networksAdvanced": [{"name": "back", "gwPriority": 1}]}, "networksAdvanced[0].gwPriority"),
        (
            {"mounts": [{"type": "volume", "target": "/data", "volumeOptions": {"subpath": "a"}}]},
            "mounts[0].volumeOptions.subpath",
        ),
    ],
)
def test_an_input_that_is_not_implemented_is_refused_by_name(inputs: dict[str, Any], path: str) -> None:
    checked = check(CONTAINER_TYPE, "svc", {}, {"image": "sha256:1", **inputs}, random_seed=b"1")
    [(property_path, reason)] = checked.failures
    assert property_path == path
    assert f"svc: input `{path}` is not implemented by the air-gapped kit's Docker provider" in reason


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"imagine": "x"}, "imagine"),
        ({"memory": "much"}, "memory"),
        ({"memory": -1}, "memory"),
        ({"envs": ["A=1", 2]}, "envs[1]"),
        ({"logOpts": {"max-file": 3}}, "logOpts.max-file"),
        ({"labels": ["role=x"]}, "labels[0]"),
        ({"restart": "sometimes"}, "restart"),
        ({"healthcheck": {"tests": ["CMD", "true"], "interval": "soon"}}, "healthcheck.interval"),
        ({"uploads": [{"file": "/x", "content": "x", "permissions": "rw"}]}, "uploads[0].permissions"),
        ({"mounts": [{"type": "nfs", "target": "/data"}]}, "mounts[0].type"),
        ({"ports": [{"external": 80}]}, "ports[0].internal"),
    ],
)
def test_a_wrong_input_is_refused_by_name(inputs: dict[str, Any], path: str) -> None:
    checked = check(CONTAINER_TYPE, "svc", {}, {"image": "sha256:1", **inputs}, random_seed=b"1")
    assert [failure[0] for failure in checked.failures] == [path]


def test_a_value_that_is_not_known_yet_passes_check_and_replaces_where_a_change_would() -> None:
    inputs = _container_inputs(image=UNKNOWN, memory=UNKNOWN)
    answer = diff(CONTAINER_TYPE, {**planned(CONTAINER, _container_inputs(memory=64)), "id": "1"}, inputs, [])
    assert answer.detailed == {"image": "UPDATE_REPLACE", "memory": "UPDATE"}
    assert answer.delete_before_replace


def test_an_input_that_is_taken_away_is_a_deletion_unless_docker_fills_it_in() -> None:
    state = planned(CONTAINER, _container_inputs(memory=64, hostname="svc", dns=["9.9.9.9"]), unknown=None)
    assert diff(CONTAINER_TYPE, state, _container_inputs(), []).detailed == {
        "memory": "DELETE",
        "dns": "DELETE_REPLACE",
    }


def test_ignored_changes_are_no_difference() -> None:
    state = planned(CONTAINER, _container_inputs(memory=64, labels=[{"label": "a", "value": "1"}]), unknown=None)
    inputs = _container_inputs(memory=65, labels=[{"label": "a", "value": "2"}])
    assert diff(CONTAINER_TYPE, state, inputs, ["labels"]).diffs == ["memory"]


def test_the_order_of_a_set_does_not_count_and_that_of_a_list_does() -> None:
    state = planned(CONTAINER, _container_inputs(envs=["A=1", "B=2"], command=["a", "b"]), unknown=None)
    assert not diff(CONTAINER_TYPE, state, _container_inputs(envs=["B=2", "A=1"], command=["a", "b"]), []).changes
    answer = diff(CONTAINER_TYPE, state, _container_inputs(envs=["A=1", "B=2"], command=["b", "a"]), [])
    assert answer.detailed == {"command[0]": "UPDATE_REPLACE", "command[1]": "UPDATE_REPLACE"}


def test_a_replaced_network_is_deleted_first_only_when_its_name_is_fixed() -> None:
    state = {"name": "back", "driver": "bridge", "labels": [], "ipamDriver": "default"}
    named = check(NETWORK_TYPE, "back", {}, {"name": "back", "internal": True}, random_seed=b"1").inputs
    made_up = check(NETWORK_TYPE, "back", {}, {"internal": True}, random_seed=b"1").inputs
    assert diff(NETWORK_TYPE, state, named, []).delete_before_replace
    assert not diff(NETWORK_TYPE, state, made_up, []).delete_before_replace


@pytest.mark.parametrize("text", ["0s", "1s", "1m30s", "1h0m5s", "500ms", "1.5s", "2µs", "7ns"])
def test_durations_survive_the_way_to_docker_and_back(text: str) -> None:
    assert duration(nanoseconds(text)) == text


def _context(folder: Path) -> dict[str, Any]:
    return {"imageName": "node:dev", "skipPush": True, "build": {"context": str(folder)}}


def test_the_digest_of_an_image_follows_its_files_and_not_the_ignored_ones(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / ".dockerignore").write_text("*.log\nbuild/**\n!build/keep\n")
    (tmp_path / "app.py").write_text("1")
    (tmp_path / "build").mkdir()

    def digest() -> str:
        return image.check("node", _context(tmp_path)).inputs["build"]["contextDigest"]

    first = digest()
    (tmp_path / "noise.log").write_text("x")
    (tmp_path / "build" / "out").write_text("x")
    assert digest() == first, "an ignored file made a new image"
    digests = {first}
    (tmp_path / "build" / "keep").write_text("x")
    digests.add(digest())
    (tmp_path / "app.py").write_text("2")
    digests.add(digest())
    (tmp_path / "app.py").chmod(0o755)
    digests.add(digest())
    assert len(digests) == 4, "a file that is brought back, a content and a mode count"


def test_a_changed_context_builds_again_and_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    old = image.check("node", _context(tmp_path)).inputs
    (tmp_path / "file").write_text("x")
    answer = image.diff({"__inputs": old}, image.check("node", _context(tmp_path)).inputs, [])
    assert answer.detailed == {"build": "UPDATE"}
    assert answer.replaces == []


def test_an_image_that_would_be_pushed_is_refused(tmp_path: Path) -> None:
    checked = image.check("node", {**_context(tmp_path), "skipPush": False})
    assert checked.failures[0][0] == "skipPush"


@pytest.mark.parametrize("call", _calls("Check", of_image=True))
def test_check_of_an_image_adds_nothing_but_the_digest(
    call: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build = call["request"]["news"]["build"]
    (tmp_path / build["context"]).mkdir()
    (tmp_path / build["dockerfile"]).write_text("FROM scratch\n")
    checked = image.check("node", call["request"]["news"])
    expected = call["response"]["inputs"]
    expected["build"]["contextDigest"] = checked.inputs["build"]["contextDigest"]
    assert re.fullmatch("[0-9a-f]{64}", expected["build"]["contextDigest"])
    assert checked.inputs == expected


def test_a_missing_dockerfile_is_named_with_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    build = {"context": str(tmp_path), "dockerfile": "Dockerfile"}
    checked = image.check("node", {**_context(tmp_path), "build": build})
    assert checked.failures == [
        ("build.dockerfile", f"could not open dockerfile Dockerfile; try setting `dockerfile` to {tmp_path}/Dockerfile")
    ]
