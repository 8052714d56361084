"""Attacks that were published from 2024 on, and what is near to them: readers that differ, parts that stand twice, and
elements of the signature that nobody looks into. Each forges the user "mallory", or has something fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from lxml import etree

from gateway.sso.saml import names
from gateway.sso.saml.names import a, ds, p

from ..builder import ALICE, Answer, Signing, at, pair, sign
from ..notation import Case, Element, attack, changed, rebuilt
from .wrapping import evil, only, within

EVIL = "http://127.0.0.1:1/"
XI = "http://www.w3.org/2001/XInclude"


def mallory(root: Element) -> None:
    only(root, a("NameID")).text = "mallory"


def twice(tag: str, *, before: bool, text: str | None = None) -> Callable[[Element], None]:
    """A second element of the signature beside the first; the user is another one."""

    def change(root: Element) -> None:
        mallory(root)
        first = only(root, tag)
        copy = deepcopy(first)
        copy.tail = None
        if text is not None:
            copy.text = text
        (first.addprevious if before else first.addnext)(copy)

    return change


def signed_info_in(*tags: str) -> Callable[[Element], None]:
    """The SignedInfo that was signed stands in these, one that fits the forged assertion in its place."""

    def change(root: Element) -> None:
        mallory(root)
        signature, info = only(root, ds("Signature")), only(root, ds("SignedInfo"))
        forged = deepcopy(info)
        only(forged, ds("DigestValue")).text = "A" * 43 + "="
        signature.replace(info, forged)
        within(signature, *tags).append(info)

    return change


def evil_with(tag: str, *, attributes: dict[str, str] | None = None) -> Callable[[Element], None]:
    """The evil assertion is in the response, the signed one in an element of this name in the evil one's signature."""

    def change(root: Element) -> None:
        assertion = only(root, a("Assertion"))
        forged = evil(assertion)
        signature = deepcopy(only(assertion, ds("Signature")))
        assertion.getparent().replace(assertion, forged)
        forged.insert(1, signature)
        within(only(signature, ds("SignedInfo")) if tag == ds("Reference") else signature, tag).append(assertion)

    return change


