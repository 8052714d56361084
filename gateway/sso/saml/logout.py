"""Single logout: the provider's LogoutRequest, and its answer to the gateway's own (core 3.7, profiles 4.4)."""

from __future__ import annotations

from typing import NamedTuple

from gateway.sso.saml import times
from gateway.sso.saml.assertion import check_issuer, read_name_id
from gateway.sso.saml.bindings import Sent, check_query_signature
from gateway.sso.saml.entities import IdentityProvider, NameId
from gateway.sso.saml.names import a, ds, p
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.response import check_destination, check_status
from gateway.sso.saml.shape import attributes, children, one, perhaps, some, text
from gateway.sso.saml.signature import check_places, verified
from gateway.sso.saml.xml import Element, parse

FRESH = 300.0  # seconds in which a request without NotOnOrAfter is taken

_HEAD = ("ID", "Version", "IssueInstant")


class LogoutRequest(NamedTuple):
    """Whose sessions are to end. `sessions` empty: all of this user's. Remembered as used until `usable_until`.
    Times in Unix seconds.
    """

    id: str
    name_id: NameId
    sessions: tuple[str, ...]
    issued: float
    usable_until: float


def read_request(sent: Sent, provider: IdentityProvider, address: str, now: float) -> LogoutRequest:
    """The provider's request at `address`. Takes milliseconds: not for an event loop. Raises SamlRefused."""
    root = _signed(sent, "LogoutRequest", provider, address, now, ["NotOnOrAfter", "Reason"])
    if root.find(a("EncryptedID")) is not None:
        raise SamlRefused("encrypted_id_refused", "the request encrypts the user's name by itself")
    head = (one(a("Issuer")), perhaps(ds("Signature")))
    parts = children(root, *head, one(a("NameID")), some(p("SessionIndex"), 0, 100))
    issued = times.read(str(root.get("IssueInstant")), "IssueInstant of the request")
    until = root.get("NotOnOrAfter")
    ends = issued + FRESH if until is None else times.read(until, "NotOnOrAfter of the request")
    if ends <= now - times.SKEW or issued <= now - times.SKEW - FRESH:
        raise SamlRefused("expired", "the request is too old")
    return LogoutRequest(
        id=str(root.get("ID")),
        name_id=read_name_id(parts[a("NameID")][0]),
        sessions=tuple(text(index) for index in parts[p("SessionIndex")]),
        issued=issued,
        usable_until=issued + FRESH + 2 * times.SKEW,
    )


def read_response(sent: Sent, provider: IdentityProvider, address: str, request: str, now: float) -> None:
    """The provider's answer to the LogoutRequest of ID `request`. Raises SamlRefused; `status_refused` where the
    provider has not ended all sessions.
    """
    root = _signed(sent, "LogoutResponse", provider, address, now, ["InResponseTo"])
    if root.get("InResponseTo") != request:
        raise SamlRefused("request_unknown", "the message does not answer the request of this logout")
    parts = children(root, one(a("Issuer")), perhaps(ds("Signature")), one(p("Status")))
    check_status(parts[p("Status")][0])


def _signed(sent: Sent, kind: str, provider: IdentityProvider, address: str, now: float, more: list[str]) -> Element:
    """The message as it was signed: in the query, or by an enveloped signature in the form."""
    root = parse(sent.xml)
    if root.tag != p(kind):
        raise SamlRefused("structure_wrong", f"the message is not a samlp:{kind}")
    attributes(root, _HEAD, ["Destination", "Consent", *more])
    if root.get("Version") != "2.0":
        raise SamlRefused("version_wrong", "the message is not of SAML 2.0")
    check_destination(root, address)
    issuer = root.find(a("Issuer"))
    if issuer is None:
        raise SamlRefused("issuer_wrong", "the message does not say whom it comes from")
    check_issuer(issuer, provider.entity_id)
    times.check_started(root.get("IssueInstant"), "IssueInstant of the message", now)
    check_places(root, root)
    if sent.signed is None:
        return verified(root, root, provider.certificates, now)
    check_query_signature(sent, provider.certificates, now)
    return root
