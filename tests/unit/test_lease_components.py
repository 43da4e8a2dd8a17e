"""A stack whose writer LiteFS elects, as the engine is told of it: candidates, their Consul, and what readers see."""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from supervisor.seafowl_process import reader_environment

from cluster import labels
from cluster.health import Member, Route
from cluster.preflight import Claim, Seen
from components.seafowl_node import HEALTHY, candidate_healthy
from config.consul import HEALTHY as CONSUL_HEALTHY
from config.nginx import answering
from tests.unit.pulumi_mocks import (
    STACK,
    Declared,
    Record,
    comparable,
    declare_stack,
    docker_labels,
    envs,
    is_secret,
    networks,
    readable_texts,
    revealed,
    uploads,
)

CONFIG: dict[str, Any] = {"lease": "consul", "writerCandidates": 3, "consul": {"servers": 3}}
CANDIDATES = ["writer-0", "writer-1", "writer-2"]
READERS = ["reader-0", "reader-1"]
SERVERS = ["consul-0", "consul-1", "consul-2"]
FRONT, BACK = "front-0123abc", "back-0123abc"

S3_KEYS = {
    "s3AccessKeyId": "AKIAWRITER",
    "s3SecretAccessKey": "hunter2-writer",
    "s3ReaderAccessKeyId": "AKIAREADER",
    "s3ReaderSecretAccessKey": "hunter2-reader",
}
SECRETS = {**S3_KEYS, "consulToken": "hunter2-consul", "readToken": "hunter2-read-" * 2, "writeToken": "hunter2-w-" * 2}
THEIR_CONSUL: dict[str, Any] = {
    "lease": "consul",
    "standbyReads": True,
    "consul": {"address": "https://consul.example.org/tenant/", "lockDelay": "2s"},
    "objectStore": {"s3": {"bucket": "tables", "region": "eu-west-1"}},
    "access": {"read": "token", "write": "token"},
}
KEY_ID, KEY = "SEAFOWL__OBJECT_STORE__ACCESS_KEY_ID", "SEAFOWL__OBJECT_STORE__SECRET_ACCESS_KEY"
READ_ACCESS, WRITE_ACCESS = "SEAFOWL__FRONTEND__HTTP__READ_ACCESS", "SEAFOWL__FRONTEND__HTTP__WRITE_ACCESS"

every_candidate = pytest.mark.parametrize("part", CANDIDATES)
every_server = pytest.mark.parametrize("part", SERVERS)


@pytest.fixture(scope="module")
def elected() -> Record:
    """Three candidates, with three Consul servers of the stack's."""
    return declare_stack(CONFIG)


@pytest.fixture(scope="module")
def theirs() -> Record:
    """Two candidates that serve reads too, with a Consul and an S3 service of the user's."""
    return declare_stack(THEIR_CONSUL, SECRETS)


@pytest.fixture(scope="module")
def static() -> Record:
    """The stack as it is declared from an empty config."""
    return declare_stack()


def part_of(record: Record, part: str) -> Declared:
    return record.one(f"Container {part}")


def after(record: Record, part: str) -> set[str]:
    """The containers that are there before `part` is made."""
    return {label.partition(" ")[2] for label in part_of(record, part).dependencies if label.startswith("Container ")}


def lease_of(record: Record, part: str) -> dict[str, Any]:
    return yaml.safe_load(uploads(part_of(record, part))["/etc/litefs.yml"])["lease"]


# The tree


def test_a_lease_in_consul_adds_candidates_and_consul_and_nothing_else(elected: Record, static: Record) -> None:
    added = {(r.label, r.parent) for r in elected.resources} - {(r.label, r.parent) for r in static.resources}
    assert added == {
        ("Consul consul", STACK),
        ("RemoteImage consul-image", "Consul consul"),
        *((f"Volume {server}-data", "Consul consul") for server in SERVERS),
        *((f"Container {server}", "Consul consul") for server in SERVERS),
        *((f"Volume {member}-catalog", "SeafowlWriter writer") for member in CANDIDATES[1:]),
        *((f"Container {member}", "SeafowlWriter writer") for member in CANDIDATES[1:]),
    }


