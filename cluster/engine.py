"""The Docker Engine that the stack is deployed to."""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Self, cast

_TIMEOUT_SECONDS = 20

COMMAND_SECONDS = 10
"""Seconds that a command in a container may take."""


class ClusterError(Exception):
    """Something about the Docker host or the running cluster is not as it must be; the text says what to do."""


@dataclass(frozen=True)
class DockerHost:
    """The Docker Engine that the stack is deployed to: the one that the provider uses."""

    url: str
    """`unix://…`, `tcp://host:port` or `ssh://user@host[:port]`."""

    cert_path: str | None = None
    """Folder with ca.pem, cert.pem and key.pem of a TLS-protected `tcp://` host."""


def no_engine(host: DockerHost, error: Exception) -> ClusterError:
    """That no Engine answers at `host`, because of `error`."""
    return ClusterError(
        f"No Docker Engine answers at {host.url}: {_brief(error)}. Nothing was changed. Start it "
        "(`systemctl start docker`, or `make docker`), or name another host with "
        "`pulumi config set docker:host …`."
    )


def docker_host(url: str | None, cert_path: str | None) -> DockerHost:
    """The host that `docker:host` and `docker:certPath` name; without them as the provider finds it, by environment."""
    return DockerHost(
        url=url or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock",
        cert_path=cert_path or os.environ.get("DOCKER_CERT_PATH") or None,
    )


