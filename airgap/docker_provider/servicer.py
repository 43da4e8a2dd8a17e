"""Pulumi's ResourceProvider service: from its messages to the pure Check and Diff and to Docker, and back.

It speaks the protocol itself. The SDK's `pulumi.provider.experimental.provider.Provider` has no place for a partial
creation, for the engine's names, nor for lines in its display, and starts in twice the time (see protocol.py).
"""

import os
import threading
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from . import VERSION, image, protocol
from .check import Naming, check
from .container import Container, updated
from .diff import diff
from .engine import CONFIG_KEYS, Engine, settings
from .errors import PartlyCreatedError, ProviderError
from .image import Image
from .network import Network
from .plain import UNKNOWN, Props
from .remote_image import RemoteImage
from .resource import Operation, Resource
from .state import planned
from .tables import IMAGE, TABLES
from .values import plain_map, wire_map
from .volume import Volume

_RESOURCES: dict[str, Resource] = {
    "docker:index/container:Container": Container(),
    "docker:index/network:Network": Network(),
    "docker:index/volume:Volume": Volume(),
    "docker:index/remoteImage:RemoteImage": RemoteImage(),
    IMAGE: Image(),
}
_NAMING_MODES = ("propose", "enforce", "disable")
_DETAILS = "grpc-status-details-bin"

Method = Callable[["DockerServicer", Any], Any]


