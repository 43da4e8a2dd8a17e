"""Who may read and write: the original's rules (src/auth.rs), on the settings `any`, `off` or a password's hash."""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from hmac import compare_digest

from .errors import ApiError

ANY = "any"
OFF = "off"
BEARER_PREFIX = "Bearer "


class Principal(Enum):
    """What a request's token makes of its sender."""

    ANONYMOUS = "anonymous"
    READER = "reader"
    WRITER = "writer"


def hex_hash(text: str) -> str:
    """SHA-256 of the text in UTF-8, as lowercase hex."""
    return sha256(text.encode()).hexdigest()


def is_password(setting: str) -> bool:
    """Whether an access setting is a password's hash."""
    return setting not in (ANY, OFF)


@dataclass(frozen=True)
class AccessPolicy:
    """`read` and `write` are each `any`, `off` or the lowercase SHA-256 hex of a password."""

    read: str = ANY
    write: str = OFF

    def __str__(self) -> str:
        """Both settings for a log, without a hash."""
        labels = ["password" if is_password(setting) else setting for setting in (self.read, self.write)]
        return f"read {labels[0]}, write {labels[1]}"

    def principal(self, authorization: str | None) -> Principal:
        """The sender of a request with this Authorization header; raises ApiError 400 or 401."""
        if authorization is None:
            if ANY not in (self.read, self.write):
                raise ApiError(401, "NEED_ACCESS_TOKEN")
            return Principal.ANONYMOUS
        if not authorization.startswith(BEARER_PREFIX):
            raise ApiError(401, "INVALID_AUTHORIZATION_HEADER")
        if not is_password(self.read) and not is_password(self.write):
            raise ApiError(400, "USELESS_ACCESS_TOKEN")
        digest = hex_hash(authorization.removeprefix(BEARER_PREFIX))
        if is_password(self.write) and compare_digest(digest, self.write):
            return Principal.WRITER
        if is_password(self.read) and compare_digest(digest, self.read):
            return Principal.READER
        raise ApiError(401, "INVALID_ACCESS_TOKEN")

    def may_read(self, principal: Principal) -> bool:
        """Whether this sender may run statements that only read."""
        return principal is not Principal.ANONYMOUS or self.read == ANY

    def may_write(self, principal: Principal) -> bool:
        """Whether this sender may run statements that write."""
        return principal is Principal.WRITER or self.write == ANY
