"""The SDK's gRPC servicer with what it leaves out: autonaming, partial creations, plain error messages."""

import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2, status_pb2

from .check import Naming
from .errors import PartlyCreatedError, ProviderError
from .provider import NAMING
from .values import wrapped_map

_NAMING_MODES = ("propose", "enforce", "disable")
_DETAILS = "grpc-status-details-bin"


class DockerServicer(ProviderServicer):
    """Hands on what the SDK's requests and responses have no place for."""

    async def Configure(self, request: Any, context: Any) -> Any:
        """Says that names may come from the engine."""
        answer = await super().Configure(request, context)
        answer.supports_autonaming_configuration = True
        return answer

    async def Check(self, request: Any, context: Any) -> Any:
        """Keeps the engine's proposal of a name for the provider's `check`."""
        if request.HasField("autonaming"):
            mode: int = request.autonaming.mode
            NAMING.set(Naming(_NAMING_MODES[mode], request.autonaming.proposed_name))
        return await super().Check(request, context)


class ErrorTelling(grpc.aio.ServerInterceptor):
    """Sends the engine an error's message alone, and a partial creation with its state."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """Wraps the method of one call."""
        handler = await continuation(handler_call_details)
        if not (handler and handler.unary_unary):
            return handler

        async def method(request: Any, context: Any) -> Any:
            try:
                return await handler.unary_unary(request, context)
            except Exception as error:
                await context.abort(_code(error), _message(error), _details(error))

        return grpc.unary_unary_rpc_method_handler(
            method, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


def _code(error: Exception) -> grpc.StatusCode:
    if isinstance(error, NotImplementedError):
        return grpc.StatusCode.UNIMPLEMENTED  # the engine then does without the method
    return grpc.StatusCode.UNKNOWN if isinstance(error, ProviderError) else grpc.StatusCode.INTERNAL


def _message(error: Exception) -> str:
    if isinstance(error, ProviderError):
        return str(error)
    if isinstance(error, NotImplementedError):
        return f"the air-gapped kit's Docker provider does not implement this: {error}"
    # Not the exception's text: it may hold a property's value.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    return f"the air-gapped kit's Docker provider has a fault: {where}"


def _details(error: Exception) -> tuple[tuple[str, bytes], ...]:
    """What tells the engine that a resource exists but failed to become what was asked."""
    if not isinstance(error, PartlyCreatedError):
        return ()
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id,
        properties=PropertyValue.marshal_map(wrapped_map(error.outputs)),
        reasons=[str(error)],
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    return ((_DETAILS, status.SerializeToString()),)
