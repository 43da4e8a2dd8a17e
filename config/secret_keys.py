"""The config keys that are only ever given as secrets (`pulumi config set --secret`): which there are, when they fit.

They are judged by what the config says, valid or not, so that it is told beside other problems. No message quotes one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from config.problems import Problem

if TYPE_CHECKING:
    from config.certificates import Verdict

_S3_KEYS = {
    "s3AccessKeyId": "key id of the S3 user that the writer uses (reads and writes)",
    "s3SecretAccessKey": "its secret",
    "s3ReaderAccessKeyId": "key id of the S3 user that the readers use (reads only)",
    "s3ReaderSecretAccessKey": "its secret",
}
_TOKENS = {
    "readToken": (
        "read",
        "what clients must send to read, with `access.read: token`; made by the stack where it is not set",
    ),
    "writeToken": ("write", "the same for `access.write: token`"),
}
_CONSUL_TOKEN = {"consulToken": "token of your own Consul (`consul.address`), where it wants one"}
_TLS_KEY = {"tlsKey": "private key of `ingress.tls.certificate`, as PEM text without a passphrase"}

SECRET_KEYS = {**_S3_KEYS, **{key: meaning for key, (_, meaning) in _TOKENS.items()}, **_TLS_KEY, **_CONSUL_TOKEN}
"""Every secret key, and what it is."""

SHORTEST_TOKEN = 20
"""Characters. Seafowl keeps an unsalted SHA-256 of a token, which a short one does not withstand."""


_PRINTABLE = "must be of printable characters without spaces"


def problems(
    config: Mapping[str, Any], secrets: Mapping[str, str], namespace: str, is_secret: Callable[[str], bool]
) -> list[Problem]:
    """What is wrong with `secrets` (key → value) beside the rest of the config, as it was parsed.

    `is_secret` tells of a full key, such as `seafowl:tlsKey`, whether it was given encrypted.
    """
    found: list[tuple[str, str]] = []
    hidden: dict[str, str] = {}
    for key, value in secrets.items():
        if is_secret(f"{namespace}:{key}"):
            hidden[key] = value
        else:
            found.append(
                (
                    key,
                    f"stands in clear text in the stack config: take it out of there, make a new one, and set "
                    f"it with `pulumi config set --secret {key}`",
                )
            )
    found += _s3(_object(config, "objectStore"), secrets, hidden)
    found += _tokens(_object(config, "access"), hidden)
    if config.get("lease") != "consul" or _object(config, "consul").get("address") is None:
        found += _unread(_CONSUL_TOKEN, hidden, "lease is not consul with an address of yours")
    elif "consulToken" in hidden and not re.fullmatch(r"[!-~]+", hidden["consulToken"]):
        found.append(("consulToken", f"{_PRINTABLE}: others do not pass in a header"))
    found += _tls(_object(_object(config, "ingress"), "tls"), secrets, hidden)
    return [Problem(f"{namespace}:{key}", reason) for key, reason in found]


def warnings(config: Mapping[str, Any], secrets: Mapping[str, str], namespace: str) -> list[str]:
    """What works, and clients will not like."""
    certificate = _object(_object(config, "ingress"), "tls").get("certificate")
    if not isinstance(certificate, str) or "tlsKey" not in secrets:
        return []
    warning = _verdict(certificate, secrets["tlsKey"]).warning
    return [f"{namespace}:ingress.tls.certificate {warning}"] if warning else []


def _object(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _unread(keys: Iterable[str], hidden: Mapping[str, str], why: str) -> list[tuple[str, str]]:
    return [(key, f"is set, but {why}: nothing would read it. Remove it") for key in keys if key in hidden]


def _s3(store: Mapping[str, Any], secrets: Mapping[str, str], hidden: Mapping[str, str]) -> list[tuple[str, str]]:
    if "s3" not in store:
        return _unread(_S3_KEYS, hidden, "objectStore names no s3")
    missing = [
        (key, f"is missing: objectStore.s3 needs the {meaning}. Set it with `pulumi config set --secret {key}`")
        for key, meaning in _S3_KEYS.items()
        if key not in secrets
    ]
    return missing + [
        (key, f"{_PRINTABLE}: others are in no key of an S3 service")
        for key in _S3_KEYS
        if key in hidden and not re.fullmatch(r"[!-~]+", hidden[key])
    ]


def _tokens(access: Mapping[str, Any], hidden: Mapping[str, str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, (kind, _) in _TOKENS.items():
        if access.get(kind) != "token":
            found += _unread([key], hidden, f"access.{kind} is not token")
        elif key in hidden and len(hidden[key]) < SHORTEST_TOKEN:
            found.append(
                (
                    key,
                    f"is too short: a token must have at least {SHORTEST_TOKEN} characters, or it can be "
                    "guessed from its hash. Leave it out, and the stack makes one",
                )
            )
        # RFC 6750, section 2.1.
        elif key in hidden and not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", hidden[key]):
            found.append((key, "must be of A-Z, a-z, 0-9 and - . _ ~ + /: other characters do not pass in a header"))
    if "readToken" in hidden and hidden.get("writeToken") == hidden["readToken"]:
        found.append(("writeToken", "is the same as readToken: whoever may read could write. Set another"))
    return found


def _tls(tls: Mapping[str, Any], secrets: Mapping[str, str], hidden: Mapping[str, str]) -> list[tuple[str, str]]:
    certificate = tls.get("certificate")
    if certificate is None:
        return _unread(_TLS_KEY, hidden, "ingress.tls has no certificate")
    if "tlsKey" not in secrets:
        return [
            (
                "tlsKey",
                "is missing: ingress.tls.certificate needs its key. Set it with "
                "`pulumi config set --secret tlsKey < key.pem`",
            )
        ]
    if not isinstance(certificate, str):
        return []
    verdict = _verdict(certificate, secrets["tlsKey"])
    found = [("ingress.tls.certificate", verdict.certificate), ("tlsKey", verdict.key)]
    return [(key, reason) for key, reason in found if reason is not None]


def _verdict(certificate: str, key: str) -> "Verdict":
    # Imported only where TLS is asked for: it takes a tenth of a second.
    from config.certificates import judge  # noqa: PLC0415

    return judge(certificate, key, datetime.now(UTC))