def uri(value: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        mallory(root)
        only(root, ds("Reference")).set("URI", value)

    return change


def in_key_info(xml: str) -> Callable[[Element], None]:
    """KeyInfo, which is not signed, leads elsewhere; the signature is another's."""

    def change(root: Element) -> None:
        info = only(root, ds("KeyInfo"))
        for child in [*info]:
            info.remove(child)
        info.append(etree.fromstring(xml))

    return change


def foreign_signature(root: Element) -> None:
    """A signature that the provider made of something else: its metadata, which anybody may fetch."""
    entity = etree.fromstring(
        f'<md:EntityDescriptor xmlns:md="{names.METADATA}" ID="_assertion" entityID="x">'
        f'<ds:Signature xmlns:ds="{names.SIGNATURE}" Id="placeholder"/></md:EntityDescriptor>'
    )
    assertion = only(root, a("Assertion"))
    assertion.replace(only(assertion, ds("Signature")), only(sign(entity, Signing()), ds("Signature")))


def metadata_for_response(root: Element) -> Element:
    """Signed metadata instead of a response, which is inside."""
    entity = etree.Element(f"{{{names.METADATA}}}EntityDescriptor", ID="_entity")
    etree.SubElement(entity, ds("Signature"), Id="placeholder")
    signed = sign(entity, Signing())
    signed.append(evil(root))
    return signed


def renamed(before: str, after: str) -> Callable[[Element], None]:
    """An element of the signature in another namespace, or of another spelling."""

    def change(root: Element) -> None:
        mallory(root)
        only(root, before).tag = after

    return change


def id_moved(attribute: str) -> Callable[[Element], None]:
    """The assertion's ID is an attribute of another name; an element that a reader skips has it by the right one."""

    def change(root: Element) -> None:
        assertion = only(root, a("Assertion"))
        value = assertion.attrib.pop("ID")
        assertion.set(attribute, value)
        mallory(root)

    return change


def included(root: Element) -> None:
    only(root, a("AttributeStatement"))[0][0].append(etree.Element(f"{{{XI}}}include", href="file:///etc/passwd"))


def extension(xml: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        within(root, p("Extensions")).append(etree.fromstring(xml))
        root.insert(1, root[-1])

    return change


def key_info(inner: str) -> str:
    return f'<ds:{inner.split(maxsplit=1)[0]} xmlns:ds="{names.SIGNATURE}" {inner.partition(" ")[2]}/>'


OBJECT = ds("Object")
DATA = "saml:SubjectConfirmationData"
DIGEST = "<ds:DigestValue>"
NOT_IN_SHAPE = "signature_shape_refused"

LATER: list[Case] = [
    # a comment, an instruction or an entity in what is compared (xml-crypto, CVE-2025-29774 and 29775)
    changed("a comment in the DigestValue", "comment_refused", DIGEST, f"{DIGEST}<!--x-->"),
    changed("an instruction in the DigestValue", "instruction_refused", DIGEST, f"{DIGEST}<?x?>"),
    changed("CDATA in the DigestValue", "cdata_refused", DIGEST, f"{DIGEST}<![CDATA[]]>"),
    changed("a comment in SignedInfo", "comment_refused", "<ds:SignedInfo>", "<ds:SignedInfo><!--x-->"),
    # parts that stand twice
    rebuilt("two SignedInfos, the forged one first", NOT_IN_SHAPE, twice(ds("SignedInfo"), before=True)),
    rebuilt("two SignedInfos, the forged one last", NOT_IN_SHAPE, twice(ds("SignedInfo"), before=False)),
    rebuilt("two DigestValues, the forged one first", NOT_IN_SHAPE, twice(ds("DigestValue"), before=True, text="AAAA")),
    rebuilt("two DigestValues, the forged one last", NOT_IN_SHAPE, twice(ds("DigestValue"), before=False, text="AAAA")),
    rebuilt("two DigestMethods", NOT_IN_SHAPE, twice(ds("DigestMethod"), before=True)),
    rebuilt("two SignatureValues", NOT_IN_SHAPE, twice(ds("SignatureValue"), before=False, text="AAAA")),
    rebuilt("two SignatureMethods", NOT_IN_SHAPE, twice(ds("SignatureMethod"), before=True)),
    rebuilt("two CanonicalizationMethods", NOT_IN_SHAPE, twice(ds("CanonicalizationMethod"), before=True)),
    rebuilt("two Transforms", NOT_IN_SHAPE, twice(ds("Transforms"), before=True)),
    rebuilt("two KeyInfos", NOT_IN_SHAPE, twice(ds("KeyInfo"), before=False)),
    # what was signed is elsewhere in the signature
    rebuilt("the signed SignedInfo in ds:Object", NOT_IN_SHAPE, signed_info_in(OBJECT)),
    rebuilt("the signed SignedInfo in a ds:Object in ds:Object", NOT_IN_SHAPE, signed_info_in(OBJECT, OBJECT)),
    rebuilt("the signed SignedInfo in a Manifest", NOT_IN_SHAPE, signed_info_in(ds("Object"), ds("Manifest"))),
    rebuilt("the signed SignedInfo in a second KeyInfo", NOT_IN_SHAPE, signed_info_in(ds("KeyInfo"))),
    rebuilt("the signed assertion in KeyInfo", "assertion_repeated", evil_with(ds("KeyInfo"))),
    rebuilt("the signed assertion in a Manifest", "assertion_repeated", evil_with(ds("Manifest"))),
    rebuilt("the signed assertion in SignatureProperties", "assertion_repeated", evil_with(ds("SignatureProperties"))),
    rebuilt("the signed assertion in a second Reference", "assertion_repeated", evil_with(ds("Reference"))),
    # signatures of something else
    rebuilt("the signature of the provider's metadata", "signature_invalid", foreign_signature),
    rebuilt("signed metadata around an evil response", "structure_wrong", metadata_for_response),
    # what a reference may be taken for
    rebuilt("the reference is escaped", NOT_IN_SHAPE, uri("#%5Fassertion")),
    rebuilt("the reference has white space", NOT_IN_SHAPE, uri("#_assertion ")),
    rebuilt("the reference in capitals", NOT_IN_SHAPE, uri("#_ASSERTION")),
    rebuilt("the reference is an empty fragment", NOT_IN_SHAPE, uri("#")),
    rebuilt("the reference is an XPath", NOT_IN_SHAPE, uri("#xpath1(//*[@ID='_assertion'])")),
    rebuilt("the reference is an element scheme", NOT_IN_SHAPE, uri("#element(/1/3)")),
    rebuilt("the reference is to the whole, by XPointer", NOT_IN_SHAPE, uri("#xpointer(/)")),
    rebuilt("the reference closes a string", NOT_IN_SHAPE, uri("#_assertion' or '1'='1")),
    rebuilt("the reference is relative", NOT_IN_SHAPE, uri("response.xml#_assertion")),
    # names that one reader takes for another (ruby-saml, CVE-2025-25291 and 25292)
    rebuilt("SignedInfo of another namespace", NOT_IN_SHAPE, renamed(ds("SignedInfo"), "{urn:evil}SignedInfo")),
    rebuilt("SignedInfo of no namespace", NOT_IN_SHAPE, renamed(ds("SignedInfo"), "SignedInfo")),
    rebuilt("Reference of another namespace", NOT_IN_SHAPE, renamed(ds("Reference"), "{urn:evil}Reference")),
    rebuilt("DigestValue of another namespace", NOT_IN_SHAPE, renamed(ds("DigestValue"), "{urn:evil}DigestValue")),
    rebuilt("DigestValue in capitals", NOT_IN_SHAPE, renamed(ds("DigestValue"), ds("DIGESTVALUE"))),
    rebuilt("Signature of another namespace", "signature_missing", renamed(ds("Signature"), "{urn:evil}Signature")),
    rebuilt("the ID in lower case", "signature_shape_refused", id_moved("id")),
    rebuilt("the ID by xml:id", "signature_shape_refused", id_moved("{http://www.w3.org/XML/1998/namespace}id")),
    rebuilt("the ID in the protocol's namespace", "signature_shape_refused", id_moved(p("ID"))),
    changed("the assertion's namespace is another one", "assertion_missing", f'xmlns:saml="{names.ASSERTION}"',
            f'xmlns:saml="{names.ASSERTION}/"', sign="R"),
    changed("the signature's namespace ends in a blank", "xml_malformed", f'xmlns:ds="{names.SIGNATURE}"',
            f'xmlns:ds="{names.SIGNATURE} "'),
    changed("a prefix is bound anew", "signature_invalid", "<saml:Subject>", '<saml:Subject xmlns:saml="urn:evil">'),
    changed("an escaped character that XML has not", "xml_malformed", ALICE, "alice&#1;"),
    changed("an escaped zero", "xml_malformed", ALICE, "alice&#0;"),
    changed("an entity that HTML has", "xml_malformed", ALICE, "alice&nbsp;"),
    changed("the end of a CDATA section", "xml_malformed", ALICE, "alice]]>"),
    changed("an escaped comment in the NameID", "signature_invalid", ALICE, f"{ALICE}&lt;!----&gt;.evil.example"),
    # keys that the message brings, or leads to
    attack("another key, whose address is in KeyInfo", "signature_invalid",
           signing=Signing(key=pair("evil").key, certificate=pair("evil").certificate),
           after=in_key_info(key_info(f'RetrievalMethod URI="{EVIL}key"'))),
    attack("another key, by the provider's name", "signature_invalid",
           signing=Signing(key=pair("evil").key, certificate=pair("evil").certificate),
           after=in_key_info(f'<ds:KeyName xmlns:ds="{names.SIGNATURE}">idp</ds:KeyName>')),
    attack("another key, signed with MGF1", "signature_invalid", signing=Signing(
        key=pair("evil").key, certificate=pair("evil").certificate,
        method="http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1")),
    # what would have something fetched
    rebuilt("XInclude in an attribute's value", "signature_invalid", included),
    rebuilt("XInclude in Extensions", "structure_wrong", extension(f'<xi:include xmlns:xi="{XI}" href="{EVIL}"/>')),
    # meaning
    attack("the session ends now", "session_expired", authn=Answer().authn.replace(
        "SessionIndex", f'SessionNotOnOrAfter="{at(0)}" SessionIndex')),
    attack("two confirmations, both wrong", "expired", confirmation="".join(
        f'<saml:SubjectConfirmation Method="{names.BEARER}"><{DATA} {Answer().data.replace(*pair_)}/>'
        "</saml:SubjectConfirmation>" for pair_ in (("acs", "other"), (at(300), at(-300))))),
    attack("a statement of another type", "structure_wrong", attributes=(
        '<saml:Statement xsi:type="saml:AuthnStatementType" AuthnInstant="2026-03-01T11:59:00Z"/>')),
]  # fmt: skip
