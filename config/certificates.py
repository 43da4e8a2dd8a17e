"""TLS certificates: whether one works with its key, and self-signed ones. Imported only where TLS is asked for."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID

_SELF_SIGNED_DAYS = 825
"""What clients accept at most of a certificate that was not made by a public authority (macOS, iOS)."""


_SHORTEST_RSA_KEY, _SHORTEST_EC_KEY = 2048, 224
"""Bits."""


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a certificate and its key; nothing where they work."""

    certificate: str | None = None
    key: str | None = None
    warning: str | None = None


def judge(certificate: str, key: str, now: datetime) -> Verdict:
    """See that NGINX could serve `certificate` (PEM, with its chain) with `key` (PEM).

    The texts follow the config key's name, and never quote it. An expired certificate is a warning only: clients
    refuse it, NGINX does not.
    """
    if "PRIVATE KEY-----" in certificate:
        return Verdict(
            certificate="holds a private key, in clear text: take it out of there, make a new pair, and give its key "
            "as the secret tlsKey"
        )
    try:
        leaf = x509.load_pem_x509_certificates(certificate.encode())[0]
        public = leaf.public_key()
    except (ValueError, IndexError):
        return Verdict(
            certificate="is no certificate in PEM: paste the whole file, with its -----BEGIN CERTIFICATE----- lines"
        )
    except UnsupportedAlgorithm:
        return Verdict(certificate="is of a kind of key that clients do not know: use an RSA or a P-256 key")
    # Some programs put a mark before the first line, which NGINX skips at the beginning of a file.
    if not _has_its_lines(certificate.removeprefix("\ufeff")):
        return Verdict(
            certificate="has not the lines of a PEM file, which NGINX goes by: paste the whole file as it is (in YAML "
            "behind `|`), each -----BEGIN and -----END on a line of its own, without spaces before any"
        )
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except TypeError:
        return Verdict(key="is encrypted with a passphrase, which NGINX would ask for: give it without one")
    except (ValueError, UnsupportedAlgorithm):
        return Verdict(key="is no private key in PEM: set it with `pulumi config set --secret tlsKey < key.pem`")
    if not _has_its_lines(key):
        return Verdict(
            key="has not the lines of a PEM file, which NGINX goes by: set it with "
            "`pulumi config set --secret tlsKey < key.pem`"
        )
    if _spki(private.public_key()) != _spki(public):
        return Verdict(
            key="is not the key of the certificate in ingress.tls.certificate: NGINX would refuse the pair. Set both "
            "of one pair (the server's own certificate must be the first in the file)"
        )
    if _is_weak(public):
        return Verdict(
            certificate="has a key that is too short, and NGINX refuses to serve it: use an RSA key of at least 2048 "
            "bits, or a P-256 key"
        )
    return Verdict(warning=_out_of_date(leaf, now))


def _has_its_lines(pem: str) -> bool:
    """Whether a text that is PEM to us is it to OpenSSL, which is stricter: it reads whole lines from their start."""
    inside: str | None = None
    for line in pem.splitlines():
        mark = re.fullmatch(r"-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*", line)
        if mark is None:
            if "-----" in line or (inside is not None and line.startswith((" ", "\t"))):
                return False
        elif mark[1] == "BEGIN" and inside is None:
            inside = mark[2]
        elif mark[1] == "END" and inside == mark[2]:
            inside = None
        else:
            return False
    return inside is None


def _is_weak(key: PublicKeyTypes) -> bool:
    """Whether OpenSSL takes a key for weaker than 112 bits (its security level 2, the default)."""
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        return key.key_size < _SHORTEST_RSA_KEY
    return isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _SHORTEST_EC_KEY


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _out_of_date(leaf: x509.Certificate, now: datetime) -> str | None:
    if now > leaf.not_valid_after_utc:
        return f"has expired on {leaf.not_valid_after_utc:%Y-%m-%d}: clients will refuse it"
    if now < leaf.not_valid_before_utc:
        return f"is valid from {leaf.not_valid_before_utc:%Y-%m-%d} on: clients will refuse it until then"
    return None


def self_signed(address: str) -> dict[str, str]:
    """A certificate for this host's names and `address` (an IP), and its key: `certificate` and `key`, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # A name of its own: clients look for the one to trust by its name, and may have an older one too.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"seafowl {serial:x}")])
    addresses = dict.fromkeys([ipaddress.ip_address(text) for text in ("127.0.0.1", "::1", address)])
    names = [x509.DNSName("localhost"), *(x509.IPAddress(one) for one in addresses)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return {
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }
