"""Signatures by others, by other algorithms, of other shapes, of part of the message, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod

from gateway.sso.saml import names
from gateway.sso.saml.names import ds

from ..builder import ALICE, Answer, Signing, at, ec_pair, pair
from ..notation import Case, Element, attack, changed, rebuilt
from .wrapping import only


def drop(tag: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        element = only(root, tag)
        element.getparent().remove(element)

    return change


def put(tag: str, attribute: str, value: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        next(root.iter(tag)).set(attribute, value)

    return change


def text(tag: str, value: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        only(root, tag).text = value

    return change


def transform(algorithm: str, position: int) -> Callable[[Element], None]:
    """One more transform."""

    def change(root: Element) -> None:
        only(root, ds("Transforms")).insert(position, etree.Element(ds("Transform"), Algorithm=algorithm))

    return change


def enveloped_by(algorithm: str) -> Callable[[Element], None]:
    return lambda root: next(root.iter(ds("Transform"))).set("Algorithm", algorithm)


def without_transform(position: int) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        transforms = only(root, ds("Transforms"))
        transforms.remove(transforms[position])

    return change


def inside(tag: str, xml: str) -> Callable[[Element], None]:
    """More in an element of the signature."""

    def change(root: Element) -> None:
        only(root, tag).append(etree.fromstring(xml))

    return change


def without_id(root: Element) -> None:
    """And the reference is to the whole document."""
    del root.attrib["ID"]
    only(root, ds("Reference")).set("URI", "")


def resigned(key_name: str, **more: Any) -> Signing:
    return Signing(key=pair(key_name).key, certificate=pair(key_name).certificate, **more)


XSLT = f'<ds:Transform xmlns:ds="{names.SIGNATURE}" Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>'
XPATH = f'<ds:XPath xmlns:ds="{names.SIGNATURE}">ancestor-or-self::*</ds:XPath>'
OBJECT = f'<ds:Object xmlns:ds="{names.SIGNATURE}">x</ds:Object>'
HMAC_OUTPUT = f'<ds:HMACOutputLength xmlns:ds="{names.SIGNATURE}">8</ds:HMACOutputLength>'
OLD = Signing(key=pair("old", -1).key, certificate=pair("old", -1).certificate)
C14N_11 = CanonicalizationMethod.CANONICAL_XML_1_1
C14N_10 = CanonicalizationMethod.CANONICAL_XML_1_0
WITH_COMMENTS = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0_WITH_COMMENTS
PEM = pair("idp").certificate.public_key().public_bytes  # the HMAC's "secret" is public


def hmac_signing() -> Signing:
    """Algorithm confusion: the provider's public key as the secret of an HMAC."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    octets = PEM(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Signing(key=octets, method=SignatureMethod.HMAC_SHA256)


