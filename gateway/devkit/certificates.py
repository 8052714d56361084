"""A throw-away certificate authority for mutual TLS on one machine, and TLS contexts of what it issued."""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes as PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVERS = ("orders", "stock", "web")
CLIENT = "gateway"
LIFETIME = timedelta(days=30)
MARGIN = timedelta(days=1)  # what is about to expire is not reused
SKEW = timedelta(minutes=5)  # certificates start a little early, for clocks that are behind

_KEY_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


class Pair(NamedTuple):
    """Where a certificate and its key are."""

    cert: Path
    key: Path

    @classmethod
    def at(cls, folder: Path, name: str) -> Pair:
        return cls(folder / f"{name}.pem", folder / f"{name}.key")


class Issued(NamedTuple):
    """A certificate and its key, both PEM."""

    cert: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> Pair:
        """Put both into `folder`; the key is readable by its owner alone."""
        pair = Pair.at(folder, name)
        _write(pair.cert, self.cert, 0o644)
        _write(pair.key, self.key, 0o600)
        return pair


class Authority:
    """Issues certificates that only those who trust `pem` take. Its own key is never written."""

    def __init__(self, name: str = "development CA", now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(name)
        builder = (
            self._builder(self._name, self._key.public_key(), self._now + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        )
        self.pem = _pem(builder.sign(self._key, hashes.SHA256()))

    def server(self, name: str, *, lifetime: timedelta = LIFETIME) -> Issued:
        """For the server `name`.internal, also reached as 127.0.0.1. A negative lifetime: expired."""
        address = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
        return self._issue(f"{name}.internal", ExtendedKeyUsageOID.SERVER_AUTH, lifetime, address)

    def client(self, name: str, *, lifetime: timedelta = LIFETIME) -> Issued:
        """For the client `name`.internal. A negative lifetime: expired."""
        return self._issue(f"{name}.internal", ExtendedKeyUsageOID.CLIENT_AUTH, lifetime)

    def _issue(self, host: str, use: x509.ObjectIdentifier, lifetime: timedelta, *more: x509.GeneralName) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(_common_name(host), key.public_key(), self._now + lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host), *more]), critical=False)
        )
        return Issued(_pem(builder.sign(self._key, hashes.SHA256())), _key_pem(key))

    def _builder(
        self, subject: x509.Name, key: CertificateIssuerPublicKeyTypes, end: datetime
    ) -> x509.CertificateBuilder:
        start = min(self._now, end) - SKEW
        return (
            _validity(subject, self._name, key, start, end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def ensure_certificates(folder: Path, now: datetime | None = None) -> Path:
    """Make `folder` hold `ca.pem` and a pair for the gateway and each server; keep what is there while it is valid."""
    now = now or datetime.now(UTC)
    if not _usable(folder, now):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = Authority(now=now)
        for name in SERVERS:
            authority.server(name).write(folder, name)
        authority.client(CLIENT).write(folder, CLIENT)
        _write(folder / "ca.pem", authority.pem, 0o644)
    return folder


def server_context(pair: Pair, ca: Path) -> ssl.SSLContext:
    """For a server that takes only clients with a certificate of `ca`, TLS 1.2 or later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(ca)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def client_context(ca: Path, pair: Pair | None = None) -> ssl.SSLContext:
    """For a client that trusts `ca` alone and shows the certificate of `pair`, if any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca)
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def self_signed(name: str, key: PrivateKey, now: datetime) -> x509.Certificate:
    """A bare certificate that only carries a public key, as Keycloak publishes one with each RSA key."""
    subject = _common_name(name)
    return _validity(subject, subject, key.public_key(), now - SKEW, now + LIFETIME).sign(key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _usable(folder: Path, now: datetime) -> bool:
    try:
        ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        return all(_fits(Pair.at(folder, name), ca, now) for name in (*SERVERS, CLIENT))
    except (OSError, ValueError):
        return False


def _fits(pair: Pair, ca: x509.Certificate, now: datetime) -> bool:
    cert = x509.load_pem_x509_certificate(pair.cert.read_bytes())
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    try:
        cert.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError):
        return False
    lasts = min(cert.not_valid_after_utc, ca.not_valid_after_utc) > now + MARGIN
    return lasts and cert.not_valid_before_utc <= now and cert.public_key() == key.public_key()


def _validity(
    subject: x509.Name, issuer: x509.Name, key: CertificateIssuerPublicKeyTypes, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*uses: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in _KEY_USES})


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Never readable by others, not even for a moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
