"""Keys that a provider publishes, and tokens that must not be verified by them."""

from __future__ import annotations

from typing import Any

from .notation import Case, Json, Scene, published

USE = "RFC 7517 4.2"
FAMILY = "RFC 8725 3.1: one key, one family of algorithms"
WEAK = "RFC 7518 3.3"


def one(by: str = "rsa", **changed: Any) -> Any:
    """The key by which the token is signed, but for these members."""
    return lambda scene: [key(scene, by, **changed)]


def key(scene: Scene, by: str = "rsa", **changed: Any) -> Json:
    return scene.jwk(scene.privates[by], **{"kid": "k", **changed})


def twice(scene: Scene) -> list[Json]:
    return [key(scene, alg="RS256"), key(scene, "other", alg="RS256")]


KEYS: list[Case] = [
    published("a key for encryption", "key_unknown", USE, one(use="enc")),
    published("a key that may not verify", "key_unknown", "RFC 7517 4.3", one(key_ops=["encrypt"])),
    published("a key whose operations are a text", "key_unknown", "RFC 7517 4.3", one(key_ops="verify")),
    published("a key of another algorithm", "algorithm_refused", "RFC 7517 4.4", one(alg="RS512")),
    published("a key for PSS alone", "algorithm_refused", FAMILY, one(alg="PS256")),
    published("PSS by a key that is for PKCS #1", "algorithm_refused", FAMILY, one(), algorithm="PS256"),
    published("a key for encryption's algorithm", "key_unknown", USE, one(alg="RSA-OAEP")),
    published("a weak key", "key_unknown", WEAK, one("weak"), by="weak"),
    published("a private key", "key_unknown", "RFC 7517 9.2: who publishes it has lost it", one(d="AAAA")),
    published("a shared secret", "key_unknown", FAMILY, lambda scene: [{"kty": "oct", "k": "AAAA", "kid": "k"}]),
    published("an exponent of one", "key_unknown", WEAK, one(e="AQ")),
    published("an even exponent", "key_unknown", WEAK, one(e="Ag")),
    published("a modulus with padding", "key_unknown", "RFC 7515 2", one(n="AQAB=")),
    published("a modulus that is a number", "key_unknown", "RFC 7518 6.3.1", one(n=7)),
    published("without modulus", "key_unknown", "RFC 7518 6.3.1", one(n=None)),
    published("a name that is a number", "key_unknown", "RFC 7517 4.5", one(kid=7)),
    published("a name in another case", "key_unknown", "RFC 7517 4.5", one(kid="K")),
    published("a kind that nobody knows", "key_unknown", "RFC 7517 4.1", one(kty="XYZ")),
    published("a kind that is a list", "key_unknown", "RFC 7517 4.1", one(kty=["RSA"])),
    published("two keys of one name", "key_unknown", "RFC 7517 4.5: which of them nobody knows", twice),
    published("two keys for a token without a name", "key_unknown", "RFC 7515 4.1.4", twice, kid=None),
    published("another key of that name", "signature_invalid", "RFC 7515 5.2", one("other")),
    published("an elliptic key that is not on its curve", "key_unknown", "RFC 7518 6.2.1", one("ES256", y="AAAA"),
              by="ES256", algorithm="ES256"),
    published("a curve that is not for signatures", "key_unknown", "RFC 8037 2", one("EdDSA", crv="X25519"),
              by="EdDSA", algorithm="EdDSA"),
    published("a curve that nobody should use", "key_unknown", "RFC 8812", one("ES256", crv="secp256k1"),
              by="ES256", algorithm="ES256"),
    published("an elliptic key for another curve's algorithm", "algorithm_refused", FAMILY, one("ES384"),
              by="ES256", algorithm="ES256"),
]  # fmt: skip

GOOD: list[Case] = [
    published("the key alone", None, USE, one()),
    published("beside keys that cannot be used", None, "RFC 7517 5", lambda scene: [
        {"kty": "oct", "k": "AAAA"}, {}, key(scene, "weak", kid="w"), key(scene)]),
    published("beside one for encryption of the same name", None, "RFC 7517 4.5", lambda scene: [
        key(scene, "other", use="enc"), key(scene, use="sig")]),
    *(
        published(f"{algorithm}", None, "RFC 7518 3.1", one(by), by=by, algorithm=algorithm)
        for algorithm, by in (("RS256", "rsa"), ("ES256", "ES256"), ("ES384", "ES384"), ("ES512", "ES512"),
                              ("EdDSA", "EdDSA"))
    ),
    *(
        published(f"{algorithm}", None, "RFC 7518 3.1", one(alg=algorithm), algorithm=algorithm)
        for algorithm in ("RS384", "RS512", "PS256", "PS384", "PS512")
    ),
]  # fmt: skip
