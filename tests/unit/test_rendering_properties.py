"""Whatever the settings accept, the renderers turn into files that their readers can parse."""

import shlex
import subprocess
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from supervisor.__main__ import _parser  # pyright: ignore[reportPrivateUsage] (whom the words are for)

from config.cpus import is_read_back
from config.layout import INGRESS_PORT
from config.litefs import ConsulLease, NodeRole, litefs_command, render_litefs_yml
from config.minio import render_minio_start
from config.nginx import render_nginx_conf
from config.seafowl import render_seafowl_toml
from config.settings import S3Settings, Settings
from tests.unit.nginx_conf import arguments, block, parsed, server

PAIRS = [(w, r) for w in ("delete", "truncate", "persist") for r in ("off", "delete", "memory", False)]
BUCKETS = st.from_regex(r"[a-z0-9]([a-z0-9]|-(?=[a-z0-9])){1,60}[a-z0-9]", fullmatch=True)


def sizes(least: int) -> st.SearchStrategy[str]:
    """Sizes of at least `least` MiB."""
    mebibytes = st.integers(least, 1024 * 1024).map(lambda n: f"{n}MiB")
    gibibytes = st.integers(max(1, least // 1024), 1024).map(lambda n: f"{n} gib")
    return mebibytes | gibibytes


def limits(least: int) -> st.SearchStrategy[dict[str, Any]]:
    cpus = st.floats(0.01, 1024).map(lambda number: round(number, 9)).filter(is_read_back)
    return st.fixed_dictionaries({}, optional={"memory": sizes(least), "cpus": cpus})


S3 = st.fixed_dictionaries(
    {"bucket": BUCKETS, "region": st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True)},
    optional={
        "endpoint": st.sampled_from(["http://s3:9000", "https://s3.example.org", "https://[::1]:9000/"]),
        "prefix": st.from_regex(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,2}", fullmatch=True),
    },
)
MINIO = st.fixed_dictionaries({}, optional={"bucket": BUCKETS})


def times(least: int, most: int) -> st.SearchStrategy[str]:
    """Times of whole seconds, in each unit that can say them."""
    return st.integers(least, most).flatmap(
        lambda seconds: st.sampled_from(
            [f"{seconds}s", f"{seconds * 1000}ms", *([f"{seconds // 60}m"] if seconds and seconds % 60 == 0 else [])]
        )
    )


def parts(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


RATES = st.integers(1, 65535)
INGRESS = parts(
    bindAddress=st.ip_addresses().filter(lambda a: a.version == 4 or a.ipv4_mapped is None).map(str),
    # Below every port that is sent on, and that in turn may not be it.
    port=st.integers(1, 40000),
    uploadLimit=sizes(1),
    readTimeout=times(1, 86400) | st.integers(1000, 86_400_000).map(lambda n: f"{n}ms"),
    writeTimeout=times(1, 86400),
    retryInterval=times(1, 60),
    cache=parts(ttl=times(0, 86400), staleWhenDown=times(0, 86400), size=sizes(1)),
    limits=parts(connections=RATES)
    | st.fixed_dictionaries({"requestsPerSecond": RATES}, optional={"burst": RATES, "connections": RATES}),
    tls=st.fixed_dictionaries({"selfSigned": st.just(True)}, optional={"redirectPort": st.integers(40001, 65535)}),
)
CONFIGS = st.fixed_dictionaries(
    {"modes": st.sampled_from([*PAIRS, ("wal", "wal")])},
    optional={
        "readers": st.integers(1, 1000) | st.integers(1, 1000).map(str),
        "ingress": INGRESS,
        "objectStore": st.one_of(S3.map(lambda s3: {"s3": s3}), MINIO.map(lambda minio: {"minio": minio})),
        "access": st.fixed_dictionaries(
            {}, optional={key: st.sampled_from(["any", "token", "off", False, "false"]) for key in ("read", "write")}
        ),
        "resources": st.fixed_dictionaries(
            {},
            optional={"writer": limits(128), "reader": limits(128), "objectStore": limits(512), "ingress": limits(32)},
        ),
        "maintenance": parts(
            enabled=st.booleans(),
            interval=times(1, 3600) | st.integers(1000, 3_600_000).map(lambda n: f"{n}ms"),
            history=st.integers(0, 87600).map(lambda hours: f"{hours}h"),
            versions=st.integers(10, 100_000),
        ),
        "retainData": st.booleans(),
        "lease": st.sampled_from(["static", "consul"]),
        "writerCandidates": st.integers(1, 9),
        "standbyReads": st.booleans(),
        "consul": st.fixed_dictionaries(
            {"servers": st.sampled_from([1, 3, 5, "3"])},
            optional={
                "address": st.sampled_from(["http://consul:8500", "https://c.example.org/tenant/"]),
                "ttl": times(10, 60) | st.integers(10_000, 60_000).map(lambda n: f"{n}ms"),
                "lockDelay": times(1, 60),
            },
        ),
    },
).map(lambda config: {**config, **dict(zip(("writerJournalMode", "readerJournalMode"), config["modes"], strict=True))})


def validated(config: dict[str, Any]) -> Settings:
    return Settings.model_validate({key: value for key, value in config.items() if key != "modes"})


def object_store(s: Settings) -> dict[str, str]:
    """The `[object_store]` keys, as the component passes them."""
    store = s.object_store.s3
    return store.model_dump(exclude_none=True) if isinstance(store, S3Settings) else {"bucket": "b", "region": "r"}


@given(config=CONFIGS, seafowl=st.sampled_from([("writer", False), ("reader", False), ("reader", True)]))
def test_seafowl_toml_parses_back_to_the_settings(config: dict[str, Any], seafowl: tuple[NodeRole, bool]) -> None:
    s, (role, standby) = validated(config), seafowl
    text = render_seafowl_toml(role, s, object_store(s), standby=standby)
    assert text == render_seafowl_toml(role, validated(config), object_store(validated(config)), standby=standby)
    document = tomllib.loads(text)
    assert document["object_store"] == {"type": "s3", **object_store(s)}
    mode = s.writer_journal_mode if role == "writer" else s.reader_journal_mode
    assert document["catalog"]["journal_mode"] == mode
    http = document["frontend"]["http"]
    assert (http["bind_host"] == "127.0.0.1") is (role == "writer"), "only the gate may be asked to write"
    assert http["upload_data_max_length"] * 1024 * 1024 >= s.ingress.upload_limit, (
        "Seafowl would refuse what NGINX lets in"
    )
    assert http.get("read_access", "token") == s.access.read
    assert http.get("write_access", "token") == (s.access.write if role == "writer" else "off")
    assert document.get("runtime", {}).get("max_memory", 64) >= 64, "Seafowl refuses less"


@given(config=CONFIGS)
@settings(max_examples=40)
def test_nginx_conf_has_no_unknown_directive_and_none_in_a_wrong_place(config: dict[str, Any], tmp_path: Path) -> None:
    s, again = validated(config), validated(config)
    text = render_nginx_conf(s.ingress, s.access)
    assert text == render_nginx_conf(again.ingress, again.access), "each difference is one in every preview"
    writes = block(server(parsed(text, tmp_path), INGRESS_PORT), "location", "^~", "/w/")
    (size,) = arguments(writes, "client_max_body_size")
    assert int(size[0].removesuffix("m")) * 1024 * 1024 == s.ingress.upload_limit


def consul_lease(s: Settings) -> ConsulLease:
    """A lease in Consul, as the settings want it."""
    return ConsulLease(
        url=s.consul.address or "http://consul:8500",
        key="seafowl-dev/primary",
        ttl=s.consul.known_ttl,
        lock_delay=s.consul.lock_delay,
        standby_reads=s.standby_reads,
    )


@given(config=CONFIGS, member=st.sampled_from(["writer-0", "writer-8"]))
def test_litefs_and_the_supervisor_are_told_the_same_of_a_lease_in_consul(config: dict[str, Any], member: str) -> None:
    s = validated(config)
    lease = consul_lease(s)
    text = render_litefs_yml("writer", member, lease, s.maintenance)
    assert text == render_litefs_yml("writer", member, replace(lease), validated(config).maintenance)
    document = yaml.safe_load(text)
    (step,) = document["exec"]
    for words in (shlex.split(step["cmd"]), litefs_command("writer", member, lease)):
        options = _parser().parse_args(words[1:])
        assert (options.consul, options.key) == (document["lease"]["consul"]["url"], "seafowl-dev/primary")
        assert options.hostname == document["lease"]["hostname"] == member
        assert timedelta(seconds=options.ttl) == s.consul.known_ttl


@given(config=CONFIGS)
def test_whatever_the_lease_the_supervisor_is_told_how_tables_are_maintained(config: dict[str, Any]) -> None:
    s = validated(config)
    for lease in (None, consul_lease(s)):
        (step,) = yaml.safe_load(render_litefs_yml("writer", "writer-0", lease, s.maintenance))["exec"]
        options = _parser().parse_args(shlex.split(step["cmd"])[1:])
        assert options.maintenance_interval == s.maintenance.interval.total_seconds()
        assert timedelta(seconds=options.history) == s.maintenance.history
        assert (options.versions, options.no_maintenance) == (s.maintenance.versions, not s.maintenance.enabled)


@given(config=CONFIGS)
def test_a_reader_s_litefs_yml_depends_on_no_setting_but_the_lease(config: dict[str, Any]) -> None:
    s = validated(config)
    assert render_litefs_yml("reader", "reader-0", None, s.maintenance) == render_litefs_yml("reader", "reader-1")


@given(bucket=BUCKETS)
@settings(max_examples=25)
def test_the_start_script_of_minio_is_a_shell_script_for_every_bucket(bucket: str) -> None:
    accepted = Settings.model_validate({"objectStore": {"minio": {"bucket": bucket}}}).object_store.minio
    assert accepted is not None
    script = render_minio_start(accepted.bucket)
    assert script == render_minio_start(accepted.bucket)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert f"arn:aws:s3:::{bucket}/*" in script
