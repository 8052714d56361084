"""Metadata as providers write it."""

from __future__ import annotations

from base64 import b64encode

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.sso.saml import names

from .builder import IDP, pair


def key(of: x509.Certificate, use: str = ' use="signing"') -> str:
    octets = b64encode(of.public_bytes(Encoding.DER)).decode()
    return (
        f'<md:KeyDescriptor{use}><ds:KeyInfo xmlns:ds="{names.SIGNATURE}"><ds:X509Data><ds:X509Certificate>\n{octets}\n'
        f"</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def service(name: str, binding: str, location: str, more: str = "") -> str:
    return f'<md:{name} Binding="{binding}" Location="{location}" {more}/>'


SSO = service("SingleSignOnService", names.POST, "https://idp.example.com/post") + service(
    "SingleSignOnService", names.REDIRECT, "https://idp.example.com/sso"
)
KEYS = key(pair("idp").certificate)


def provider_metadata(
    inside: str = KEYS + SSO, *, role: str = "", entity: str = "", kind: str = "IDPSSODescriptor"
) -> bytes:
    return (
        f'<?xml version="1.0"?>\n<!-- from the provider -->\n<md:EntityDescriptor xmlns:md="{names.METADATA}" '
        f'entityID="{IDP}" {entity}><md:{kind} protocolSupportEnumeration="{names.PROTOCOL}" {role}>{inside}'
        f"</md:{kind}></md:EntityDescriptor>"
    ).encode()
