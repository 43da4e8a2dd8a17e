"""Plays Pulumi's engine for the air-gapped kit's Docker provider: starts its process and calls it."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from airgap.docker_provider import protocol
from airgap.docker_provider.values import plain_map, wire_map

ROOT = Path(__file__).parents[2]
BASE = "docker-provider-test/base:latest"
PROGRAMS = ("sh", "sleep", "cat", "touch", "test", "rm")
RUN = uuid.uuid4().hex[:7]
TYPES = {
    name: f"docker:index/{name[0].lower()}{name[1:]}:{name}"
    for name in ("Container", "Network", "Volume", "RemoteImage", "Image")
}


ENGINE_GRPC: Any = import_module("airgap.docker_provider.protocol.engine_pb2_grpc")


class EngineOfPulumi(ENGINE_GRPC.EngineServicer):
    """Takes the lines that a provider shows."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def Log(self, request: Any, context: Any) -> Any:
        assert request.ephemeral, "the output of a build must not stay in the display"
        self.lines.append(request.message)
        return Empty()


class Provider:
    """Calls a provider's process as the engine does, and removes in the end what it made."""

    def __init__(self, stub: Any, log: EngineOfPulumi) -> None:
        self.stub = stub
        self.log = log
        self.made: list[tuple[str, str, dict[str, Any]]] = []

    def configure(self, **config: Any) -> Any:
        return self.stub.Configure(protocol.provider.ConfigureRequest(args=wire_map(config), acceptSecrets=True))

    def check(self, kind: str, inputs: dict[str, Any]) -> dict[str, Any]:
        request = protocol.provider.CheckRequest(urn=_urn(kind), news=wire_map(inputs), randomSeed=os.urandom(32))
        answer = self.stub.Check(request)
        assert not answer.failures, answer.failures
        return plain_map(answer.inputs)

    def create(self, kind: str, **inputs: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The id, the outputs and the checked inputs."""
        checked = self.check(kind, inputs)
        request = protocol.provider.CreateRequest(urn=_urn(kind), properties=wire_map(checked))
        try:
            answer = self.stub.Create(request)
        except grpc.RpcError as error:
            partial = partly_created(error)
            if partial:
                self.made.append((kind, partial.id, plain_map(partial.properties)))
            raise
        outputs = plain_map(answer.properties)
        self.made.append((kind, answer.id, outputs))
        return answer.id, outputs, checked

    def read(self, kind: str, resource_id: str, state: dict[str, Any], inputs: dict[str, Any]) -> Any:
        return self.stub.Read(
            protocol.provider.ReadRequest(
                urn=_urn(kind), id=resource_id, properties=wire_map(state), inputs=wire_map(inputs)
            )
        )

    def diff(self, kind: str, state: dict[str, Any], inputs: dict[str, Any]) -> Any:
        return self.stub.Diff(
            protocol.provider.DiffRequest(urn=_urn(kind), id="1", olds=wire_map(state), news=wire_map(inputs))
        )

    def update(self, kind: str, resource_id: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        request = protocol.provider.UpdateRequest(
            urn=_urn(kind), id=resource_id, olds=wire_map(state), news=wire_map(inputs)
        )
        return plain_map(self.stub.Update(request).properties)

    def delete(self, kind: str, resource_id: str, state: dict[str, Any]) -> None:
        self.stub.Delete(protocol.provider.DeleteRequest(urn=_urn(kind), id=resource_id, properties=wire_map(state)))

    def remove_all(self) -> None:
        for made in reversed(self.made):
            self.delete(*made)


def _urn(kind: str) -> str:
    return f"urn:pulumi:test::test::seafowl:index:Parent${TYPES[kind]}::dptest-{RUN}"


def partly_created(error: grpc.RpcError) -> Any:
    """The resource that a failed creation leaves in the state."""
    details: Any = error
    for key, value in details.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            partial = protocol.provider.ErrorResourceInitFailed()
            protocol.status.Status.FromString(value).details[0].Unpack(partial)
            return partial
    return None


def message(error: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    details: Any = error.value
    return details.details()


def import_shell_image(api: Any) -> str:
    """Makes the image BASE of this machine's shell and the libraries that it needs; gives the image's id."""
    files: dict[str, Path] = {}
    for program in PROGRAMS:
        path = str(shutil.which(program))
        linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        files |= {library: Path(library).resolve() for library in re.findall(r"(/\S+) \(0x", linked)}
        files[f"/bin/{program}"] = Path(path).resolve()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for inside, path in files.items():
            tar.add(path, arcname=inside)
        for folder in ("etc", "tmp"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
    answer = api.import_image_from_data(buffer.getvalue(), repository=BASE.partition(":")[0], tag="latest")
    return json.loads(answer)["status"]


class Starter:
    """Starts provider processes, from a folder that is not the project's."""

    def __init__(self, address: str, log: EngineOfPulumi) -> None:
        self.address = address
        self.log = log
        self.processes: list[subprocess.Popen[str]] = []

    def __call__(self) -> Provider:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "airgap.docker_provider", "--logtostderr", self.address],
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.processes.append(process)
        assert process.stdout is not None
        channel = grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}")
        return Provider(protocol.provider_grpc.ResourceProviderStub(channel), self.log)


@contextmanager
def starter() -> Iterator[Starter]:
    """A Starter with an engine to show lines to; in the end every process must stop when it is told to."""
    engine = grpc.server(ThreadPoolExecutor(4))
    log = EngineOfPulumi()
    ENGINE_GRPC.add_EngineServicer_to_server(log, engine)
    port = engine.add_insecure_port("127.0.0.1:0")
    engine.start()
    started = Starter(f"127.0.0.1:{port}", log)
    try:
        yield started
    finally:
        for process in started.processes:
            process.terminate()
        assert [process.wait(20) for process in started.processes] == [0] * len(started.processes)
        engine.stop(0)
