"""The tokens that clients read and write with, where `access` asks for them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.credentials import generated_passwords
from config.ingress_settings import AccessSettings

_READ, _WRITE = "readToken", "writeToken"


@dataclass(frozen=True)
class AccessTokens:
    """Secret outputs; None where no token is needed."""

    read: pulumi.Output[str] | None
    write: pulumi.Output[str] | None

    @property
    def outputs(self) -> dict[str, pulumi.Output[str]]:
        """The stack outputs that hand the tokens on: `readToken`, `writeToken`."""
        tokens = {_READ: self.read, _WRITE: self.write}
        return {key: token for key, token in tokens.items() if token is not None}


def access_tokens(access: AccessSettings, secrets: Mapping[str, pulumi.Output[str]]) -> AccessTokens:
    """The tokens that `access` needs: those that are in `secrets`, and made ones for the rest."""
    needed = [key for key, kind in ((_READ, access.read), (_WRITE, access.write)) if kind == "token"]
    made: dict[str, pulumi.Output[str]] = {}
    if any(key not in secrets for key in needed):
        # Both, so that a second one that is asked for later changes nothing of the first.
        made = generated_passwords("access-tokens", (_READ, _WRITE), access.token_generation, parent=None)
    tokens = {key: secrets.get(key, made.get(key)) for key in needed}
    return AccessTokens(read=tokens.get(_READ), write=tokens.get(_WRITE))
