"""Messages in forms and queries: unpacked strictly, bounded, once; signed over the octets that were sent."""

from __future__ import annotations

import zlib
from base64 import b64encode
from urllib.parse import quote, urlencode, urlsplit

import pytest
from corpus.saml.builder import NOW, ec_pair, pair
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.sso.saml import names
from gateway.sso.saml.bindings import check_query_signature, form_fields, from_form, from_query, redirect
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.xml import MAX_MESSAGE

XML = b"<a/>"
KNOWN = (pair("idp").certificate,)


def packed(xml: bytes, level: int = 9) -> str:
    pack = zlib.compressobj(level, wbits=-15)
    return b64encode(pack.compress(xml) + pack.flush()).decode()


def query(**fields: str) -> bytes:
    return urlencode(fields).encode()


def test_a_form_brings_what_was_put_into_it() -> None:
    sent = from_form(urlencode(form_fields("SAMLResponse", XML, "state")).encode(), "SAMLResponse")
    assert (sent.kind, sent.xml, sent.relay_state, sent.signed) == ("SAMLResponse", XML, "state", None)


def test_base64_of_a_form_may_have_line_ends() -> None:
    sent = from_form(b"SAMLResponse=PG%0D%0AEvPg%3D%3D", "SAMLResponse")
    assert sent.xml == XML


def test_a_query_brings_what_was_put_into_it() -> None:
    location = redirect("https://idp.example.com/sso?tenant=1", "SAMLRequest", XML, "state", pair("idp"))
    assert location.startswith("https://idp.example.com/sso?tenant=1&SAMLRequest=")
    sent = from_query(urlsplit(location).query.partition("&")[2].encode(), "SAMLRequest")
    assert (sent.kind, sent.xml, sent.relay_state) == ("SAMLRequest", XML, "state")
    check_query_signature(sent, KNOWN, NOW)


@pytest.mark.parametrize("relay_state", [None, "", "a b/&=ü"])
def test_the_signature_is_over_relay_state_too(relay_state: str | None) -> None:
    location = redirect("https://idp.example.com/sso", "SAMLResponse", XML, relay_state, pair("idp"))
    sent = from_query(urlsplit(location).query.encode(), "SAMLRequest", "SAMLResponse")
    assert sent.relay_state == relay_state
    check_query_signature(sent, KNOWN, NOW)


def test_the_signature_is_over_the_senders_own_escapes() -> None:
    """Small letters, and no escapes where none are needed."""
    signed = f"SAMLRequest={quote(packed(XML)).replace('%2B', '%2b')}&SigAlg={quote(names.RSA_SHA256, safe=':/')}"
    signature = pair("idp").key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    sent = from_query(f"{signed}&Signature={quote(b64encode(signature).decode())}".encode(), "SAMLRequest")
    check_query_signature(sent, KNOWN, NOW)


def test_an_ec_key_signs_a_query() -> None:
    key, certificate = ec_pair()
    algorithm = next(name for name in names.EC_SIGNATURES if name.endswith("sha256"))
    signed = f"SAMLRequest={quote(packed(XML), safe='')}&SigAlg={quote(algorithm, safe='')}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()
    sent = from_query(f"{signed}&Signature={quote(signature, safe='')}".encode(), "SAMLRequest")
    check_query_signature(sent, (*KNOWN, certificate), NOW)


