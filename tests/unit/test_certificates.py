"""Whether a certificate works with its key, and the certificates that the stack makes for itself."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from config.certificates import Verdict, judge, self_signed
from tests.unit.certificates import DAY, NOW, Key, Pair, expired, pair, pem


@pytest.fixture(scope="module")
def mine() -> Pair:
    """A pair that works."""
    return pair()


def of_openssl(key: str) -> ec.EllipticCurvePrivateKey:
    loaded = serialization.load_pem_private_key(key.encode(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return loaded


def test_a_certificate_with_its_key_works(mine: Pair) -> None:
    assert judge(mine.certificate, mine.key, NOW) == Verdict()


@pytest.mark.parametrize("old", [True, False])
def test_either_format_of_a_key_works(mine: Pair, old: bool) -> None:
    assert judge(mine.certificate, pem(of_openssl(mine.key), old=old), NOW) == Verdict()


def test_what_stands_around_the_pem_text_is_passed_over(mine: Pair) -> None:
    with_notes = f"subject=CN = db.example.org\n\n{mine.certificate}\n\n"
    assert judge(with_notes, f"\n{mine.key}\n", NOW) == Verdict()


def test_a_chain_whose_first_certificate_is_the_servers_works(mine: Pair) -> None:
    chain = mine.certificate + pair("an authority").certificate
    assert judge(chain, mine.key, NOW) == Verdict()


def test_a_chain_in_the_wrong_order_is_refused_with_the_right_one(mine: Pair) -> None:
    chain = pair("an authority").certificate + mine.certificate
    verdict = judge(chain, mine.key, NOW)
    assert verdict.key is not None
    assert "must be the first in the file" in verdict.key


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_the_key_of_another_certificate_is_refused_whatever_its_kind(
    mine: Pair, key: ec.EllipticCurvePrivateKey
) -> None:
    verdict = judge(mine.certificate, pem(key), NOW)
    assert (verdict.certificate, verdict.warning) == (None, None)
    assert verdict.key is not None
    assert verdict.key.startswith("is not the key of the certificate in ingress.tls.certificate")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "/etc/ssl/cert.pem",
        "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n",
        "℀\0",
    ],
)
def test_what_is_no_certificate_is_refused_with_what_to_paste(mine: Pair, text: str) -> None:
    assert judge(text, mine.key, NOW) == Verdict(
        certificate="is no certificate in PEM: paste the whole file, with its -----BEGIN CERTIFICATE----- lines"
    )


def test_a_file_with_certificate_and_key_is_refused_because_config_is_readable(mine: Pair) -> None:
    for text in (mine.key, mine.certificate + mine.key, pem(of_openssl(mine.key), old=True) + mine.certificate):
        verdict = judge(text, mine.key, NOW)
        assert verdict.certificate is not None
        assert "holds a private key, in clear text" in verdict.certificate


def test_a_kind_of_key_that_openssl_does_not_know_is_refused(mine: Pair) -> None:
    # On the curve secp224k1, which no library of the last ten years offers.
    encoded = "MHgCAQAwEAYHKoZIzj0CAQYFK4EEACAEYTBfAgEBBB0A" + "A" * 40
    verdict = judge(mine.certificate, f"-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n", NOW)
    assert verdict.key is not None


@pytest.mark.parametrize(
    "text",
    ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", pair().certificate, "℀\0"],
)
def test_what_is_no_key_is_refused_with_the_command_that_sets_it(mine: Pair, text: str) -> None:
    assert judge(mine.certificate, text, NOW) == Verdict(
        key="is no private key in PEM: set it with `pulumi config set --secret tlsKey < key.pem`"
    )


def without_its_lines(text: str) -> list[str]:
    """What becomes of a PEM text in variables, forms and folded YAML. OpenSSL reads none of these."""
    begin, *body, end = text.splitlines()
    return [
        text.replace("\n", " "),
        text.replace("\n", "\n  "),
        f" {text}",
        f'"{text}"',
        f"{begin}{''.join(body)}{end}",
        text + text[: len(text) // 2],
    ]


def test_a_certificate_without_the_lines_of_its_file_is_refused_because_nginx_goes_by_them(mine: Pair) -> None:
    for text in without_its_lines(mine.certificate):
        verdict = judge(text, mine.key, NOW)
        assert verdict.certificate is not None, text
        assert verdict.certificate.startswith("has not the lines of a PEM file")


def test_a_key_without_the_lines_of_its_file_is_refused_because_nginx_goes_by_them(mine: Pair) -> None:
    for text in (*without_its_lines(mine.key), f"\ufeff{mine.key}"):
        verdict = judge(mine.certificate, text, NOW)
        assert verdict.key is not None, text
        assert "`pulumi config set --secret tlsKey < key.pem`" in verdict.key


def test_lines_that_nginx_reads_all_the_same_are_accepted(mine: Pair) -> None:
    begin, *body, end = mine.certificate.splitlines()
    for text in (
        mine.certificate.replace("\n", "\r\n"),
        mine.certificate.replace("\n", " \n"),
        f"\ufeff{mine.certificate}",
        f"\n\n{mine.certificate}\n\n",
        f"subject=CN = db.example.org\n{mine.certificate}\n# the end",
        f"{begin}\n{''.join(body)}\n{end}",
        mine.certificate.rstrip("\n"),
    ):
        assert judge(text, mine.key.rstrip("\n"), NOW) == Verdict(), text


@pytest.mark.parametrize("old", [True, False])
def test_a_key_with_a_passphrase_is_refused_because_nginx_would_ask_for_it(mine: Pair, old: bool) -> None:
    encrypted = pem(of_openssl(mine.key), b"hunter2", old=old)
    assert judge(mine.certificate, encrypted, NOW) == Verdict(
        key="is encrypted with a passphrase, which NGINX would ask for: give it without one"
    )


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP192R1())], ids=["rsa", "ec"]
)
def test_a_key_that_nginx_does_not_serve_is_refused_before_it_is_asked(key: Key) -> None:
    weak = pair(key=key)
    assert judge(weak.certificate, weak.key, NOW) == Verdict(
        certificate="has a key that is too short, and NGINX refuses to serve it: use an RSA key of at least 2048 bits, "
        "or a P-256 key"
    )


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP224R1())], ids=["rsa", "ec"]
)
def test_the_shortest_keys_that_nginx_serves_are_accepted(key: Key) -> None:
    mine = pair(key=key)
    assert judge(mine.certificate, mine.key, NOW) == Verdict()


def test_an_expired_certificate_is_a_warning_and_not_refused() -> None:
    old = expired()
    assert judge(old.certificate, old.key, NOW) == Verdict(warning="has expired on 2020-03-01: clients will refuse it")


def test_a_certificate_that_is_not_valid_yet_is_a_warning_and_not_refused() -> None:
    since = datetime(2099, 12, 31, tzinfo=UTC)
    early = pair(since=since, until=since + DAY)
    assert judge(early.certificate, early.key, NOW) == Verdict(
        warning="is valid from 2099-12-31 on: clients will refuse it until then"
    )


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_certificate_is_valid_to_its_last_second(seconds: int) -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    one = pair(since=until - DAY, until=until)
    assert judge(one.certificate, one.key, until + timedelta(seconds=seconds)) == Verdict()
    assert judge(one.certificate, one.key, until + timedelta(seconds=1)).warning is not None
    assert judge(one.certificate, one.key, until - DAY) == Verdict(), "from its first one on"


def test_only_the_servers_own_certificate_is_asked_for_its_dates(mine: Pair) -> None:
    assert judge(mine.certificate + expired().certificate, mine.key, NOW).warning is None


# Self-signed


def made(address: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(self_signed(address)["certificate"].encode())


def names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """Its names and its addresses."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName), [str(ip) for ip in found.get_values_for_type(x509.IPAddress)]


