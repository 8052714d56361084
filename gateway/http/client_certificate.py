"""The client's certificate, as a trusted proxy that speaks TLS with it tells: Client-Cert (RFC 9440), or Envoy's
X-Forwarded-Client-Cert.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from gateway.errors import BadRequest

LONGEST = 16_384  # bytes of a value

_binary = re.compile(rb":([A-Za-z0-9+/]+=*):").fullmatch  # RFC 8941 3.3.5
_pem = re.compile(rb"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*").fullmatch
_part = re.compile(rb'([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^";,]*))(;|$)').match

Reader = Callable[[list[bytes]], bytes | None]


def client_cert(values: list[bytes]) -> bytes | None:
    """The certificate (DER) of Client-Cert's values; None: the client showed none. Raises BadRequest."""
    value = _one(values)
    if value is None:
        return None
    found = _binary(value)
    return _decoded(found[1] if found else b"", "Client-Cert")


def xfcc(values: list[bytes]) -> bytes | None:
    """The same of X-Forwarded-Client-Cert, whose one element has `Cert`. Several elements are several hops': who wrote
    the first of them nobody knows."""
    value = _one(values)
    if value is None:
        return None
    parts: dict[bytes, bytes] = {}
    position = 0
    while position < len(value):
        found = _part(value, position)
        if found is None or (name := found[1].lower()) in parts:
            raise _malformed("X-Forwarded-Client-Cert")
        parts[name] = found[2] if found[2] is not None else found[3]
        position = found.end()
    pem = _pem(unquote_to_bytes(parts.get(b"cert", b"")))
    return _decoded(b"".join(pem[1].split()) if pem else b"", "X-Forwarded-Client-Cert")


READERS: dict[str, tuple[bytes, Reader]] = {
    "client_cert": (b"client-cert", client_cert),
    "xfcc": (b"x-forwarded-client-cert", xfcc),
}


def _one(values: list[bytes]) -> bytes | None:
    if len(values) > 1 or (values and len(values[0]) > LONGEST):
        raise BadRequest(
            "a trusted proxy tells of several certificates, or a huge one", code="client_certificate_malformed"
        )
    return values[0] if values else None


def _decoded(text: bytes, field: str) -> bytes:
    try:
        certificate = b64decode(text, validate=True)
    except Base64Error:
        certificate = b""
    if not certificate:
        raise _malformed(field)
    return certificate


def _malformed(field: str) -> BadRequest:
    return BadRequest(f"a trusted proxy's {field} is not one certificate", code="client_certificate_malformed")
