"""Encrypted assertions: by algorithms that leak, for others, of other things, by those who only know a public key."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from lxml import etree

from gateway.sso.saml import names
from gateway.sso.saml.names import a, ds, xenc
from gateway.sso.saml.xml import MAX_MESSAGE

from ..builder import Answer, Sealing, Signing, pair
from ..notation import Case, Element, attack, changed, rebuilt
from .wrapping import only

BOTH = Answer(sign="R", sealing=Sealing())
EVIL = Signing(key=pair("evil").key, certificate=pair("evil").certificate)
MGF = f'<xenc11:MGF xmlns:xenc11="{names.ENCRYPTION_11}" Algorithm="{names.ENCRYPTION_11}mgf1%s"/>'
DIGEST = '<ds:DigestMethod Algorithm="%s"/>'
MD5 = "http://www.w3.org/2001/04/xmldsig-more#md5"


def sealed(name: str, code: str, sign: str = "A", **how: object) -> Case:
    return attack(name, code, sign=sign, sealing=Sealing(**how))  # type: ignore[arg-type]


def flipped(octets: bytes) -> bytes:
    return octets[:-1] + bytes([octets[-1] ^ 1])


def by_reference(root: Element) -> None:
    """CipherReference instead of CipherValue."""
    for value in [*root.iter(xenc("CipherValue"))]:
        value.tag = xenc("CipherReference")
        value.set("URI", "http://127.0.0.1:1/")
        value.text = None


def foreign_signature(root: Element) -> None:
    etree.SubElement(only(root, a("EncryptedAssertion")), ds("Signature"))


def cbc(size: int) -> str:
    return f"{names.ENCRYPTION}aes{size}-cbc"


SEALING: list[Case] = [
    sealed("nothing is signed", "signature_missing", sign=""),
    attack("the assertion within is signed by another key", "signature_invalid", signing=EVIL, sealing=Sealing()),
    sealed("AES-128 in CBC", "algorithm_refused", method=cbc(128), size=16),
    sealed("AES-256 in CBC", "algorithm_refused", method=cbc(256)),
    sealed("AES-192 in GCM", "algorithm_refused", method=f"{names.ENCRYPTION_11}aes192-gcm", size=24),
    sealed("triple DES", "algorithm_refused", method=f"{names.ENCRYPTION}tripledes-cbc"),
    sealed("no algorithm", "algorithm_refused", method=""),
    sealed("RSA 1.5", "algorithm_refused", key_method=f"{names.ENCRYPTION}rsa-1_5", key_parts="", padding=PKCS1v15),
    sealed("a wrapped key", "algorithm_refused", key_method=f"{names.ENCRYPTION}kw-aes256", key_parts=""),
    sealed("OAEP with MD5", "algorithm_refused", key_parts=DIGEST % MD5),
    sealed("OAEP with MGF1 of SHA-512", "algorithm_refused", key_parts=MGF % "sha512"),
    sealed("OAEP parameters", "structure_wrong",
           key_parts=f'<xenc:OAEPparams xmlns:xenc="{names.ENCRYPTION}">AAAA</xenc:OAEPparams>'),
    sealed("MGF in OAEP 1.0", "structure_wrong", key_method=names.OAEP, key_parts=MGF % "sha256"),
    sealed("for another service provider", "decryption_failed", certificate=pair("evil").certificate),
    sealed("a changed ciphertext", "decryption_failed", spoil=flipped),
    sealed("a ciphertext that is cut off", "decryption_failed", spoil=lambda octets: octets[:-20]),
    sealed("a ciphertext of nothing", "decryption_failed", spoil=lambda octets: b""),
    sealed("a key of another length", "decryption_failed", size=16),
    sealed("the digest is called another", "decryption_failed", key_parts=MGF % "sha256"),
    sealed("the mask is called another", "decryption_failed",
           key_parts=DIGEST % f"{names.ENCRYPTION}sha256" + MGF % "sha1"),
    sealed("content instead of an element", "structure_wrong", kind=f"{names.ENCRYPTION}Content"),
    sealed("no encrypted key", "decryption_no_key", keys=0),
    sealed("too many encrypted keys", "decryption_no_key", keys=5),
    sealed("too many encrypted keys beside it", "structure_wrong", keys=5, beside=True),
    rebuilt("the ciphertext is elsewhere", "structure_wrong", by_reference, sealing=Sealing()),
    changed("a ciphertext that is no base64", "base64_invalid", "<xenc:CipherValue>", "<xenc:CipherValue>!",
            sealing=Sealing()),
    attack("the response is signed, and its ciphertext changed", "signature_invalid", BOTH,
           text=lambda octets: octets.replace(b"<xenc:CipherValue>", b"<xenc:CipherValue>A")),
    attack("two encrypted assertions", "assertion_repeated", BOTH, assertions=lambda text: text * 2),
    attack("another issuer within", "issuer_wrong", BOTH, assertion_issuer="<saml:Issuer>evil</saml:Issuer>"),
    attack("another audience within", "audience_wrong", BOTH,
           audience="<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>"),
    attack("an assertion in the assertion within", "assertion_repeated", BOTH,
           attributes='<saml:Advice><saml:Assertion ID="_2"/></saml:Advice>'),
    attack("encryption within", "structure_wrong", BOTH,
           attributes=f'<saml:EncryptedAssertion><xenc:EncryptedData xmlns:xenc="{names.ENCRYPTION}"/>'
                      f"</saml:EncryptedAssertion>"),
    attack("a comment within", "comment_refused", BOTH, plain=lambda octets: octets.replace(b"@", b"<!-- -->@")),
    attack("a document type within", "doctype_refused", BOTH, plain=lambda octets: b"<!DOCTYPE x>" + octets),
    attack("no XML within", "xml_malformed", BOTH, plain=lambda octets: b"alice"),
    attack("another element within", "structure_wrong", BOTH, plain=lambda octets: b"<x/>"),
    attack("too much within", "message_too_large", plain=lambda octets: octets + b" " * MAX_MESSAGE, sealing=Sealing()),
    rebuilt("the signature is in the EncryptedAssertion", "signature_misplaced", foreign_signature, sealing=Sealing()),
    Case("the gateway has no key", "decryption_no_key", Answer(sealing=Sealing()), {"keys": ()}),
]  # fmt: skip
