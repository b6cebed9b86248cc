"""Certificates for tests, made on the spot: good ones and each kind of bad one."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Signer = tuple[x509.Name, ec.EllipticCurvePrivateKey]

DAY = timedelta(days=1)
HOST = "localhost"


def make_certificates(folder: Path) -> Path:
    """Writes NAME.pem (certificate and key) for each kind, and authority.pem to be trusted, whose path it returns."""
    trusted, stranger = _authority("trusted"), _authority("stranger")
    _write(folder / "good.pem", *_leaf(HOST, trusted))
    _write(folder / "expired.pem", *_leaf(HOST, trusted, until=-DAY))
    _write(folder / "other-host.pem", *_leaf("other.example", trusted))
    _write(folder / "unknown-authority.pem", *_leaf(HOST, stranger))
    _write(folder / "self-signed.pem", *_leaf(HOST, None))
    certificate = _certificate("trusted", trusted[1], trusted, until=DAY, authority=True)
    path = folder / "authority.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    """The TLS context of a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _authority(name: str) -> Signer:
    return _name(name), ec.generate_private_key(ec.SECP256R1())


def _leaf(
    host: str, signer: Signer | None, until: timedelta = DAY
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    return _certificate(host, key, signer or (_name(host), key), until=until, authority=False), key


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, signer: Signer, *, until: timedelta, authority: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = [x509.DNSName(name), *([x509.IPAddress(IPv4Address("127.0.0.1"))] if name == HOST else [])]
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(signer[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * DAY)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # Python 3.13 and later insist on these, as RFC 5280 does.
        .add_extension(_usage(authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer[1].public_key()), critical=False)
    )
    return builder.sign(signer[1], hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
