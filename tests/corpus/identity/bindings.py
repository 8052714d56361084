"""Tokens that are bound to a key, and the proofs that are sent with them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from .notation import Case, Json, Scene, Sent, bound, proof, proven

NOW = 1_800_000_000
URL = "https://api.example.com/orders"
EVIL = "https://evil.example"
CHECKS = "RFC 9449 4.3"
HTM, HTU, ATH, IAT, JTI, KEY, TYPE = (
    f"{CHECKS}, {what}" for what in ("htm", "htu", "ath", "iat", "jti", "the key", "typ")
)
STRICT = "two readers must not read two things"


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


CLAIMS: list[Case] = [
    proof("for another method", "dpop_proof_wrong", HTM, htm="POST"),
    proof("for a method in another case", "dpop_proof_wrong", HTM, htm="get"),
    proof("for a list of methods", "dpop_proof_wrong", HTM, htm=["GET"]),
    proof("without method", "dpop_proof_wrong", HTM, htm=None),
    proof("for another path", "dpop_proof_wrong", HTU, htu=f"{URL}/1"),
    proof("for a path in another case", "dpop_proof_wrong", HTU, htu=URL.replace("orders", "Orders")),
    proof("for the path above", "dpop_proof_wrong", HTU, htu="https://api.example.com/"),
    proof("for another host", "dpop_proof_wrong", HTU, htu=f"{EVIL}/orders"),
    proof("for a host below", "dpop_proof_wrong", HTU, htu="https://x.api.example.com/orders"),
    proof("for a host with a dot more", "dpop_proof_wrong", HTU, htu="https://api.example.com./orders"),
    proof("for another scheme", "dpop_proof_wrong", HTU, htu="http://api.example.com/orders"),
    proof("for another port", "dpop_proof_wrong", HTU, htu="https://api.example.com:8443/orders"),
    proof("for a user at the host", "dpop_proof_wrong", HTU, htu="https://api.example.com@evil.example/orders"),
    proof("for a path alone", "dpop_proof_wrong", HTU, htu="/orders"),
    proof("for a path that is ambiguous", "dpop_proof_wrong", HTU, htu="https://api.example.com/a%2f../orders"),
    proof("for a URL with a blank", "dpop_proof_wrong", HTU, htu="https://api.example.com /orders"),
    proof("for a URL with a break", "dpop_proof_wrong", HTU, htu=f"{URL}\n"),
    proof("for a URL of another kind", "dpop_proof_wrong", HTU, htu="javascript:alert(1)"),
    proof("for a list of URLs", "dpop_proof_wrong", HTU, htu=[URL]),
    proof("for an empty URL", "dpop_proof_wrong", HTU, htu=""),
    proof("without URL", "dpop_proof_wrong", HTU, htu=None),
    proof("for another token", "dpop_proof_wrong", ATH, ath=b64(sha256(b"other").digest())),
    proof("for a token's digest with padding", "dpop_proof_wrong", ATH, ath="A" * 43 + "="),
    proof("for a token by another digest", "dpop_proof_wrong", ATH, ath="A" * 86),
    proof("without token", "dpop_proof_wrong", ATH, ath=None),
    proof("for a list of tokens", "dpop_proof_wrong", ATH, ath=["A" * 43]),
    proof("too old", "dpop_proof_stale", IAT, iat=NOW - 71),
    proof("of the beginning of time", "dpop_proof_stale", IAT, iat=0),
    proof("from the future", "dpop_proof_stale", IAT, iat=NOW + 11),
    proof("from the far future", "dpop_proof_stale", IAT, iat=1e300),
    proof("without time", "dpop_proof_malformed", IAT, iat=None),
    proof("with a time that is text", "dpop_proof_malformed", IAT, iat=str(NOW)),
    proof("with a time that is true", "dpop_proof_malformed", IAT, iat=True),
    proof("without jti", "dpop_proof_malformed", JTI, jti=None),
    proof("with an empty jti", "dpop_proof_malformed", JTI, jti=""),
    proof("with a jti that is a number", "dpop_proof_malformed", JTI, jti=7),
    proof("with a huge jti", "dpop_proof_malformed", JTI, jti="j" * 257),
    proof("with a jti that breaks lines", "dpop_proof_malformed", JTI, jti="a\nb"),
]

HEADERS: list[Case] = [
    proof("of another type", "dpop_proof_malformed", TYPE, {"typ": "JWT"}),
    proof("of no type", "dpop_proof_malformed", TYPE, {"typ": None}),
    proof("of a type in another case", "dpop_proof_malformed", TYPE, {"typ": "DPoP+JWT"}),
    proof("without key", "dpop_proof_malformed", KEY, {"jwk": None}),
    proof("with a key that is text", "dpop_proof_malformed", KEY, {"jwk": "key"}),
    proof("with an empty key", "dpop_proof_malformed", KEY, {"jwk": {}}),
    proof("with a key of no kind", "dpop_proof_malformed", KEY, {"jwk": {"kty": "XYZ"}}),
    proof("with a key of a kind that is a list", "dpop_proof_malformed", KEY, {"jwk": {"kty": ["EC"]}}),
    proof("with a key by address", "dpop_proof_malformed", KEY, {"jku": f"{EVIL}/jwks"}),
    proof("with a certificate", "dpop_proof_malformed", KEY, {"x5c": ["MIIB"]}),
    proof("with a certificate by address", "dpop_proof_malformed", KEY, {"x5u": f"{EVIL}/cert"}),
    proof("with crit", "dpop_proof_malformed", "RFC 7515 4.1.11", {"crit": ["exp"]}),
    proof("signed by none", "dpop_proof_malformed", CHECKS, {"alg": "none"}),
    proof("by a shared secret", "dpop_proof_malformed", CHECKS, {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}),
    proof("by an algorithm of another family", "dpop_proof_malformed", CHECKS, {"alg": "RS256"}),
    proof("by another curve", "dpop_proof_malformed", CHECKS, {"alg": "ES384"}),
]


def with_key(name: str, change: Any, by: str = "holder") -> Case:
    """A proof whose key was changed."""

    def make(scene: Scene, token: str) -> bytes:
        holder = scene.holder if by == "holder" else type(scene.holder)(scene.privates[by], "RS256")
        jwk: Json = {
            member: value for member, value in {**holder.jwk, **change(holder.jwk)}.items() if value is not None
        }
        made: bytes = holder.proof(token, header={"jwk": jwk})
        return made

    return proven(name, "dpop_proof_malformed", KEY, make)


KEYS: list[Case] = [
    with_key("a private key", lambda jwk: {"d": "AAAA"}),
    with_key("a key that is not on its curve", lambda jwk: {"y": jwk["x"]}),
    with_key("a key at infinity", lambda jwk: {"x": "", "y": ""}),
    with_key("a key with padding", lambda jwk: {"x": jwk["x"] + "="}),
    with_key("half a key", lambda jwk: {"y": None}),
    with_key("a key for encryption", lambda jwk: {"use": "enc"}),
    with_key("a key of another algorithm", lambda jwk: {"alg": "ES384"}),
    with_key("a key with another curve's name", lambda jwk: {"crv": "P-384"}),
    with_key("a key that is a number", lambda jwk: {"x": 7}),
    with_key("a weak key", lambda jwk: {}, "weak"),
    with_key("a key with a costly exponent", lambda jwk: {"e": jwk["n"]}, "rsa"),
    with_key("a key with an exponent of one", lambda jwk: {"e": "AQ"}, "rsa"),
    with_key("an even exponent", lambda jwk: {"e": "Ag"}, "rsa"),
    with_key("a huge key", lambda jwk: {"n": "A" * 684}, "rsa"),
]


def thief(scene: Scene, token: str) -> bytes:
    other = type(scene.holder)(scene.privates["other"], "RS256")
    made: bytes = other.proof(token)
    return made


def mangled(how: Any) -> Any:
    return lambda scene, token: how(scene.holder.proof(token))


def octets(payload: bytes) -> Any:
    """Well signed octets; `%s` stands for the members of good claims."""

    def make(scene: Scene, token: str) -> bytes:
        rest = json.dumps(scene.holder.claims(token)).encode()[1:]
        made: bytes = scene.holder.sign(json.dumps(scene.holder.header()).encode(), payload.replace(b"%s", rest))
        return made

    return make


OCTETS: list[Case] = [
    proven("by another key than the token's", "dpop_key_wrong", KEY, thief),
    proven("with a changed signature", "dpop_proof_wrong", CHECKS, mangled(lambda made: made[:-8] + b"AAAAAAAA")),
    proven("with a cut signature", "dpop_proof_wrong", CHECKS, mangled(lambda made: made[:-6])),
    proven("without signature", "dpop_proof_wrong", CHECKS, mangled(lambda made: made.rpartition(b".")[0] + b".")),
    proven("without a part", "dpop_proof_malformed", CHECKS, mangled(lambda made: made.rpartition(b".")[0])),
    proven("empty", "dpop_proof_malformed", CHECKS, lambda scene, token: b""),
    proven("the token itself", "dpop_proof_malformed", CHECKS, lambda scene, token: token.encode()),
    proven("huge", "dpop_proof_malformed", "bounded", octets(b'{"x":"' + b"a" * 9000 + b'",%s')),
    proven("deep", "dpop_proof_malformed", "bounded", octets(b'{"x":' + b"[" * 1000 + b"]" * 1000 + b",%s")),
    proven("a claim twice", "dpop_proof_malformed", STRICT, octets(b'{"htm":"POST",%s')),
    proven("not an object", "dpop_proof_malformed", STRICT, octets(b"[{%s]")),
    proven("with padding", "dpop_proof_malformed", STRICT, mangled(lambda made: made + b"=")),
    proven("with a line break", "dpop_proof_malformed", STRICT, mangled(lambda made: made + b"\n")),
    proven("two proofs in one", "dpop_proof_malformed", STRICT, mangled(lambda made: made + b"," + made)),
    proven("two proofs", "dpop_proof_malformed", f"{CHECKS}, one field", lambda scene, token: (
        scene.holder.proof(token), scene.holder.proof(token, jti="proof-2"))),
    proven("none", "dpop_proof_missing", "RFC 9449 7.1", lambda scene, token: ()),
]  # fmt: skip


def as_bearer(scene: Scene) -> Sent:
    token = bound(scene)
    return Sent(token, proofs=(scene.holder.proof(token),))


def unbound(scene: Scene) -> Sent:
    token = scene.issuer.token()
    return Sent(token, b"DPoP", (scene.holder.proof(token),))


def of_another_token(scene: Scene) -> Sent:
    """A good proof of the holder's, for another of its tokens."""
    return Sent(bound(scene), b"DPoP", (scene.holder.proof(scene.issuer.token(cnf=scene.holder.cnf, sub="else")),))