SIGNING: list[Case] = [
    attack("nothing is signed", "signature_missing", sign=""),
    rebuilt("the signature is taken away", "signature_missing", drop(ds("Signature"))),
    rebuilt("the response's signature is taken away", "signature_missing", drop(ds("Signature")), sign="R"),
    attack("signed by another key", "signature_invalid", signing=resigned("evil")),
    attack("response signed by another key", "signature_invalid", sign="R", signing=resigned("evil")),
    attack("the response is signed by another key, the assertion well", "signature_invalid",
           sign="RA", signing=resigned("evil"), assertion_signing=Signing()),
    attack("the assertion is signed by another key, the response well", "signature_invalid",
           sign="RA", assertion_signing=resigned("evil")),
    attack("another key, with the provider's certificate in KeyInfo", "signature_invalid",
           signing=Signing(key=pair("evil").key, certificate=pair("idp").certificate)),
    attack("another key, its value in KeyInfo", "signature_invalid", signing=Signing(key=pair("evil").key)),
    attack("another key, its value beside the certificate", "signature_invalid",
           signing=resigned("evil", key_value=True)),
    attack("an EC key that nobody knows", "signature_invalid",
           signing=Signing(key=ec_pair()[0], certificate=ec_pair()[1], method=SignatureMethod.ECDSA_SHA256)),
    attack("an HMAC by the provider's public key", "algorithm_refused", signing=hmac_signing()),
    attack("an HMAC by a word", "algorithm_refused",
           signing=Signing(key=b"secret", method=SignatureMethod.HMAC_SHA256)),
    attack("RSA with SHA-1", "algorithm_refused", signing=Signing(method=SignatureMethod.RSA_SHA1)),
    attack("RSA with SHA-224", "algorithm_refused", signing=Signing(method=SignatureMethod.RSA_SHA224)),
    attack("RSA-PSS with SHA-1", "algorithm_refused", signing=Signing(method=SignatureMethod.SHA1_RSA_MGF1)),
    attack("a SHA-1 digest", "algorithm_refused", signing=Signing(digest=DigestAlgorithm.SHA1)),
    attack("a SHA-224 digest", "algorithm_refused", signing=Signing(digest=DigestAlgorithm.SHA224)),
    attack("inclusive canonicalization 1.1", "algorithm_refused", signing=Signing(canonical=C14N_11)),
    attack("inclusive canonicalization 1.0", "algorithm_refused", signing=Signing(canonical=C14N_10)),
    attack("canonicalization with comments", "algorithm_refused", signing=Signing(canonical=WITH_COMMENTS)),
    rebuilt("no algorithm", "algorithm_refused", put(ds("SignatureMethod"), "Algorithm", "")),
    rebuilt("the algorithm `none`", "algorithm_refused", put(ds("SignatureMethod"), "Algorithm", "none")),
    rebuilt("MD5", "algorithm_refused", put(ds("SignatureMethod"), "Algorithm", f"{names.SIGNATURE}rsa-md5")),
    rebuilt("DSA", "algorithm_refused", put(ds("SignatureMethod"), "Algorithm", f"{names.SIGNATURE}dsa-sha1")),
    rebuilt("RSA is called ECDSA", "signature_invalid",
            put(ds("SignatureMethod"), "Algorithm", min(names.EC_SIGNATURES))),
    rebuilt("RSA is called RSA-PSS", "signature_invalid",
            put(ds("SignatureMethod"), "Algorithm", "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1")),
    rebuilt("the digest is called another", "signature_invalid",
            put(ds("DigestMethod"), "Algorithm", f"{names.ENCRYPTION}sha512")),
    rebuilt("HMACOutputLength", "signature_shape_refused", inside(ds("SignatureMethod"), HMAC_OUTPUT)),
    rebuilt("an XSLT transform", "signature_shape_refused", inside(ds("Transforms"), XSLT)),
    rebuilt("an XPath transform first", "signature_shape_refused",
            transform("http://www.w3.org/TR/1999/REC-xpath-19991116", 0)),
    rebuilt("an XPath filter 2.0", "signature_shape_refused",
            transform("http://www.w3.org/2002/06/xmldsig-filter2", 1)),
    rebuilt("a base64 transform", "signature_shape_refused", transform(f"{names.SIGNATURE}base64", 2)),
    rebuilt("an XPath in the enveloped transform", "algorithm_refused",
            lambda root: next(root.iter(ds("Transform"))).append(etree.fromstring(XPATH))),
    rebuilt("XPath instead of enveloped", "algorithm_refused",
            enveloped_by("http://www.w3.org/TR/1999/REC-xpath-19991116")),
    rebuilt("XSLT instead of enveloped", "algorithm_refused",
            enveloped_by("http://www.w3.org/TR/1999/REC-xslt-19991116")),
    rebuilt("no enveloped transform", "signature_shape_refused", without_transform(0)),
    rebuilt("no canonicalization among the transforms", "signature_shape_refused", without_transform(1)),
    rebuilt("no transforms", "signature_shape_refused", drop(ds("Transforms"))),
    rebuilt("ds:Object", "signature_shape_refused", inside(ds("Signature"), OBJECT)),
    rebuilt("no SignedInfo", "signature_shape_refused", drop(ds("SignedInfo"))),
    rebuilt("no SignatureValue", "signature_shape_refused", drop(ds("SignatureValue"))),
    rebuilt("no DigestValue", "signature_shape_refused", drop(ds("DigestValue"))),
    rebuilt("an empty SignatureValue", "signature_invalid", text(ds("SignatureValue"), "")),
    rebuilt("a SignatureValue of zero", "signature_invalid", text(ds("SignatureValue"), "A" * 344)),
    rebuilt("a SignatureValue that is no base64", "signature_invalid", text(ds("SignatureValue"), "!!!")),
    rebuilt("an empty DigestValue", "signature_invalid", text(ds("DigestValue"), "")),
    rebuilt("elements in the SignatureValue", "signature_shape_refused",
            lambda root: only(root, ds("SignatureValue")).append(etree.Element("x"))),
    rebuilt("elements in the DigestValue", "signature_shape_refused",
            lambda root: only(root, ds("DigestValue")).append(etree.Element("x"))),
    attack("the assertion has no ID", "structure_wrong", sign="R",
           assertion=f'Version="2.0" IssueInstant="{at(-1)}"'),
    rebuilt("the response has no ID", "structure_wrong", without_id, sign="R"),
    changed("another user after signing", "signature_invalid", ALICE, "mallory@example.com"),
    changed("another user after the response was signed", "signature_invalid", ALICE, "mallory", sign="R"),
    changed("one more role after signing", "signature_invalid", ">staff<", ">root<"),
    changed("an assertion of a signed response changes its ID", "signature_invalid", "_assertion", "_other", sign="R"),
    changed("white space in the NameID", "signature_invalid", ALICE, f" {ALICE}"),
    changed("a zero-width space in the NameID", "signature_invalid", ALICE, f"{ALICE}\N{ZERO WIDTH SPACE}"),
    changed("a homograph in the NameID", "signature_invalid", ALICE, ALICE.replace("a", "\N{CYRILLIC SMALL LETTER A}")),
    Case("an expired certificate", "certificate_expired", Answer(signing=OLD),
         {"certificates": (pair("old", -1).certificate,)}),
    Case("a certificate of another provider's metadata", "signature_invalid", Answer(),
         {"certificates": (pair("next").certificate,)}),
    Case("none of several certificates", "signature_invalid", Answer(signing=resigned("evil")),
         {"certificates": (pair("next").certificate, ec_pair()[1], pair("idp").certificate)}),
]  # fmt: skip
