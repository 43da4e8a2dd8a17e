"""The rendered files, parsed back: what must be in them, and what must not."""

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.ingress_start import render_certificate_start, render_ingress_start
from config.layout import CATALOG_FILE, LITEFS_PORT
from config.litefs import NodeRole, render_litefs_yml
from config.minio import render_minio_start
from config.nginx import render_nginx_conf
from config.seafowl import render_seafowl_toml
from config.settings import Settings

STORE = {"bucket": "tables", "endpoint": "http://object-store:9000", "region": "us-east-1"}
ROLES: tuple[NodeRole, ...] = ("writer", "reader")


def litefs(role: NodeRole) -> dict[str, Any]:
    return yaml.safe_load(render_litefs_yml(role, f"{role}-0"))


def seafowl(role: NodeRole, store: dict[str, str] | None = None, **config: Any) -> dict[str, Any]:
    return tomllib.loads(render_seafowl_toml(role, Settings.model_validate(config), store or STORE))


# litefs.yml


def test_only_the_writer_is_a_candidate_for_primary() -> None:
    assert litefs("writer")["lease"]["candidate"] is True
    assert litefs("reader")["lease"]["candidate"] is False, "left out, it would be true: a second primary"


def test_all_nodes_name_the_same_primary() -> None:
    writer, reader = ({**litefs(role)["lease"], "candidate": None} for role in ROLES)
    assert writer == reader
    assert writer["type"] == "static"
    assert writer["advertise-url"] == f"http://{writer['hostname']}:{LITEFS_PORT}"


@pytest.mark.parametrize("role", ROLES)
def test_litefs_listens_on_the_replication_network_alone(role: NodeRole) -> None:
    assert litefs(role)["http"] == {"addr": f"${{HOSTNAME}}.${{REPLICATION_NETWORK}}:{LITEFS_PORT}"}


@pytest.mark.parametrize("role", ROLES)
def test_litefs_yml_holds_only_keys_that_litefs_knows(role: NodeRole) -> None:
    known = {"exec", "data", "fuse", "http", "proxy", "lease", "log", "tracing", "exit-on-error", "skip-sync"}
    assert litefs(role).keys() <= known, "LiteFS ends at an unknown one"
    assert litefs(role)["fuse"]["dir"] != litefs(role)["data"]["dir"]


def test_the_catalog_lies_at_the_root_of_the_mount() -> None:
    assert str(Path(CATALOG_FILE).parent) == litefs("writer")["fuse"]["dir"], "LiteFS replicates nothing below it"


def test_a_reader_starts_seafowl_only_once_there_is_a_catalog() -> None:
    (step,) = litefs("reader")["exec"]
    shell, flag, script = shlex.split(step["cmd"])
    assert (shell, flag) == ("sh", "-c"), "LiteFS splits words, and runs no shell of its own"
    assert script.startswith(f"until [ -s {CATALOG_FILE} ]")
    assert "exec seafowl" in script, "signals must reach Seafowl, not a shell"
    subprocess.run(["sh", "-n", "-c", script], check=True)


def test_the_writer_runs_seafowl_behind_the_supervisor() -> None:
    assert [shlex.split(step["cmd"])[:2] for step in litefs("writer")["exec"]] == [["seafowl-supervisor", "run"]]


# seafowl.toml


def test_only_the_writers_catalog_can_be_written() -> None:
    assert seafowl("writer")["catalog"]["read_only"] is False
    assert seafowl("reader")["catalog"]["read_only"] is True


def test_each_role_opens_the_catalog_in_its_own_journal_mode() -> None:
    modes = {"writerJournalMode": "persist", "readerJournalMode": "memory"}
    assert seafowl("writer", **modes)["catalog"]["journal_mode"] == "persist"
    assert seafowl("reader", **modes)["catalog"]["journal_mode"] == "memory"


@pytest.mark.parametrize("off", ["off", False, "false"])
def test_off_is_written_as_a_quoted_string(off: object) -> None:
    text = render_seafowl_toml("reader", Settings.model_validate({"readerJournalMode": off}), STORE)
    assert 'journal_mode = "off"' in text


def test_both_roles_open_the_file_that_litefs_replicates() -> None:
    assert {seafowl(role)["catalog"]["dsn"] for role in ROLES} == {f"sqlite://{CATALOG_FILE}"}


def test_readers_refuse_writes_whatever_the_access() -> None:
    assert seafowl("writer", access={"write": "any"})["frontend"]["http"]["write_access"] == "any"
    assert seafowl("reader", access={"write": "any"})["frontend"]["http"]["write_access"] == "off"


