"""Octets → a tree without surprises: no DTD, comment, CDATA section or processing instruction, every ID once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from gateway.sso.saml.refusals import SamlRefused

MAX_MESSAGE = 256 * 1024  # octets of XML; a large assertion, with hundreds of groups, has 60 KiB
MAX_METADATA = 1024 * 1024
MAX_DEPTH = 32  # a response has ten
MAX_ELEMENTS = 5_000
MAX_NAMESPACES = 32  # in scope of one element: canonicalization's cost is elements × namespaces
MAX_ATTRIBUTES = 32  # of one element: canonicalization sorts them, in the square of their number

Element = etree._Element

# The declaration, which says nothing or UTF-8. Nothing else may begin with `<?` or `<!`: as neither can stand in
# an attribute's value or in text (XML 1.0 2.4), the octets are looked at before a parser sees them.
_DECLARATION = re.compile(rb"<\?xml[ \t\r\n][^<>?]{0,200}\?>")
_ENCODING = re.compile(rb"""encoding[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)')""")
_REFUSED = (
    (b"<!--", "comment_refused", "the message has a comment"),
    (b"<![CDATA[", "cdata_refused", "the message has a CDATA section"),
    (b"<!", "doctype_refused", "the message has a document type declaration"),
    (b"<?", "instruction_refused", "the message has a processing instruction"),
)
_ID = frozenset(["id", "xml:id"])
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,255}")


def parser() -> etree.XMLParser:
    """Resolves nothing, fetches nothing. One for each use: they are not shared between threads."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, encoding="utf-8"
    )


def parse(data: bytes) -> Element:
    """The root of a message. Raises SamlRefused."""
    if len(data) > MAX_MESSAGE:
        raise SamlRefused("message_too_large", f"the message is larger than {MAX_MESSAGE // 1024} KiB")
    body = _declared(data)
    for octets, code, detail in _REFUSED:
        if octets in body:
            raise SamlRefused(code, detail)
    root = _tree(body)
    _check(root)
    return root


def parse_metadata(data: bytes) -> Element:
    """The same for a file that the operator vouches for: comments and instructions are left out."""
    if len(data) > MAX_METADATA:
        raise SamlRefused("message_too_large", f"the file is larger than {MAX_METADATA // 1024} KiB")
    body = _declared(data.removeprefix(b"\xef\xbb\xbf"))
    if re.search(rb"<!(?!--|\[CDATA\[)", body):
        raise SamlRefused("doctype_refused", "the file has a document type declaration")
    root = _tree(body)
    for node in [*root.iter(etree.Comment, etree.ProcessingInstruction)]:
        _cut(node)
    return root


def _declared(data: bytes) -> bytes:
    """What follows the declaration; it is UTF-8 and says so, if anything."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise SamlRefused("encoding_refused", "the message is not UTF-8") from None
    if data.startswith(b"\xef\xbb\xbf") or b"\0" in data:
        raise SamlRefused("encoding_refused", "the message begins with a byte order mark, or has zero octets")
    found = _DECLARATION.match(data)
    if found is None:
        return data
    named = _ENCODING.search(found[0])
    if named is not None and (named[1] or named[2] or b"").lower() != b"utf-8":
        raise SamlRefused("encoding_refused", "the message declares another encoding than UTF-8")
    return data[found.end() :]


def _tree(body: bytes) -> Element:
    try:
        return etree.fromstring(body.strip(b" \t\r\n"), parser())
    except etree.XMLSyntaxError as error:
        raise SamlRefused("xml_malformed", "the message is not well-formed XML", hint=error.msg or "") from None


def _cut(node: Element) -> None:
    """Takes a comment away and leaves the text behind it."""
    above = node.getparent()
    if above is None:
        return
    before = node.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + (node.tail or "")
    else:
        above.text = (above.text or "") + (node.tail or "")
    node.tail = None
    above.remove(node)


def _check(root: Element) -> None:
    seen: set[str] = set()
    for number, (element, depth) in enumerate(_walk(root)):
        if not isinstance(element.tag, str):
            raise SamlRefused("xml_malformed", "the message has an entity reference")
        if depth > MAX_DEPTH or number >= MAX_ELEMENTS:
            raise SamlRefused("xml_too_complex", "the message is nested too deeply, or has too many elements")
        if len(element.nsmap) > MAX_NAMESPACES or len(element.attrib) > MAX_ATTRIBUTES:
            raise SamlRefused("xml_too_complex", "an element has too many attributes or namespaces")
        for name, value in element.attrib.items():
            if etree.QName(name).localname.lower() in _ID:
                _check_id(str(value), seen)


def _check_id(value: str, seen: set[str]) -> None:
    """Of whatever namespace and spelling: what resolves a reference might look at any of them."""
    if not _NAME.fullmatch(value):
        raise SamlRefused("id_invalid", "an ID of the message is not a name")
    if value in seen:
        raise SamlRefused("id_repeated", "two elements of the message have the same ID")
    seen.add(value)


def _walk(root: Element) -> Iterator[tuple[Element, int]]:
    """Each element with its depth, in the document's order."""
    stack = [(root, 1)]
    while stack:
        element, depth = stack.pop()
        yield element, depth
        stack.extend((child, depth + 1) for child in reversed(element))
