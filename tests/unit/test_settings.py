"""The rules of the stack config: each accepts what works, and refuses the rest with the key and the way out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from config.journal_modes import READER_MODES, WRITER_MODES
from config.problems import ConfigError, Problem, problems_of
from config.settings import Settings

MIB = 1024 * 1024
BUCKET = {"bucket": "tables"}

# facts: which pairs were tried and found to replicate.
FITTING = [
    *[(writer, reader) for writer in ("delete", "truncate", "persist") for reader in ("off", "delete", "memory")],
    ("wal", "wal"),
]


def problems(config: dict[str, Any]) -> list[Problem]:
    """What is wrong with a config; nothing if it is accepted."""
    try:
        Settings.model_validate(config)
    except ValidationError as error:
        return problems_of(error, "seafowl")
    return []


def nested(path: str, value: Any) -> dict[str, Any]:
    """`nested("ingress.port", 1)` is `{"ingress": {"port": 1}}`."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


def at(settings: BaseModel, path: str) -> Any:
    """The value at a path of Python names, such as `ingress.port`."""
    value: Any = settings
    for part in path.split("."):
        value = getattr(value, part)
    return value


def test_an_empty_config_is_a_working_one() -> None:
    settings = Settings.model_validate({})
    assert settings.readers == 2
    assert (settings.writer_journal_mode, settings.reader_journal_mode) == ("delete", "off")
    assert (settings.ingress.bind_address, settings.ingress.port) == ("127.0.0.1", 8080)
    assert settings.object_store.minio is not None
    assert settings.object_store.minio.bucket == "seafowl"
    assert settings.object_store.s3 is None
    assert settings.images.node is None
    assert settings.retain_data is False


