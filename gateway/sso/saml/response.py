"""A Response at the assertion consumer service → who signed in, or why not (core 3.3, profiles 4.1.4).

Checked in this order: the octets, the shape, what is told of where and whose it is, signatures; then the assertion is
read, and only from what was signed.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.sso.saml import names, times
from gateway.sso.saml.assertion import check_issuer, read_assertion
from gateway.sso.saml.conditions import Expected, check_answers
from gateway.sso.saml.encryption import decrypted
from gateway.sso.saml.entities import IdentityProvider, SignedOn
from gateway.sso.saml.names import a, ds, p, xenc
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.shape import attributes, children, one, perhaps
from gateway.sso.saml.signature import check_places, signature_of, verified
from gateway.sso.saml.xml import Element, parse


def accept(
    xml: bytes, provider: IdentityProvider, keys: Sequence[RSAPrivateKey], expected: Expected, now: float
) -> SignedOn:
    """`now` in Unix seconds. Takes milliseconds: not for an event loop. Raises SamlRefused.

    The caller sees to it that the request and the assertion are used once.
    """
    root = parse(xml)
    _check_head(root, provider.entity_id, expected, now)
    holder = _the_assertion(root)
    if holder.tag == a("Assertion"):
        signed = _plain(root, holder, provider, now)
    else:
        signed = _encrypted(root, provider, keys, now)
    return read_assertion(signed, provider.entity_id, expected, now)


def _check_head(root: Element, issuer: str, expected: Expected, now: float) -> None:
    if root.tag != p("Response"):
        raise SamlRefused("structure_wrong", "the message is not a samlp:Response")
    attributes(root, ["ID", "Version", "IssueInstant"], ["Destination", "InResponseTo", "Consent"])
    if root.get("Version") != "2.0":
        raise SamlRefused("version_wrong", "the message is not of SAML 2.0")
    for element in root.findall(a("Issuer")):
        check_issuer(element, issuer)
    check_destination(root, expected.acs)
    check_answers(root, expected)
    times.check_started(root.get("IssueInstant"), "IssueInstant of the response", now)
    for status in root.findall(p("Status")):
        check_status(status)


def check_destination(root: Element, address: str) -> None:
    """Destination is this address: it must be there in a signed message (bindings 3.5.5.2), and here always."""
    if root.get("Destination") != address:
        hint = f"it is for {str(root.get('Destination'))[:300]}; expected {address}"
        raise SamlRefused("destination_wrong", "the message was meant for another address", hint=hint)


def check_status(status: Element) -> None:
    """Success, and nothing else (core 3.2.2.2)."""
    codes = [str(code.get("Value", "")) for code in status.iter(p("StatusCode"))]
    if len(codes) != 1 or codes[0] != names.SUCCESS:
        told = ", ".join(code.removeprefix(names.STATUS) for code in codes[:3] if code.startswith(names.STATUS))
        message = "".join(each.text or "" for each in status.iter(p("StatusMessage")))
        hint = f"its message is {message[:200]!r}" if message else ""
        raise SamlRefused("status_refused", f"the provider refused: {told or 'it gives no known reason'}", hint=hint)


def _the_assertion(root: Element) -> Element:
    """The one assertion of the whole document, and it stands right in the response."""
    every = [*root.iter(a("Assertion"), a("EncryptedAssertion"))]
    if not every:
        raise SamlRefused("assertion_missing", "the response has no assertion")
    if len(every) > 1:
        raise SamlRefused("assertion_repeated", "the message has more than one assertion")
    tag = every[0].tag
    children(root, perhaps(a("Issuer")), perhaps(ds("Signature")), one(p("Status")), one(str(tag)))
    return every[0]


def _plain(root: Element, assertion: Element, provider: IdentityProvider, now: float) -> Element:
    """The assertion as it was signed, by itself or within the response; a signature that is there must hold."""
    check_places(root, root, assertion)
    whole = _whole(root, provider, now)
    if signature_of(assertion) is not None:
        return verified(root, assertion, provider.certificates, now)
    if whole is None:
        raise SamlRefused("signature_missing", "neither the response nor its assertion is signed")
    return _the_assertion(whole)


def _whole(root: Element, provider: IdentityProvider, now: float) -> Element | None:
    """The response as it was signed, if it says that it is."""
    return None if signature_of(root) is None else verified(root, root, provider.certificates, now)


def _encrypted(root: Element, provider: IdentityProvider, keys: Sequence[RSAPrivateKey], now: float) -> Element:
    """The assertion within; it is signed before it was encrypted, or the response was signed with it."""
    check_places(root, root)
    whole = _whole(root, provider, now)
    holder = _the_assertion(root if whole is None else whole)
    assertion = parse(decrypted(holder, keys))
    if assertion.tag != a("Assertion") or next(assertion.iter(xenc("EncryptedData")), None) is not None:
        raise SamlRefused("structure_wrong", "what was encrypted is not an assertion")
    if len([*assertion.iter(a("Assertion"))]) > 1:
        raise SamlRefused("assertion_repeated", "the message has more than one assertion")
    check_places(assertion, assertion)
    if signature_of(assertion) is not None:
        return verified(assertion, assertion, provider.certificates, now)
    if whole is None:
        raise SamlRefused("signature_missing", "neither the response nor its assertion is signed")
    return assertion
