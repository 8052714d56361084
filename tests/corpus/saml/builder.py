"""A small identity provider whose every piece can be replaced: valid responses, and such as no honest one sends."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, AsymmetricPadding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, SignatureReference, XMLSigner

from gateway.sso.saml import names
from gateway.sso.saml.conditions import Expected
from gateway.sso.saml.entities import IdentityProvider, KeyPair, SignedOn
from gateway.sso.saml.response import accept
from gateway.sso.saml.times import write

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
IDP = "https://idp.example.com/metadata"
SP = "urn:example:gateway"
ACS = "https://api.example.com/.sso/partner/acs"
LOGOUT = "https://api.example.com/.sso/partner/logout"
REQUEST = "_request-of-this-sign-in"
ALICE = "alice@example.com"

NAMESPACES = (
    f'xmlns:samlp="{names.PROTOCOL}" xmlns:saml="{names.ASSERTION}" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)


def at(seconds: float) -> str:
    """A time, in seconds from now."""
    return write(NOW + seconds)


# --- keys


def certificate(key: Any, name: str, days: int = 365, now: float = NOW) -> x509.Certificate:
    """Self-signed, as providers' are."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.fromtimestamp(now, UTC)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    dated = made.not_valid_before(today - timedelta(days=400)).not_valid_after(today + timedelta(days=days))
    return dated.sign(key, hashes.SHA256())


@cache
def pair(name: str, days: int = 365, bits: int = 2048) -> KeyPair:
    """The key of this name: `idp`, `next`, `sp`, `evil` …"""
    key = rsa.generate_private_key(65537, bits)
    return KeyPair(key=key, certificate=certificate(key, name, days))


@cache
def issued() -> x509.Certificate:
    """A certificate of the key `idp` that is not self-signed."""
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("idp", "CA"))
    made = x509.CertificateBuilder(issuer, subject, pair("idp").key.public_key(), x509.random_serial_number())
    today = datetime.fromtimestamp(NOW, UTC)
    dated = made.not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=90))
    return dated.sign(pair("next").key, hashes.SHA256())


@cache
def ec_pair() -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, certificate(key, "ec")


def provider(**changes: Any) -> IdentityProvider:
    known = IdentityProvider(
        entity_id=IDP,
        certificates=(pair("idp").certificate,),
        sign_on="https://idp.example.com/sso",
        logout_redirect="https://idp.example.com/slo",
        logout_post="https://idp.example.com/slo",
        answers_redirect="https://idp.example.com/slo",
        answers_post="https://idp.example.com/slo",
    )
    return replace(known, **changes)


# --- signing


class AnySigner(XMLSigner):
    """Also by what nobody should sign by any more."""

    def check_deprecated_methods(self) -> None:
        pass

    def _build_transforms_for_reference(self, *, transforms_node: Any, reference: Any, **more: Any) -> None:
        """With the prefixes in the transform, which signxml forgets in an enveloped signature."""
        super()._build_transforms_for_reference(transforms_node=transforms_node, reference=reference, **more)
        if reference.inclusive_ns_prefixes:
            prefixes = " ".join(reference.inclusive_ns_prefixes)
            tag = f"{{{names.EXCLUSIVE}}}InclusiveNamespaces"
            etree.SubElement(transforms_node[-1], tag, PrefixList=prefixes, nsmap={"ec": names.EXCLUSIVE})


@dataclass(frozen=True, kw_only=True)
class Signing:
    """How an element is signed."""

    key: Any = None  # the provider's if left out
    certificate: x509.Certificate | None = None
    method: SignatureMethod | str = SignatureMethod.RSA_SHA256
    digest: DigestAlgorithm | str = DigestAlgorithm.SHA256
    canonical: CanonicalizationMethod | str = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
    prefixes: list[str] | None = None  # InclusiveNamespaces
    key_value: bool = False
    key_info: bool = True
    prefix: str | None = "ds"

    @property
    def place(self) -> str:
        """Where the signature goes."""
        if self.prefix is None:
            return f'<Signature xmlns="{names.SIGNATURE}" Id="placeholder"/>'
        return f'<{self.prefix}:Signature xmlns:{self.prefix}="{names.SIGNATURE}" Id="placeholder"/>'


