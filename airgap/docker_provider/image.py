"""Image: built from a context with Docker's classic builder. Deleting it leaves the image, as the original does."""

import os
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

from . import build_context
from .check import Checked
from .diff import Difference
from .errors import ProviderError
from .plain import UNKNOWN, Props, contains_unknown, listed
from .resource import Operation, failing

_INPUTS = ("imageName", "build", "buildOnPreview", "skipPush")
_BUILD_INPUTS = (
    "context",
    "dockerfile",
    "args",
    "platform",
    "target",
    "network",
    "addHosts",
    "builderVersion",
    "contextDigest",
)
_KEPT_LINES = 20
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
"""How Pulumi's protocol marks a secret."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def check(name: str, new_inputs: Props) -> Checked:
    """The inputs with the digest of the context, which is what makes a changed file a changed image."""
    where = f"docker:index/image:Image {name}"
    inputs = {key: value for key, value in new_inputs.items() if value is not None}
    checked = Checked(inputs)
    build: Any = inputs.get("build") or {}
    for path in [key for key in inputs if key not in _INPUTS]:
        checked.failures.append((path, _not_implemented(where, path)))
    if build == UNKNOWN:
        return checked
    for key in [key for key in build if key not in _BUILD_INPUTS]:
        checked.failures.append((f"build.{key}", _not_implemented(where, f"build.{key}")))
    if build.get("builderVersion") not in (None, "BuilderV1", UNKNOWN):
        checked.failures.append(("build.builderVersion", _not_implemented(where, "build.builderVersion")))
    if not inputs.get("imageName"):
        checked.failures.append(("imageName", f"{where}: Missing required property 'imageName'"))
    if not inputs.get("skipPush"):
        reason = f"{where}: pushing is not implemented by the air-gapped kit's Docker provider: set `skip_push=True`"
        checked.failures.append(("skipPush", reason))
    if not checked.failures:
        filled = {key: value for key, value in build.items() if value is not None}
        filled.setdefault("platform", f"linux/{_ARCHITECTURES.get(os.uname().machine, os.uname().machine)}")
        filled["contextDigest"] = _digest(filled, checked)
        inputs["build"] = filled
    return checked


def _not_implemented(where: str, path: str) -> str:
    return f"{where}: input `{path}` is not implemented by the air-gapped kit's Docker provider; leave it out"


def _context(build: Props) -> tuple[str, str]:
    context = build.get("context", ".")
    return context, build.get("dockerfile", str(Path(context, "Dockerfile")))


def _digest(build: Props, checked: Checked) -> str:
    context, dockerfile = _context(build)
    if UNKNOWN in (context, dockerfile):
        return UNKNOWN
    if not Path(context).is_dir():
        checked.failures.append(("build.context", f"the build context {context} is not a folder"))
    elif not Path(dockerfile).is_file():
        inside = Path(context, dockerfile)
        hint = f"; try setting `dockerfile` to {inside}" if inside.is_file() else ""
        checked.failures.append(("build.dockerfile", f"could not open dockerfile {dockerfile}{hint}"))
    else:
        return build_context.digest(context, dockerfile)
    return ""


def diff(old_state: Props, new_inputs: Props, ignore_changes: list[str]) -> Difference:
    """Compares with the inputs that the state keeps, property by property: a change builds again, nothing replaces."""
    old_inputs: Props = old_state.get("__inputs") or {}
    answer = Difference()
    for key in sorted({*old_inputs, *new_inputs}):
        old, new = old_inputs.get(key), new_inputs.get(key)
        if old != new and key not in ignore_changes:
            answer.detailed[key] = "ADD" if old is None else "DELETE" if new is None else "UPDATE"
            answer.diffs.append(key)
    return answer


def foretold(operation: Operation) -> Props:
    """The outputs in a preview: without the image's id, unless `buildOnPreview` asks to build it already."""
    if operation.inputs.get("buildOnPreview") and not contains_unknown(operation.inputs):
        return Image().create(operation)[1]
    return {**_outputs(operation.inputs), "repoDigest": UNKNOWN}


class Image:
    """docker:index/image:Image; the id is the image's name."""

    def create(self, operation: Operation) -> tuple[str, Props]:
        """Builds it; Docker's cache makes an unchanged one quick."""
        name: str = operation.inputs["imageName"]
        with failing(f"cannot build image {name}"):
            _build(operation)
            image_id: str = operation.api.inspect_image(name)["Id"]
        return name, {**_outputs(operation.inputs), "repoDigest": image_id}

    def read(self, operation: Operation) -> tuple[Props, Props]:
        """Nothing is looked up: an image that was removed by hand stays in the state, as with the original.

        The inputs stay secret, which the original forgets here.
        """
        kept = {"__inputs": _secret(operation.state["__inputs"])} if "__inputs" in operation.state else {}
        return {**operation.state, **kept}, operation.inputs

    def update(self, operation: Operation) -> Props:
        """Builds it again."""
        return self.create(operation)[1]

    def delete(self, operation: Operation) -> None:
        """Leaves the image on the Engine, as the original does."""


def _outputs(inputs: Props) -> Props:
    build: Any = inputs.get("build") or {}
    known: Props = dict.fromkeys(("context", "dockerfile", "platform"), UNKNOWN)
    if not contains_unknown(build):
        context, dockerfile = _context(build)
        inside = os.path.relpath(dockerfile, context)
        known = {"context": context, "dockerfile": inside, "platform": build["platform"]}
    return {
        **known,
        "__inputs": _secret(inputs),
        "baseImageName": inputs["imageName"],
        "imageName": inputs["imageName"],
        "registryServer": "",
    }


def _secret(inputs: Props) -> Props:
    """The original keeps the inputs in the state as a secret: a build argument may be one."""
    return {_SIGNATURE: _SECRET, "value": inputs}


def _build(operation: Operation) -> None:
    build: Props = operation.inputs["build"]
    folder, dockerfile = _context(build)
    operation.status("Building the image")
    with tempfile.TemporaryFile() as archive:
        inside = build_context.pack(folder, dockerfile, archive)
        archive.seek(0)
        messages = operation.api.build(
            fileobj=archive,
            custom_context=True,
            dockerfile=inside,
            tag=operation.inputs["imageName"],
            buildargs=dict(build.get("args") or {}),
            platform=build.get("platform"),
            target=build.get("target"),
            network_mode=build.get("network"),
            extra_hosts=dict(item.split(":", 1) for item in listed(build.get("addHosts"))) or None,
            rm=True,
            forcerm=True,
            decode=True,
            use_config_proxy=False,
        )
        _follow(operation, messages)


def _follow(operation: Operation, messages: Any) -> None:
    """Shows the build's output line by line; a failure carries its last lines."""
    name: str = operation.inputs["imageName"]
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    for message in messages:
        for line in str(message.get("stream", "")).splitlines():
            if line.strip():
                last.append(line.rstrip())
                operation.status(line.rstrip())
        if "error" in message:
            raise ProviderError("\n".join([f"cannot build image {name}: {message['error']}", *last]))
        if operation.cancelled.is_set():
            raise ProviderError(f"the build of image {name} was cancelled")