@pytest.mark.parametrize(
    ("address", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1", "::1"]),
        ("::1", ["127.0.0.1", "::1"]),
        ("192.0.2.7", ["127.0.0.1", "::1", "192.0.2.7"]),
        ("2001:db8::7", ["127.0.0.1", "::1", "2001:db8::7"]),
    ],
)
def test_a_self_signed_certificate_is_for_its_own_host_and_the_address_that_is_listened_on(
    address: str, addresses: list[str]
) -> None:
    assert names(made(address)) == (["localhost"], [str(ipaddress.ip_address(one)) for one in addresses])


def test_a_self_signed_certificate_works_with_its_key() -> None:
    one = self_signed("127.0.0.1")
    assert judge(one["certificate"], one["key"], datetime.now(UTC)) == Verdict()


def test_a_self_signed_certificate_is_its_own_authority_so_that_a_client_can_be_told_to_trust_it() -> None:
    certificate = made("127.0.0.1")
    certificate.verify_directly_issued_by(certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca is True
    assert constraints.path_length == 0, "it signs nothing but itself"


def test_a_self_signed_certificate_is_valid_now_and_no_longer_than_clients_accept() -> None:
    certificate = made("127.0.0.1")
    assert certificate.not_valid_before_utc <= datetime.now(UTC) - timedelta(hours=23), "of clocks that are behind"
    assert certificate.not_valid_after_utc <= datetime.now(UTC) + timedelta(days=825)
    assert certificate.not_valid_after_utc >= datetime.now(UTC) + timedelta(days=800)


def test_no_two_self_signed_certificates_share_a_key() -> None:
    one, other = self_signed("127.0.0.1"), self_signed("127.0.0.1")
    assert one["key"] != other["key"]
    assert one["certificate"] != other["certificate"]
