"""What the stack makes for itself to be trusted by: made once, then kept encrypted in the stack's state."""

import secrets
from collections.abc import Sequence

import pulumi

_ENTROPY_BYTES = 24


def generated_passwords(
    name: str, users: Sequence[str], generation: int, parent: pulumi.Resource | None
) -> dict[str, pulumi.Output[str]]:
    """A password per user, of 32 characters that need no escaping in a URL or a shell.

    Every run offers new ones, and the stash keeps the first: it needs no provider, and `ignore_changes` makes the
    offers of later runs no difference. Each `generation` has a stash of its own, so that a review sees a rotation.
    """
    stash = pulumi.Stash(
        f"{name}-{generation}",
        input=pulumi.Output.secret({user: secrets.token_urlsafe(_ENTROPY_BYTES) for user in users}),
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["input"]),
    )
    return {user: pulumi.Output.secret(stash.output[user]) for user in users}


def self_signed_certificate(
    name: str, address: str, parent: pulumi.Resource
) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """A certificate for `address` and the names of its own host, and its key as a secret; both PEM text.

    Another address has a stash of its own, as it needs another certificate.
    """
    # Imported only where it is asked for: it takes a tenth of a second.
    from config.certificates import self_signed  # noqa: PLC0415

    stash = pulumi.Stash(
        # Colons would be taken for the URN's own.
        f"{name}-{address.replace(':', '-')}",
        input=pulumi.Output.secret(self_signed(address)),
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["input"]),
    )
    certificate = pulumi.Output.unsecret(pulumi.Output.from_input(stash.output["certificate"]))
    return certificate, pulumi.Output.secret(stash.output["key"])
