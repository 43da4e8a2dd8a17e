"""What a stack may say of who becomes the writer: one node for good, or one that LiteFS elects through Consul."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from config.durations import Duration, shown
from config.model import Model, refusal

LeaseType = Literal["static", "consul"]

OWN_MINIMUM_TTL = timedelta(seconds=2)
"""`session_ttl_min` of the stack's own Consul."""

_OWN_TTL = timedelta(seconds=3)
_CONSULS_MINIMUM_TTL = timedelta(seconds=10)
"""`session_ttl_min` of a Consul that was not told another (1.21)."""

_LONGEST_TTL = timedelta(minutes=1)


def _address(value: str) -> str:
    if "@" in value:
        raise refusal("must not carry a token (it would stand in clear text): set the secret consulToken")
    # A path is put before the lease's key. (An IPv6 address would have to be a name: the supervisor asks IPv4's DNS.)
    match = re.fullmatch(r"https?://[A-Za-z0-9.-]+(:([0-9]{1,5}))?(/[A-Za-z0-9_./-]*)?", value)
    if match is None or not 0 < int(match[2] or 1) < 2**16:
        raise refusal("must be the URL of a Consul server or agent, such as http://consul.example.org:8500")
    return value.rstrip("/")


def _lock_delay(time: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= time <= _LONGEST_TTL:
        raise refusal(f"must be at least 1s and at most {shown(_LONGEST_TTL)}")
    return time


class ConsulSettings(Model):
    """Where the lease is kept."""

    address: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None, description="URL of a Consul of yours; without it, the stack runs one"
    )
    servers: Literal[1, 3, 5] = Field(
        default=1, description="servers of the stack's own Consul; of three, one may fail"
    )
    ttl: Duration | None = Field(
        default=None,
        validate_default=True,
        description="how long a primary that is not heard of keeps the lease; by default 3s, and 10s with an address",
    )
    lock_delay: Annotated[Duration, AfterValidator(_lock_delay)] = Field(
        default=timedelta(seconds=1), description="pause between the end of a lease and the next"
    )

    @property
    def known_ttl(self) -> timedelta:
        """`ttl`, which has its default by now."""
        return self.ttl or _OWN_TTL

    @field_validator("servers", mode="before")
    @classmethod
    def _number(cls, servers: object) -> object:
        # As text it comes from the command line. Python counts true as 1, and 3.0 as 3.
        text = str(servers)
        return int(text) if text.isascii() and text.isdecimal() else text

    @field_validator("ttl")
    @classmethod
    def _ttl_that_consul_takes(cls, ttl: timedelta | None, info: ValidationInfo) -> timedelta | None:
        own = info.data.get("address") is None
        if ttl is None:
            return _OWN_TTL if own else _CONSULS_MINIMUM_TTL
        least = OWN_MINIMUM_TTL if own else _CONSULS_MINIMUM_TTL
        if ttl < least:
            raise refusal(
                f"must be at least {shown(least)}: Consul refuses a shorter session, and nobody would be the writer"
                + ("" if own else " (its session_ttl_min)")
            )
        if ttl > _LONGEST_TTL:
            raise refusal(f"must be at most {shown(_LONGEST_TTL)}: writes would be away that long when the writer dies")
        return ttl