FORMS = {
    "nothing": (b"", "message_missing"),
    "another field": (b"SAML=PGEvPg", "message_missing"),
    "a request instead of a response": (b"SAMLRequest=PGEvPg", "message_missing"),
    "two messages": (b"SAMLResponse=PGEvPg&SAMLResponse=PGEvPg", "message_repeated"),
    "a response and a request": (b"SAMLResponse=PGEvPg&SAMLRequest=PGEvPg", "message_repeated"),
    "no base64": (b"SAMLResponse=%3Ca%2F%3E", "base64_invalid"),
    "base64 without padding": (b"SAMLResponse=PGEvPg", "base64_invalid"),
    "base64 for URLs": (b"SAMLResponse=__-_", "base64_invalid"),
    "text behind base64": (b"SAMLResponse=PGEvPg%3D%3Dx", "base64_invalid"),
    "not ASCII": (b"SAMLResponse=\xff", "message_missing"),
    "many fields": (b"&".join(b"f%d=x" % n for n in range(50)), "message_missing"),
    "too large a message": (b"SAMLResponse=" + b"A" * (MAX_MESSAGE * 3 // 2), "message_too_large"),
    "too large a form": (b"x=" + b"A" * (MAX_MESSAGE * 3), "message_too_large"),
    "RelayState twice": (b"SAMLResponse=PGEvPg%3D%3D&RelayState=a&RelayState=b", "message_repeated"),
    "a long RelayState": (b"SAMLResponse=PGEvPg%3D%3D&RelayState=" + b"a" * 81, "relay_state_wrong"),
}


@pytest.mark.parametrize(("body", "code"), FORMS.values(), ids=FORMS)
def test_a_form_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(SamlRefused) as refused:
        from_form(body, "SAMLResponse")
    assert refused.value.code == code


BOMB = packed(b"<a>" + b"A" * 50_000_000 + b"</a>")
QUERIES = {
    "nothing": (b"", "message_missing"),
    "two messages": (query(SAMLRequest=packed(XML)) + b"&" + query(SAMLRequest=packed(XML)), "message_repeated"),
    "an escaped name": (b"SAMLRe%71uest=" + quote(packed(XML)).encode(), "message_missing"),
    "not compressed": (query(SAMLRequest=b64encode(XML).decode()), "deflate_invalid"),
    "zlib's own format": (query(SAMLRequest=b64encode(zlib.compress(XML)).decode()), "deflate_invalid"),
    "cut off": (query(SAMLRequest=b64encode(zlib.compress(XML * 99)[2:20]).decode()), "deflate_invalid"),
    "more behind it": (query(SAMLRequest=b64encode(zlib.compress(XML)[2:-4] + b"more").decode()), "deflate_invalid"),
    "a bomb": (query(SAMLRequest=BOMB[: len(BOMB) // 4 * 4]), "message_too_large"),
    "another encoding": (query(SAMLRequest=packed(XML), SAMLEncoding="urn:x"), "deflate_invalid"),
    "too long": (b"SAMLRequest=" + b"A" * 40_000, "message_too_large"),
    "two algorithms": (query(SAMLRequest=packed(XML)) + b"&SigAlg=a&SigAlg=b", "message_repeated"),
    "two signatures": (query(SAMLRequest=packed(XML)) + b"&Signature=&Signature=", "message_repeated"),
}


@pytest.mark.parametrize(("sent", "code"), QUERIES.values(), ids=QUERIES)
def test_a_query_is_refused(sent: bytes, code: str) -> None:
    with pytest.raises(SamlRefused) as refused:
        from_query(sent, "SAMLRequest")
    assert refused.value.code == code


def signed_query() -> str:
    return urlsplit(redirect("https://x.example", "SAMLRequest", XML, "state", pair("idp"))).query


SIGNATURES = {
    "none": (signed_query().partition("&SigAlg")[0], "signature_missing"),
    "no algorithm": (signed_query().partition("&SigAlg")[0] + "&Signature=AAAA", "algorithm_refused"),
    "SHA-1": (signed_query().replace("rsa-sha256", "rsa-sha1"), "algorithm_refused"),
    "HMAC": (signed_query().replace("rsa-sha256", "hmac-sha256"), "algorithm_refused"),
    "another algorithm": (signed_query().replace("rsa-sha256", "rsa-sha512"), "signature_invalid"),
    "ECDSA by an RSA key": (signed_query().replace("rsa-sha256", "ecdsa-sha256"), "signature_invalid"),
    "another RelayState": (signed_query().replace("RelayState=state", "RelayState=other"), "signature_invalid"),
    "without its RelayState": (signed_query().replace("&RelayState=state", ""), "signature_invalid"),
    "as the other kind": (signed_query().replace("SAMLRequest", "SAMLResponse"), "signature_invalid"),
    "another key": (urlsplit(redirect("https://x.example", "SAMLRequest", XML, None, pair("evil"))).query,
                    "signature_invalid"),
    "cut off": (signed_query().partition("&Signature=")[0] + "&Signature=AAAA", "signature_invalid"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "code"), SIGNATURES.values(), ids=SIGNATURES)
def test_a_querys_signature_is_refused(sent: str, code: str) -> None:
    with pytest.raises(SamlRefused) as refused:
        check_query_signature(from_query(sent.encode(), "SAMLRequest", "SAMLResponse"), KNOWN, NOW)
    assert refused.value.code == code


def test_a_key_whose_certificate_has_expired_signs_no_query() -> None:
    old = pair("old", -1)
    sent = from_query(
        urlsplit(redirect("https://x.example", "SAMLRequest", XML, None, old)).query.encode(), "SAMLRequest"
    )
    with pytest.raises(SamlRefused) as refused:
        check_query_signature(sent, (old.certificate,), NOW)
    assert refused.value.code == "certificate_expired"
