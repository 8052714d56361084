"""Lists of certificates that their issuers took back (RFC 5280 5): read here, whoever needs them."""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

_PEM = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


def revocation_lists(content: bytes) -> list[x509.CertificateRevocationList]:
    """Those of a file: any number in PEM, or one in DER. Raises ValueError, also for one that is not a whole list."""
    parts = _PEM.findall(content)
    try:
        lists = [x509.load_pem_x509_crl(part) for part in parts] if parts else [x509.load_der_x509_crl(content)]
    except (ValueError, x509.InvalidVersion):
        raise ValueError("it is neither PEM nor DER of one") from None
    for found in lists:
        _require_whole(found)
    return lists


def _require_whole(found: x509.CertificateRevocationList) -> None:
    """A list that does not say all must not be taken for one that does (RFC 5280 5.2)."""
    if found.next_update_utc is None:
        raise ValueError("it does not say when the next one comes")
    for extension in found.extensions:
        scope = extension.value
        if isinstance(scope, x509.IssuingDistributionPoint):
            partly = scope.only_some_reasons or scope.only_contains_ca_certs or scope.only_contains_attribute_certs
            if partly or scope.indirect_crl:
                raise ValueError("it holds a part of what was taken back, or what others took back")
        elif extension.critical:
            raise ValueError("it is one of changes alone, or otherwise special")


def is_signed_by(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether the list is that of this issuer."""
    if found.issuer != issuer.subject:
        return False
    try:
        return found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
