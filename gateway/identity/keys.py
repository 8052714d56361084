"""A provider's public keys (RFC 7517, RFC 7518 6, RFC 8037) and the signatures they verify.

A key verifies one family of algorithms (RFC 8725 3.1): RSA keys either PKCS #1 or PSS, EC keys the one of their curve.
What is private, symmetric, weak, for encryption or not understood is left out of the set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.identity.refusals import InvalidToken
from gateway.identity.token import Token, base64url

RSA_BITS = range(2048, 8193)  # below: weak (RFC 7518 3.3); above: a verification costs too much
KEYS = 100  # of one provider

Verify = Callable[[bytes, bytes], None]  # signature, what was signed; raises InvalidSignature

_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES: dict[object, tuple[str, ec.EllipticCurve]] = {
    "P-256": ("ES256", ec.SECP256R1()),
    "P-384": ("ES384", ec.SECP384R1()),
    "P-521": ("ES512", ec.SECP521R1()),
}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class Key(NamedTuple):
    """A public key. `identity` is what must stay for a token that it verified to stay good."""

    kid: str | None
    identity: tuple[object, ...]
    verifies: dict[str, Verify]  # by algorithm


class KeySet:
    """The keys of one provider. An algorithm and a `kid` name exactly one, or none."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)
        self.identities = frozenset(key.identity for key in self.keys)
        self._kids = frozenset(key.kid for key in self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def knows(self, kid: str | None) -> bool:
        """Whether asking the provider again could not help: a key of this name is here, or the token names none."""
        return kid is None or kid in self._kids

    def verify(self, token: Token) -> Key:
        """The key that verifies the token; raises InvalidToken."""
        key = self._choose(token)
        try:
            key.verifies[token.algorithm](token.signature, token.signed)
        except InvalidSignature as error:
            raise InvalidToken("signature_invalid", "the token's signature does not verify") from error
        return key

    def _choose(self, token: Token) -> Key:
        kid = token.kid
        named = [key for key in self.keys if kid is None or key.kid == kid]
        fitting = [key for key in named if token.algorithm in key.verifies]
        if len(fitting) == 1:
            return fitting[0]
        if named and not fitting:
            raise InvalidToken("algorithm_refused", "the token's algorithm is not one that its key may use")
        raise InvalidToken("key_unknown", "the token does not name one of the provider's keys")


def key_set(document: dict[str, Any], algorithms: tuple[str, ...]) -> KeySet:
    """The usable keys of a JWK Set, for these algorithms; raises ValueError when it is none."""
    members = document.get("keys")
    if not isinstance(members, list) or len(members) > KEYS:
        raise ValueError(f"not a JWK Set of at most {KEYS} keys")
    keys = (usable_key(member, algorithms) for member in members)
    return KeySet(key for key in keys if key is not None)


def usable_key(jwk: object, algorithms: tuple[str, ...]) -> Key | None:
    """A public key for any of these algorithms, or None: a set may hold keys for others (RFC 7517 5)."""
    if not isinstance(jwk, dict) or not _for_signatures(jwk):
        return None
    try:
        able, public = _LOADERS[jwk["kty"]](jwk)
    except (KeyError, TypeError, ValueError):
        return None
    named = jwk.get("alg")
    fitting = [name for name in algorithms if name in able and named in (None, name)]
    family = [name for name in fitting if name[:2] == fitting[0][:2]]
    if not family:
        return None
    kid, material = jwk.get("kid"), public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(kid, (kid, material, *family), {name: _verifier(public, name) for name in family})


def _for_signatures(jwk: dict[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(jwk.get("kid"), str | None)
        and not _PRIVATE & jwk.keys()
    )


_Loaded = tuple[tuple[str, ...], Any]  # the algorithms that the key is able to verify, and the key


def _rsa(jwk: dict[str, Any]) -> _Loaded:
    public = rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n")).public_key()
    if public.key_size not in RSA_BITS:
        raise ValueError("weak or costly")
    return ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), public


def _ec(jwk: dict[str, Any]) -> _Loaded:
    algorithm, curve = _CURVES[jwk["crv"]]
    return (algorithm,), ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), curve).public_key()


def _okp(jwk: dict[str, Any]) -> _Loaded:
    if jwk["crv"] != "Ed25519":
        raise ValueError("not for signatures that are supported")
    return ("EdDSA",), Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x"))


_LOADERS: dict[object, Callable[[dict[str, Any]], _Loaded]] = {"RSA": _rsa, "EC": _ec, "OKP": _okp}


def _number(jwk: dict[str, Any], name: str) -> int:
    return int.from_bytes(_bytes(jwk, name))


def _bytes(jwk: dict[str, Any], name: str) -> bytes:
    value = jwk[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a string")
    return base64url(value.encode())


def _verifier(public: Any, algorithm: str) -> Verify:
    if algorithm == "EdDSA":
        return public.verify  # type: ignore[no-any-return]
    digest = _HASHES[algorithm[2:]]
    if algorithm.startswith("ES"):
        return _ecdsa(public, digest)
    scheme = padding.PKCS1v15() if algorithm.startswith("RS") else _pss(digest)

    def verify(signature: bytes, signed: bytes) -> None:
        public.verify(signature, signed, scheme, digest)

    return verify


def _pss(digest: hashes.HashAlgorithm) -> padding.PSS:
    """The salt is as long as the hash (RFC 7518 3.5)."""
    return padding.PSS(padding.MGF1(digest), digest.digest_size)


def _ecdsa(public: ec.EllipticCurvePublicKey, digest: hashes.HashAlgorithm) -> Verify:
    """R and S side by side, each as long as the curve's order (RFC 7518 3.4)."""
    length = (public.key_size + 7) // 8
    scheme = ec.ECDSA(digest)

    def verify(signature: bytes, signed: bytes) -> None:
        if len(signature) != 2 * length:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:length]), int.from_bytes(signature[length:])
        public.verify(encode_dss_signature(r, s), signed, scheme)

    return verify
