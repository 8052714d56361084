"""Metadata: the provider's is read from a file, the gateway's own is written (OASIS saml-metadata-2.0)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from gateway.sso.saml import names, times
from gateway.sso.saml.entities import Endpoints, IdentityProvider, KeyPair, ServiceProvider
from gateway.sso.saml.names import ds, md
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.xml import MAX_METADATA, Element, parse_metadata

MOST_CERTIFICATES = 8  # each is tried in turn
LEAST_BITS = 2048  # of an RSA key (NIST SP 800-131A)
LONGEST_ENTITY = 1024  # characters (core 8.3.6)


class MetadataRefused(ValueError):
    """A metadata file that cannot be used; the text says why, in words that follow the file's name."""


def read_metadata(data: bytes, now: float) -> IdentityProvider:
    """The one identity provider in a file. Raises MetadataRefused."""
    try:
        root = parse_metadata(data)
    except SamlRefused as error:
        raise MetadataRefused(f"is not metadata: {error.detail}") from None
    entity, role = _the_provider(root)
    until = _valid_until(root, entity, role, now)
    sign_on = _endpoint(role, "SingleSignOnService", names.REDIRECT)
    if sign_on is None:
        raise MetadataRefused("has no SingleSignOnService of the HTTP-Redirect binding")
    logout = {binding: _service(role, "SingleLogoutService", binding) for binding in (names.REDIRECT, names.POST)}
    return IdentityProvider(
        entity_id=_entity_id(entity),
        certificates=_certificates(role),
        sign_on=sign_on,
        logout_redirect=_location(logout[names.REDIRECT], "Location"),
        logout_post=_location(logout[names.POST], "Location"),
        answers_redirect=_location(logout[names.REDIRECT], "ResponseLocation", "Location"),
        answers_post=_location(logout[names.POST], "ResponseLocation", "Location"),
        wants_signed_requests=role.get("WantAuthnRequestsSigned") in ("true", "1"),
        valid_until=until,
    )


