"""Certificates and keys that the files name, loaded once to see that they can be used."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.config.problems import Complaint
from gateway.crls import is_signed_by, revocation_lists

LEAST_RSA = 2048  # bits (NIST SP 800-131A)
SKEW = timedelta(minutes=5)  # by which the clocks of those who issue certificates may be ahead


class CertificateFiles:
    """Reads each file once, however many services name it; every method raises Complaint."""

    def __init__(self) -> None:
        self.check_authority = cache(_check_authority)
        self.check_certificate = cache(_check_certificate)
        self.check_rsa = cache(_check_rsa)
        self.check_server = cache(_check_server)
        self.check_named = cache(_check_named)
        self.check_key = cache(_check_key)
        self.check_revocations = cache(_check_revocations)


def _check_authority(path: Path) -> None:
    """A file of one or more CA certificates."""
    _certificates(path)
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise _refused(path, error) from None


def _check_certificate(path: Path) -> x509.Certificate:
    """A certificate, perhaps with its chain behind it; returns the first."""
    return _certificates(path)[0]


def _check_server(path: Path) -> None:
    """A certificate to show to clients: one that they would not take is found here rather than by them."""
    certificate, now = _check_certificate(path), datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        raise _unusable(path, f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc > now + SKEW:
        raise _unusable(path, f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}")


def _check_rsa(path: Path) -> x509.Certificate:
    """A certificate of an RSA key that others may trust: for SAML, where it also encrypts."""
    certificate = _check_certificate(path)
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_RSA:
        raise _unusable(path, f"its key is not RSA of {LEAST_RSA} bits or more")
    return certificate


def _check_named(path: Path) -> None:
    """One that is chosen by the name that a client asks for."""
    _check_server(path)
    try:
        found = _check_certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        named = bool(found.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        named = False
    if not named:
        raise _unusable(path, "no client can ask for it, as its subjectAltName has no host name")


def _check_key(cert: Path, key: Path) -> None:
    """The key of a certificate; where that cannot be used itself, only whether it is a key."""
    private = _private(key)
    try:
        certificate = _check_certificate(cert)
    except Complaint:
        return
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise _unusable(key, "it is not the key of the certificate in cert")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password=str)
    except OSError as error:
        raise _refused(key, error) from None


def _check_revocations(ca: Path, crl: Path) -> None:
    """Lists of what was taken back, by those whose certificates are in `ca`."""
    content = _read(crl)
    try:
        lists = revocation_lists(content)
    except ValueError as error:
        raise _unusable(crl, f"it holds no revocation list: {error}") from None
    try:
        issuers = _certificates(ca)
    except Complaint:
        return  # told of itself
    for found in lists:
        if not any(is_signed_by(found, issuer) for issuer in issuers):
            raise _unusable(crl, f"no certificate in ca signed the list of {found.issuer.rfc4514_string()}")


def _private(key: Path) -> PrivateKeyTypes:
    content = _read(key)
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        raise _unusable(key, "it is encrypted; write it without a password, readable by the gateway alone") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(key, "it is not a private key in PEM") from None


def _certificates(path: Path) -> list[x509.Certificate]:
    content = _read(path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise _unusable(path, "it holds no certificate in PEM") from None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise _unusable(path, "there is no such file")
        return path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be read") from None


def _refused(path: Path, error: OSError) -> Complaint:
    """What OpenSSL itself says, such as `ee key too small`."""
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return _unusable(path, f"OpenSSL refuses it: {(reason or 'unknown reason').lower().replace('_', ' ')}")


def _unusable(path: Path, why: str) -> Complaint:
    return Complaint(f"cannot be used: {why}", shown=os.path.relpath(path))
