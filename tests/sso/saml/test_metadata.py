"""The provider's metadata is read, the gateway's own is written; each message of the gateway's is what it should be."""

from __future__ import annotations

import pytest
from corpus.saml.builder import ACS, IDP, NOW, SP, at, certificate, pair
from corpus.saml.metadata import KEYS, SSO, key, provider_metadata, service
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from gateway.sso.saml import names, writing
from gateway.sso.saml.entities import Endpoints, ServiceProvider
from gateway.sso.saml.metadata import MetadataRefused, read_metadata, write_metadata
from gateway.sso.saml.names import ds, md, p
from gateway.sso.saml.signature import verified


def test_a_providers_metadata() -> None:
    slo = service("SingleLogoutService", names.REDIRECT, "https://idp.example.com/slo")
    answers = 'ResponseLocation="https://idp.example.com/answers"'
    post = service("SingleLogoutService", names.POST, "https://idp.example.com/slo-post", answers)
    found = read_metadata(provider_metadata(KEYS + slo + post + SSO, role='WantAuthnRequestsSigned="true"'), NOW)
    assert found.entity_id == IDP
    assert found.certificates == (pair("idp").certificate,)
    assert found.sign_on == "https://idp.example.com/sso"
    assert found.logout_redirect == found.answers_redirect == "https://idp.example.com/slo"
    assert (found.logout_post, found.answers_post) == (
        "https://idp.example.com/slo-post",
        "https://idp.example.com/answers",
    )
    assert found.wants_signed_requests


def test_at_a_roll_over_there_are_several_certificates() -> None:
    """Each once, and not those that only encrypt."""
    keys = [key(pair(name).certificate, use) for name, use in (("idp", ""), ("next", ' use="signing"'))]
    encryption = key(pair("evil").certificate, ' use="encryption"')
    found = read_metadata(provider_metadata("".join([*keys, encryption, keys[0], SSO])), NOW)
    assert found.certificates == (pair("idp").certificate, pair("next").certificate)


def test_one_provider_among_others() -> None:
    other = provider_metadata(kind="SPSSODescriptor").partition(b"-->")[2]
    both = other + provider_metadata().partition(b"-->")[2]
    aggregate = b'<md:EntitiesDescriptor xmlns:md="%s">%s</md:EntitiesDescriptor>' % (names.METADATA.encode(), both)
    assert read_metadata(aggregate, NOW).entity_id == IDP


SMALL = certificate(rsa.generate_private_key(65537, 1024), "small")
CURVE = certificate(ec.generate_private_key(ec.SECP192R1()), "curve")
BAD = KEYS.replace("MII", "AAA", 1)
REFUSED = {
    "nothing": (b"", "is not metadata: the message is not well-formed XML"),
    "a page": (b"<html/>", "is not metadata: it is no md:EntityDescriptor"),
    "a document type": (b"<!DOCTYPE x>" + provider_metadata().partition(b"-->")[2],
                        "is not metadata: the file has a document type declaration"),
    "a service provider's": (provider_metadata(kind="SPSSODescriptor"),
                             "has no IDPSSODescriptor of SAML 2.0: it is not an identity provider's"),
    "two providers": (b'<md:EntitiesDescriptor xmlns:md="%s">%s</md:EntitiesDescriptor>'
                      % (names.METADATA.encode(), provider_metadata().partition(b"-->")[2] * 2),
                      "has 2 identity providers; give a file with one"),
    "no redirect": (provider_metadata(KEYS + service("SingleSignOnService", names.POST, "https://idp.example.com")),
                    "has no SingleSignOnService of the HTTP-Redirect binding"),
    "a script": (provider_metadata(KEYS + service("SingleSignOnService", names.REDIRECT, "javascript:alert(1)")),
                 "has an endpoint that is no http or https URL: 'javascript:alert(1)'"),
    "a line end": (provider_metadata(KEYS + service("SingleSignOnService", names.REDIRECT, "https://a.example/&#10;x")),
                   "has an endpoint that is no http or https URL: 'https://a.example/\\nx'"),
    "no certificate": (provider_metadata(SSO), "has no certificate for signing"),
    "too many certificates": (
        provider_metadata("".join(key(certificate(ec_key, f"k{n}")) for n, ec_key in
                         enumerate(ec.generate_private_key(ec.SECP256R1()) for _ in range(9))) + SSO),
        "has more than 8 certificates for signing"),
    "a small key": (provider_metadata(key(SMALL) + SSO),
                    "has a certificate (CN=small) whose key is neither RSA of 2048 bits or more, nor EC"),
    "a small curve": (provider_metadata(key(CURVE) + SSO),
                      "has a certificate (CN=curve) whose key is neither RSA of 2048 bits or more, nor EC"),
    "expired": (provider_metadata(entity=f'validUntil="{at(-1)}"'),
                f"was valid until {at(-1)}; fetch it again from the provider"),
    "a bad date": (provider_metadata(entity='validUntil="soon"'),
                   "is not metadata: validUntil is not a time in UTC, as 2026-01-31T12:00:00Z"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_providers_provider_metadata(data: bytes, text: str) -> None:
    with pytest.raises(MetadataRefused) as refused:
        read_metadata(data, NOW)
    assert str(refused.value) == text


def test_a_certificate_that_cannot_be_read() -> None:
    with pytest.raises(MetadataRefused, match=r"^has a certificate that cannot be read: "):
        read_metadata(provider_metadata(BAD + SSO), NOW)


HERE = Endpoints(metadata="https://api.example.com/m", acs=ACS, logout="https://api.example.com/l")


def test_the_gateways_own_metadata() -> None:
    sp = ServiceProvider(entity_id=SP, pairs=(pair("sp"), pair("old")))
    root = etree.fromstring(write_metadata(sp, [HERE]))
    (role,) = root
    assert (root.get("entityID"), role.get("AuthnRequestsSigned")) == (SP, "true")
    assert [child.get("use") for child in role.findall(md("KeyDescriptor"))] == ["signing", "encryption", "signing"]
    assert [child.get("Location") for child in role.findall(md("SingleLogoutService"))] == [HERE.logout] * 2
    (acs,) = role.findall(md("AssertionConsumerService"))
    assert dict(acs.attrib) == {"Binding": names.POST, "Location": ACS, "index": "0", "isDefault": "true"}


def test_without_a_key_nothing_is_signed_and_no_logout_offered() -> None:
    (role,) = etree.fromstring(write_metadata(ServiceProvider(entity_id=SP), [HERE]))
    assert role.get("AuthnRequestsSigned") == "false"
    assert role.findall(md("KeyDescriptor")) == role.findall(md("SingleLogoutService")) == []


def test_a_request_to_sign_a_user_in() -> None:
    root = writing.authn_request(SP, "https://idp.example.com/sso", ACS, NOW, name_id_format=names.EMAIL, force=True)
    assert root.get("AssertionConsumerServiceURL") == ACS
    assert root.get("ForceAuthn") == "true"
    assert root.find(p("NameIDPolicy")).attrib == {"AllowCreate": "true", "Format": names.EMAIL}
    assert root.get("ID") != writing.authn_request(SP, "https://idp.example.com/sso", ACS, NOW).get("ID")


def test_a_message_of_the_gateways_is_signed_behind_its_issuer() -> None:
    root = writing.signed(writing.authn_request(SP, "https://idp.example.com/sso", ACS, NOW), pair("sp"))
    assert root[1].tag == ds("Signature")
    assert verified(root, root, [pair("sp").certificate], NOW).get("ID") == root.get("ID")
