"""Bindings: messages in a query (DEFLATE, signed as octets) and in a form (bindings 3.4 and 3.5)."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from gateway.sso.saml import names
from gateway.sso.saml.entities import KeyPair
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.xml import MAX_MESSAGE

MAX_PACKED = MAX_MESSAGE * 4 // 3 + 4 + 8192  # characters of base64, with line ends
MAX_QUERY = 32 * 1024
RELAY_STATE = 80  # octets at most (bindings 3.4.3)

_HASHES: dict[int, Callable[[], hashes.HashAlgorithm]] = {
    256: hashes.SHA256,
    384: hashes.SHA384,
    512: hashes.SHA512,
}  # fmt: skip


class Sent(NamedTuple):
    """A message as it came. `signed` is what the redirect binding's signature is over; None in a form."""

    kind: str  # SAMLRequest or SAMLResponse
    xml: bytes
    relay_state: str | None = None
    signed: bytes | None = None
    algorithm: str = ""
    signature: bytes = b""


# --- the form


def from_form(body: bytes, *kinds: str) -> Sent:
    """The message in an application/x-www-form-urlencoded body. Raises SamlRefused."""
    if len(body) > MAX_PACKED * 2:  # `+` and `/` may be three characters each
        raise SamlRefused("message_too_large", "the form is larger than is taken")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10)
    except ValueError:
        raise SamlRefused("message_missing", "the form cannot be read") from None
    kind, value = _only(pairs, kinds)
    return Sent(kind, unpacked(value), _relay_state(pairs))


def form_fields(kind: str, xml: bytes, relay_state: str | None = None) -> dict[str, str]:
    """The fields of a form that brings a message."""
    fields = {kind: b64encode(xml).decode("ascii")}
    return fields if relay_state is None else fields | {"RelayState": relay_state}


def unpacked(value: str) -> bytes:
    """Strict base64, but for white space."""
    if len(value) > MAX_PACKED:
        raise SamlRefused("message_too_large", f"the message is larger than {MAX_MESSAGE // 1024} KiB")
    try:
        return b64decode("".join(value.split()), validate=True)
    except (BadBase64, ValueError):
        raise SamlRefused("base64_invalid", "the message is not in base64") from None


# --- the query


def from_query(query: bytes, *kinds: str) -> Sent:
    """The message in a query, as it was sent: the signature is over the sender's own escapes."""
    if len(query) > MAX_QUERY:
        raise SamlRefused("message_too_large", "the query is larger than is taken")
    raw = [part.partition(b"=")[::2] for part in query.split(b"&")]
    try:
        pairs = [(name.decode("ascii"), unquote_to_bytes(value).decode("utf-8")) for name, value in raw]
    except UnicodeDecodeError:
        raise SamlRefused("message_missing", "the query cannot be read") from None
    kind, value = _only(pairs, kinds)
    if dict(pairs).get("SAMLEncoding", _DEFLATE) != _DEFLATE:
        raise SamlRefused("deflate_invalid", "the message is packed in another way than DEFLATE")
    first = {name.decode("ascii"): octets for name, octets in raw}
    algorithm, signature = _single(pairs, "SigAlg"), _single(pairs, "Signature")
    signed = b"&".join(
        b"%s=%s" % (name.encode("ascii"), first[name]) for name in (kind, "RelayState", "SigAlg") if name in first
    )
    xml = inflated(unpacked(value))
    return Sent(kind, xml, _relay_state(pairs), signed, algorithm or "", unpacked(signature or ""))


_DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"


def inflated(data: bytes) -> bytes:
    """Raw DEFLATE (RFC 1951), whole, and of bounded size."""
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        xml = unpack.decompress(data, MAX_MESSAGE + 1)
    except zlib.error:
        raise SamlRefused("deflate_invalid", "the message is not compressed by DEFLATE") from None
    if len(xml) > MAX_MESSAGE:
        raise SamlRefused("message_too_large", f"the message is larger than {MAX_MESSAGE // 1024} KiB")
    if not unpack.eof or unpack.unused_data:
        raise SamlRefused("deflate_invalid", "the message is cut off, or something follows it")
    return xml


def redirect(location: str, kind: str, xml: bytes, relay_state: str | None, pair: KeyPair | None) -> str:
    """The address that brings a message to `location`, signed with the gateway's key if it has one."""
    pack = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = b64encode(pack.compress(xml) + pack.flush()).decode("ascii")
    query = f"{kind}={quote(packed, safe='')}"
    if relay_state is not None:
        query += f"&RelayState={quote(relay_state, safe='')}"
    if pair is not None:
        query += f"&SigAlg={quote(names.RSA_SHA256, safe='')}"
        signature = pair.key.sign(query.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
        query += f"&Signature={quote(b64encode(signature).decode('ascii'), safe='')}"
    return f"{location}{'&' if '?' in location else '?'}{query}"


def check_query_signature(sent: Sent, certificates: Sequence[x509.Certificate], now: float) -> None:
    """Raises SamlRefused where a query's message is not signed by one of these keys."""
    if sent.signed is None or not sent.signature:
        raise SamlRefused("signature_missing", "the message is not signed")
    if sent.algorithm not in names.RSA_SIGNATURES | names.EC_SIGNATURES:
        hint = sent.algorithm[:200]
        raise SamlRefused("algorithm_refused", "the message is signed by an algorithm that is not taken", hint=hint)
    for certificate in certificates:
        if _signed_by(sent, certificate):
            if certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp():
                return
            raise SamlRefused("certificate_expired", "the provider's certificate is not valid now")
    raise SamlRefused("signature_invalid", "the signature is not by a key of the provider's metadata")


def _signed_by(sent: Sent, certificate: x509.Certificate) -> bool:
    key, digest = certificate.public_key(), _HASHES[_size(sent.algorithm)]()
    assert sent.signed is not None
    try:
        if isinstance(key, rsa.RSAPublicKey) and sent.algorithm in names.RSA_SIGNATURES:
            pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
            key.verify(sent.signature, sent.signed, pss if "MGF1" in sent.algorithm else padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and sent.algorithm in names.EC_SIGNATURES:
            key.verify(_der(sent.signature, key.key_size), sent.signed, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _size(algorithm: str) -> int:
    return next(size for size in _HASHES if str(size) in algorithm)


def _der(signature: bytes, bits: int) -> bytes:
    """ECDSA as XML Signature has it, r and s one after the other (RFC 9231 2.3.6)."""
    half = (bits + 7) // 8
    if len(signature) != 2 * half:
        raise ValueError("an ECDSA signature of another size")
    return utils.encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))


# --- both


def _only(pairs: Sequence[tuple[str, str]], kinds: Sequence[str]) -> tuple[str, str]:
    """The one message that is there."""
    found = [(name, value) for name, value in pairs if name in ("SAMLRequest", "SAMLResponse")]
    if not found or found[0][0] not in kinds:
        raise SamlRefused("message_missing", f"there is no {' or '.join(kinds)}")
    if len(found) > 1:
        raise SamlRefused("message_repeated", "there is more than one message")
    return found[0]


def _single(pairs: Sequence[tuple[str, str]], name: str) -> str | None:
    values = [value for each, value in pairs if each == name]
    if len(values) > 1:
        raise SamlRefused("message_repeated", f"there is more than one {name}")
    return values[0] if values else None


def _relay_state(pairs: Sequence[tuple[str, str]]) -> str | None:
    value = _single(pairs, "RelayState")
    if value is not None and len(value.encode("utf-8", "surrogatepass")) > RELAY_STATE:
        raise SamlRefused("relay_state_wrong", f"RelayState is longer than {RELAY_STATE} octets")
    return value
