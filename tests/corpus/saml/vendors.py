"""Valid responses as providers write them: their prefixes, order, names, algorithms, and what they sign or encrypt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from signxml import DigestAlgorithm, SignatureMethod

from gateway.sso.saml import names

from .builder import ACS, ALICE, IDP, NOW, REQUEST, SP, Answer, Sealing, Signing, at, ec_pair, issued, pair
from .notation import NOTHING


class Valid(NamedTuple):
    """`attribute` has these values for the gateway; `how` are the circumstances: arguments of `builder.taken`."""

    name: str
    answer: Answer
    attribute: str = "groups"
    values: tuple[str, ...] = ("staff", "admins")
    how: Mapping[str, object] = NOTHING


def prefixed(protocol: str, assertion: str) -> Callable[[str], str]:
    """Other prefixes; "" is the default namespace."""

    def restyle(text: str) -> str:
        for known, new in (("samlp", protocol), ("saml", assertion)):
            text = re.sub(rf"(</?){known}:", rf"\1{new}:" if new else r"\1", text)
            text = text.replace(f"xmlns:{known}=", f"xmlns:{new}=" if new else "xmlns=")
        return text

    return restyle


def spaced(text: str) -> str:
    """Indented, as some write it."""
    return re.sub(r"><(?!/)", ">\n   <", text)


def attribute(name: str, *values: str, more: str = "", kind: str = ' xsi:type="xs:string"') -> str:
    inner = "".join(f"<saml:AttributeValue{kind}>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{name}" {more}>{inner}</saml:Attribute>'


def statement(*attributes: str) -> str:
    return f"<saml:AttributeStatement>{''.join(attributes)}</saml:AttributeStatement>"


def authn(more: str, context: str, inside: str = "") -> str:
    return (
        f'<saml:AuthnStatement AuthnInstant="{at(-2)}" {more}>{inside}<saml:AuthnContext><saml:AuthnContextClassRef>'
        f"urn:oasis:names:tc:SAML:2.0:ac:classes:{context}</saml:AuthnContextClassRef></saml:AuthnContext>"
        f"</saml:AuthnStatement>"
    )


NIL = ' xsi:nil="true"'
BASIC = f'NameFormat="{names.BASIC}"'
URI = 'NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"'
CLAIMS = "http://schemas.microsoft.com/ws/2008/06/identity/claims"
MEMBER = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"

KEYCLOAK = Answer(
    name_id=f'<saml:NameID Format="{names.UNSPECIFIED}">alice</saml:NameID>',
    authn=authn(f'SessionIndex="4b6e::c6f2" SessionNotOnOrAfter="{at(36000)}"', "unspecified"),
    attributes=statement(*(attribute("Role", each, more=BASIC) for each in ("offline_access", "admin", "staff"))),
    signing=Signing(prefix="dsig"),
)
GRAPH = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
ENTRA = Answer(
    style=prefixed("samlp", ""),
    signing=Signing(prefix=None),
    name_id=f'<saml:NameID Format="{names.PERSISTENT}">t5mJ0xJz8</saml:NameID>',
    attributes=statement(attribute(GRAPH, ALICE, kind=""), attribute(f"{CLAIMS}/groups", "1b2c-3d", "4e5f-6a", kind=""))
    + authn('SessionIndex="_a7"', "Password"),
    authn="",
    issuer=f"<saml:Issuer>{IDP}</saml:Issuer>",
)
ADFS = replace(
    ENTRA,
    response=f'ID="_r" Version="2.0" IssueInstant="2026-03-01T11:59:59.104Z" Destination="{ACS}" '
             f'Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified" InResponseTo="{REQUEST}"',
    conditions='NotBefore="2026-03-01T11:59:58.999Z" NotOnOrAfter="2026-03-01T12:59:58.9990000Z"',
    attributes=statement(attribute(f"{CLAIMS}/role", "staff", kind=""), attribute(f"{CLAIMS}/role", "admins", kind=""))
    + authn('SessionIndex="_a7"', "PasswordProtectedTransport"),
)  # fmt: skip
OKTA = Answer(
    style=prefixed("saml2p", "saml2"),
    signing=Signing(prefixes=["xs"]),
    authn=authn('SessionIndex="id169"', "PasswordProtectedTransport"),
    attributes=statement(attribute("groups", "Everyone", "staff", more=BASIC)),
    issuer=f'<saml:Issuer Format="{names.ENTITY}">{IDP}</saml:Issuer>',
    assertion_issuer=f'<saml:Issuer Format="{names.ENTITY}">{IDP}</saml:Issuer>',
)
TARGETED = (
    '<saml:Attribute Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.10" FriendlyName="eduPersonTargetedID">'
    "<saml:AttributeValue><saml:NameID>x</saml:NameID></saml:AttributeValue></saml:Attribute>"
)
SHIBBOLETH = Answer(
    style=prefixed("saml2p", "saml2"),
    name_id=f'<saml:NameID Format="{names.PERSISTENT}" NameQualifier="{IDP}" SPNameQualifier="{SP}">AAd</saml:NameID>',
    data=f'Address="192.0.2.7" InResponseTo="{REQUEST}" NotOnOrAfter="{at(300)}" Recipient="{ACS}"',
    authn=authn('SessionIndex="_5d"', "Password", '<saml:SubjectLocality Address="192.0.2.7"/>'),
    attributes=statement(attribute(MEMBER, "staff", more=f'FriendlyName="isMemberOf" {URI}', kind=""), TARGETED),
    sealing=Sealing(method=f"{names.ENCRYPTION_11}aes128-gcm", size=16, key_method=names.OAEP,
                    key_parts=f'<ds:DigestMethod Algorithm="{names.SIGNATURE}sha1"/>',
                    padding=lambda: OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)),
)  # fmt: skip
GOOGLE = Answer(
    sign="R",
    style=prefixed("saml2p", "saml2"),
    issuer=f"<saml:Issuer>{IDP}</saml:Issuer>",
    attributes=statement(attribute("groups", "staff", kind=' xsi:type="xs:anyType"')),
    authn=authn('SessionIndex="_9"', "unspecified"),
)
OAEP_11_SHA1 = Sealing(key_parts="", padding=lambda: OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None))
EC = Signing(key=ec_pair()[0], certificate=ec_pair()[1], method=SignatureMethod.ECDSA_SHA256)
NEXT = Signing(key=pair("next").key, certificate=pair("next").certificate)
BEARER_TWICE = (
    '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"/>'
    f'<saml:SubjectConfirmation Method="{names.BEARER}"><saml:SubjectConfirmationData Recipient="{ACS}" '
    f'NotOnOrAfter="{at(300)}" InResponseTo="{REQUEST}"/></saml:SubjectConfirmation>'
)

VALID: list[Valid] = [
    *(Valid(f"Keycloak, signed {sign}", replace(KEYCLOAK, sign=sign), "Role", ("offline_access", "admin", "staff"))
      for sign in ("A", "R", "RA")),
    Valid("Keycloak, encrypted", replace(KEYCLOAK, sign="RA", sealing=Sealing(beside=True)), "Role",
          ("offline_access", "admin", "staff")),
    *(Valid(f"Entra, signed {sign}", replace(ENTRA, sign=sign), f"{CLAIMS}/groups", ("1b2c-3d", "4e5f-6a"))
      for sign in ("A", "R", "RA")),
    Valid("Entra, encrypted", replace(ENTRA, sealing=Sealing()), GRAPH, (ALICE,)),
    *(Valid(f"ADFS, signed {sign}", replace(ADFS, sign=sign), f"{CLAIMS}/role") for sign in ("A", "R", "RA")),
    *(Valid(f"Okta, signed {sign}", replace(OKTA, sign=sign), "groups", ("Everyone", "staff"))
      for sign in ("A", "R", "RA")),
    Valid("Okta, encrypted", replace(OKTA, sign="RA", sealing=OAEP_11_SHA1), "groups", ("Everyone", "staff")),
    Valid("Shibboleth, encrypted", SHIBBOLETH, "isMemberOf", ("staff",)),
    Valid("Shibboleth, encrypted, response signed", replace(SHIBBOLETH, sign="R"), MEMBER, ("staff",)),
    Valid("Shibboleth, not encrypted", replace(SHIBBOLETH, sealing=None), MEMBER, ("staff",)),
    Valid("Google", GOOGLE, "groups", ("staff",)),
    Valid("Google, both signed", replace(GOOGLE, sign="RA"), "groups", ("staff",)),
    *(Valid(f"signed {method.name}", Answer(signing=Signing(method=method))) for method in (
        SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512, SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1)),
    *(Valid(f"digested {digest.name}", Answer(signing=Signing(digest=digest)))
      for digest in (DigestAlgorithm.SHA384, DigestAlgorithm.SHA512)),
    Valid("signed by an EC key", Answer(signing=EC), how={"certificates": (ec_pair()[1],)}),
    Valid("signed by the next key", Answer(signing=NEXT),
          how={"certificates": (pair("idp").certificate, ec_pair()[1], pair("next").certificate)}),
    Valid("signed by a key whose certificate a CA issued", Answer(signing=Signing(certificate=issued())),
          how={"certificates": (issued(),)}),
    Valid("an old certificate beside", Answer(),
          how={"certificates": (pair("old", -1).certificate, pair("idp").certificate)}),
    Valid("without KeyInfo", Answer(signing=Signing(key_info=False))),
    Valid("with KeyValue beside the certificate", Answer(signing=Signing(key_value=True))),
    Valid("indented", Answer(style=spaced)),
    Valid("declared", Answer(text=lambda octets: b'<?xml version="1.0" encoding="UTF-8"?>\n' + octets)),
    Valid("line ends around", Answer(text=lambda octets: b"\r\n" + octets + b"\r\n")),
    Valid("without an Issuer in the response", Answer(issuer="")),
    Valid("other confirmations beside", Answer(confirmation=BEARER_TWICE)),
    Valid("several audiences", Answer(audience=f"<saml:AudienceRestriction><saml:Audience>x</saml:Audience>"
                                               f"<saml:Audience>{SP}</saml:Audience></saml:AudienceRestriction>")),
    Valid("one-time use, no proxies",
          Answer(audience=Answer().audience + "<saml:OneTimeUse/><saml:ProxyRestriction/>")),
    Valid("clocks a minute apart", Answer(), how={"now": NOW - 59}),
    Valid("at the last moment", Answer(), how={"now": NOW + 359}),
    Valid("no attributes", Answer(attributes=""), "groups", ()),
    Valid("an attribute without values", Answer(attributes=statement(attribute("groups"))), "groups", ()),
    Valid("a value of nil", Answer(attributes=statement(attribute("groups", "", kind=NIL))), "groups", ()),
    Valid("several statements", Answer(attributes=statement(attribute("groups", "staff"))
                                       + statement(attribute("groups", "admins")))),
    Valid("letters of all scripts", Answer(attributes=statement(attribute("groups", "Größe", "管理者"))), "groups",
          ("Größe", "管理者")),
    Valid("escaped letters", Answer(attributes=statement(attribute("groups", "R&amp;D &#60;x&#62;"))), "groups",
          ("R&D <x>",)),
]  # fmt: skip