def sign(element: etree._Element, how: Signing) -> etree._Element:
    """With the signature in its placeholder."""
    signer = AnySigner(signature_algorithm=how.method, digest_algorithm=how.digest, c14n_algorithm=how.canonical)
    signer.namespaces = {how.prefix: names.SIGNATURE}
    reference = SignatureReference(
        URI=f"#{element.get('ID')}", c14n_method=signer.c14n_alg, inclusive_ns_prefixes=how.prefixes
    )
    signed = signer.sign(
        element,
        key=how.key or pair("idp").key,
        cert=[how.certificate or pair("idp").certificate] if how.key is None or how.certificate else None,
        reference_uri=[reference],
        always_add_key_value=how.key_value,
        inclusive_ns_prefixes=how.prefixes,
    )
    if not how.key_info:
        for info in [*signed.iter(f"{{{names.SIGNATURE}}}KeyInfo")]:
            info.getparent().remove(info)
    return signed


# --- encryption


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """How an assertion is encrypted; each piece of XML can be replaced."""

    certificate: x509.Certificate | None = None  # the gateway's if left out
    method: str = f"{names.ENCRYPTION_11}aes256-gcm"
    size: int = 32
    key_method: str = names.OAEP_11
    key_parts: str = (
        f'<ds:DigestMethod Algorithm="{names.ENCRYPTION}sha256"/>'
        f'<xenc11:MGF xmlns:xenc11="{names.ENCRYPTION_11}" Algorithm="{names.ENCRYPTION_11}mgf1sha256"/>'
    )
    padding: Callable[[], AsymmetricPadding] = lambda: OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), None)
    kind: str = names.ELEMENT
    beside: bool = False  # the key is beside the data, not inside
    keys: int = 1
    spoil: Callable[[bytes], bytes] = bytes  # what becomes of the octets


def seal(plain: bytes, how: Sealing) -> str:
    """An EncryptedAssertion."""
    secret, iv = secrets.token_bytes(how.size), secrets.token_bytes(12)
    public = (how.certificate or pair("sp").certificate).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    wrapped = b64encode(public.encrypt(secret, how.padding())).decode()
    sealed = b64encode(how.spoil(iv + AESGCM(secret).encrypt(iv, plain, None))).decode()
    key = (
        f'<xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="{how.key_method}">{how.key_parts}'
        f"</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{wrapped}</xenc:CipherValue></xenc:CipherData>"
        f"</xenc:EncryptedKey>"
    ) * how.keys
    inside, outside = ("", key) if how.beside else (f"<ds:KeyInfo>{key}</ds:KeyInfo>", "")
    return (
        f'<saml:EncryptedAssertion xmlns:xenc="{names.ENCRYPTION}" xmlns:ds="{names.SIGNATURE}" {NAMESPACES}>'
        f'<xenc:EncryptedData Type="{how.kind}"><xenc:EncryptionMethod Algorithm="{how.method}"/>{inside}'
        f"<xenc:CipherData><xenc:CipherValue>{sealed}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
        f"{outside}</saml:EncryptedAssertion>"
    )


