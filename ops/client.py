"""Requests to the running stack, with its tokens and its own certificate."""

import hashlib
import json
import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from ops.running import RunningStack, pulumi


class _Pinned(HTTPAdapter):
    """Trusts one certificate, whatever name it is for: the ingress is asked by its address."""

    def __init__(self, certificate: str) -> None:
        self._fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(certificate))).hexdigest()
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool of connections."""
        super().init_poolmanager(  # pyright: ignore[reportUnknownMemberType]
            *arguments, assert_fingerprint=self._fingerprint, cert_reqs="CERT_NONE", **options
        )


def _first(chain: str) -> str:
    end = "-----END CERTIFICATE-----"
    return chain.partition(end)[0] + end


class Client:
    """Sessions that may read, and write, through the ingress of a stack."""

    def __init__(self, stack: RunningStack) -> None:
        """Raises `ClusterError` where pulumi does not hand out the tokens."""
        self._certificate: str | None = stack.outputs.get("certificate")
        hidden: dict[str, str] = {}
        if {"readToken", "writeToken"} & stack.outputs.keys():
            hidden = json.loads(pulumi("stack", "output", "--json", "--show-secrets"))
        self.read_url: str = stack.outputs["queryUrl"]
        """Where queries are asked: `…/q`."""
        self.write_url: str = stack.outputs["writeUrl"].removesuffix("/q")
        """What writes begin with: `…/w`."""
        self.reads = self._session(hidden.get("readToken"))
        self.writes = self._session(hidden.get("writeToken"))

    def _session(self, token: str | None) -> requests.Session:
        session = requests.Session()
        # Nothing between us and the ingress: a proxy of the environment does not know its address.
        session.trust_env = False
        if token is not None:
            session.headers["Authorization"] = f"Bearer {token}"
        if self._certificate is not None:
            session.mount("https://", _Pinned(self._certificate))
            session.verify = False
        return session
