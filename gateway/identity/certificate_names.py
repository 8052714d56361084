"""What of a certificate names its client."""

from __future__ import annotations

import re
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.identity.claims import NAME_LENGTH
from gateway.identity.refusals import Invalid
from gateway.identity.trust import UNREADABLE
from gateway.model import ClientCertificates, NamedBy

_spiffe_id = re.compile(r"spiffe://([a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)+)").fullmatch


def names_of(certificate: x509.Certificate, settings: ClientCertificates) -> list[str]:
    """The names, in order and at least one; raises Invalid."""
    names = _READERS[settings.named_by](certificate)
    if settings.spiffe is not None:
        _require_svid(certificate, names, settings.spiffe)
    if not names:
        raise _unnamed(f"the certificate has no {settings.named_by}")
    if not all(0 < len(name) <= NAME_LENGTH and name.isprintable() for name in names):
        raise _unnamed("the certificate's name is not printable, or too long")
    return names


def _alternative(certificate: x509.Certificate, kind: type[x509.DNSName | x509.UniformResourceIdentifier]) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(name) for name in found.get_values_for_type(kind)]
    except x509.ExtensionNotFound:
        return []
    except UNREADABLE:
        raise _unnamed("the certificate's alternative names cannot be read") from None


def _common_name(certificate: x509.Certificate) -> list[str]:
    """Two would leave it open which is meant."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(found) > 1:
        raise _unnamed("the certificate's subject has several common names")
    return [str(attribute.value) for attribute in found]


_READERS: dict[NamedBy, Callable[[x509.Certificate], list[str]]] = {
    NamedBy.SAN_URI: lambda certificate: _alternative(certificate, x509.UniformResourceIdentifier),
    NamedBy.SAN_DNS: lambda certificate: [name.lower() for name in _alternative(certificate, x509.DNSName)],
    NamedBy.SUBJECT_CN: _common_name,
    NamedBy.SUBJECT: lambda certificate: [name] if (name := certificate.subject.rfc4514_string()) else [],
}


def _require_svid(certificate: x509.Certificate, names: list[str], domain: str) -> None:
    """X.509-SVID 2 and 4: one URI, a SPIFFE ID with a path; what signs others is none."""
    found = _spiffe_id(names[0]) if len(names) == 1 else None
    if found is None or not {".", ".."}.isdisjoint(found[2].split("/")):
        raise _unnamed("the certificate has not one SPIFFE ID")
    if domain and found[1] != domain:
        raise _unnamed("the certificate is of another SPIFFE trust domain")
    try:
        uses = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        raise _unnamed("the certificate is no X.509-SVID: it has no key usage") from None
    if not uses.digital_signature or uses.key_cert_sign or uses.crl_sign:
        raise _unnamed("the certificate is no X.509-SVID: its key is not for signatures of its own alone")


def _unnamed(detail: str) -> Invalid:
    return Invalid("certificate_unnamed", detail)