def test_the_components_say_what_they_are(elected: Record, theirs: Record) -> None:
    assert elected.one("Consul consul").type == "seafowl:index:Consul"
    assert elected.component_outputs["Consul consul"] == {"url": "http://consul:8500"}
    assert theirs.component_outputs["Consul consul"] == {"url": "https://consul.example.org/tenant"}
    assert elected.component_outputs["SeafowlWriter writer"] == {
        "containerNames": [f"seafowl-dev-{member}" for member in CANDIDATES]
    }


def test_where_the_user_has_a_consul_the_stack_runs_none(theirs: Record) -> None:
    assert {resource.label for resource in theirs.resources if "consul" in resource.name} == {"Consul consul"}
    assert "consul" not in theirs.outputs["versions"]


def test_the_versions_name_the_consul_that_the_stack_runs(elected: Record, static: Record) -> None:
    assert elected.outputs["versions"]["consul"] == "hashicorp/consul:1.21.0"
    other = declare_stack({**CONFIG, "images": {"consul": "me/consul:2"}})
    assert other.outputs["versions"]["consul"] == "me/consul:2"
    assert {part_of(other, server).inputs["image"] for server in SERVERS} == {"sha256:of-me/consul:2"}
    assert "consul" not in static.outputs["versions"]


@pytest.mark.parametrize("candidates", [1, 5])
def test_the_config_says_how_many_candidates_and_servers_there_are(candidates: int) -> None:
    record = declare_stack({"lease": "consul", "writerCandidates": candidates})
    names = {container.name for container in record.of("Container")}
    assert {name for name in names if name.startswith("writer-")} == {f"writer-{i}" for i in range(candidates)}
    assert {name for name in names if name.startswith("consul-")} == {"consul-0"}


def test_another_candidate_changes_neither_the_others_nor_the_readers(elected: Record) -> None:
    before, now = comparable(elected), comparable(declare_stack({**CONFIG, "writerCandidates": 4}))
    assert now.keys() - before.keys() == {"Container writer-3", "Volume writer-3-catalog"}
    unchanged = {f"Container {part}" for part in [*CANDIDATES, *READERS, *SERVERS, "ingress", "ingress-routes"]}
    assert {label for label in unchanged if before[label] != now[label]} == set()


# Two primaries


@pytest.mark.parametrize("candidates", [1, 9])
def test_with_a_static_lease_exactly_one_node_is_a_candidate_whatever_the_rest_says(
    static: Record, candidates: int
) -> None:
    record = declare_stack({"writerCandidates": candidates, "standbyReads": True, "consul": {"servers": 3}})
    nodes = [container for container in record.of("Container") if "/etc/litefs.yml" in uploads(container)]
    leases = {node.name: yaml.safe_load(uploads(node)["/etc/litefs.yml"])["lease"] for node in nodes}
    assert {name for name, lease in leases.items() if lease["candidate"] is not False} == {"writer-0"}
    assert {lease["type"] for lease in leases.values()} == {"static"}
    assert comparable(record) == comparable(static), "they are for a lease in Consul alone"


def test_all_nodes_look_at_one_lease_of_this_stacks(elected: Record, theirs: Record) -> None:
    own = {"url": "http://consul:8500", "key": "seafowl-dev/primary", "ttl": "3s", "lock-delay": "1s"}
    for part in [*CANDIDATES, *READERS]:
        assert lease_of(elected, part)["consul"] == own
        assert lease_of(elected, part)["candidate"] is (part in CANDIDATES), part
    other = {**own, "url": "https://consul.example.org/tenant", "ttl": "10s", "lock-delay": "2s"}
    for part in [*CANDIDATES[:2], *READERS]:
        assert lease_of(theirs, part)["consul"] == other


@every_candidate
def test_there_is_never_a_second_container_or_volume_of_a_candidate(elected: Record, part: str) -> None:
    container, volume = part_of(elected, part), elected.one(f"Volume {part}-catalog")
    assert container.inputs["name"] == f"seafowl-dev-{part}", "Docker itself refuses a second of one name"
    assert container.delete_before_replace is True, "two must not open one catalog"
    assert volume.inputs["name"] == f"seafowl-dev-{part}-catalog"
    assert [(m["source"], m["target"]) for m in container.inputs["mounts"]] == [
        (f"seafowl-dev-{part}-catalog", "/var/lib/litefs")
    ]


