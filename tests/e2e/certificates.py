"""Certificates that are refused, and such that are not: of every kind that a user may have."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
_EDWARDS = (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM text."""

    certificate: str
    key: str


def made(key: Any, since: timedelta = -_DAY, until: timedelta = 30 * _DAY, name: str = "test") -> Pair:
    """A self-signed pair with a private key, valid from `since` to `until`, as seen from now."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .sign(key, None if isinstance(key, _EDWARDS) else hashes.SHA256())
    )
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def weak_certificate() -> dict[str, str]:
    """A good pair with an authority's certificate behind it that OpenSSL refuses to serve: its key has 1024 bits.

    `certificate` and `key`, both PEM. The program judges the first certificate alone.
    """
    good, weak = made(ec.generate_private_key(ec.SECP256R1())), made(rsa.generate_private_key(65537, 1024))
    return {"certificate": good.certificate + weak.certificate, "key": good.key}


def pairs() -> list[Pair]:
    """A pair of every kind, good or bad; without a bad authority behind a good certificate, which NGINX judges."""
    p256 = partial(ec.generate_private_key, ec.SECP256R1())
    keys: list[Callable[[], Any]] = [
        p256,
        partial(ec.generate_private_key, ec.SECP521R1()),
        partial(ec.generate_private_key, ec.SECP256K1()),
        partial(ec.generate_private_key, ec.SECP192R1()),
        partial(ec.generate_private_key, ec.BrainpoolP256R1()),
        ed25519.Ed25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
        partial(rsa.generate_private_key, 65537, 1024),
        partial(rsa.generate_private_key, 65537, 2048),
        partial(dsa.generate_private_key, 2048),
    ]
    found = [made(key()) for key in keys]
    found += [made(p256(), -9 * _DAY, -_DAY), made(p256(), _DAY, 9 * _DAY)]
    good, other = made(p256()), made(p256())
    found.append(good)
    windows = good.certificate.replace("\n", "\r\n")
    for certificate in (
        good.certificate + other.certificate,
        other.certificate + good.certificate,
        windows,
        f"\ufeff{good.certificate}",
        f"Bag Attributes\n    friendlyName: é\n{good.certificate}",
        f"{good.certificate}\n# the end",
        good.certificate.rstrip("\n"),
        good.certificate.replace("\n", "\n\n", 1),
        *_mangled(good.certificate),
        good.certificate.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        good.certificate + good.key,
        good.certificate[:200],
        good.certificate + good.certificate[:200],
        f"{good.certificate}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ):
        found.append(Pair(certificate, good.key))
    for key in (
        good.key.rstrip("\n"),
        good.key.replace("\n", "\r\n"),
        f"\ufeff{good.key}",
        good.key * 2,
        *_mangled(good.key),
        f"x\n{good.key}",
    ):
        found.append(Pair(good.certificate, key))
    found += [
        Pair(good.certificate, f"{other.key}{good.key}"),
        Pair(good.certificate, f"{good.key}{other.certificate}"),
    ]
    return found


def _mangled(pem: str) -> list[str]:
    """What becomes of a PEM text on its way through forms, variables and folded YAML."""
    begin, *body, end = pem.strip().splitlines()
    return [
        pem.replace("\n", " "),
        pem.replace("\n", "\\n"),
        pem.replace("\n", "\n  "),
        pem.replace("\n", " \n"),
        f"{begin}\n{''.join(body)}\n{end}\n",
        f"{begin}\n{' '.join(body)}\n{end}\n",
        f"{begin}{''.join(body)}{end}",
        f" {pem}",
        f'"{pem}"',
    ]
