"""What the octets may not be: document types, entities, comments, other encodings, bombs, and what is no XML."""

from __future__ import annotations

from collections.abc import Callable

from gateway.sso.saml.xml import MAX_DEPTH, MAX_ELEMENTS, MAX_MESSAGE

from ..builder import ALICE, Answer
from ..notation import Case, attack, changed


def before(text: str) -> Callable[[bytes], bytes]:
    return lambda octets: text.encode() + octets


def after(text: str) -> Callable[[bytes], bytes]:
    return lambda octets: octets + text.encode()


def encoded(name: str, codec: str) -> Callable[[bytes], bytes]:
    return lambda octets: (f'<?xml version="1.0" encoding="{name}"?>' + octets.decode()).encode(codec)


LAUGHS = "<!DOCTYPE lolz [<!ENTITY lol0 'lol'>{}]>".format(
    "".join(f"<!ENTITY lol{n} '" + f"&lol{n - 1};" * 10 + "'>" for n in range(1, 10))
)
BLOWUP = f"<!DOCTYPE x [<!ENTITY a '{'a' * 50_000}'>]>"
FILE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
NET = '<!DOCTYPE x [<!ENTITY f SYSTEM "http://127.0.0.1:1/">]>'
PARAMETER = '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/evil.dtd"> %p;]>'
OUTSIDE = '<!DOCTYPE samlp:Response SYSTEM "http://127.0.0.1:1/evil.dtd">'
DEFAULTS = '<!DOCTYPE x [<!ATTLIST saml:Assertion ID CDATA "_assertion">]>'
IDS = "<!DOCTYPE x [<!ATTLIST samlp:Response other ID #IMPLIED>]>"

DOCTYPES = {
    "billion laughs": LAUGHS,
    "quadratic blow-up": BLOWUP,
    "an entity of a file": FILE,
    "an entity of the network": NET,
    "a parameter entity": PARAMETER,
    "an external subset": OUTSIDE,
    "an attribute's default": DEFAULTS,
    "an attribute of type ID": IDS,
    "an empty one": "<!DOCTYPE x>",
}

COMMENTS = {
    "in the NameID": (ALICE, "alice@example.com<!-- -->.evil.example"),
    "at the start of the NameID": (ALICE, f"<!-- -->{ALICE}"),
    "in an attribute's value": ("admins", "admins<!-- -->x"),
    "in the audience": ("urn:example:gateway", "urn:example:<!-- -->gateway"),
    "between elements": ("<saml:Subject>", "<!-- --><saml:Subject>"),
    "in the signature's value": ("<ds:SignatureValue>", "<ds:SignatureValue><!-- -->"),
}

INSTRUCTIONS = {
    "in the NameID": (ALICE, "alice@example.com<?x?>.evil.example"),
    "between elements": ("<saml:Subject>", "<?x y?><saml:Subject>"),
    "a style sheet": ("<saml:Subject>", '<?xml-stylesheet href="http://127.0.0.1:1/"?><saml:Subject>'),
}

DEEP = "<x>" * MAX_DEPTH + "</x>" * MAX_DEPTH
MANY = '<saml:AttributeStatement><saml:Attribute Name="n">%s</saml:Attribute></saml:AttributeStatement>'
WIDE = MANY % ("<saml:AttributeValue/>" * MAX_ELEMENTS)
NAMES = MANY % "<saml:AttributeValue {}/>".format(" ".join(f'xmlns:n{n}="urn:{n}"' for n in range(40)))
MUCH = " ".join(f'a{number}="x"' for number in range(5_000))

OCTETS: list[Case] = [
    *(attack(f"document type: {name}", "doctype_refused", text=before(text)) for name, text in DOCTYPES.items()),
    *(changed(f"comment {name}", "comment_refused", *pair) for name, pair in COMMENTS.items()),
    *(changed(f"instruction {name}", "instruction_refused", *pair) for name, pair in INSTRUCTIONS.items()),
    attack("comment before the root", "comment_refused", text=before("<!-- -->")),
    attack("comment behind the root", "comment_refused", text=after("<!-- -->")),
    attack("instruction behind the root", "instruction_refused", text=after("<?x?>")),
    attack("two declarations", "instruction_refused", text=before('<?xml version="1.0"?><?xml version="1.0"?>')),
    changed("CDATA in the NameID", "cdata_refused", ALICE, "alice@example.com<![CDATA[.evil]]>"),
    changed("an entity that nobody declares", "xml_malformed", ALICE, "&alice;"),
    changed("a character that XML has not", "xml_malformed", ALICE, "alice&#0;"),
    attack("UTF-16", "encoding_refused", text=encoded("UTF-16", "utf-16")),
    attack("UTF-16 without a mark", "encoding_refused", text=encoded("UTF-16LE", "utf-16-le")),
    attack("UTF-32", "encoding_refused", text=encoded("UTF-32", "utf-32")),
    attack("UTF-7 is declared", "encoding_refused", text=encoded("UTF-7", "utf-8")),
    attack("ISO-8859-1 is declared", "encoding_refused", text=encoded("ISO-8859-1", "latin-1")),
    attack("US-ASCII is declared", "encoding_refused", text=encoded("us-ascii", "ascii")),
    attack("EBCDIC", "encoding_refused", text=encoded("cp037", "cp037")),
    attack("a byte order mark", "encoding_refused", text=lambda octets: b"\xef\xbb\xbf" + octets),
    attack("octets that are no UTF-8", "encoding_refused", text=lambda octets: octets.replace(b"staff", b"st\xffff")),
    attack("overlong UTF-8", "encoding_refused", text=lambda octets: octets.replace(b"staff", b"\xc1\xb3taff")),
    attack("a zero octet", "encoding_refused", text=lambda octets: octets.replace(b"staff", b"sta\0f")),
    attack("a surrogate", "encoding_refused", text=lambda octets: octets.replace(b"staff", b"\xed\xa0\x80")),
    attack("nothing", "xml_malformed", text=lambda octets: b""),
    attack("white space", "xml_malformed", text=lambda octets: b" \n "),
    attack("no XML", "xml_malformed", text=lambda octets: b"SAMLResponse"),
    attack("JSON", "xml_malformed", text=lambda octets: b'{"NameID": "alice"}'),
    attack("cut off", "xml_malformed", text=lambda octets: octets[:-20]),
    attack("two roots", "xml_malformed", text=lambda octets: octets * 2),
    attack("text behind the root", "xml_malformed", text=after("x")),
    changed("an attribute twice", "xml_malformed", 'Version="2.0"', 'Version="2.0" Version="2.0"'),
    changed("a prefix that nobody declares", "xml_malformed", "<saml:Subject>", "<evil:Subject>"),
    attack("too large", "message_too_large", text=after(" " * MAX_MESSAGE)),
    attack("too deep", "xml_too_complex", attributes=DEEP),
    attack("too deep by far", "xml_malformed", attributes="", text=lambda octets: b"<x>" * 5000 + b"</x>" * 5000),
    attack("too many elements", "xml_too_complex", attributes=WIDE),
    attack("too many namespaces", "xml_too_complex", attributes=NAMES),
    attack("too many attributes", "xml_too_complex", name_id=f"<saml:NameID {MUCH}>alice</saml:NameID>"),
    attack("an ID that is no name", "id_invalid", Answer(sign="R", assertion='ID="a b" Version="2.0"')),
    attack("an empty ID", "id_invalid", Answer(sign="R", assertion='ID="" Version="2.0"')),
    attack("an ID that is a path", "id_invalid", Answer(sign="R", assertion='ID="a\'or\'1" Version="2.0"')),
]
