"""Messages of the gateway's own: AuthnRequest, LogoutRequest, LogoutResponse, and its signature."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from gateway.sso.saml import names, times
from gateway.sso.saml.entities import KeyPair, NameId
from gateway.sso.saml.names import a, ds, p
from gateway.sso.saml.xml import Element

_PREFIXES = {"samlp": names.PROTOCOL, "saml": names.ASSERTION}


def fresh_id() -> str:
    """A name (xs:NCName) of 160 random bits (core 1.3.4)."""
    return f"_{secrets.token_hex(20)}"


def message(kind: str, issuer: str, destination: str, now: float, **attributes: str) -> Element:
    """A request or response with what each begins with (core 3.2); its ID is new."""
    root = etree.Element(p(kind), nsmap=_PREFIXES)
    root.set("ID", fresh_id())
    root.set("Version", "2.0")
    root.set("IssueInstant", times.write(now))
    root.set("Destination", destination)
    for name, value in attributes.items():
        root.set(name, value)
    etree.SubElement(root, a("Issuer")).text = issuer
    return root


def authn_request(
    issuer: str,
    destination: str,
    acs: str,
    now: float,
    *,
    name_id_format: str | None = None,
    force: bool = False,
    contexts: Sequence[str] = (),
) -> Element:
    """Asks the provider to sign a user in and to send the answer to `acs` (core 3.4.1): anew, if it is to `force` it,
    and in one of the ways `contexts` (core 3.3.2.2.1)."""
    more = {"ForceAuthn": "true"} if force else {}
    where = {"ProtocolBinding": names.POST, "AssertionConsumerServiceURL": acs}
    root = message("AuthnRequest", issuer, destination, now, **where, **more)
    policy = etree.SubElement(root, p("NameIDPolicy"), AllowCreate="true")
    if name_id_format is not None:
        policy.set("Format", name_id_format)
    if contexts:
        asked = etree.SubElement(root, p("RequestedAuthnContext"), Comparison="exact")
        for name in contexts:
            etree.SubElement(asked, a("AuthnContextClassRef")).text = name
    return root


def logout_request(issuer: str, destination: str, name_id: NameId, session_index: str | None, now: float) -> Element:
    """Asks the provider to end the session everywhere (core 3.7.1); good for five minutes."""
    root = message("LogoutRequest", issuer, destination, now, NotOnOrAfter=times.write(now + 300))
    root.set("Reason", names.USER_LOGOUT)
    element = etree.SubElement(root, a("NameID"))
    element.text = name_id.value
    parts = {"NameQualifier": name_id.qualifier, "SPNameQualifier": name_id.sp_qualifier, "Format": name_id.format}
    for name, value in parts.items():
        if value is not None:
            element.set(name, value)
    if session_index is not None:
        etree.SubElement(root, p("SessionIndex")).text = session_index
    return root


def logout_response(issuer: str, destination: str, request: str, now: float, *, status: str = names.SUCCESS) -> Element:
    """Answers the provider's LogoutRequest of ID `request` (core 3.7.2)."""
    root = message("LogoutResponse", issuer, destination, now, InResponseTo=request)
    etree.SubElement(etree.SubElement(root, p("Status")), p("StatusCode"), Value=status)
    return root


def octets(root: Element) -> bytes:
    return etree.tostring(root, encoding="utf-8")


def signed(root: Element, pair: KeyPair) -> Element:
    """With an enveloped signature behind its Issuer, where the schema wants it."""
    root.insert(1, etree.Element(ds("Signature"), Id="placeholder", nsmap={"ds": names.SIGNATURE}))
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    return signer.sign(root, key=pair.key, cert=[pair.certificate], reference_uri=f"#{root.get('ID')}")
