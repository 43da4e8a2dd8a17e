"""Certificates for tests: real ones, made here."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM text."""

    certificate: str
    key: str


def pair(
    name: str = "db.example.org",
    *,
    since: datetime = NOW - DAY,
    until: datetime = NOW + 30 * DAY,
    key: Key | None = None,
) -> Pair:
    """A pair that is valid from `since` to `until`, of a new P-256 key unless there is one."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), pem(key))


def expired() -> Pair:
    """A pair whose certificate was valid until the first of March 2020."""
    until = datetime(2020, 3, 1, tzinfo=UTC)
    return pair(since=until - DAY, until=until)


def pem(key: Key, passphrase: bytes | None = None, *, old: bool = False) -> str:
    """`key` as PEM text, encrypted where there is a passphrase; `old`: in the format of OpenSSL 0.9."""
    kind = serialization.PrivateFormat.TraditionalOpenSSL if old else serialization.PrivateFormat.PKCS8
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        how = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, kind, how).decode()
