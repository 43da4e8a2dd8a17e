"""Random stack configs: each is refused with a message that names a key, or rendered into files that are taken.

They are given to NGINX, LiteFS and Seafowl themselves (or the kit's stand-in for it). `make fuzz` tries ten thousand
configs, and other ones each time. What this does not prove: that a cluster with these comes up.
"""

import gc
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import pulumi
import pytest

from config import stack_config
from config.layout import (
    LITEFS_CONFIG,
    NGINX_CONFIG,
    SEAFOWL_CONFIG,
    STANDBY_CONFIG,
    WRITER_CONFIG,
)
from config.problems import ConfigError
from config.secret_keys import SECRET_KEYS
from config.settings import Settings
from config.stack_config import StackConfig
from tests.e2e.certificates import made
from tests.e2e.config_readers import Readers
from tests.e2e.random_configs import HIDDEN, Case, RandomConfigs, parts_of
from tests.unit.pulumi_mocks import Declared, Record, declare, readable_texts, revealed, uploads

CONFIGS = int(os.environ.get("CONFIGS") or 200)
SEED = os.environ.get("SEED") or "1"
_SHOWN = 10

_KINDS = {
    NGINX_CONFIG: "nginx.conf",
    LITEFS_CONFIG: "litefs.yml",
    SEAFOWL_CONFIG: "seafowl.toml",
    WRITER_CONFIG: "seafowl.toml",
    STANDBY_CONFIG: "seafowl.toml",
}


@dataclass
class Found:
    """What was found."""

    refused: int = 0
    accepted: int = 0
    failures: list[str] = field(default_factory=list[str])
    files: dict[str, dict[str, Case]] = field(default_factory=lambda: {kind: {} for kind in set(_KINDS.values())})
    """Kind → text → the first config that it is rendered of. What belongs to a text is behind a NUL."""

    images: dict[str, Case] = field(default_factory=dict[str, Case])

    def failed(self, case: Case, why: str) -> None:
        self.failures.append(f"{why}\n    of {case}".replace(HIDDEN, "…"))


def test_a_config_is_refused_by_its_key_or_its_files_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    configs = RandomConfigs(SEED)
    assert configs.never_good() == [], "the heap has no value for these keys: add one to tests/e2e/random_configs.py"
    # What was imported stays: the collector need not look through it again and again.
    gc.freeze()
    found = Found()
    for case in islice(configs, CONFIGS):
        _try(case, found)
    _ask_the_readers(found)
    count = {kind: len(texts) for kind, texts in sorted(found.files.items())}
    with capsys.disabled():
        print(
            f"\nSEED={SEED} CONFIGS={CONFIGS}: {found.refused} refused, {found.accepted} accepted, "
            f"distinct files: {count}, {len(found.images)} image references; {time.monotonic() - began:.0f} s"
        )
    if found.failures:
        # Not by an assertion, which would show the keys.
        failures = "\n".join(found.failures[:_SHOWN])
        pytest.fail(f"{len(found.failures)} failures with SEED={SEED}:\n{failures}", pytrace=False)
    assert min(found.accepted, found.refused) > CONFIGS / 5, "one of the two is hardly tried"


def _try(case: Case, found: Found) -> None:
    record = Record()
    try:
        declare(lambda: _load(case), record=record)
    except ConfigError as error:
        found.refused += 1
        for why in _wrong_with(error, case):
            found.failed(case, why)
    except Exception as error:  # what a user would get as a traceback
        found.failed(case, f"{type(error).__name__}: {error}")
    else:
        found.accepted += 1
        _keep(case, record, found)


def _load(case: Case) -> StackConfig:
    pulumi.runtime.set_all_config(case.as_pulumi_has_it, case.secret_keys)
    config = stack_config.load()
    # More of the same would be declared of the same files.
    settings = config.settings
    few = {
        "readers": 1,
        "writer_candidates": min(2, settings.writer_candidates),
        "consul": settings.consul.model_copy(update={"servers": 1}),
    }
    return replace(config, settings=settings.model_copy(update=few))


def _wrong_with(error: ConfigError, case: Case) -> Iterable[str]:
    """What a message should not be: without a key, with a key that is none, or with a value that may be a secret."""
    text = str(error)
    if HIDDEN in text and HIDDEN not in str(_keys(case.config)):
        yield f"shows what may be a secret: {text}"
    for problem in error.problems:
        namespace, _, path = problem.key.partition(":")
        if namespace != "seafowl" or not _named(path, case):
            yield f"names no key: {problem}"
        if problem.reason in ("is not valid", ""):
            yield f"says nothing: {problem}"


def _named(path: str, case: Case) -> bool:
    """Whether a path is one that the user has written, or that the settings have."""
    return path in SECRET_KEYS or path in parts_of(Settings) or path in _keys(case.config)


def _keys(value: Any, above: str = "") -> set[str]:
    """Every path in a config."""
    if not isinstance(value, dict):
        return set()
    return {f"{above}{key}" for key in value} | {
        path for key, inner in value.items() for path in _keys(inner, f"{above}{key}.")
    }


def _keep(case: Case, record: Record, found: Found) -> None:
    """Look at what is declared, and keep what is rendered."""
    texts = [text for resource in record.resources for text in readable_texts(resource.inputs)]
    for key, value in case.secrets.items():
        if any(value in text for text in texts):
            found.failed(case, f"declares {key} in clear text")
    pem = _pem(record)
    for container in record.of("Container"):
        for path, text in uploads(container).items():
            kind = _KINDS.get(path)
            if kind is not None:
                found.files[kind].setdefault(f"{text}\x00{pem}" if kind == "nginx.conf" and pem else text, case)
        for env in _envs(container):
            name, _, value = env.partition("=")
            if not value.strip() or "\x00" in value:
                found.failed(case, f"{container.name} gets nothing of use in {name}")
    for image in [*record.of("RemoteImage"), *record.of("Image")]:
        build = image.inputs.get("build", {}).get("args", {})
        for name in (image.inputs.get("name"), *build.values()):
            if name is not None:
                found.images.setdefault(name, case)


def _envs(container: Declared) -> list[str]:
    return revealed(container.inputs.get("envs", []))


def _pem(record: Record) -> str:
    """Certificate and key that NGINX gets of the user, as `config.ingress_start` writes them."""
    holders = [one for one in record.of("Container") if one.name == "ingress-certificate"]
    known = dict(env.split("=", 1) for holder in holders for env in _envs(holder))
    return f"{known['TLS_CERTIFICATE']}\n{known['TLS_KEY']}\n" if known else ""


def _ask_the_readers(found: Found) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    mine = made(ec.generate_private_key(ec.SECP256R1()))
    readers = Readers(certificate=f"{mine.certificate}\n{mine.key}\n")
    for kind, ask in (
        ("nginx.conf", readers.refused_by_nginx),
        ("litefs.yml", readers.refused_by_litefs),
        ("seafowl.toml", readers.refused_by_seafowl),
    ):
        suffix = kind.partition(".")[2]
        names = {f"{index:05}.{suffix}": text for index, text in enumerate(found.files[kind])}
        files: dict[str, str] = {}
        for name, both in names.items():
            files[name], _, pem = both.partition("\x00")
            if pem:
                files[name.replace(suffix, "pem")] = pem
        for name, message in ask(files).items():
            found.failed(found.files[kind][names[name]], f"{kind} is refused: {message}")
    for name, message in readers.images_that_docker_cannot_read(set(found.images)).items():
        found.failed(found.images[name], f"Docker cannot read the image reference {name!r}: {message}")
