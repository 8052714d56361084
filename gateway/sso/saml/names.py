"""SAML 2.0's names: namespaces, bindings, formats, algorithms. In brackets: the OASIS or W3C document."""

from __future__ import annotations

PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
ENCRYPTION = "http://www.w3.org/2001/04/xmlenc#"
ENCRYPTION_11 = "http://www.w3.org/2009/xmlenc11#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"

PREFIXES = {"samlp": PROTOCOL, "saml": ASSERTION, "md": METADATA, "ds": SIGNATURE, "xenc": ENCRYPTION}

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"  # what every status code begins with (core 3.2.2.2)
SUCCESS = f"{STATUS}Success"

USER_LOGOUT = "urn:oasis:names:tc:SAML:2.0:logout:user"

ENVELOPED = f"{SIGNATURE}enveloped-signature"

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_RFC9231 = "http://www.w3.org/2007/05/xmldsig-more#"
RSA_SHA256 = f"{_MORE}rsa-sha256"
RSA_SIGNATURES = frozenset(
    [f"{_MORE}rsa-sha{size}" for size in (256, 384, 512)]
    + [f"{_RFC9231}sha{size}-rsa-MGF1" for size in (256, 384, 512)]
)
EC_SIGNATURES = frozenset(f"{_MORE}ecdsa-sha{size}" for size in (256, 384, 512))
DIGESTS = frozenset([f"{ENCRYPTION}sha256", f"{_MORE}sha384", f"{ENCRYPTION}sha512"])

OAEP = f"{ENCRYPTION}rsa-oaep-mgf1p"  # MGF1 with SHA-1 [xmlenc 5.4.2]
OAEP_11 = f"{ENCRYPTION_11}rsa-oaep"  # MGF1 as it says [xmlenc 1.1 5.5.2]
GCM = {f"{ENCRYPTION_11}aes128-gcm": 16, f"{ENCRYPTION_11}aes256-gcm": 32}  # bytes of the key
ELEMENT = f"{ENCRYPTION}Element"


def p(name: str) -> str:
    """A name of the protocol's namespace, as lxml writes it."""
    return f"{{{PROTOCOL}}}{name}"


def a(name: str) -> str:
    """Of assertions."""
    return f"{{{ASSERTION}}}{name}"


def md(name: str) -> str:
    """Of metadata."""
    return f"{{{METADATA}}}{name}"


def ds(name: str) -> str:
    """Of XML Signature."""
    return f"{{{SIGNATURE}}}{name}"


def xenc(name: str) -> str:
    """Of XML Encryption."""
    return f"{{{ENCRYPTION}}}{name}"
