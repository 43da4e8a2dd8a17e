"""What a stack may say of its ingress, and of who may read and write through it."""

import ipaddress
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field, ValidationInfo, field_validator, model_validator

from config.durations import Duration, shown
from config.model import UNDERSTANDS_OFF, Model, WholeNumber, refusal
from config.sizes import MIB, Size, whole_mib

MAX_UPLOAD = 1024 * 1024 * MIB
"""Bytes: the limit that Seafowl itself has, so that a smaller one at the ingress needs no restart of the writer."""

Access = Literal["any", "token", "off"]


def _ip_address(value: str) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        address = None
    # A scope (fe80::1%eth0) names an interface, and a mapped IPv4 address a family: Docker takes neither.
    if address is None or (isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped)):
        raise refusal(
            "must be an IP address of the Docker host: 127.0.0.1 (this host only), 0.0.0.0 (every interface), …"
        )
    return str(address)


def _upload_limit(size: ByteSize) -> ByteSize:
    if size > MAX_UPLOAD:
        raise refusal(f"must be at most {whole_mib(MAX_UPLOAD)}MiB (1TiB): Seafowl takes no larger upload")
    return size


def _between(least: timedelta, most: timedelta) -> AfterValidator:
    def check(time: timedelta) -> timedelta:
        if not least <= time <= most:
            raise refusal(f"must be at least {shown(least)} and at most {shown(most)}")
        return time

    return AfterValidator(check)


def _whole_seconds(time: timedelta) -> timedelta:
    if time % timedelta(seconds=1):
        raise refusal("must be of whole seconds, such as 2s: HTTP counts the age of an answer in these")
    return time


WholeSeconds = Annotated[Duration, AfterValidator(_whole_seconds)]
Timeout = Annotated[Duration, _between(timedelta(seconds=1), timedelta(hours=24))]
Port = Annotated[WholeNumber, Field(ge=1, le=65535)]


class CacheSettings(Model):
    """How long NGINX may keep the answers of `GET /q/…`."""

    ttl: WholeSeconds = Field(
        default=timedelta(seconds=1),
        description="how old a kept answer of `GET /q/…` may be, give or take the second that is needed to ask anew; "
        "`0s`: nothing is kept",
    )
    stale_when_down: WholeSeconds = Field(
        default=timedelta(seconds=10),
        description="how much longer an answer is given, marked `X-Cache: STALE`, while no reader answers",
    )
    size: Size = Field(default=ByteSize(256 * MIB), description="disk space of the kept answers")


class ClientLimitSettings(Model):
    """Limits of one client (IP address); what is left out is not limited. Over one the answer is 429."""

    requests_per_second: Annotated[WholeNumber, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="requests of one client address per second; 429 over it"
    )
    burst: Annotated[WholeNumber, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="requests of one client that may come at once, above the rate; by default those of one second",
    )
    # NGINX takes no larger limit.
    connections: Annotated[WholeNumber, Field(ge=1, le=65535)] | None = Field(
        default=None, description="requests of one client address at the same time; 429 over it"
    )

    @field_validator("burst")
    @classmethod
    def _burst_of_a_rate(cls, burst: int | None, info: ValidationInfo) -> int | None:
        if burst is not None and "requests_per_second" in info.data and info.data["requests_per_second"] is None:
            raise refusal("does nothing without requestsPerSecond: set that too, or remove it")
        return burst


class TlsSettings(Model):
    """HTTPS at the ingress. The certificate's key is a secret of its own: `tlsKey`."""

    certificate: str | None = Field(
        default=None,
        description="certificate and its chain, as PEM text; its key is the secret `tlsKey`",
    )
    self_signed: bool = Field(
        default=False, description="make a certificate that no client knows, for trying things out"
    )
    redirect_port: Port | None = Field(
        default=None, description="a second port, such as 80, whose HTTP requests are sent on to HTTPS"
    )

    @model_validator(mode="after")
    def _one_certificate(self) -> "TlsSettings":
        if (self.certificate is None) == (not self.self_signed):
            raise refusal(
                "must have either certificate (and the secret tlsKey) or selfSigned: HTTPS needs one certificate"
            )
        return self


class IngressSettings(Model):
    """Where the cluster is reached, and how requests are passed on."""

    bind_address: Annotated[str, AfterValidator(_ip_address)] = Field(
        default="127.0.0.1", description="address of the Docker host that the ingress listens on"
    )
    port: Port = Field(default=8080, description="port of the Docker host that the ingress listens on")
    tls: TlsSettings | None = Field(default=None, description="HTTPS instead of HTTP")
    upload_limit: Annotated[Size, AfterValidator(_upload_limit)] = Field(
        default=ByteSize(256 * MIB), description="largest body of an upload or a write, in whole MiB; 413 over it"
    )
    read_timeout: Timeout = Field(
        default=timedelta(seconds=60),
        description="longest silence of a reader: a query that takes longer gets 504, a reader that hangs is left for "
        "another",
    )
    write_timeout: Timeout = Field(
        default=timedelta(minutes=5), description="longest silence of the writer; 502 after it"
    )
    retry_interval: Annotated[WholeSeconds, _between(timedelta(seconds=1), timedelta(minutes=1))] = Field(
        default=timedelta(seconds=2),
        description="how long a reader that did not answer is left alone before it is tried again",
    )
    cache: CacheSettings = Field(default=CacheSettings(), description="cache of repeated queries")
    limits: ClientLimitSettings = Field(default=ClientLimitSettings(), description="limits per client")

    @field_validator("tls")
    @classmethod
    def _two_ports(cls, tls: TlsSettings | None, info: ValidationInfo) -> TlsSettings | None:
        if tls is not None and tls.redirect_port is not None and tls.redirect_port == info.data.get("port"):
            raise refusal("cannot send its own port on: redirectPort must differ from ingress.port")
        return tls


class AccessSettings(Model):
    """Who may read and write, as Seafowl checks it."""

    read: Annotated[Access, UNDERSTANDS_OFF] = Field(
        default="any",
        description="`any`: whoever reaches the ingress; `token`: who has the read token; `off`: nobody",
    )
    write: Annotated[Access, UNDERSTANDS_OFF] = Field(
        default="any",
        description="`any`: whoever reaches the ingress under /w/; `token`: who has the write token; `off`: nobody",
    )
    token_generation: Annotated[WholeNumber, Field(ge=1)] = Field(
        default=1, description="another number makes new tokens, where the stack makes them"
    )
