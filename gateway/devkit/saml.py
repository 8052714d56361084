"""An identity provider by SAML 2.0 for development and tests, with Keycloak's paths. HTTP is in `saml_app`."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree

from gateway.devkit.saml_crypto import encrypted
from gateway.sso.saml import names, times, writing
from gateway.sso.saml.entities import KeyPair, NameId
from gateway.sso.saml.names import a, ds, md, p
from gateway.sso.saml.xml import Element, parse_metadata

CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
LIFE = 300  # seconds in which a response may be used


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlUser:
    """Somebody who can sign in, and what is told of them."""

    name: str
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A gateway, by its metadata: where responses and messages of logout go, and its certificate."""

    acs: str
    logout: str | None
    certificate: x509.Certificate | None


def demo_users() -> tuple[SamlUser, ...]:
    """Those that the example plans know."""
    mail = {"email": ("ada@partner.example",)}
    return SamlUser(name="ada", attributes={"groups": ("staff",), **mail}), SamlUser(name="bob")


class SamlProvider:
    """Answers AuthnRequests of gateways that are registered with signed assertions, and with `encrypts` sealed ones.

    `url` is its entity ID, and what its paths lie below.
    """

    def __init__(
        self,
        url: str,
        users: Iterable[SamlUser] = (),
        clock: Callable[[], float] = time.time,
        *,
        encrypts: bool = False,
    ) -> None:
        self.entity_id = url
        self.address = f"{url}/protocol/saml"
        self.users = {user.name: user for user in users}
        self.gateways: dict[str, Registered] = {}
        self.pair = new_pair("partner")
        self._encrypts = encrypts
        self._clock = clock

    def now(self) -> float:
        return self._clock()

    def register(self, metadata: bytes) -> None:
        """A gateway's own metadata, as it serves it."""
        root = parse_metadata(metadata)
        first = {tag: next(root.iter(md(tag)), None) for tag in ("AssertionConsumerService", "SingleLogoutService")}
        acs, logout = first["AssertionConsumerService"], first["SingleLogoutService"]
        assert acs is not None
        known = next(root.iter(ds("X509Certificate")), None)
        self.gateways[str(root.get("entityID"))] = Registered(
            acs=str(acs.get("Location")),
            logout=None if logout is None else str(logout.get("Location")),
            certificate=None if known is None else x509.load_der_x509_certificate(b64decode(known.text or "")),
        )

    def metadata(self) -> bytes:
        """What the gateway is given."""
        prefixes = {"md": names.METADATA, "ds": names.SIGNATURE}
        root = etree.Element(md("EntityDescriptor"), entityID=self.entity_id, nsmap=prefixes)
        role = etree.SubElement(root, md("IDPSSODescriptor"), protocolSupportEnumeration=names.PROTOCOL)
        info = etree.SubElement(etree.SubElement(role, md("KeyDescriptor"), use="signing"), ds("KeyInfo"))
        octets = b64encode(self.pair.certificate.public_bytes(Encoding.DER)).decode("ascii")
        etree.SubElement(etree.SubElement(info, ds("X509Data")), ds("X509Certificate")).text = octets
        for service in ("SingleLogoutService", "SingleSignOnService"):
            for binding in (names.REDIRECT, names.POST):
                etree.SubElement(role, md(service), Binding=binding, Location=self.address)
        return etree.tostring(root, encoding="utf-8")

    def name_id(self, user: SamlUser) -> NameId:
        return NameId(value=user.name, format=names.PERSISTENT)

    def session_of(self, user: SamlUser) -> str:
        return f"session-of-{user.name}"

    def response(self, user: SamlUser, request: Element) -> bytes:
        """The answer to a registered gateway's AuthnRequest: its assertion is signed."""
        gateway = self.gateways[request.findtext(a("Issuer")) or ""]
        acs = gateway.acs
        now = self._clock()
        root = writing.message("Response", self.entity_id, acs, now, InResponseTo=str(request.get("ID")))
        etree.SubElement(etree.SubElement(root, p("Status")), p("StatusCode"), Value=names.SUCCESS)
        assertion = writing.signed(self._assertion(user, request, acs, now), self.pair)
        seal = gateway.certificate if self._encrypts else None
        root.append(assertion if seal is None else encrypted(assertion, seal))
        return writing.octets(root)

    def _assertion(self, user: SamlUser, request: Element, acs: str, now: float) -> Element:
        root = etree.Element(a("Assertion"), nsmap={"saml": names.ASSERTION})
        root.set("ID", writing.fresh_id())
        root.set("Version", "2.0")
        root.set("IssueInstant", times.write(now))
        etree.SubElement(root, a("Issuer")).text = self.entity_id
        self._subject(root, user, str(request.get("ID")), acs, now)
        conditions = etree.SubElement(root, a("Conditions"), NotOnOrAfter=times.write(now + LIFE))
        audience = etree.SubElement(etree.SubElement(conditions, a("AudienceRestriction")), a("Audience"))
        audience.text = request.findtext(a("Issuer"))
        statement = etree.SubElement(root, a("AuthnStatement"), AuthnInstant=times.write(now))
        statement.set("SessionIndex", self.session_of(user))
        context = etree.SubElement(etree.SubElement(statement, a("AuthnContext")), a("AuthnContextClassRef"))
        asked = request.find(f"{p('RequestedAuthnContext')}/{a('AuthnContextClassRef')}")
        context.text = CONTEXT if asked is None else asked.text  # whoever is chosen is who they say, in any way
        _attributes(root, user)
        return root

    def _subject(self, root: Element, user: SamlUser, request: str, acs: str, now: float) -> None:
        subject = etree.SubElement(root, a("Subject"))
        name_id = self.name_id(user)
        etree.SubElement(subject, a("NameID"), Format=str(name_id.format)).text = name_id.value
        confirmation = etree.SubElement(subject, a("SubjectConfirmation"), Method=names.BEARER)
        data = etree.SubElement(confirmation, a("SubjectConfirmationData"), Recipient=acs, InResponseTo=request)
        data.set("NotOnOrAfter", times.write(now + LIFE))


def _attributes(root: Element, user: SamlUser) -> None:
    if not user.attributes:
        return
    statement = etree.SubElement(root, a("AttributeStatement"))
    for name, values in user.attributes.items():
        attribute = etree.SubElement(statement, a("Attribute"), Name=name, NameFormat=names.BASIC)
        for value in values:
            etree.SubElement(attribute, a("AttributeValue")).text = value


def new_pair(name: str) -> KeyPair:
    """A key and its certificate, self-signed, for a year."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    dated = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
    return KeyPair(key=key, certificate=dated.sign(key, hashes.SHA256()))