@pytest.mark.parametrize(
    ("config", "path", "expected"),
    [
        # Flat keys arrive as text, objects as JSON.
        ({"readers": "1"}, "readers", 1),
        ({"readers": 1000}, "readers", 1000),
        ({"retainData": "true"}, "retain_data", True),
        ({"retainData": False}, "retain_data", False),
        ({"readerJournalMode": "off"}, "reader_journal_mode", "off"),
        ({"readerJournalMode": False}, "reader_journal_mode", "off"),
        ({"readerJournalMode": "false"}, "reader_journal_mode", "off"),
        ({"ingress": {"bindAddress": "0.0.0.0"}}, "ingress.bind_address", "0.0.0.0"),
        ({"ingress": {"bindAddress": "::1"}}, "ingress.bind_address", "::1"),
        ({"ingress": {"bindAddress": "0:0:0:0:0:0:0:1"}}, "ingress.bind_address", "::1"),
        ({"ingress": {"port": 1}}, "ingress.port", 1),
        ({"ingress": {"port": "65535"}}, "ingress.port", 65535),
        ({"ingress": {"uploadLimit": "1MiB"}}, "ingress.upload_limit", MIB),
        ({"ingress": {"uploadLimit": "0.5GiB"}}, "ingress.upload_limit", 512 * MIB),
        ({"ingress": {"uploadLimit": "2 GiB"}}, "ingress.upload_limit", 2048 * MIB),
        ({"objectStore": {}}, "object_store.minio.bucket", "seafowl"),
        ({"objectStore": {"minio": {}}}, "object_store.minio.volume", None),
        ({"objectStore": {"minio": {"bucket": "a-b.c1"}}}, "object_store.minio.bucket", "a-b.c1"),
        ({"objectStore": {"minio": {"volume": "old_data.1"}}}, "object_store.minio.volume", "old_data.1"),
        ({"objectStore": {"s3": {**BUCKET, "region": "eu-west-1"}}}, "object_store.s3.region", "eu-west-1"),
        ({"objectStore": {"s3": {**BUCKET, "region": "eu-west-1"}}}, "object_store.minio", None),
        (
            {"objectStore": {"s3": {**BUCKET, "endpoint": "https://s3.example.org:9000/"}}},
            "object_store.s3.endpoint",
            "https://s3.example.org:9000",
        ),
        (
            {"objectStore": {"s3": {**BUCKET, "region": "r", "prefix": "team/dev_1"}}},
            "object_store.s3.prefix",
            "team/dev_1",
        ),
        ({"images": {"nginx": "nginx:1.30"}}, "images.nginx", "nginx:1.30"),
        ({"images": {"nginx": "host:5000/a/nginx:1.30"}}, "images.nginx", "host:5000/a/nginx:1.30"),
        ({"images": {"nginx": "Registry.example.org/a--b/c__d:1"}}, "images.nginx", "Registry.example.org/a--b/c__d:1"),
        ({"images": {"nginx": "localhost/nginx:1.30"}}, "images.nginx", "localhost/nginx:1.30"),
        ({"images": {"nginx": f"nginx@sha256:{'a' * 64}"}}, "images.nginx", f"nginx@sha256:{'a' * 64}"),
        ({"images": {"nginx": f"nginx:1@sha256:{'a' * 64}"}}, "images.nginx", f"nginx:1@sha256:{'a' * 64}"),
        ({"images": {"node": "me/node:1", "nginx": "nginx:1.31"}}, "images.node", "me/node:1"),
        ({"access": {"write": "off"}}, "access.write", "off"),
        ({"access": {"write": False}}, "access.write", "off"),
        ({"access": {"read": "any"}}, "access.read", "any"),
        ({"access": {"read": "token"}}, "access.read", "token"),
        ({"access": {"write": "token"}}, "access.write", "token"),
        ({"access": {"tokenGeneration": "2"}}, "access.token_generation", 2),
        ({"resources": {"writer": {"memory": "128MiB"}}}, "resources.writer.memory", 128 * MIB),
        ({"resources": {"objectStore": {"memory": "512MiB"}}}, "resources.object_store.memory", 512 * MIB),
        ({"resources": {"ingress": {"memory": "32MiB"}}}, "resources.ingress.memory", 32 * MIB),
        ({"resources": {"reader": {"cpus": 0.5}}}, "resources.reader.cpus", 0.5),
        ({"resources": {"reader": {"cpus": "2"}}}, "resources.reader.cpus", 2.0),
        ({"resources": {"reader": {}}}, "resources.reader.memory", None),
    ],
)
def test_what_works_is_accepted(config: dict[str, Any], path: str, expected: Any) -> None:
    assert at(Settings.model_validate(config), path) == expected