class Engine:
    """The Docker Engine at a host, with what this program asks of it. Use it as a context manager.

    Containers are as the Engine's API describes them (`GET /containers/json`, `GET /containers/<id>/json`).
    """

    def __init__(self, host: DockerHost) -> None:
        """Connect. Raises `ClusterError` where no Engine answers."""
        self._url = host.url
        # Imported here: a fifth of a second that only a look at Docker should pay for, not every import of this module.
        if not host.url.startswith("ssh://"):
            # The library imports its ssh client wherever that is installed: a third of its import, for nothing.
            sys.modules.setdefault("paramiko", cast(Any, None))
        import docker  # noqa: PLC0415
        from docker.errors import DockerException  # noqa: PLC0415

        try:
            # The typing of this library is partial; what comes out of it is typed by the methods below.
            self._api: Any = docker.DockerClient(**_client_options(host)).api
            self._api.ping()
        except (DockerException, OSError, ValueError) as error:
            raise no_engine(host, error) from None

    def __enter__(self) -> Self:
        """The Engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._api.close()

    def about(self) -> dict[str, Any]:
        """What the Engine says of itself and its host (`GET /info`): ID, NCPU, KernelVersion, …"""
        with self._answering():
            return self._api.info()

    def containers(self, every: bool = False, **filters: str | list[str]) -> list[dict[str, Any]]:
        """The running containers that `filters` let through; with `every`, the stopped ones too."""
        with self._answering():
            return self._api.containers(all=every, filters=filters)

    def networks(self) -> list[dict[str, Any]]:
        """All networks."""
        with self._answering():
            return self._api.networks()

    def volumes(self) -> list[dict[str, Any]]:
        """All volumes."""
        with self._answering():
            return self._api.volumes().get("Volumes") or []

    def remove_container(self, container_id: str, grace_seconds: int) -> None:
        """Stop a container, in so many seconds, and remove it; it may be gone already."""
        from docker.errors import NotFound  # noqa: PLC0415

        with self._answering(), suppress(NotFound):
            self._api.stop(container_id, timeout=grace_seconds)
            self._api.remove_container(container_id, v=True, force=True)

    def remove_network(self, network_id: str) -> None:
        """Remove a network that nothing is connected to; it may be gone already."""
        from docker.errors import NotFound  # noqa: PLC0415

        with self._answering(), suppress(NotFound):
            self._api.remove_network(network_id)

    def remove_volume(self, name: str) -> None:
        """Remove a volume that nothing uses; it may be gone already."""
        from docker.errors import NotFound  # noqa: PLC0415

        with self._answering(), suppress(NotFound):
            self._api.remove_volume(name)

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        """All about one container; None if it is gone."""
        from docker.errors import NotFound  # noqa: PLC0415

        with self._answering():
            try:
                return self._api.inspect_container(container_id)
            except NotFound:
                return None

    def run(self, container_id: str, command: list[str]) -> tuple[int, str] | None:
        """Run `command` in a running container: its exit code and output. None if the container was not running.

        It is ended after `COMMAND_SECONDS`, with exit code 124: the Engine itself would wait for ever.
        """
        from docker.errors import APIError  # noqa: PLC0415

        with self._answering():
            try:
                execution = self._api.exec_create(container_id, ["timeout", str(COMMAND_SECONDS), *command])
                output: bytes = self._api.exec_start(execution["Id"])
                return self._api.exec_inspect(execution["Id"])["ExitCode"], output.decode(errors="replace")
            except APIError:
                return None

    def follow(self, container_id: str, command: list[str], said: Callable[[str], None]) -> int | None:
        """Run `command` in a running container for as long as it takes, and pass on its lines as they come.

        Returns its exit code; None if the container was not running.
        """
        from docker.errors import APIError  # noqa: PLC0415

        with self._answering():
            try:
                execution = self._api.exec_create(container_id, command)
                rest = ""
                for piece in self._api.exec_start(execution["Id"], stream=True):
                    *lines, rest = (rest + piece.decode(errors="replace")).split("\n")
                    for line in lines:
                        said(line)
                if rest:
                    said(rest)
                return self._api.exec_inspect(execution["Id"])["ExitCode"]
            except APIError:
                return None

    def start(self, container_id: str) -> None:
        """Start a container that is stopped."""
        with self._answering():
            self._api.start(container_id)

    def files(self, container_id: str, path: str, into: IO[bytes]) -> bool:
        """Write a file or folder of a container, running or not, to `into`, a tar archive. False where it has none."""
        from docker.errors import NotFound  # noqa: PLC0415

        with self._answering():
            try:
                chunks, _ = self._api.get_archive(container_id, path)
            except NotFound:
                return False
            for chunk in chunks:
                into.write(chunk)
        return True

    def put_files(self, container_id: str, path: str, archive: IO[bytes]) -> None:
        """Unpack a tar archive in a folder of a container, running or not."""
        with self._answering():
            self._api.put_archive(container_id, path, archive)

    def memory(self, container_id: str) -> int:
        """Bytes that a running container uses, without the page cache that the kernel can take back."""
        with self._answering():
            memory: dict[str, Any] = self._api.stats(container_id, stream=False, one_shot=True)["memory_stats"]
        details: dict[str, int] = memory.get("stats", {})
        cache = details.get("inactive_file", details.get("total_inactive_file", 0))
        return max(memory.get("usage", 0) - cache, 0)

    def log_lines(self, container_id: str, count: int) -> list[str]:
        """The last `count` lines that a container logged; none if it is gone."""
        from docker.errors import NotFound  # noqa: PLC0415

        with self._answering():
            try:
                text: bytes = self._api.logs(container_id, tail=count)
            except NotFound:
                return []
        return text.decode(errors="replace").splitlines()

    @contextmanager
    def _answering(self) -> Generator[None]:
        """Turns the libraries' errors of an Engine that went away, or that refuses, into one that says so."""
        from docker.errors import DockerException  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415

        try:
            yield
        except (DockerException, RequestException) as error:
            raise ClusterError(
                f"The Docker Engine at {self._url} did not answer: {_brief(error)}. What runs keeps running; "
                "run the same command again when it does."
            ) from None


def _client_options(host: DockerHost) -> dict[str, Any]:
    # ssh:// goes through the library's own client, which reads ~/.ssh as the program does: starting the program would
    # fork this process, and gRPC, which talks to pulumi in it, does not survive that.
    options: dict[str, Any] = {"base_url": host.url, "timeout": _TIMEOUT_SECONDS}
    if host.cert_path is not None and host.url.startswith("tcp://"):
        from docker.tls import TLSConfig  # noqa: PLC0415

        folder = host.cert_path
        options["tls"] = TLSConfig(
            client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=True
        )
    return options


def _brief(error: Exception) -> str:
    """The innermost cause, without the chain of wrappers that the libraries put round it."""
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    return str(cause) or type(cause).__name__
