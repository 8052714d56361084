"""Signature wrapping: what was signed stays in the document, something else is to be read. XSW1 to XSW8 are those of
Somorovsky and others, "On Breaking SAML: Be Whoever You Want to Be" (USENIX Security 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from lxml import etree

from gateway.sso.saml.names import a, ds, p

from ..notation import Case, Element, rebuilt


def only(root: Element, tag: str) -> Element:
    (found,) = root.iter(tag)
    return found


def evil(element: Element, identifier: str = "_evil") -> Element:
    """A copy for another user, unsigned."""
    copy = deepcopy(element)
    copy.tail = None
    for signature in [*copy.iter(ds("Signature"))]:
        signature.getparent().remove(signature)
    for number, inner in enumerate(each for each in copy.iter() if each.get("ID")):
        inner.set("ID", f"{identifier}{number or ''}")
    for name in copy.iter(a("NameID")):
        name.text = "mallory"
    return copy


def within(parent: Element, *tags: str) -> Element:
    """New elements, one in the other."""
    for tag in tags:
        parent = etree.SubElement(parent, tag)
    return parent


# --- by the book


def xsw1(root: Element) -> Element:
    """An evil response carries the signature, and in it the signed one."""
    forged = evil(root)
    signature = root.find(ds("Signature"))
    root.remove(signature)
    signature.append(root)
    forged.insert(1, signature)
    return forged


def xsw2(root: Element) -> Element:
    """The same, with the signed one before the signature."""
    forged = evil(root)
    signature = root.find(ds("Signature"))
    root.remove(signature)
    forged.insert(1, signature)
    forged.insert(1, root)
    return forged


def xsw3(root: Element) -> None:
    """An evil assertion before the signed one."""
    assertion = only(root, a("Assertion"))
    assertion.addprevious(evil(assertion))


def xsw4(root: Element) -> None:
    """The signed assertion in an evil one."""
    assertion = only(root, a("Assertion"))
    forged = evil(assertion)
    root.replace(assertion, forged)
    forged.append(assertion)


def xsw5(root: Element) -> None:
    """The evil assertion carries the signature, and what was signed follows."""
    assertion = only(root, a("Assertion"))
    original = deepcopy(assertion)
    original.remove(original.find(ds("Signature")))
    assertion.set("ID", "_evil")
    only(assertion, a("NameID")).text = "mallory"
    root.append(original)


def xsw6(root: Element) -> None:
    """The evil assertion carries the signature, and in it what was signed."""
    assertion = only(root, a("Assertion"))
    original = deepcopy(assertion)
    original.remove(original.find(ds("Signature")))
    assertion.set("ID", "_evil")
    only(assertion, a("NameID")).text = "mallory"
    assertion.find(ds("Signature")).append(original)


def xsw7(root: Element) -> None:
    """An evil assertion of the same ID in Extensions."""
    assertion = only(root, a("Assertion"))
    root.insert(1, etree.Element(p("Extensions")))
    root[1].append(evil(assertion, "_assertion"))


def xsw8(root: Element) -> None:
    """The signed one in ds:Object of the signature that the evil one carries."""
    assertion = only(root, a("Assertion"))
    original = deepcopy(assertion)
    original.remove(original.find(ds("Signature")))
    only(assertion, a("NameID")).text = "mallory"
    within(assertion.find(ds("Signature")), ds("Object")).append(original)


# --- variants


def hidden(*tags: str, inside: str | None = None) -> Callable[[Element], None]:
    """The signed assertion moves into these elements, in the element of this tag; an evil one takes its place."""

    def change(root: Element) -> None:
        assertion = only(root, a("Assertion"))
        root.replace(assertion, evil(assertion))
        parent = root if inside is None else next(root.iter(inside))
        within(parent, *tags).append(assertion)

    return change


def same_id(root: Element) -> None:
    assertion = only(root, a("Assertion"))
    assertion.addprevious(evil(assertion, "_assertion"))


def other_spelling(attribute: str) -> Callable[[Element], None]:
    """The evil assertion has the signed one's ID in another attribute."""

    def change(root: Element) -> None:
        assertion = only(root, a("Assertion"))
        forged = evil(assertion)
        forged.set(attribute, "_assertion")
        root.replace(assertion, forged)
        within(root, p("Extensions")).append(assertion)

    return change


def moved_signature(root: Element) -> None:
    """The assertion's signature is carried by the response."""
    signature = only(root, ds("Signature"))
    signature.getparent().remove(signature)
    root.insert(1, signature)
    only(root, a("NameID")).text = "mallory"


def copied_signature(root: Element) -> None:
    """An evil assertion carries a copy of the signature, the signed one is gone."""
    assertion = only(root, a("Assertion"))
    forged = evil(assertion)
    forged.insert(1, deepcopy(assertion.find(ds("Signature"))))
    root.replace(assertion, forged)


def after_signed(root: Element) -> None:
    assertion = only(root, a("Assertion"))
    root.append(evil(assertion))


def evil_in_other_namespace(root: Element) -> None:
    """As a parser that ignores namespaces would see it."""
    assertion = only(root, a("Assertion"))
    foreign = etree.Element("{urn:evil}Assertion", ID="_evil")
    foreign.extend(deepcopy(assertion)[:])
    assertion.addprevious(foreign)


def response_in_response(root: Element) -> Element:
    forged = evil(root)
    forged.replace(only(forged, a("Assertion")), root)
    return forged


def wrapped_in_foreign(root: Element) -> Element:
    outer = etree.Element("{urn:evil}Envelope")
    outer.append(root)
    return outer


def assertion_alone(root: Element) -> Element:
    return only(root, a("Assertion"))