def expired(scene: Scene) -> Sent:
    token = scene.issuer.token(cnf=scene.holder.cnf, exp=NOW - 60)
    return Sent(token, b"DPoP", (scene.holder.proof(token),))


SCHEMES: list[Case] = [
    Case("a bound token as Bearer", "dpop_required", "RFC 9449 7.2", as_bearer),
    Case("a token that is not bound", "token_not_bound", "RFC 9449 7.1", unbound),
    Case("a proof for another token", "dpop_proof_wrong", ATH, of_another_token),
    Case("an expired token with a good proof", "token_expired", "RFC 9449 7.1", expired),
]

GOOD: list[Case] = [
    proof("a good proof", None, CHECKS),
    proof("with a query in its URL", None, HTU, htu=f"{URL}?a=b#c"),
    proof("with a URL in capitals", None, HTU, htu="HTTPS://API.EXAMPLE.COM/orders"),
    proof("with the port that is meant anyway", None, HTU, htu="https://api.example.com:443/orders"),
    proof("with needless encodings", None, HTU, htu="https://api.example.com/./%6Frders"),
    proof("at the edge of time", None, IAT, iat=NOW - 69.5),
    proof("from a clock that is ahead", None, IAT, iat=NOW + 9),
    proof("with more claims", None, CHECKS, nonce="any", exp=0),
]
