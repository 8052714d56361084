"""EncryptedAssertion (core 2.3.4): RSA-OAEP and AES-GCM, nothing else: neither PKCS #1 1.5 nor CBC keeps its secret
from those who may try again and again.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sso.saml import names
from gateway.sso.saml.names import ds, xenc
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.shape import Part, attributes, children, one, perhaps, some, text
from gateway.sso.saml.xml import Element

MOST_KEYS = 4  # EncryptedKeys that are tried: one for each recipient, or for each key of a roll-over
_IV, _TAG = 12, 16

_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    f"{names.SIGNATURE}sha1": hashes.SHA1,  # in OAEP nothing depends on collisions (RFC 8017 B.1)
    f"{names.ENCRYPTION}sha256": hashes.SHA256,
    f"{names.ENCRYPTION}sha512": hashes.SHA512,
}
_MASKS: dict[str, type[hashes.HashAlgorithm]] = {
    f"{names.ENCRYPTION_11}mgf1sha1": hashes.SHA1,
    f"{names.ENCRYPTION_11}mgf1sha256": hashes.SHA256,
}
_MGF = f"{{{names.ENCRYPTION_11}}}MGF"


def decrypted(encrypted: Element, keys: Sequence[RSAPrivateKey]) -> bytes:
    """The octets of the assertion in an EncryptedAssertion. `keys` are the service provider's, the present one first.

    Raises SamlRefused; whatever fails in decrypting itself has one code, so that nobody learns from it.
    """
    parts = children(encrypted, one(xenc("EncryptedData")), some(xenc("EncryptedKey"), 0, MOST_KEYS))
    data = parts[xenc("EncryptedData")][0]
    attributes(data, ["Type"], ["Id"])
    if data.get("Type") != names.ELEMENT:
        raise SamlRefused("structure_wrong", "what is encrypted is not an element")
    inner = children(data, one(xenc("EncryptionMethod")), perhaps(ds("KeyInfo")), one(xenc("CipherData")))
    method = inner[xenc("EncryptionMethod")][0]
    size = names.GCM.get(str(method.get("Algorithm")))
    if size is None or len(method):
        raise _algorithm(method)
    wrapped = [*_inside(inner[ds("KeyInfo")]), *parts[xenc("EncryptedKey")]]
    if not 0 < len(wrapped) <= MOST_KEYS:
        raise SamlRefused("decryption_no_key", "the assertion comes with no encrypted key, or too many")
    if not keys:
        raise SamlRefused("decryption_no_key", "the assertion is encrypted, and the gateway has no key for it")
    return _opened(_cipher(inner[xenc("CipherData")][0]), [_unwrapping(each) for each in wrapped], keys, size)


def _inside(infos: Sequence[Element]) -> list[Element]:
    """The EncryptedKeys in KeyInfo. A RetrievalMethod is not followed: every key that there is, is tried."""
    return [key for info in infos for key in info.findall(xenc("EncryptedKey"))]


def _opened(cipher: bytes, wrapped: Sequence[tuple[OAEP, bytes]], keys: Sequence[RSAPrivateKey], size: int) -> bytes:
    for padding, octets in wrapped:
        for key in keys:
            try:
                secret = key.decrypt(octets, padding)
                if len(secret) == size and len(cipher) >= _IV + _TAG:
                    return AESGCM(secret).decrypt(cipher[:_IV], cipher[_IV:], None)
            except (ValueError, InvalidTag):
                continue
    raise SamlRefused("decryption_failed", "the assertion cannot be decrypted with the gateway's key")


def _unwrapping(key: Element) -> tuple[OAEP, bytes]:
    """How a key is to be decrypted, and its octets."""
    attributes(key, permitted=["Id", "Recipient", "Type", "MimeType", "Encoding"])
    info, names_, lists = perhaps(ds("KeyInfo")), perhaps(xenc("CarriedKeyName")), perhaps(xenc("ReferenceList"))
    parts = children(key, one(xenc("EncryptionMethod")), info, one(xenc("CipherData")), lists, names_)
    return _padding(parts[xenc("EncryptionMethod")][0]), _cipher(parts[xenc("CipherData")][0])


def _padding(method: Element) -> OAEP:
    """RSA-OAEP: its digest, and the one of its mask [xmlenc 1.1 5.5.2]; SHA-1 where it does not say."""
    algorithm = method.get("Algorithm")
    if algorithm not in (names.OAEP, names.OAEP_11):
        raise _algorithm(method)
    mask: list[Part] = [perhaps(_MGF)] if algorithm == names.OAEP_11 else []
    try:
        parts = _either(method, [perhaps(ds("DigestMethod")), *mask], [*mask, perhaps(ds("DigestMethod"))])
        digest = _named(parts[ds("DigestMethod")], _DIGESTS)
        return OAEP(MGF1(_named(parts.get(_MGF, []), _MASKS)()), digest(), None)
    except KeyError:
        raise _algorithm(method) from None


def _either(method: Element, *orders: list[Part]) -> dict[str, list[Element]]:
    """Providers write the two in either order."""
    *others, last = orders
    for order in others:
        try:
            return children(method, *order)
        except SamlRefused:
            continue
    return children(method, *last)


def _named(methods: Sequence[Element], known: dict[str, type[hashes.HashAlgorithm]]) -> type[hashes.HashAlgorithm]:
    return known[str(methods[0].get("Algorithm"))] if methods else hashes.SHA1


def _cipher(data: Element) -> bytes:
    """CipherValue; a CipherReference is an address, and nothing is fetched."""
    value = children(data, one(xenc("CipherValue")))[xenc("CipherValue")][0]
    try:
        return b64decode("".join(text(value).split()), validate=True)
    except (BadBase64, ValueError):
        raise SamlRefused("base64_invalid", "what is encrypted is not in base64") from None


def _algorithm(method: Element) -> SamlRefused:
    hint = str(method.get("Algorithm"))
    return SamlRefused("algorithm_refused", "the assertion is encrypted by an algorithm that is not taken", hint=hint)
