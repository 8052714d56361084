"""Single logout in both directions and bindings, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from corpus.saml.builder import IDP, LOGOUT, NOW, SP, at, pair, provider
from lxml import etree

from gateway.sso.saml import names, writing
from gateway.sso.saml.bindings import Sent, from_query, redirect
from gateway.sso.saml.entities import KeyPair, NameId
from gateway.sso.saml.logout import read_request, read_response
from gateway.sso.saml.names import a, p
from gateway.sso.saml.refusals import SamlRefused

ALICE = NameId(value="alice", format=names.PERSISTENT, qualifier=IDP, sp_qualifier=SP)


def request(name_id: NameId = ALICE, index: str | None = "_session") -> Any:
    return writing.logout_request(IDP, LOGOUT, name_id, index, NOW)


def response(status: str = names.SUCCESS) -> Any:
    return writing.logout_response(IDP, LOGOUT, "_request", NOW, status=status)


def in_query(root: Any, key: KeyPair | None = None) -> Sent:
    kind = "SAMLRequest" if root.tag.endswith("Request") else "SAMLResponse"
    location = redirect("https://sp.example", kind, writing.octets(root), "state", key or pair("idp"))
    return from_query(urlsplit(location).query.encode(), kind)


def in_form(root: Any, key: KeyPair | None = None) -> Sent:
    kind = "SAMLRequest" if root.tag.endswith("Request") else "SAMLResponse"
    return Sent(kind, writing.octets(writing.signed(root, key or pair("idp"))))


BINDINGS = [in_query, in_form]


@pytest.mark.parametrize("send", BINDINGS)
def test_the_provider_asks_to_end_a_session(send: Callable[..., Sent]) -> None:
    root = request()
    asked = read_request(send(root), provider(), LOGOUT, NOW)
    assert (asked.id, asked.name_id, asked.sessions) == (root.get("ID"), ALICE, ("_session",))
    assert asked.usable_until > NOW


@pytest.mark.parametrize("send", BINDINGS)
def test_the_provider_asks_to_end_all_sessions(send: Callable[..., Sent]) -> None:
    asked = read_request(send(request(NameId(value="alice"), None)), provider(), LOGOUT, NOW)
    assert (asked.name_id, asked.sessions) == (NameId(value="alice"), ())


@pytest.mark.parametrize("send", BINDINGS)
def test_the_provider_answers(send: Callable[..., Sent]) -> None:
    read_response(send(response()), provider(), LOGOUT, "_request", NOW)


def put(name: str, value: str) -> Callable[[Any], None]:
    return lambda root: root.set(name, value)


def drop(tag: str) -> Callable[[Any], None]:
    return lambda root: root.remove(root.find(tag))


def issuer(root: Any) -> None:
    root.find(a("Issuer")).text = "https://evil.example"


def encrypted(root: Any) -> None:
    root.find(a("NameID")).tag = a("EncryptedID")


def assertion(root: Any) -> None:
    root.append(etree.Element(a("Assertion")))


def nothing(root: Any) -> None:
    pass


REQUESTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "to another address": (put("Destination", "https://evil.example"), "destination_wrong"),
    "without an address": (put("Destination", ""), "destination_wrong"),
    "by another issuer": (issuer, "issuer_wrong"),
    "without an issuer": (drop(a("Issuer")), "issuer_wrong"),
    "of SAML 1.1": (put("Version", "1.1"), "version_wrong"),
    "of the future": (put("IssueInstant", at(61)), "not_yet_valid"),
    "that has ended": (put("NotOnOrAfter", at(-60)), "expired"),
    "that is old": (put("IssueInstant", at(-360)), "expired"),
    "at no time": (put("IssueInstant", "now"), "time_malformed"),
    "for nobody": (drop(a("NameID")), "structure_wrong"),
    "for an encrypted name": (encrypted, "encrypted_id_refused"),
    "with an assertion": (assertion, "structure_wrong"),
    "with more attributes": (put("Trusted", "yes"), "structure_wrong"),
}


@pytest.mark.parametrize("send", BINDINGS)
@pytest.mark.parametrize(("change", "code"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_is_refused(change: Callable[[Any], Any], code: str, send: Callable[..., Sent]) -> None:
    root = request()
    change(root)
    if send is in_form and code == "issuer_wrong" and root.find(a("Issuer")) is None:
        root.insert(0, etree.Element(a("Issuer")))
    with pytest.raises(SamlRefused) as refused:
        read_request(send(root), provider(), LOGOUT, NOW)
    assert refused.value.code == code


RESPONSES: dict[str, tuple[Any, str]] = {
    "to another request": (lambda root: root.set("InResponseTo", "_other"), "request_unknown"),
    "to no request": (lambda root: root.attrib.pop("InResponseTo"), "request_unknown"),
    "without a status": (drop(p("Status")), "structure_wrong"),
    "of another kind": (lambda root: setattr(root, "tag", p("Response")), "structure_wrong"),
    "that tells of failure": (lambda root: root[1][0].set("Value", f"{names.STATUS}Responder"), "status_refused"),
}


@pytest.mark.parametrize("send", BINDINGS)
@pytest.mark.parametrize(("change", "code"), RESPONSES.values(), ids=RESPONSES)
def test_a_response_is_refused(change: Callable[[Any], Any], code: str, send: Callable[..., Sent]) -> None:
    root = response()
    change(root)
    with pytest.raises(SamlRefused) as refused:
        read_response(send(root), provider(), LOGOUT, "_request", NOW)
    assert refused.value.code == code


@pytest.mark.parametrize("send", BINDINGS)
def test_another_key_ends_no_session(send: Callable[..., Sent]) -> None:
    with pytest.raises(SamlRefused) as refused:
        read_request(send(request(), pair("evil")), provider(), LOGOUT, NOW)
    assert refused.value.code == "signature_invalid"


def test_who_does_not_sign_ends_no_session() -> None:
    unsigned = Sent("SAMLRequest", writing.octets(request()))
    for sent in (unsigned, unsigned._replace(signed=b"SAMLRequest=x")):
        with pytest.raises(SamlRefused) as refused:
            read_request(sent, provider(), LOGOUT, NOW)
        assert refused.value.code == "signature_missing"


def test_a_signed_request_that_was_changed_ends_no_session() -> None:
    sent = in_form(request())
    with pytest.raises(SamlRefused) as refused:
        read_request(sent._replace(xml=sent.xml.replace(b"alice", b"bob")), provider(), LOGOUT, NOW)
    assert refused.value.code == "signature_invalid"


def test_a_signature_of_the_form_is_none_of_the_query() -> None:
    """An enveloped signature in a query is left out of account: it is the query that must be signed."""
    sent = in_query(writing.signed(request(), pair("idp")))
    read_request(sent, provider(), LOGOUT, NOW)
    with pytest.raises(SamlRefused) as refused:
        read_request(sent._replace(signature=b""), provider(), LOGOUT, NOW)
    assert refused.value.code == "signature_missing"