def test_the_data_of_every_candidate_and_server_is_kept_where_it_is_asked_for(elected: Record) -> None:
    volumes = {f"Volume {member}-catalog" for member in CANDIDATES} | {f"Volume {server}-data" for server in SERVERS}
    kept = {r.label for r in declare_stack({**CONFIG, "retainData": True}).resources if r.retain_on_delete}
    assert kept == volumes | {"Volume object-store-data"}
    assert not [resource for resource in elected.resources if resource.retain_on_delete]
    assert {elected.one(volume).delete_before_replace for volume in volumes} == {True}, "two cannot have one name"


# Order


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_candidate_is_made_after_what_it_needs(elected: Record, index: int) -> None:
    assert after(elected, CANDIDATES[index]) == {"object-store", *SERVERS}, "their turns among each other change"


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_consul_server_is_changed_after_those_before_it(elected: Record, index: int) -> None:
    assert after(elected, SERVERS[index]) == set(SERVERS[:index]), "a change of all at once leaves no quorum"
    assert part_of(elected, SERVERS[index]).delete_before_replace is True


def test_readers_and_the_ingress_come_after_every_candidate(elected: Record) -> None:
    for reader in READERS:
        assert after(elected, reader) == set(CANDIDATES)
        assert part_of(elected, reader).replace_with == ("Volume writer-0-catalog",)
    assert after(elected, "ingress") == {*CANDIDATES, *READERS, "ingress-routes"}


@pytest.mark.parametrize("part", [*CANDIDATES, *SERVERS])
def test_nothing_is_made_before_its_deployment_is_known_to_be_the_only_one(elected: Record, part: str) -> None:
    assert "Stash deployment" in part_of(elected, part).dependencies
    assert docker_labels(part_of(elected, part))["org.seafowl.member"] == part


# Networks


@every_candidate
def test_candidates_share_a_name_where_litefs_is_and_not_where_clients_are(elected: Record, part: str) -> None:
    assert networks(part_of(elected, part)) == {
        FRONT: ["seafowl-writers"],
        BACK: [part, "litefs-candidates"],
    }


def test_candidates_are_readers_too_only_where_standbys_serve_reads(theirs: Record) -> None:
    for part in CANDIDATES[:2]:
        assert networks(part_of(theirs, part)) == {
            FRONT: ["seafowl-writers", "seafowl-readers"],
            BACK: [part, "litefs-candidates"],
        }


def test_no_reader_has_a_name_of_the_candidates(elected: Record, theirs: Record) -> None:
    for record in (elected, theirs):
        for part in READERS:
            assert networks(part_of(record, part)) == {FRONT: ["seafowl-readers"], BACK: []}


@every_server
def test_consul_is_reached_by_the_nodes_alone(elected: Record, part: str) -> None:
    server = part_of(elected, part)
    assert networks(server) == {BACK: ["consul", part]}, "whoever reaches it decides who the writer is"
    assert server.inputs.get("ports", []) == []
    assert not server.inputs.get("publishAllPorts")


# What a candidate may, and what it runs


@every_candidate
def test_a_candidate_has_a_nodes_privileges_and_no_more(elected: Record, part: str) -> None:
    candidate, reader = part_of(elected, part).inputs, part_of(elected, "reader-0").inputs
    for key in ("capabilities", "securityOpts", "devices", "restart", "logOpts", "networkMode", "destroyGraceSeconds"):
        assert candidate[key] == reader[key], key
    assert not candidate.get("privileged")


@every_candidate
def test_a_candidate_has_a_seafowl_for_each_role(elected: Record, part: str) -> None:
    files = uploads(part_of(elected, part))
    assert files.keys() == {"/etc/litefs.yml", "/etc/seafowl/writer.toml", "/etc/seafowl/reader.toml"}
    assert "read_only = false" in files["/etc/seafowl/writer.toml"]
    assert 'bind_host = "127.0.0.1"' in files["/etc/seafowl/writer.toml"]
    assert files["/etc/seafowl/reader.toml"] == uploads(part_of(elected, "reader-0"))["/etc/seafowl/seafowl.toml"]


