"""The Docker Engine that the provider's configuration names: a cheap ping at once, a client only when one is needed."""

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .docker_library import docker, failures
from .errors import ProviderError

DEFAULT_HOST = "unix:///var/run/docker.sock"
CONFIG_KEYS = frozenset({"host", "certPath", "disableDockerDaemonCheck", "version"})
"""The provider's own config keys that are implemented; `version` is the engine's."""

_CALL_TIMEOUT_SECONDS = 600
_PING_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Settings:
    """Where the Engine is and how to reach it (the provider's own config keys)."""

    host: str
    cert_path: str = ""
    """A folder with ca.pem, cert.pem and key.pem; TLS is used when there is one."""
    daemon_check: bool = True


def settings(args: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """The settings from the provider's config, else from the environment as Docker's own client reads it."""
    host = str(args.get("host") or environment.get("DOCKER_HOST") or DEFAULT_HOST)
    cert_path = str(args.get("certPath") or environment.get("DOCKER_CERT_PATH") or "")
    return Settings(
        host=host,
        cert_path=cert_path if host.startswith("tcp://") else "",
        daemon_check=str(args.get("disableDockerDaemonCheck", False)).lower() != "true",
    )


class Engine:
    """A Docker Engine; `api` is docker's low-level client, made when it is first asked for."""

    def __init__(self, where: Settings) -> None:
        """Connects to nothing yet."""
        self.settings = where
        self._lock = threading.Lock()
        self._api: Any = None

    def ping(self) -> None:
        """Raises ProviderError when nothing answers, as the original does when it is configured."""
        address = urlsplit(self.settings.host)
        try:
            if address.scheme == "ssh" or self.settings.cert_path:
                self.api.ping()
            else:
                _ping(address)
        except failures() as error:
            raise ProviderError(self._unreachable(error)) from error

    @property
    def api(self) -> Any:
        """The client (docker.APIClient). Importing it takes longer than the rest of the provider together."""
        with self._lock:
            if self._api is None:
                self._api = self._connect()
            return self._api

    def _connect(self) -> Any:
        library = docker()
        try:
            return library.APIClient(
                base_url=self.settings.host,
                version="auto",
                timeout=_CALL_TIMEOUT_SECONDS,
                tls=_tls(self.settings.cert_path) if self.settings.cert_path else False,
                use_ssh_client=self.settings.host.startswith("ssh://"),
            )
        except failures() as error:
            raise ProviderError(self._unreachable(error)) from error

    def _unreachable(self, error: Exception) -> str:
        return (
            f"error pinging Docker server at {self.settings.host}: {error}; "
            "start Docker, or set docker:host (or DOCKER_HOST) to the Engine to use"
        )


def _ping(address: SplitResult) -> None:
    """One request by hand: docker's client would have to be imported first."""
    if address.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_PING_TIMEOUT_SECONDS)
        connection.connect(address.path)
    elif address.scheme in {"tcp", "http"} and address.hostname:
        connection = socket.create_connection((address.hostname, address.port or 2375), _PING_TIMEOUT_SECONDS)
    else:
        raise ProviderError(
            f"docker:host is {address.geturl()}: write unix:///path, tcp://host:port or ssh://user@host"
        )
    with connection:
        connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        answer = connection.recv(64)
    if b" 200 " not in answer:
        raise OSError("it does not answer as a Docker Engine does")


def _tls(cert_path: str) -> Any:
    folder = Path(cert_path)
    return docker().tls.TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        ca_cert=str(folder / "ca.pem"),
        verify=True,
    )
