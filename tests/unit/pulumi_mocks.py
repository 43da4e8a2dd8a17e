"""Runs a Pulumi program against a monitor that answers like an engine and writes down every resource it is told of.

What this does not prove: what the real engine and the real provider make of the resources (tests/e2e does).
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf import json_format
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.settings import get_root_resource, set_root_resource
from pulumi.runtime.sync_await import _ensure_event_loop

from cluster.engine import DockerHost
from cluster.preflight import Seen
from config.settings import Settings
from config.stack_config import StackConfig

SECRET = "1b47061264138c4ac30d75fd1eb44270"
SIGNATURE = "4dabf18193072939515e22adb298388d"
"""A value that carries the signature with `SECRET` is encrypted in the state and hidden in a preview."""

DOCKER = DockerHost("unix:///nonexistent/docker.sock")
STACK = "Stack seafowl-dev"


@dataclass(frozen=True)
class Declared:
    """One resource as the engine is told of it."""

    label: str
    """Its short type and its name: `Container writer-0`."""

    type: str
    name: str
    parent: str
    """The parent's label."""

    inputs: dict[str, Any]
    """As they are sent: a secret is a map with `SIGNATURE`."""

    dependencies: frozenset[str]
    """Labels of what must be there before it."""

    delete_before_replace: bool | None
    retain_on_delete: bool
    replace_with: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    before_create: tuple[str, ...]
    """Names of the hooks that run before it is made."""


@dataclass
class Record:
    """What one run of a program declared."""

    resources: list[Declared] = field(default_factory=list)
    component_outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    hooks: dict[str, pulumi.ResourceHook] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    """The stack's outputs."""

    def of(self, short_type: str) -> list[Declared]:
        """All resources of a type, such as `Container`, by name."""
        found = [resource for resource in self.resources if resource.type.rpartition(":")[2] == short_type]
        return sorted(found, key=lambda resource: resource.name)

    def one(self, label: str) -> Declared:
        """The resource with a label, such as `Container writer-0`."""
        found = [resource for resource in self.resources if resource.label == label]
        assert len(found) == 1, f"{label}: {len(found)} of {sorted(r.label for r in self.resources)}"
        return found[0]

    @property
    def labels(self) -> set[str]:
        """The labels of all resources."""
        return {resource.label for resource in self.resources}


class _Answers(Mocks):
    """Outputs as the providers would give them, as far as the program reads them."""

    def call(self, args: Any) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}: it must not")

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        state = dict(args.inputs)
        match args.typ.rpartition(":")[2]:
            case "Stash":
                state["output"] = state["input"]
            case "RemoteImage":
                state["imageId"] = f"sha256:of-{state['name']}"
            case "Image":
                state["repoDigest"] = "sha256:of-the-built-node-image"
            case "Network" | "Volume" | "Container":
                state.setdefault("name", f"{args.name}-0123abc")
            case _:
                pass
        return f"{args.name}-id", state


class _Monitor(MockMonitor):
    def __init__(self, record: Record) -> None:
        super().__init__(_Answers())
        self.record = record

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            self.record.resources.append(_declared(request))
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.record.component_outputs[_label_of_urn(request.urn)] = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)


def _label(type_: str, name: str) -> str:
    return f"{type_.rpartition(':')[2]} {name}"


def _label_of_urn(urn: str) -> str:
    _, _, qualified_type, name = urn.removeprefix("urn:pulumi:").split("::")
    return _label(qualified_type.rpartition("$")[2], name)


def _declared(request: Any) -> Declared:
    return Declared(
        label=_label(request.type, request.name),
        type=request.type,
        name=request.name,
        parent=_label_of_urn(request.parent) if request.parent else "",
        inputs=json_format.MessageToDict(request.object),
        dependencies=frozenset(_label_of_urn(urn) for urn in request.dependencies),
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        retain_on_delete=request.retainOnDelete,
        replace_with=tuple(_label_of_urn(urn) for urn in request.replace_with),
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        before_create=tuple(request.hooks.before_create),
    )