# --- responses


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response in pieces of XML. `sign`: which of R (response) and A (assertion) are signed."""

    sign: str = "A"
    signing: Signing = Signing()
    assertion_signing: Signing | None = None  # as the response's if left out
    sealing: Sealing | None = None
    after: Callable[[etree._Element], Any] | None = None  # a change of the finished tree
    text: Callable[[bytes], bytes] | None = None  # a change of the finished octets
    namespaces: str = NAMESPACES
    response: str = f'ID="_response" Version="2.0" IssueInstant="{at(-1)}" Destination="{ACS}" InResponseTo="{REQUEST}"'
    issuer: str = f"<saml:Issuer>{IDP}</saml:Issuer>"
    status: str = f'<samlp:Status><samlp:StatusCode Value="{names.SUCCESS}"/></samlp:Status>'
    assertion: str = f'ID="_assertion" Version="2.0" IssueInstant="{at(-1)}"'
    assertion_issuer: str = f"<saml:Issuer>{IDP}</saml:Issuer>"
    name_id: str = f'<saml:NameID Format="{names.EMAIL}">{ALICE}</saml:NameID>'
    method: str = names.BEARER
    data: str = f'Recipient="{ACS}" NotOnOrAfter="{at(300)}" InResponseTo="{REQUEST}"'
    confirmation: str | None = None  # from `method` and `data` if left out
    conditions: str = f'NotBefore="{at(-300)}" NotOnOrAfter="{at(300)}"'
    audience: str = f"<saml:AudienceRestriction><saml:Audience>{SP}</saml:Audience></saml:AudienceRestriction>"
    authn: str = (
        f'<saml:AuthnStatement AuthnInstant="{at(-2)}" SessionIndex="_session"><saml:AuthnContext>'
        f"<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
        f"</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    )
    attributes: str = (
        '<saml:AttributeStatement><saml:Attribute Name="groups" FriendlyName="memberOf">'
        "<saml:AttributeValue>staff</saml:AttributeValue><saml:AttributeValue>admins</saml:AttributeValue>"
        "</saml:Attribute></saml:AttributeStatement>"
    )
    style: Callable[[str], str] = str  # how XML is written, before it is signed
    body: str | None = None  # the whole of the assertion's subject and what follows, if given
    plain: Callable[[bytes], bytes] = bytes  # what becomes of an assertion that is encrypted then
    assertions: Callable[[str], str] = str  # what becomes of the finished assertion

    def xml(self) -> bytes:
        """The message, signed and changed."""
        inner = self._assertion()
        if self.sealing is not None:
            inner = seal(self.plain(inner.encode()), self.sealing)
        place = self.signing.place if "R" in self.sign else ""
        head = f"<samlp:Response {self.namespaces} {self.response}>{self.issuer}{place}{self.status}"
        response = self.style(head) + self.assertions(inner) + self.style("</samlp:Response>")
        root = etree.fromstring(response)
        if place:
            root = sign(root, self.signing)
        if self.after is not None:
            changed = self.after(root)
            root = root if changed is None else changed
        octets = etree.tostring(root, encoding="utf-8")
        return octets if self.text is None else self.text(octets)

    def _assertion(self) -> str:
        signing = self.assertion_signing or self.signing
        place = signing.place if "A" in self.sign else ""
        text = (
            f"<saml:Assertion {self.namespaces} {self.assertion}>{self.assertion_issuer}{place}"
            f"{self.body if self.body is not None else self._body()}</saml:Assertion>"
        )
        text = self.style(text)
        if not place:
            return text
        return etree.tostring(sign(etree.fromstring(text), signing)).decode()

    def _body(self) -> str:
        confirmation = self.confirmation
        if confirmation is None:
            confirmation = (
                f'<saml:SubjectConfirmation Method="{self.method}"><saml:SubjectConfirmationData {self.data}/>'
                f"</saml:SubjectConfirmation>"
            )
        return (
            f"<saml:Subject>{self.name_id}{confirmation}</saml:Subject>"
            f"<saml:Conditions {self.conditions}>{self.audience}</saml:Conditions>{self.authn}{self.attributes}"
        )


EXPECTED = Expected(SP, ACS, REQUEST)


def taken(xml: bytes, *, expected: Expected = EXPECTED, now: float = NOW, keys: Any = None, **changes: Any) -> SignedOn:
    """What the gateway makes of it."""
    own = (pair("sp").key,) if keys is None else keys
    return accept(xml, provider(**changes), own, expected, now)