def _told(method: Method) -> Callable[["DockerServicer", Any, Any], Any]:
    """Sends the engine an error's message alone, and a partial creation with its state."""

    @wraps(method)
    def wrapped(self: "DockerServicer", request: Any, context: Any) -> Any:
        try:
            return method(self, request)
        except PartlyCreatedError as error:
            context.set_trailing_metadata(((_DETAILS, _partial(error)),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            # Not the exception's text: it may hold a property's value.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            context.abort(grpc.StatusCode.INTERNAL, f"the air-gapped kit's Docker provider has a fault: {where}")

    return wrapped


class DockerServicer(protocol.provider_grpc.ResourceProviderServicer):
    """Container, Network, Volume, RemoteImage and Image on one Docker Engine. Methods may run at the same time."""

    def __init__(self, status: Callable[[str, str], None]) -> None:
        """`status` gets a resource's URN and a line to show beside it."""
        self._status = status
        self._cancelled = threading.Event()
        self._engine: Engine | None = None

    def cancel(self) -> None:
        """Ends every wait: a creation under way comes back as a partial one."""
        self._cancelled.set()

    @_told
    def Cancel(self, _: Any) -> Any:
        """The engine was asked to stop."""
        self.cancel()
        return Empty()

    @_told
    def GetPluginInfo(self, _: Any) -> Any:
        """The version that this provider stands in for."""
        return protocol.plugin.PluginInfo(version=VERSION)

    @_told
    def CheckConfig(self, request: Any) -> Any:
        """Refuses the config keys that are not implemented."""
        failures = [
            _failure(key, f"docker:{key} is not implemented by the air-gapped kit's Docker provider; leave it out")
            for key in request.news.fields
            if key not in CONFIG_KEYS
        ]
        return protocol.provider.CheckResponse(inputs=request.news, failures=failures)

    @_told
    def DiffConfig(self, _: Any) -> Any:
        """Leaves it to the engine to compare, as the original does; no change of config replaces anything."""
        return protocol.provider.DiffResponse()

    @_told
    def Configure(self, request: Any) -> Any:
        """Finds the Engine, and pings it as the original does: nothing works without it."""
        engine = Engine(settings(plain_map(request.args), os.environ))
        if engine.settings.host != UNKNOWN and engine.settings.daemon_check:
            engine.ping()
        self._engine = engine
        return protocol.provider.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

    @_told
    def Check(self, request: Any) -> Any:
        """Completes and validates inputs, without Docker."""
        token, name = _type_and_name(request.urn)
        news = plain_map(request.news)
        if token == IMAGE:
            checked = image.check(name, news)
        else:
            naming = None
            if request.HasField("autonaming"):
                mode: int = request.autonaming.mode
                naming = Naming(_NAMING_MODES[mode], request.autonaming.proposed_name)
            olds = plain_map(request.olds)
            checked = check(token, name, olds, news, random_seed=request.randomSeed, naming=naming)
        failures = [_failure(path, reason) for path, reason in checked.failures]
        return protocol.provider.CheckResponse(inputs=wire_map(checked.inputs), failures=failures)

    @_told
    def Diff(self, request: Any) -> Any:
        """Compares, without Docker."""
        token, _ = _type_and_name(request.urn)
        olds, news, ignored = plain_map(request.olds), plain_map(request.news), list(request.ignoreChanges)
        answer = image.diff(olds, news, ignored) if token == IMAGE else diff(token, olds, news, ignored)
        response = protocol.provider.DiffResponse
        detail = protocol.provider.PropertyDiff
        return response(
            changes=response.DIFF_SOME if answer.changes else response.DIFF_NONE,
            replaces=answer.replaces,
            stables=answer.stables,
            deleteBeforeReplace=answer.delete_before_replace,
            diffs=answer.diffs,
            detailedDiff={path: detail(kind=detail.Kind.Value(kind)) for path, kind in answer.detailed.items()},
            hasDetailedDiff=True,
        )

    @_told
    def Create(self, request: Any) -> Any:
        """Creates, or foretells what a creation gives."""
        token, _ = _type_and_name(request.urn)
        operation = self._operation(request.urn, plain_map(request.properties))
        if request.preview:
            return protocol.provider.CreateResponse(properties=wire_map(_foretold(token, operation)))
        resource_id, outputs = _RESOURCES[token].create(operation)
        return protocol.provider.CreateResponse(id=resource_id, properties=wire_map(outputs))

    @_told
    def Read(self, request: Any) -> Any:
        """Reads a resource again, or for the first time (import); an answer without id says that it is gone."""
        token, _ = _type_and_name(request.urn)
        state, inputs = plain_map(request.properties), plain_map(request.inputs)
        answer = _RESOURCES[token].read(self._operation(request.urn, inputs, request.id, state))
        if answer is None:
            return protocol.provider.ReadResponse()
        seen, kept = answer
        return protocol.provider.ReadResponse(id=request.id, properties=wire_map(seen), inputs=wire_map(kept))

    @_told
    def Update(self, request: Any) -> Any:
        """Changes a resource in place, or foretells what that gives."""
        token, _ = _type_and_name(request.urn)
        operation = self._operation(request.urn, plain_map(request.news), request.id, plain_map(request.olds))
        outputs = _foretold(token, operation) if request.preview else _RESOURCES[token].update(operation)
        return protocol.provider.UpdateResponse(properties=wire_map(outputs))

    @_told
    def Delete(self, request: Any) -> Any:
        """Removes a resource."""
        token, _ = _type_and_name(request.urn)
        _RESOURCES[token].delete(self._operation(request.urn, {}, request.id, plain_map(request.properties)))
        return Empty()

    def _operation(self, urn: str, inputs: Props, resource_id: str = "", state: Props | None = None) -> Operation:
        if self._engine is None:
            raise ProviderError("the provider is not configured yet")
        return Operation(
            engine=self._engine,
            cancelled=self._cancelled,
            status=lambda line: self._status(urn, line),
            inputs=inputs,
            resource_id=resource_id,
            state=state or {},
        )


def _foretold(token: str, operation: Operation) -> Props:
    """The outputs in a preview."""
    if token == IMAGE:
        return image.foretold(operation)
    if not operation.resource_id:
        return {**planned(TABLES[token], operation.inputs), "id": UNKNOWN}
    if isinstance(_RESOURCES[token], Container):
        return updated(operation.state, operation.inputs)
    plan = planned(TABLES[token], operation.inputs)
    return {**operation.state, **{key: value for key, value in plan.items() if value != UNKNOWN}}


def _type_and_name(urn: str) -> tuple[str, str]:
    """The resource's type token, without those of its parents, and its name."""
    token, name = urn.split("::", 3)[2:]
    token = token.rpartition("$")[2]
    if token not in _RESOURCES:
        names = ", ".join(known.rpartition(":")[2] for known in _RESOURCES)
        raise ProviderError(
            f"{token} is not implemented by the air-gapped kit's Docker provider; it has {names}: "
            "use one of these, or deploy where the original provider can be had"
        )
    return token, name


def _failure(path: str, reason: str) -> Any:
    return protocol.provider.CheckFailure(property=path, reason=reason)


def _partial(error: PartlyCreatedError) -> bytes:
    """What tells the engine that a resource exists but failed to become what was asked."""
    detail = protocol.provider.ErrorResourceInitFailed(
        id=error.resource_id, properties=wire_map(error.outputs), reasons=[str(error)]
    )
    status = protocol.status.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    return status.SerializeToString()