def _registered(record: Record, hook: pulumi.ResourceHook) -> asyncio.Future[None]:
    """As the engine would register it: the mocks of the SDK cannot."""
    record.hooks[hook.name] = hook
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def run(program: Callable[[], object], preview: bool = False, record: Record | None = None) -> Record:
    """Run `program` as project `seafowl`, stack `dev`, and write down what it declares.

    What it raises is raised here; give a `record` to see what it had declared until then.
    """
    record = record or Record()
    # A test that ran a loop of its own has left none.
    _ensure_event_loop()
    set_root_resource(None)  # pyright: ignore[reportArgumentType] (else the last run's stack and outputs stay)
    set_mocks(_Answers(), project="seafowl", stack="dev", preview=preview, monitor=_Monitor(record))

    @pulumi.runtime.test
    def inner() -> object:
        # Where a program fails, every future that failed with it would log that when it goes, in some later test.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        return program()

    try:
        with patch("pulumi.resource_hooks.register_resource_hook", partial(_registered, record)):
            inner()
    finally:
        _write_outputs_down(record)
    return record


@pulumi.runtime.test
async def _write_outputs_down(record: Record) -> None:
    for key, value in dict(getattr(get_root_resource(), "outputs", {})).items():
        output = pulumi.Output.from_input(value)
        with suppress(Exception):  # of a program that failed
            # Of a secret, the text would look like one that a preview shows.
            record.outputs[key] = output if await output.is_secret() else await output.future()


def stack_config(config: dict[str, Any], secrets: dict[str, str] | None = None) -> StackConfig:
    """The config that a stack with these values has."""
    hidden = {key: pulumi.Output.secret(value) for key, value in (secrets or {}).items()}
    return StackConfig(Settings.model_validate(config), hidden, DOCKER)


def declare_stack(
    config: dict[str, Any] | None = None, secrets: dict[str, str] | None = None, **replaced: Any
) -> Record:
    """Declare the whole stack of a config. `replaced`: as `declare` takes it."""
    return declare(lambda: stack_config(config or {}, secrets), **replaced)


def declare(
    config: Callable[[], StackConfig],
    *,
    preview: bool = False,
    look: Callable[..., Seen] = lambda *_: Seen("engine", 2, [], here=False),
    judge: Callable[..., None] = lambda *_: None,
    await_healthy: Callable[..., None] = lambda *_, **__: None,
    record: Record | None = None,
) -> Record:
    """Declare the whole stack of what `config` gives, which is called where the program runs.

    Its looks at Docker are replaced: no test here talks to it.
    """
    from components import stack
    from components.node_image import node_image

    def program() -> None:
        known = config()
        stack.declare(known, node_image(known.settings.images))

    with (
        patch("components.checks.look", look),
        patch("components.checks.judge", judge),
        patch("components.checks.await_healthy", await_healthy),
    ):
        return run(program, preview, record)


def is_secret(value: Any) -> bool:
    """Whether a value is sent as a secret."""
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET


def revealed(value: Any) -> Any:
    """`value` with what is secret in it shown."""
    if is_secret(value):
        return revealed(value["value"])
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revealed(item) for item in value]
    return value


def readable_texts(value: Any) -> Iterator[str]:
    """Every string in `value` that a preview or the state shows in clear text."""
    if is_secret(value):
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from readable_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from readable_texts(item)


def envs(container: Declared) -> dict[str, str]:
    """A container's environment, secrets shown."""
    lines: list[str] = revealed(container.inputs.get("envs", []))
    return dict(line.split("=", 1) for line in lines)


def uploads(container: Declared) -> dict[str, str]:
    """A container's files: path → text."""
    return {upload["file"]: upload["content"] for upload in container.inputs["uploads"]}


def docker_labels(resource: Declared) -> dict[str, str]:
    """The labels that a resource has in Docker."""
    return {item["label"]: item["value"] for item in revealed(resource.inputs["labels"])}


def networks(container: Declared) -> dict[str, list[str]]:
    """The networks that a container is on, by their physical name, with its aliases there."""
    return {item["name"]: item.get("aliases", []) for item in revealed(container.inputs.get("networksAdvanced", []))}


def comparable(record: Record) -> dict[str, Any]:
    """All inputs, without what the engine ignores later offers of, and with the random values replaced."""
    texts = {resource.label: resource.inputs for resource in record.resources if "input" not in resource.ignore_changes}
    random_values = [value for stash in record.of("Stash") for value in readable_texts(revealed(stash.inputs))]
    return {label: _without(inputs, random_values) for label, inputs in texts.items()}


def _without(value: Any, texts: list[str]) -> Any:
    if isinstance(value, str):
        for text in texts:
            value = value.replace(text, "…") if len(text) >= 8 else value
        return value
    if isinstance(value, dict):
        return {key: _without(item, texts) for key, item in value.items()}
    return [_without(item, texts) for item in value] if isinstance(value, list) else value