def load_metadata(path: Path, now: float) -> IdentityProvider:
    """From a file. Raises MetadataRefused."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_METADATA + 1)
    except OSError as error:
        raise MetadataRefused(f"cannot be read: {(error.strerror or 'unknown reason').lower()}") from None
    return read_metadata(data, now)


def _the_provider(root: Element) -> tuple[Element, Element]:
    """The entity and its role; a file of several entities has one that is an identity provider."""
    if root.tag not in (md("EntityDescriptor"), md("EntitiesDescriptor")):
        raise MetadataRefused("is not metadata: it is no md:EntityDescriptor")
    roles = [
        (entity, role)
        for entity in root.iter(md("EntityDescriptor"))
        for role in entity.findall(md("IDPSSODescriptor"))
        if names.PROTOCOL in str(role.get("protocolSupportEnumeration", "")).split()
    ]
    if not roles:
        raise MetadataRefused("has no IDPSSODescriptor of SAML 2.0: it is not an identity provider's")
    if len(roles) > 1:
        raise MetadataRefused(f"has {len(roles)} identity providers; give a file with one")
    return roles[0]


def _entity_id(entity: Element) -> str:
    name = str(entity.get("entityID", ""))
    if not 0 < len(name) <= LONGEST_ENTITY or not name.isprintable():
        raise MetadataRefused("has no usable entityID")
    return name


def _valid_until(root: Element, entity: Element, role: Element, now: float) -> float | None:
    """The earliest of those that are told."""
    told = [str(element.get("validUntil")) for element in (root, entity, role) if element.get("validUntil")]
    try:
        until = min((times.read(each, "validUntil") for each in told), default=None)
    except SamlRefused as error:
        raise MetadataRefused(f"is not metadata: {error.detail}") from None
    if until is not None and until <= now:
        raise MetadataRefused(f"was valid until {times.write(until)}; fetch it again from the provider")
    return until


def _service(role: Element, name: str, binding: str) -> Element | None:
    return next((each for each in role.findall(md(name)) if each.get("Binding") == binding), None)


def _endpoint(role: Element, name: str, binding: str) -> str | None:
    return _location(_service(role, name, binding), "Location")


def _location(service: Element | None, *attributes: str) -> str | None:
    """The first attribute that is there; an http or https URL."""
    found = [str(service.get(name)) for name in attributes if service.get(name)] if service is not None else []
    if not found:
        return None
    try:
        parts = urlsplit(found[0])
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment or not _plain(found[0]):
        raise MetadataRefused(f"has an endpoint that is no http or https URL: {found[0][:100]!r}")
    return found[0]


def _plain(url: str) -> bool:
    """It goes into a Location field as it is."""
    return url.isascii() and url.isprintable() and not set(url) & set(' "<>\\')


# --- certificates


def _certificates(role: Element) -> tuple[x509.Certificate, ...]:
    """Those that sign: `use` says so, or says nothing."""
    found: dict[bytes, x509.Certificate] = {}
    for descriptor in role.findall(md("KeyDescriptor")):
        if descriptor.get("use", "signing") == "signing":
            for certificate in _of(descriptor):
                found[certificate.public_bytes(Encoding.DER)] = certificate
    if not found:
        raise MetadataRefused("has no certificate for signing")
    if len(found) > MOST_CERTIFICATES:
        raise MetadataRefused(f"has more than {MOST_CERTIFICATES} certificates for signing")
    return tuple(found.values())


def _of(descriptor: Element) -> Iterator[x509.Certificate]:
    for element in descriptor.iterfind(f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}"):
        try:
            octets = b64decode("".join((element.text or "").split()), validate=True)
            certificate = x509.load_der_x509_certificate(octets)
            certificate.public_key()
        except (BadBase64, ValueError, UnsupportedAlgorithm) as error:
            raise MetadataRefused(f"has a certificate that cannot be read: {error}") from None
        _check_strength(certificate)
        yield certificate


def _check_strength(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_BITS:
        return
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256:
        return
    name = certificate.subject.rfc4514_string()
    raise MetadataRefused(f"has a certificate ({name}) whose key is neither RSA of {LEAST_BITS} bits or more, nor EC")


# --- the gateway's own


def write_metadata(sp: ServiceProvider, endpoints: Sequence[Endpoints]) -> bytes:
    """What is registered at the provider: the gateway's endpoints, the first one's are the default, and its keys."""
    prefixes = {"md": names.METADATA, "ds": names.SIGNATURE}
    root = etree.Element(md("EntityDescriptor"), entityID=sp.entity_id, nsmap=prefixes)
    signs = "true" if sp.pairs else "false"
    role = etree.SubElement(root, md("SPSSODescriptor"), AuthnRequestsSigned=signs, WantAssertionsSigned="true")
    role.set("protocolSupportEnumeration", names.PROTOCOL)
    for number, pair in enumerate(sp.pairs):
        _describe(role, pair, ["signing", "encryption"] if number == 0 else ["signing"])
    for where in endpoints if sp.pairs else ():
        for binding in (names.REDIRECT, names.POST):
            etree.SubElement(role, md("SingleLogoutService"), Binding=binding, Location=where.logout)
    for index, where in enumerate(endpoints):
        default = "true" if index == 0 else "false"
        acs = etree.SubElement(role, md("AssertionConsumerService"), Binding=names.POST, Location=where.acs)
        acs.set("index", str(index))
        acs.set("isDefault", default)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _describe(role: Element, pair: KeyPair, uses: Sequence[str]) -> None:
    """Only the first key encrypts: a roll-over begins with the new one before the old."""
    for use in uses:
        descriptor = etree.SubElement(role, md("KeyDescriptor"), use=use)
        data = etree.SubElement(etree.SubElement(descriptor, ds("KeyInfo")), ds("X509Data"))
        octets = pair.certificate.public_bytes(Encoding.DER)
        etree.SubElement(data, ds("X509Certificate")).text = b64encode(octets).decode("ascii")
        for algorithm in (*names.GCM, names.OAEP_11, names.OAEP) if use == "encryption" else ():
            etree.SubElement(descriptor, md("EncryptionMethod"), Algorithm=algorithm)
