"""The one place that reads `pulumi.Config`: the stack config comes in here and leaves as typed, validated values."""

import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret
from pydantic import ValidationError

from cluster.engine import DockerHost, docker_host
from config import secret_keys
from config.ingress_settings import ClientLimitSettings
from config.problems import ConfigError, Problem, problems_of
from config.secret_keys import SECRET_KEYS
from config.settings import Settings

_LONGEST_STACK_NAME = 40
"""With project, part and suffix it must fit a DNS label of 63 characters."""

_UNKNOWN_TO_US = ("context", "caMaterial", "certMaterial", "keyMaterial", "sshOpts")


@dataclass(frozen=True)
class StackConfig:
    """All that the program was told."""

    settings: Settings
    secrets: Mapping[str, pulumi.Output[str]]
    """The secret keys (`config.secret_keys`) that are set."""

    docker: DockerHost


def load() -> StackConfig:
    """Read and validate the config of the current stack.

    Raises `ConfigError` with every problem at once.
    """
    config = pulumi.Config()
    values = _values(config.name)
    parsed = {key: _parsed(key, value) for key, value in values.items() if key not in SECRET_KEYS}
    problems: list[Problem] = []
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(parsed)
    except ValidationError as error:
        problems += problems_of(error, config.name, also_known=list(SECRET_KEYS))
    secrets = {key: values[key] for key in SECRET_KEYS if key in values}
    problems += secret_keys.problems(parsed, secrets, config.name, is_config_secret)
    problems += _stack_name_problems(pulumi.get_stack())
    problems += _docker_problems()
    if problems or settings is None:
        raise ConfigError(problems)
    for warning in [*secret_keys.warnings(parsed, secrets, config.name), *_warnings(settings, config.name)]:
        pulumi.log.warn(warning)
    provider = pulumi.Config("docker")
    return StackConfig(
        settings=settings,
        secrets={key: config.require_secret(key) for key in secrets},
        docker=docker_host(provider.get("host"), provider.get("certPath")),
    )


def _warnings(settings: Settings, namespace: str) -> Iterator[str]:
    """What works, and is rarely meant."""
    if settings.lease == "consul" and settings.writer_candidates == 1:
        yield (
            f"{namespace}:writerCandidates is 1: when that one dies, nobody takes over, and an `up` that changes it "
            "pauses writes. Set it to 2 or more"
        )
    ingress, access = settings.ingress, settings.access
    address = ingress.bind_address
    elsewhere = not ipaddress.ip_address(address).is_loopback
    if elsewhere and access.write == "any":
        yield (
            f"{namespace}:access.write is any, and {namespace}:ingress.bindAddress is {address}: whoever reaches this "
            "port can change and drop every table, and Docker publishes it past the host's firewall rules. Set "
            "access.write to token, or bind 127.0.0.1"
        )
    elif access.write == "any" and access.read == "token":
        yield (
            f"{namespace}:access.read is token, and {namespace}:access.write is any: who has no token can still write, "
            "and drop tables. Set access.write to token, too"
        )
    if elsewhere and ingress.tls is None and "token" in (access.read, access.write):
        yield (
            f"{namespace}:access asks for tokens, and {namespace}:ingress.bindAddress is {address} without "
            f"{namespace}:ingress.tls: they pass the network in clear text. Set ingress.tls, unless something in front "
            "of this port speaks HTTPS"
        )
    if not elsewhere and ingress.limits != ClientLimitSettings():
        yield (
            f"{namespace}:ingress.limits counts clients by their address, and with {namespace}:ingress.bindAddress "
            f"{address} all have the same one, Docker's own: together they are limited as one"
        )


def _stack_name_problems(name: str) -> list[Problem]:
    """Networks, volumes and the node image are named after the stack, which not every name allows."""
    if re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name) and len(name) <= _LONGEST_STACK_NAME:
        return []
    return [
        Problem(
            f"the stack's name {name!r}",
            f"must be of a-z, 0-9 and single '_' or '-' between them, at most {_LONGEST_STACK_NAME} characters: images "
            "allow no capitals, and in Docker's DNS a dot ends the name of a network, so LiteFS would not start. Make "
            "a stack of another name",
        )
    ]


def _docker_problems() -> list[Problem]:
    """What the provider knows and this program's own looks at Docker do not: they would look at another Engine."""
    provider = pulumi.Config("docker")
    found = [f"docker:{key}" for key in _UNKNOWN_TO_US if provider.get(key) is not None]
    found += ["the environment variable DOCKER_CONTEXT"] if os.environ.get("DOCKER_CONTEXT") else []
    return [
        Problem(
            key,
            "is not understood by this program, which looks at the Docker host beside the provider, and would look at "
            "another. Remove it, and name the host: `pulumi config set docker:host …` (and docker:certPath for TLS)",
        )
        for key in found
    ]


def _values(namespace: str) -> dict[str, str]:
    """All keys of `namespace` with their values as text: `pulumi.Config` reads known keys, and cannot list them.

    The runtime holds them where the language host put them: explicit settings first, then the process-wide bag.
    """
    everything = {**get_config_env(), **CONFIG.get()}
    return {key.partition(":")[2]: value for key, value in everything.items() if key.startswith(f"{namespace}:")}


def _parsed(key: str, text: str) -> Any:
    """Objects arrive as JSON text; everything else stays text, which the settings turn into their types."""
    field = next((field for field in Settings.model_fields.values() if field.alias == key), None)
    if field is None or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
