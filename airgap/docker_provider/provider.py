"""The SDK's `Provider`, answered by the pure Check and Diff and by one object per resource type."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

from pulumi.provider.experimental import provider as sdk

from . import image
from .check import Naming, check
from .container import Container, updated
from .diff import diff
from .engine import CONFIG_KEYS, Engine, settings
from .errors import ProviderError
from .image import Image
from .network import Network
from .plain import UNKNOWN, Props
from .remote_image import RemoteImage
from .resource import Operation, Resource
from .state import planned
from .tables import IMAGE, TABLES
from .values import plain_map, wrapped_map
from .volume import Volume

NAMING: ContextVar[Naming | None] = ContextVar("NAMING", default=None)
"""The engine's autonaming for the Check under way, which the SDK's request has no place for."""

_PARALLEL_OPERATIONS = 64
_RESOURCES: dict[str, Resource] = {
    "docker:index/container:Container": Container(),
    "docker:index/network:Network": Network(),
    "docker:index/volume:Volume": Volume(),
    "docker:index/remoteImage:RemoteImage": RemoteImage(),
    IMAGE: Image(),
}

_Answer = TypeVar("_Answer")


class DockerProvider(sdk.Provider):
    """Container, Network, Volume, RemoteImage and Image on one Docker Engine."""

    def __init__(self, status: Callable[[str, str], None]) -> None:
        """`status` gets a resource's URN and a line to show beside it."""
        self._status = status
        self._cancelled = threading.Event()
        self._threads = ThreadPoolExecutor(_PARALLEL_OPERATIONS, thread_name_prefix="docker")
        self._engine: Engine | None = None

    async def check_config(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        """Refuses the config keys that are not implemented."""
        failures = [
            sdk.CheckFailure(
                key, f"docker:{key} is not implemented by the air-gapped kit's Docker provider; leave it out"
            )
            for key in request.new_inputs
            if key not in CONFIG_KEYS
        ]
        return sdk.CheckResponse(inputs=request.new_inputs, failures=failures)

    async def configure(self, request: sdk.ConfigureRequest) -> sdk.ConfigureResponse:
        """Finds the Engine, and pings it as the original does: nothing works without it."""
        engine = Engine(settings(plain_map(request.args), os.environ))
        if engine.settings.host != UNKNOWN and engine.settings.daemon_check:
            await self._in_thread(engine.ping)
        self._engine = engine
        return sdk.ConfigureResponse(supports_preview=True)

    async def check(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        """Completes and validates inputs, without Docker."""
        old, new = plain_map(request.old_inputs), plain_map(request.new_inputs)
        if _known(request.type) == IMAGE:
            checked = await self._in_thread(lambda: image.check(request.name, new))
        else:
            checked = check(_token(request.type), request.name, old, new, random_seed=request.random_seed, naming=NAMING.get())
        failures = [sdk.CheckFailure(path, reason) for path, reason in checked.failures]
        return sdk.CheckResponse(inputs=wrapped_map(checked.inputs), failures=failures)

    async def diff(self, request: sdk.DiffRequest) -> sdk.DiffResponse:
        """Compares, without Docker."""
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        if _token(request.type) == IMAGE:
            answer = image.diff(old, new, request.ignore_changes)
        else:
            answer = diff(_token(request.type), old, new, request.ignore_changes)
        return sdk.DiffResponse(
            changes=answer.changes,
            replaces=answer.replaces,
            stables=answer.stables,
            delete_before_replace=answer.delete_before_replace,
            diffs=answer.diffs,
            detailed_diff={
                path: sdk.PropertyDiff(sdk.PropertyDiffKind[kind], input_diff=False)
                for path, kind in answer.detailed.items()
            },
        )

    async def create(self, request: sdk.CreateRequest) -> sdk.CreateResponse:
        """Creates, or foretells what a creation gives."""
        operation = self._operation(request.urn, plain_map(request.properties))
        if request.preview:
            return sdk.CreateResponse("", wrapped_map(await self._foretold(_token(request.type), operation)))
        resource_id, outputs = await self._in_thread(lambda: _RESOURCES[_token(request.type)].create(operation))
        return sdk.CreateResponse(resource_id, wrapped_map(outputs))

    async def read(self, request: sdk.ReadRequest) -> sdk.ReadResponse:
        """Reads a resource again, or for the first time (import); an answer without id says that it is gone."""
        state, inputs = plain_map(request.properties), plain_map(request.inputs)
        operation = self._operation(request.urn, inputs, request.resource_id, state)
        answer = await self._in_thread(lambda: _RESOURCES[_known(request.type)].read(operation))
        if answer is None:
            return sdk.ReadResponse()
        return sdk.ReadResponse(request.resource_id, wrapped_map(answer[0]), wrapped_map(answer[1]))

    async def update(self, request: sdk.UpdateRequest) -> sdk.UpdateResponse:
        """Changes a resource in place, or foretells what that gives."""
        operation = self._operation(request.urn, plain_map(request.news), request.resource_id, plain_map(request.olds))
        if request.preview:
            return sdk.UpdateResponse(wrapped_map(await self._foretold(_token(request.type), operation)))
        outputs = await self._in_thread(lambda: _RESOURCES[_token(request.type)].update(operation))
        return sdk.UpdateResponse(wrapped_map(outputs))

    async def delete(self, request: sdk.DeleteRequest) -> None:
        """Removes a resource."""
        operation = self._operation(request.urn, {}, request.resource_id, plain_map(request.properties))
        await self._in_thread(lambda: _RESOURCES[_token(request.type)].delete(operation))

    async def cancel(self) -> None:
        """Ends every wait: a creation under way comes back as a partial one."""
        self._cancelled.set()

    async def _foretold(self, type_token: str, operation: Operation) -> Props:
        if type_token == IMAGE:
            return await self._in_thread(lambda: image.foretold(operation))
        if not operation.resource_id:
            return {**planned(TABLES[type_token], operation.inputs), "id": UNKNOWN}
        if isinstance(_RESOURCES[type_token], Container):
            return updated(operation.state, operation.inputs)
        plan = planned(TABLES[type_token], operation.inputs)
        return {**operation.state, **{key: value for key, value in plan.items() if value != UNKNOWN}}

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

    async def _in_thread(self, call: Callable[[], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _token(qualified: str) -> str:
    """The resource's own type: the SDK takes it from the URN, where the types of its parents stand before it."""
    return qualified.rpartition("$")[2]


def _known(qualified: str) -> str:
    type_token = _token(qualified)
    if type_token not in _RESOURCES:
        names = ", ".join(token.rpartition(":")[2] for token in _RESOURCES)
        raise ProviderError(
            f"{type_token} is not implemented by the air-gapped kit's Docker provider; it has {names}: "
            "use one of these, or deploy where the original provider can be had"
        )
    return type_token