@pytest.mark.parametrize("write", ["any", "token", "off"])
def test_readers_keep_write_access_off_where_the_writer_asks_for_a_token(write: str) -> None:
    assert seafowl("reader", access={"write": write})["frontend"]["http"]["write_access"] == "off"


def test_what_a_token_is_asked_for_is_left_to_the_environment() -> None:
    writer = seafowl("writer", access={"read": "token", "write": "token"})["frontend"]["http"]
    assert not {"read_access", "write_access"} & writer.keys(), "a value in the file would stand beside the hash"
    assert "read_access" not in seafowl("reader", access={"read": "token"})["frontend"]["http"]
    half = seafowl("writer", access={"read": "token"})["frontend"]["http"]
    assert half["write_access"] == "any"
    assert "read_access" not in half


def test_access_turned_off_holds_on_every_node() -> None:
    for role in ROLES:
        http = seafowl(role, access={"read": False, "write": False})["frontend"]["http"]
        assert (http["read_access"], http["write_access"]) == ("off", "off")


def test_answers_are_not_cached_unseen() -> None:
    assert seafowl("reader")["frontend"]["http"]["cache_control"] == "no-cache", "Seafowl's default is twelve hours"


def test_the_object_store_is_as_given_and_holds_no_credentials() -> None:
    for role in ROLES:
        assert seafowl(role)["object_store"] == {"type": "s3", **STORE}


def test_what_a_user_writes_as_free_text_cannot_break_out_of_its_value() -> None:
    region = 'eu"\n[frontend.http]\nwrite_access = "any'
    assert seafowl("reader", {"bucket": "b", "region": region})["object_store"]["region"] == region
    assert seafowl("reader", {"bucket": "b", "region": region})["frontend"]["http"]["write_access"] == "off"


def test_seafowl_plans_with_less_than_the_nodes_memory() -> None:
    limits = {"resources": {"writer": {"memory": "1GiB"}, "reader": {"memory": "128MiB"}}}
    assert 512 < seafowl("writer", **limits)["runtime"]["max_memory"] < 1024
    assert seafowl("reader", **limits)["runtime"]["max_memory"] >= 64, "Seafowl refuses less"


def test_without_a_memory_limit_seafowl_decides_itself() -> None:
    assert "runtime" not in seafowl("writer")


def test_the_upload_limit_of_the_config_is_the_ingresss_matter_and_no_node_restarts_for_it() -> None:
    for role in ROLES:
        limits = {
            seafowl(role, ingress={"uploadLimit": size})["frontend"]["http"]["upload_data_max_length"]
            for size in ("1MiB", "3GiB", "1TiB")
        }
        assert limits == {1024 * 1024}, "in MiB: the largest that a config may ask the ingress for"


# MinIO's start script


def policies(script: str) -> dict[str, dict[str, Any]]:
    """The policies that a start script writes, by name."""
    found = re.findall(r"cat >/tmp/(\S+)\.json <<'POLICY'\n(.*?)\nPOLICY\n", script, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def actions(policy: dict[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_readers_policy_has_no_action_that_writes() -> None:
    policy = policies(render_minio_start("tables"))["read-only"]
    assert actions(policy) == {"s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject"}


def test_the_writers_policy_can_write_and_administer_nothing() -> None:
    allowed = actions(policies(render_minio_start("tables"))["read-write"])
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"} <= allowed
    assert not any("*" in action or action.startswith("admin:") for action in allowed)


@pytest.mark.parametrize("name", ["read-only", "read-write"])
def test_a_policy_reaches_the_stacks_bucket_alone(name: str) -> None:
    policy = policies(render_minio_start("tables"))[name]
    for statement in policy["Statement"]:
        assert set(statement["Resource"]) <= {"arn:aws:s3:::tables", "arn:aws:s3:::tables/*"}
    on_objects = [s for s in policy["Statement"] if s["Resource"] == ["arn:aws:s3:::tables/*"]]
    assert "s3:GetObject" in on_objects[0]["Action"]


@pytest.mark.parametrize("role", ROLES)
def test_rendered_text_is_the_same_every_time(role: NodeRole) -> None:
    settings = Settings.model_validate({"resources": {"writer": {"memory": "1GiB"}}})
    assert render_litefs_yml(role, "writer-0") == render_litefs_yml(role, "writer-0")
    assert render_seafowl_toml(role, settings, STORE) == render_seafowl_toml(role, settings, dict(STORE))
    nginx_conf = render_nginx_conf(settings.ingress, settings.access)
    assert nginx_conf == render_nginx_conf(settings.ingress, settings.access)
    assert render_ingress_start() == render_ingress_start()
    assert render_certificate_start() == render_certificate_start()
    assert render_minio_start("tables") == render_minio_start("tables")