def test_the_writer_of_a_static_lease_has_the_seafowl_of_a_primary_and_none_that_only_reads(
    elected: Record, static: Record
) -> None:
    files, candidates_files = (uploads(part_of(record, "writer-0")) for record in (static, elected))
    assert files.keys() == {"/etc/litefs.yml", "/etc/seafowl/writer.toml"}
    assert files["/etc/seafowl/writer.toml"] == candidates_files["/etc/seafowl/writer.toml"]
    assert part_of(static, "writer-0").inputs["entrypoints"][:2] == ["seafowl-supervisor", "prepare"]
    assert not [name for name in envs(part_of(static, "writer-0")) if name.startswith("READER__")]
    assert networks(part_of(static, "writer-0")) == {FRONT: ["seafowl-writers"], BACK: ["writer-0"]}


def test_all_candidates_but_the_first_join_the_cluster_that_it_founds(elected: Record) -> None:
    commands = {part: part_of(elected, part).inputs["entrypoints"] for part in [*CANDIDATES, *READERS]}
    assert {part for part, command in commands.items() if "--join" in command} == {"writer-1", "writer-2"}
    assert commands["reader-0"] == commands["reader-1"] == ["litefs", "mount", "-config", "/etc/litefs.yml"]


@every_server
def test_a_consul_server_has_no_privilege(elected: Record, part: str) -> None:
    server = part_of(elected, part).inputs
    assert server["capabilities"] == {"drops": ["ALL"]} or server["capabilities"] == {"adds": [], "drops": ["ALL"]}
    assert server["securityOpts"] == ["no-new-privileges"]
    assert server.get("devices", []) == []
    assert not server.get("privileged")
    assert (server["networkMode"], server["restart"]) == ("bridge", "unless-stopped")
    assert server["healthcheck"]["tests"] == ["CMD-SHELL", CONSUL_HEALTHY]


@every_server
def test_a_consul_server_keeps_its_data_in_a_volume_of_its_own(elected: Record, part: str) -> None:
    server = part_of(elected, part)
    assert server.inputs["name"] == f"seafowl-dev-{part}"
    assert [(m["source"], m["target"]) for m in server.inputs["mounts"]] == [(f"seafowl-dev-{part}-data", "/data")]
    assert server.inputs["entrypoints"][server.inputs["entrypoints"].index("-node") + 1] == part
    assert "-bootstrap-expect=3" in server.inputs["entrypoints"]


def test_limits_reach_candidates_and_consul() -> None:
    limits = {"writer": {"memory": "1GiB"}, "consul": {"memory": "256MiB", "cpus": 0.5}}
    record = declare_stack({**CONFIG, "resources": limits})
    found = {name: part_of(record, name).inputs for name in [*CANDIDATES, *SERVERS, "reader-0"]}
    assert {name: (one.get("memory"), one.get("cpus")) for name, one in found.items()} == {
        **dict.fromkeys(CANDIDATES, (1024, None)),
        **dict.fromkeys(SERVERS, (256, "0.5")),
        "reader-0": (None, None),
    }


# Secrets


def secret_names(record: Record, part: str) -> set[str]:
    """The names of the environment variables of `part` that are secret."""
    lines = [revealed(line) for line in part_of(record, part).inputs["envs"] if is_secret(line)]
    return {line.partition("=")[0] for line in lines}


@every_candidate
def test_a_candidate_has_the_readers_credentials_beside_the_writers(elected: Record, part: str) -> None:
    candidate, reader = envs(part_of(elected, part)), envs(part_of(elected, "reader-0"))
    assert candidate[KEY_ID] == "seafowl-writer"
    assert (candidate[f"READER__{KEY_ID}"], candidate[f"READER__{KEY}"]) == (reader[KEY_ID], reader[KEY])
    assert candidate[KEY] != candidate[f"READER__{KEY}"]
    assert secret_names(elected, part) == {KEY, f"READER__{KEY}"}


@pytest.mark.parametrize("record_name", ["elected", "theirs"])
def test_the_read_only_seafowl_of_a_candidate_has_a_readers_environment(
    record_name: str, request: pytest.FixtureRequest
) -> None:
    record: Record = request.getfixturevalue(record_name)
    reader = envs(part_of(record, "reader-0"))
    for part in CANDIDATES[:2]:
        writer = envs(part_of(record, part))
        environment = reader_environment(writer)
        assert environment == reader
        assert writer[KEY] not in environment.values(), "it would collect garbage in the object store"
        assert WRITE_ACCESS not in environment