@pytest.mark.parametrize(
    ("path", "value", "way_out"),
    [
        ("readers", "0", "must be at least 1"),
        ("readers", "-1", "must be at least 1"),
        ("readers", "1001", "must be at most 1000"),
        ("readers", "three", "must be a whole number"),
        ("readers", "1.5", "must be a whole number"),
        ("readers", 1.5, "must be a whole number"),
        ("readers", "", "must be a whole number"),
        ("readers", [1], "must be a whole number"),
        ("retainData", "maybe", "must be true or false"),
        ("writerJournalMode", "memory", "'delete', 'truncate', 'persist' or 'wal'"),
        ("writerJournalMode", "off", "'delete', 'truncate', 'persist' or 'wal'"),
        ("writerJournalMode", "DELETE", "'delete', 'truncate', 'persist' or 'wal'"),
        ("readerJournalMode", "truncate", "'off', 'delete', 'memory' or 'wal'"),
        ("readerJournalMode", {"mode": "off"}, "'off', 'delete', 'memory' or 'wal'"),
        ("ingress", "8080", "bindAddress, port, tls, uploadLimit"),
        ("ingress", [8080], "bindAddress, port, tls, uploadLimit"),
        ("ingress", '{"port": ', "bindAddress, port, tls, uploadLimit"),
        ("ingress.bindAddress", "localhost", "127.0.0.1 (this host only)"),
        ("ingress.bindAddress", "256.0.0.1", "127.0.0.1 (this host only)"),
        ("ingress.bindAddress", 1, "must be a string"),
        ("ingress.port", 0, "must be at least 1"),
        ("ingress.port", -1, "must be at least 1"),
        ("ingress.port", 65536, "must be at most 65535"),
        ("ingress.port", "http", "must be a whole number"),
        ("ingress.port", True, "must be a whole number"),
        ("ingress.uploadLimit", 256, "such as 512MiB"),
        ("ingress.uploadLimit", "256", "such as 512MiB"),
        ("ingress.uploadLimit", "1.5MiB", "whole number of MiB"),
        ("ingress.uploadLimit", "1000kB", "whole number of MiB"),
        ("ingress.uploadLimit", "0MiB", "at least 1MiB"),
        ("ingress.uploadLimit", "-5MiB", "MiB"),
        ("ingress.uploadLimit", "5 parsecs", "MiB"),
        ("ingress.uploadLimit", "5MiB or so", "MiB"),
        ("ingress.uploadLimit", "lots", "MiB"),
        ("objectStore", "minio", "minio, s3"),
        ("objectStore.minio", "yes", "bucket, volume"),
        ("objectStore.minio.bucket", "Tables", "bucket name as S3 allows it"),
        ("objectStore.minio.bucket", "ab", "bucket name as S3 allows it"),
        ("objectStore.minio.bucket", "a" * 64, "bucket name as S3 allows it"),
        ("objectStore.minio.bucket", "a..b", "bucket name as S3 allows it"),
        ("objectStore.minio.bucket", "-ab", "bucket name as S3 allows it"),
        ("objectStore.minio.bucket", "tables\n", "bucket name as S3 allows it"),
        ("objectStore.minio.bucket", "a b; reboot", "bucket name as S3 allows it"),
        ("objectStore.minio.volume", "/srv/data", "Docker volume name"),
        ("objectStore.minio.volume", "v", "Docker volume name"),
        ("objectStore.s3.bucket", None, "must be a string"),
        ("images", "nginx:1.30", "seafowl, litefs, python, node, minio, consul, nginx"),
        ("images.nginx", "nginx", "with a tag or a digest"),
        ("images.nginx", "host:5000/nginx", "with a tag or a digest"),
        ("images.nginx", "nginx:", "with a tag or a digest"),
        ("images.nginx", "nginx@sha256:abc", "with a tag or a digest"),
        ("images.nginx", "nginx :1.30", "with a tag or a digest"),
        ("access.read", "token-of-mine", "'any', 'token' or 'off'"),
        ("access.write", "none", "'any', 'token' or 'off'"),
        ("access.tokenGeneration", 0, "must be at least 1"),
        ("resources.writer", "1GiB", "memory, cpus"),
        ("resources.writer.memory", "1", "such as 512MiB"),
        ("resources.writer.cpus", 0, "must be at least 0.01"),
        ("resources.writer.cpus", 1025, "must be at most 1024"),
        ("resources.writer.cpus", "half", "must be a number"),
        ("resources.writer.cpus", 0.05, "reads it back as 0.1, and would replace the container at every `pulumi up`"),
        ("resources.writer.cpus", 10.05, "write 10.1, or three decimals"),
        ("resources.writer.cpus", 1 / 3, "must have at most 9 digits behind the point"),
        ("resources.writer.cpus", float("nan"), "must be"),
    ],
)
def test_what_cannot_work_is_refused_with_its_key_and_the_way_out(path: str, value: Any, way_out: str) -> None:
    found = problems(nested(path, value))
    assert [problem.key for problem in found if way_out in problem.reason] == [f"seafowl:{path}"], found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("images.nginx", "NGINX:1.30", id="docker-takes-no-capitals"),
        pytest.param("images.nginx", "host:5000:1.30", id="two-tags"),
        pytest.param("images.nginx", "Team/nginx:1.30", id="no-host-without-a-dot"),
        pytest.param("images.nginx", "host:٣/nginx:1.30", id="no-port-but-of-0-to-9"),
        pytest.param("images.nginx", "nginx..light:1.30", id="no-two-dots"),
        pytest.param("objectStore.minio.bucket", "192.168.5.4", id="minio-takes-no-bucket-like-an-address"),
        pytest.param("objectStore.minio.bucket", "a.-b", id="minio-takes-no-dot-beside-a-dash"),
        pytest.param("resources.reader.cpus", 0.001, id="docker-takes-no-less-than-a-hundredth-cpu"),
        pytest.param("ingress.uploadLimit", "9EiB", id="nginx-cannot-hold-such-a-size"),
    ],
)
def test_what_docker_minio_or_nginx_would_refuse_later_is_refused_at_once(path: str, value: Any) -> None:
    assert [problem.key for problem in problems(nested(path, value))] == [f"seafowl:{path}"]