def two_signatures(root: Element) -> None:
    assertion = only(root, a("Assertion"))
    assertion.insert(1, deepcopy(assertion.find(ds("Signature"))))


def signature_last(root: Element) -> None:
    assertion = only(root, a("Assertion"))
    assertion.append(assertion.find(ds("Signature")))


def reference_to(uri: str) -> Callable[[Element], None]:
    def change(root: Element) -> None:
        only(root, ds("Reference")).set("URI", uri)

    return change


def second_reference(root: Element) -> None:
    reference = only(root, ds("Reference"))
    reference.addnext(deepcopy(reference))


def reference_to_nothing(root: Element) -> None:
    del only(root, ds("Reference")).attrib["URI"]


def unsigned_evil_encrypted(root: Element) -> None:
    """A second, encrypted assertion beside the signed one: anybody can encrypt for the gateway."""
    from ..builder import Sealing, seal

    assertion = only(root, a("Assertion"))
    root.append(etree.fromstring(seal(etree.tostring(evil(assertion)), Sealing())))


WRAPPING: list[Case] = [
    rebuilt("XSW1: signed response in the signature of an evil one", "assertion_repeated", xsw1, sign="R"),
    rebuilt("XSW2: signed response before the signature of an evil one", "assertion_repeated", xsw2, sign="R"),
    rebuilt("XSW3: evil assertion before the signed one", "assertion_repeated", xsw3),
    rebuilt("XSW4: signed assertion in an evil one", "assertion_repeated", xsw4),
    rebuilt("XSW5: evil assertion with the signature, the signed one behind it", "assertion_repeated", xsw5),
    rebuilt("XSW6: evil assertion with the signature, the signed one in it", "assertion_repeated", xsw6),
    rebuilt("XSW7: evil assertion of the same ID in Extensions", "id_repeated", xsw7),
    rebuilt("XSW8: signed assertion in ds:Object", "id_repeated", xsw8),
    rebuilt("XSW1 with both signed", "assertion_repeated", xsw1, sign="RA"),
    rebuilt("XSW2 with both signed", "assertion_repeated", xsw2, sign="RA"),
    rebuilt("XSW3 with both signed", "assertion_repeated", xsw3, sign="RA"),
    rebuilt("XSW4 with both signed", "assertion_repeated", xsw4, sign="RA"),
    rebuilt("XSW3 with the response signed", "assertion_repeated", xsw3, sign="R"),
    rebuilt("evil assertion behind the signed one", "assertion_repeated", after_signed),
    rebuilt("evil assertion of the same ID before the signed one", "id_repeated", same_id),
    rebuilt("signed assertion in Extensions", "assertion_repeated", hidden(p("Extensions"))),
    rebuilt("signed assertion in a foreign element", "assertion_repeated", hidden("{urn:evil}any")),
    rebuilt("signed assertion in StatusDetail", "assertion_repeated", hidden(p("StatusDetail"), inside=p("Status"))),
    rebuilt("signed assertion in Advice", "assertion_repeated", hidden(a("Advice"), inside=a("Assertion"))),
    rebuilt("signed assertion in an attribute", "assertion_repeated", hidden(inside=a("AttributeValue"))),
    rebuilt("signed assertion in the Issuer", "structure_wrong", hidden(inside=a("Issuer"))),
    rebuilt("signed assertion in the NameID", "assertion_repeated", hidden(inside=a("NameID"))),
    rebuilt("signed assertion in the confirmation", "assertion_repeated", hidden(inside=a("SubjectConfirmationData"))),
    rebuilt("signed assertion in an authentication context", "assertion_repeated", hidden(inside=a("AuthnContext"))),
    rebuilt("the signed one's ID as `Id`", "id_repeated", other_spelling("Id")),
    rebuilt("the signed one's ID as `id`", "id_repeated", other_spelling("id")),
    rebuilt("the signed one's ID as a foreign `ID`", "id_repeated", other_spelling("{urn:evil}ID")),
    rebuilt(
        "the signed one's ID as xml:id",
        "id_repeated",
        other_spelling("{http://www.w3.org/XML/1998/namespace}id"),
    ),
    rebuilt("the assertion's signature is carried by the response", "signature_shape_refused", moved_signature),
    rebuilt("evil assertion with a copy of the signature", "signature_shape_refused", copied_signature),
    rebuilt("evil assertion in another namespace", "structure_wrong", evil_in_other_namespace),
    rebuilt("signed response in an evil response", "structure_wrong", response_in_response, sign="R"),
    rebuilt("signed response in a foreign element", "structure_wrong", wrapped_in_foreign, sign="R"),
    rebuilt("an assertion alone", "structure_wrong", assertion_alone),
    rebuilt("two signatures of one assertion", "signature_misplaced", two_signatures),
    rebuilt("the signature at the end of its assertion", "signature_misplaced", signature_last),
    rebuilt("the reference is to the whole document", "signature_shape_refused", reference_to("")),
    rebuilt("the reference is to the response", "signature_shape_refused", reference_to("#_response")),
    rebuilt("the reference is to nothing", "signature_shape_refused", reference_to("#_other")),
    rebuilt("the reference has no URI", "signature_shape_refused", reference_to_nothing),
    rebuilt("the reference is an XPointer", "signature_shape_refused", reference_to("#xpointer(id('_assertion'))")),
    rebuilt("the reference is to a file", "signature_shape_refused", reference_to("file:///etc/passwd")),
    rebuilt("the reference is to the network", "signature_shape_refused", reference_to("http://169.254.169.254/")),
    rebuilt("two references", "signature_shape_refused", second_reference),
    rebuilt("an encrypted assertion beside the signed one", "assertion_repeated", unsigned_evil_encrypted),
]