def test_a_candidate_compares_tokens_as_writer_and_reader_do(theirs: Record) -> None:
    hashes = {key: hashlib.sha256(SECRETS[key].encode()).hexdigest() for key in ("readToken", "writeToken")}
    candidate = envs(part_of(theirs, "writer-1"))
    assert candidate[READ_ACCESS] == candidate[f"READER__{READ_ACCESS}"] == hashes["readToken"]
    assert candidate[WRITE_ACCESS] == hashes["writeToken"]
    assert f"READER__{WRITE_ACCESS}" not in candidate


@pytest.mark.parametrize("part", [*CANDIDATES[:2], *READERS])
def test_consuls_token_reaches_every_node_as_a_secret(theirs: Record, part: str) -> None:
    assert envs(part_of(theirs, part))["CONSUL_HTTP_TOKEN"] == "hunter2-consul"
    assert "CONSUL_HTTP_TOKEN" in secret_names(theirs, part)


def test_without_a_token_for_consul_no_node_has_one(elected: Record) -> None:
    for part in [*CANDIDATES, *READERS, *SERVERS]:
        assert "CONSUL_HTTP_TOKEN" not in envs(part_of(elected, part))


def test_no_secret_can_be_read_in_any_resource_or_output(theirs: Record) -> None:
    shown = [*readable_texts([resource.inputs for resource in theirs.resources])]
    shown += readable_texts([theirs.component_outputs, theirs.outputs])
    assert not any(secret in text for secret in SECRETS.values() for text in shown)
    assert "hunter2-consul" in json.dumps(revealed([r.inputs for r in theirs.resources])), "it would prove nothing"


def test_a_reader_has_no_key_of_the_writers(elected: Record, theirs: Record) -> None:
    for record in (elected, theirs):
        writers_key = envs(part_of(record, "writer-0"))[KEY]
        assert all(writers_key not in envs(part_of(record, part)).values() for part in READERS)


# The looks at Docker


def test_all_parts_are_looked_at_and_the_ingress_needs_only_the_primary() -> None:
    looked: list[str] = []
    routes: list[Route] = []

    def await_healthy(_: object, members: Sequence[Member], ways: Sequence[Route], *__: object, **___: object) -> None:
        looked.extend(member.name for member in members)
        routes.extend(ways)

    declare_stack(CONFIG, await_healthy=await_healthy)
    assert looked == ["object-store", *SERVERS, *CANDIDATES, *READERS, "ingress"], "each after what it needs"
    assert [([node.name for node in route.nodes], route.command, route.one_is_enough) for route in routes] == [
        (CANDIDATES, answering("writer"), True),
        (READERS, answering("reader"), False),
    ]


def test_a_candidate_that_goes_may_still_be_the_primary_that_the_ingress_reaches() -> None:
    def there(member: str) -> dict[str, Any]:
        of_stack = {labels.PROJECT: "seafowl", labels.STACK: "dev", labels.MEMBER: member}
        return {"Id": f"{member}-there", "Labels": of_stack, "Created": 0}

    leaving: list[Sequence[Member]] = []
    declare_stack(
        {**CONFIG, "writerCandidates": 1},
        look=lambda *_: Seen("engine", 2, [there(one) for one in [*CANDIDATES[:2], *READERS, "reader-2"]], here=False),
        await_healthy=lambda _, __, ways, *___, **____: leaving.extend(one.leaving for one in ways),
    )
    assert leaving == [[Member("writer-1", "writer-1-there")], []]


@pytest.mark.parametrize(
    ("config", "candidates", "servers"),
    [(CONFIG, 3, 3), ({"lease": "consul"}, 2, 1), (THEIR_CONSUL, 2, None), ({"writerCandidates": 3}, None, 1)],
)
def test_what_is_claimed_says_how_the_writer_is_found(
    config: dict[str, Any], candidates: int | None, servers: int | None
) -> None:
    claims: list[Claim] = []
    declare_stack(config, SECRETS if config is THEIR_CONSUL else None, judge=lambda _, claim: claims.append(claim))
    assert [(claim.candidates, claim.consul_servers) for claim in claims] == [(candidates, servers)]