@pytest.mark.parametrize("role", ["writer", "reader", "objectStore", "ingress", "consul"])
def test_a_memory_limit_that_kills_a_part_at_its_start_is_refused_with_the_least_that_works(role: str) -> None:
    found = problems(nested(f"resources.{role}.memory", "31MiB"))
    least = {"objectStore": "512MiB", "ingress": "32MiB"}.get(role, "128MiB")
    assert len(found) == 1
    assert f"{role}.memory must be at least {least}" in str(found[0])


def test_a_memory_limit_that_is_too_low_is_named_by_its_whole_key() -> None:
    found = problems(nested("resources.writer.memory", "31MiB"))
    assert [problem.key for problem in found] == ["seafowl:resources.writer.memory"]


@pytest.mark.parametrize(
    ("s3", "way_out"),
    [
        ({"region": "eu-west-1"}, "bucket is missing"),
        (BUCKET, "needs a region (AWS) or an endpoint"),
        ({**BUCKET, "region": ""}, "region"),
        ({**BUCKET, "endpoint": "s3.example.org"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "ftp://s3.example.org"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://s3.example.org/tables"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://s3.example.org?x=1"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://s3.example.org#x"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://s3.example.org:99999"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://[s3.example.org"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://s3.example.org\n"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://s3 example.org"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "https://s3.example.org:٣"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "endpoint": "HTTPS://s3.example.org"}, "such as https://s3.example.org:9000"),
        ({**BUCKET, "region": "https://s3.example.org"}, "such as eu-west-1"),
        ({**BUCKET, "region": "eu-west-1\n"}, "such as eu-west-1"),
        ({**BUCKET, "region": "r", "prefix": "team/../other"}, "without a slash at either end"),
        ({**BUCKET, "region": "r", "prefix": "."}, "without a slash at either end"),
        ({**BUCKET, "endpoint": "https://me:key@s3.example.org"}, "s3AccessKeyId"),
        ({**BUCKET, "region": "r", "prefix": "/team"}, "without a slash at either end"),
        ({**BUCKET, "region": "r", "prefix": "team/"}, "without a slash at either end"),
        ({**BUCKET, "region": "r", "prefix": "a b"}, "without a slash at either end"),
        ({**BUCKET, "region": "r", "prefix": ""}, "without a slash at either end"),
        ({**BUCKET, "region": "r", "secretAccessKey": "x"}, "is not a key of this program"),
    ],
)
def test_an_s3_service_that_seafowl_could_not_reach_is_refused(s3: dict[str, Any], way_out: str) -> None:
    found = problems({"objectStore": {"s3": s3}})
    assert len(found) == 1, found
    assert found[0].key.startswith("seafowl:objectStore.s3")
    assert way_out in str(found[0])


@pytest.mark.parametrize(
    "store",
    [
        {"minio": {}, "s3": {**BUCKET, "region": "r"}},
        {"minio": None, "s3": None},
        {"minio": None},
    ],
)
def test_table_data_lies_in_exactly_one_store(store: dict[str, Any]) -> None:
    found = problems({"objectStore": store})
    assert [problem.key for problem in found] == ["seafowl:objectStore"]
    assert "either minio or s3" in found[0].reason


@pytest.mark.parametrize("beside", ["seafowl", "litefs"])
def test_a_node_image_beside_the_images_it_would_be_built_of_is_refused(beside: str) -> None:
    found = problems({"images": {"node": "me/node:1", beside: "x:1"}})
    assert [problem.key for problem in found] == ["seafowl:images"]
    assert "leave one out" in found[0].reason


@pytest.mark.parametrize(("writer", "reader"), FITTING)
def test_a_pair_of_journal_modes_that_replicates_is_accepted(writer: str, reader: str) -> None:
    settings = Settings.model_validate({"writerJournalMode": writer, "readerJournalMode": reader})
    assert (settings.writer_journal_mode, settings.reader_journal_mode) == (writer, reader)


@pytest.mark.parametrize(
    ("writer", "reader"),
    [(writer, reader) for writer in WRITER_MODES for reader in READER_MODES if (writer, reader) not in FITTING],
)
def test_a_pair_of_journal_modes_that_does_not_replicate_is_refused_with_the_modes_that_fit(
    writer: str, reader: str
) -> None:
    found = problems({"writerJournalMode": writer, "readerJournalMode": reader})
    assert [problem.key for problem in found] == ["seafowl:readerJournalMode"]
    fitting_readers = " or ".join(r for w, r in FITTING if w == writer)
    fitting_writers = " or ".join(w for w, r in FITTING if r == reader)
    assert "every reader would die at its start" in found[0].reason
    assert f"With writer {writer!r} set it to {fitting_readers}" in found[0].reason
    assert f"with readers {reader!r} set the writer to {fitting_writers}" in found[0].reason


def test_the_matrix_of_journal_modes_is_the_one_that_was_tried() -> None:
    assert WRITER_MODES == ("delete", "truncate", "persist", "wal")
    assert READER_MODES == ("off", "delete", "memory", "wal")


def test_a_writer_in_wal_mode_is_refused_beside_readers_that_keep_their_default() -> None:
    found = problems({"writerJournalMode": "wal"})
    assert [problem.key for problem in found] == ["seafowl:readerJournalMode"], "the default `off` does not fit"


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("reader", "readers"),
        ("writerJournalmode", "writerJournalMode"),
        ("retain_data", "retainData"),
        ("ingres", "ingress"),
        ("ingress.prot", "port"),
        ("ingress.bind_address", "bindAddress"),
        ("objectStore.minoi", "minio"),
        ("objectStore.minio.bukcet", "bucket"),
        ("images.ngnix", "nginx"),
        ("access.writes", "write"),
        ("resources.readers", "reader"),
        ("resources.reader.cpu", "cpus"),
        ("writerCandidate", "writerCandidates"),
        ("standbyRead", "standbyReads"),
        ("consul.adress", "address"),
        ("consul.lock_delay", "lockDelay"),
        ("resources.consuls", "consul"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(path: str, near: str) -> None:
    found = [problem for problem in problems(nested(path, "1")) if problem.key == f"seafowl:{path}"]
    assert len(found) == 1
    assert "is not a key of this program" in found[0].reason
    assert f"did you mean {near}?" in found[0].reason


def test_an_unknown_key_that_resembles_none_is_refused_with_all_the_keys() -> None:
    found = problems({"replcas": 3})
    assert [problem.key for problem in found] == ["seafowl:replcas"]
    assert "did you mean" not in found[0].reason
    assert "The keys are readers, writerJournalMode, readerJournalMode, lease, writerCandidates" in found[0].reason
    rest = "standbyReads, consul, ingress, objectStore, maintenance, images, access, resources, retainData"
    assert rest in found[0].reason


def test_snake_case_is_no_second_spelling_of_a_key() -> None:
    assert [problem.key for problem in problems({"writer_journal_mode": "wal"})] == ["seafowl:writer_journal_mode"]


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        {
            "readers": "0",
            "replicas": 2,
            "writerJournalMode": "wal",
            "readerJournalMode": "off",
            "ingress": {"port": 70000, "bindAddress": "here", "prot": 1},
            "objectStore": {"s3": {"bucket": "X"}},
            "images": {"nginx": "nginx"},
            "resources": {"writer": {"memory": "1"}},
        }
    )
    assert {problem.key for problem in found} >= {
        "seafowl:readers",
        "seafowl:replicas",
        "seafowl:readerJournalMode",
        "seafowl:ingress.port",
        "seafowl:ingress.bindAddress",
        "seafowl:ingress.prot",
        "seafowl:objectStore.s3.bucket",
        "seafowl:images.nginx",
        "seafowl:resources.writer.memory",
    }
    text = str(ConfigError(found))
    assert f"has {len(found)} problems" in text
    assert all(str(problem) in text for problem in found)


def test_each_role_with_too_little_memory_is_told_at_once() -> None:
    found = problems({"resources": {"writer": {"memory": "1MiB"}, "reader": {"memory": "1MiB"}}})
    text = "\n".join(map(str, found))
    assert "writer.memory must be at least" in text
    assert "reader.memory must be at least" in text, "the user would be told of it only after mending the first"


def test_a_missing_region_is_told_beside_a_wrong_bucket() -> None:
    text = "\n".join(map(str, problems({"objectStore": {"s3": {"bucket": "X"}}})))
    assert "bucket name as S3 allows it" in text
    assert "needs a region" in text, "the user would be told of it only after mending the bucket"


def test_the_text_of_an_error_says_that_nothing_was_changed_and_where_the_keys_are_described() -> None:
    text = str(ConfigError([Problem("seafowl:readers", "must be at least 1")]))
    assert "The stack config has 1 problem." in text
    assert "Nothing was changed" in text
    assert "  - seafowl:readers must be at least 1\n" in text
    assert "README.md" in text


def _keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """The paths of all keys, objects and what is in them."""
    paths: list[str] = []
    for field in model.model_fields.values():
        path = f"{prefix}{field.alias}"
        paths.append(path)
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                paths += _keys(kind, f"{path}.")
    return paths


KEYS = _keys(Settings)


def test_the_list_of_keys_that_the_next_tests_go_through_is_whole() -> None:
    assert {"readers", "ingress.port", "objectStore.s3.endpoint", "resources.objectStore.cpus"} <= set(KEYS)


SHAPES = [
    "{}",
    "12{}",
    "12 {}",
    "-1s{}",
    '{{"{}',
    "https://{}",
    "https://key:{}@s3.example.org",
    "https://key:[{}]@s3.example.org",
    "https://key:℀{}@s3.example.org",
    "nginx:{}:{}",
    "-----BEGIN PRIVATE KEY-----\n{}",
]


@pytest.mark.parametrize("path", KEYS)
def test_a_secret_in_the_wrong_key_is_never_printed(path: str) -> None:
    secret = "hunter2Sup3rSecret"
    for text_with_it in [shape.format(secret, secret) for shape in SHAPES]:
        for value in (text_with_it, [text_with_it], {"bucket": text_with_it}):
            text = str(ConfigError(problems(nested(path, value))))
            assert secret.lower() not in text.lower(), value


@given(
    path=st.sampled_from(KEYS),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
        max_leaves=6,
    ),
)
def test_whatever_stands_in_a_key_is_accepted_or_refused_never_a_crash(path: str, value: Any) -> None:
    for problem in problems(nested(path, value)):
        assert problem.key.startswith("seafowl:")
        assert problem.reason


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = Settings.model_validate({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.readers = 3  # pyright: ignore[reportAttributeAccessIssue]
