"""Whom the certificates of some issuers vouch for: their chain, their dates, and what they took back.

The listener has verified the handshake, and perhaps with more issuers than these; so what a service accepts is verified
here by itself. Files are looked at once a second; an unusable change keeps the last good ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gateway.crls import is_signed_by, revocation_lists
from gateway.errors import Unavailable
from gateway.identity.refusals import Invalid
from gateway.model import ClientCertificates

LOOK = 1.0  # seconds between two looks at the files
RETRY_AFTER = 60  # seconds, told with 503
RSA_BITS = 2048
CURVES = frozenset(("secp256r1", "secp384r1", "secp521r1"))
LARGEST = 16_384  # bytes of a certificate
UNREADABLE = (  # what the library raises for certificates that are none
    ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip
_CLIENT = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

Revocations = dict[bytes, x509.CertificateRevocationList]  # by the issuer's name


class Trust:
    """`generation` rises when the files change. Raises OSError and ValueError for unusable files."""

    def __init__(self, settings: ClientCertificates, clock: Callable[[], float], log: logging.Logger) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._stamp = _stamp(settings)
        self._looked = clock()
        self._read()
        self.generation = 0

    def refresh(self) -> None:
        """Takes changed files; cheap."""
        now = self._clock()
        if 0 <= now - self._looked < LOOK:
            return
        self._looked = now
        try:
            stamp = _stamp(self._settings)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._read()
        except (OSError, ValueError) as error:
            text = "identity %s: changed files of certificates cannot be used, the old ones stay: %s"
            self._log.warning(text, self._settings.name, error)
            return
        self.generation += 1
        self._log.info("identity %s: certificates reloaded", self._settings.name)

    def check(self, certificate: x509.Certificate) -> None:
        """Raises Invalid, and Unavailable where a list that would say whether it was taken back is out of date."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        if now < certificate.not_valid_before_utc:
            raise Invalid("certificate_not_yet_valid", "the client's certificate is not valid yet")
        if now > certificate.not_valid_after_utc:
            raise Invalid("certificate_expired", "the client's certificate has expired")
        self._verify(certificate, now)
        if self._revocations is not None:
            self._check_revoked(certificate, self._revocations, now)

    def _verify(self, certificate: x509.Certificate, now: datetime) -> None:
        policy = PolicyBuilder().store(self._store).time(now)
        policy = policy.extension_policies(ca_policy=_authorities(), ee_policy=_clients())
        try:
            policy.build_client_verifier().verify(certificate, [])
            key = certificate.public_key()
        except (VerificationError, *UNREADABLE) as error:
            detail = "the client's certificate is of no issuer that is accepted here"
            raise Invalid("certificate_untrusted", detail, hint=str(error).partition(" (encountered")[0]) from None
        if not _is_strong(key):
            raise Invalid("certificate_untrusted", "the client's certificate has a key that is too small, or unusual")

    def _check_revoked(self, certificate: x509.Certificate, revocations: Revocations, now: datetime) -> None:
        """Nobody is let in by a list that is missing or out of date: who knows what the next one says."""
        found = revocations.get(certificate.issuer.public_bytes())
        if found is None or found.next_update_utc is None or found.next_update_utc < now:
            why = "there is none of its issuer" if found is None else "it is out of date; fetch the next one"
            self._log.warning("identity %s: %s: %s", self._settings.name, self._settings.crl, why)
            detail = "whether the client's certificate was revoked cannot be told at the moment"
            raise Unavailable(detail, code="identity_unavailable", retry_after=RETRY_AFTER)
        if found.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            raise Invalid("certificate_revoked", "the client's certificate was revoked")

    def _read(self) -> None:
        try:
            issuers = x509.load_pem_x509_certificates(self._settings.ca.read_bytes())
        except UNREADABLE as error:
            raise ValueError(f"{self._settings.ca}: {error}") from error
        revocations = None if self._settings.crl is None else _revocations(self._settings.crl, issuers)
        self._store, self._revocations = Store(issuers), revocations


def _is_strong(key: object) -> bool:
    """The kinds of keys that public CAs take (CA/Browser Forum BR 6.1.5), and those of RFC 8410."""
    if isinstance(key, RSAPublicKey):
        return key.key_size >= RSA_BITS
    if isinstance(key, EllipticCurvePublicKey):
        return key.curve.name in CURVES
    return isinstance(key, Ed25519PublicKey | Ed448PublicKey)


def _revocations(path: Path, issuers: list[x509.Certificate]) -> Revocations:
    lists = revocation_lists(path.read_bytes())
    for found in lists:
        if not any(is_signed_by(found, issuer) for issuer in issuers):
            raise ValueError(f"{path}: no certificate in ca signed the list of {found.issuer.rfc4514_string()}")
    return {found.issuer.public_bytes(): found for found in lists}


def _authorities() -> ExtensionPolicy:
    """RFC 5280 4.2.1.3 and 4.2.1.9; what public CAs must have besides, private ones often lack."""
    any_ = Criticality.AGNOSTIC
    policy = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, any_, _is_authority)
    return policy.may_be_present(x509.KeyUsage, any_, _signs)


def _clients() -> ExtensionPolicy:
    any_ = Criticality.AGNOSTIC
    policy = ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, any_, _is_for_clients)
    return policy.may_be_present(x509.BasicConstraints, any_, _is_no_authority)


def _is_authority(_policy: Policy, _certificate: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("an issuer that is no CA")


def _signs(_policy: Policy, _certificate: x509.Certificate, found: x509.KeyUsage | None) -> None:
    if found is not None and not found.key_cert_sign:
        raise ValueError("an issuer whose key may not sign certificates")


def _is_for_clients(_policy: Policy, _certificate: x509.Certificate, found: x509.ExtendedKeyUsage | None) -> None:
    if found is not None and _CLIENT.isdisjoint(found):
        raise ValueError("it is not for clients")


def _is_no_authority(_policy: Policy, _certificate: x509.Certificate, found: x509.BasicConstraints | None) -> None:
    if found is not None and found.ca:
        raise ValueError("it is a CA's own")


def _stamp(settings: ClientCertificates) -> tuple[tuple[int, int, int], ...]:
    """What changes with the files' content: inode (a Kubernetes symlink swap), modification time, size."""
    stats = [path.stat() for path in (settings.ca, settings.crl) if path is not None]
    return tuple((status.st_ino, status.st_mtime_ns, status.st_size) for status in stats)