# The health check, run by a shell

CURL = """#!/bin/sh
for word; do url=$word; done
echo "$url" >>"$ASKED"
case $url in
    http://writer-1.the-back-network:20202/info) printf '%s' "$INFO"; exit "$INFO_CODE" ;;
    *) exit "$SERVES" ;;
esac
"""
PRIMARY = '{"isPrimary": true, "candidate": true}'
FOLLOWING = '{"isPrimary": false, "primary": {"hostname": "writer-0"}}'
ALONE = '{"isPrimary": false, "primary": {"hostname": ""}}'
INFO = "http://writer-1.the-back-network:20202/info"
WRITES, READS = "http://127.0.0.1:8081/healthz", "http://127.0.0.1:8080/healthz"


class Shell:
    """The shell of a node, with a `curl` that notes what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "curl").write_text(CURL)
        (folder / "curl").chmod(0o755)

    def run(self, command: str, info: str, *, info_code: int = 0, serves: bool = True) -> tuple[bool, list[str]]:
        """Whether the health command succeeds, and what it asked."""
        asked = self.folder / "asked"
        asked.write_text("")
        environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "HOSTNAME": "writer-1",
            "REPLICATION_NETWORK": "the-back-network",
            "ASKED": str(asked),
            "INFO": info,
            "INFO_CODE": str(info_code),
            "SERVES": "0" if serves else "22",
        }
        done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
        assert done.stdout == ""
        return done.returncode == 0, asked.read_text().split()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize("standby_reads", [False, True])
def test_a_primary_is_healthy_while_it_takes_writes(shell: Shell, standby_reads: bool) -> None:
    command = candidate_healthy(standby_reads)
    assert shell.run(command, PRIMARY) == (True, [INFO, WRITES])
    assert shell.run(command, PRIMARY, serves=False) == (False, [INFO, WRITES]), "following nobody would not mend it"


def test_a_standby_is_healthy_while_it_follows_a_primary(shell: Shell) -> None:
    command = candidate_healthy(False)
    assert shell.run(command, FOLLOWING, serves=False) == (True, [INFO, INFO]), "it serves nobody"
    assert shell.run(command, ALONE) == (False, [INFO, INFO])


def test_a_standby_that_serves_reads_is_healthy_while_it_does(shell: Shell) -> None:
    command = candidate_healthy(True)
    assert shell.run(command, FOLLOWING) == (True, [INFO, INFO, READS])
    assert not shell.run(command, FOLLOWING, serves=False)[0]
    assert shell.run(command, ALONE) == (False, [INFO, INFO])


@pytest.mark.parametrize("standby_reads", [False, True])
def test_a_candidate_whose_litefs_does_not_answer_is_not_healthy(shell: Shell, standby_reads: bool) -> None:
    assert not shell.run(candidate_healthy(standby_reads), "", info_code=7)[0]
    assert not shell.run(candidate_healthy(standby_reads), "<html>", info_code=22)[0]


def test_nodes_are_checked_as_what_they_are(elected: Record, theirs: Record, static: Record) -> None:
    def check(record: Record, part: str) -> str:
        return part_of(record, part).inputs["healthcheck"]["tests"][1]

    assert {check(elected, part) for part in CANDIDATES} == {candidate_healthy(False)}
    assert {check(theirs, part) for part in CANDIDATES[:2]} == {candidate_healthy(True)}
    assert {check(record, part) for record in (elected, theirs) for part in READERS} == {HEALTHY["reader"]}
    assert check(static, "writer-0") == HEALTHY["writer"]


def test_the_writer_is_asked_again_where_consul_changed() -> None:
    seen: list[Route] = []

    def await_healthy(_host: object, _members: object, routes: Sequence[Route], *_: object, **__: object) -> None:
        seen.extend(routes)

    declare_stack({"lease": "consul", "consul": {"servers": 3}}, await_healthy=await_healthy)
    assert [[one.name for one in route.needs] for route in seen] == [["consul-0", "consul-1", "consul-2"], []]
