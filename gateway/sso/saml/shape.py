"""What an element may hold: its children by name and number, its attributes, and no text between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lxml import etree

from gateway.sso.saml.names import PREFIXES
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.xml import Element

_BY_NAMESPACE = {namespace: prefix for prefix, namespace in PREFIXES.items()}
_SPACE = " \t\r\n"
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_XML = "{http://www.w3.org/XML/1998/namespace}"


class Part(NamedTuple):
    """A child and how often it stands there, in this place of the order."""

    tag: str
    least: int = 1
    most: int = 1


def one(tag: str) -> Part:
    return Part(tag)


def perhaps(tag: str) -> Part:
    return Part(tag, 0)


def some(tag: str, least: int = 0, most: int = 1_000) -> Part:
    return Part(tag, least, most)


def shown(tag: str) -> str:
    """As people write it: `saml:Subject`; no more of a foreign one than its local name."""
    name = etree.QName(tag)
    return f"{_BY_NAMESPACE.get(name.namespace or '', '?')}:{name.localname[:60]}"


def children(element: Element, *parts: Part) -> dict[str, list[Element]]:
    """The element's children by tag; they must come in this order, and nothing else be between them.

    Raises SamlRefused `structure_wrong`.
    """
    no_text_between(element)
    found: dict[str, list[Element]] = {part.tag: [] for part in parts}
    rest = iter(element)
    child = next(rest, None)
    for part in parts:
        while child is not None and child.tag == part.tag:
            found[part.tag].append(child)
            child = next(rest, None)
        if not part.least <= len(found[part.tag]) <= part.most:
            told = "is missing from" if len(found[part.tag]) < part.least else "stands too often in"
            raise _wrong(f"{shown(part.tag)} {told} {shown(str(element.tag))}")
    if child is not None:
        raise _wrong(f"{shown(str(child.tag))} is not expected where it stands in {shown(str(element.tag))}")
    return found


def attributes(element: Element, needed: Iterable[str] = (), permitted: Iterable[str] = ()) -> None:
    """Those of no namespace are these; those of others but XML's own and the schema instance's are not there."""
    needed = frozenset(needed)
    known = needed.union(permitted)
    for name in map(str, element.attrib):
        if name not in known and not name.startswith((_INSTANCE, _XML)):
            raise _wrong(f"{shown(str(element.tag))} has an attribute that is not expected")
    for name in needed.difference(element.attrib):
        raise _wrong(f"{shown(str(element.tag))} has no {name}")


def text(element: Element) -> str:
    """All that an element without children says, without the space around it."""
    if len(element):
        raise _wrong(f"{shown(str(element.tag))} has elements where text is expected")
    return (element.text or "").strip(_SPACE)


def no_text_between(element: Element) -> None:
    """What is not an element is white space."""
    for piece in (element.text, *(child.tail for child in element)):
        if piece and piece.strip(_SPACE):
            raise _wrong(f"{shown(str(element.tag))} has text between its elements")


def _wrong(detail: str) -> SamlRefused:
    return SamlRefused("structure_wrong", detail)
