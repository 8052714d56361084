"""Proofs for other requests, and tales of other tokens, that look right."""

from __future__ import annotations

from .bindings import ATH, HTM, HTU, JTI, KEY, URL
from .bindings import IAT as MADE
from .notation import Case, Scene, Sent, bound, proof, told

NOW = 1_800_000_000


# --- proofs


def proofs(name: str, *made: bytes) -> Case:
    """A good proof, and other fields of the name."""
    return Case(name, "dpop_proof_malformed", "RFC 9449 4.3: one field", lambda scene: _with(scene, made))


def _with(scene: Scene, made: tuple[bytes, ...]) -> Sent:
    token = bound(scene)
    return Sent(token, b"DPoP", (scene.holder.proof(token), *made))


def lower(scene: Scene) -> Sent:
    token = bound(scene)
    return Sent(token, b"dpop", (scene.holder.proof(token),))


PROOFS: list[Case] = [
    proofs("a good one and an empty one", b""),
    proofs("a good one and rubbish", b"a.b.c"),
    Case("by the scheme dpop", None, "RFC 9110 11.1", lower),
    proof("for a method with a blank", "dpop_proof_wrong", HTM, htm="GET "),
    proof("for any method", "dpop_proof_wrong", HTM, htm="*"),
    proof("for no method", "dpop_proof_wrong", HTM, htm=""),
    proof("for a method that is true", "dpop_proof_wrong", HTM, htm=True),
    proof("for a path with a slash behind", "dpop_proof_wrong", HTU, htu=f"{URL}/"),
    proof("for a path through another", "dpop_proof_wrong", HTU, htu="https://api.example.com/orders/../admin"),
    proof("for a path by another way", None, HTU, htu="https://api.example.com/a/../orders"),
    proof("for a path with backslashes", "dpop_proof_wrong", HTU, htu="https://api.example.com\\orders"),
    proof(
        "for a slash twice", None, "docs/http.md: it is one and the same path", htu="https://api.example.com//orders"
    ),
    proof("for the port of the other scheme", "dpop_proof_wrong", HTU, htu="https://api.example.com:80/orders"),
    proof("for a port of zero", "dpop_proof_wrong", HTU, htu="https://api.example.com:0/orders"),
    proof("for an empty port", "dpop_proof_wrong", HTU, htu="https://api.example.com:/orders"),
    proof("for a port with zeros before", "dpop_proof_wrong", HTU, htu="https://api.example.com:0443/orders"),
    proof("for a host that looks alike", "dpop_proof_wrong", HTU, htu="https://\u0430pi.example.com/orders"),
    proof("for a host percent-encoded", "dpop_proof_wrong", HTU, htu="https://%61pi.example.com/orders"),
    proof("for a host with a user", "dpop_proof_wrong", HTU, htu="https://a:b@api.example.com/orders"),
    proof("for a host without scheme", "dpop_proof_wrong", HTU, htu="//api.example.com/orders"),
    proof("for a host with a NUL", "dpop_proof_wrong", HTU, htu="https://api.example.com\0/orders"),
    proof("for a path with a parameter", "dpop_proof_wrong", HTU, htu=f"{URL};a=b"),
    proof("for a URL in brackets", "dpop_proof_wrong", HTU, htu=f"<{URL}>"),
    proof("for an object", "dpop_proof_wrong", HTU, htu={"url": URL}),
    proof("for an empty list", "dpop_proof_wrong", ATH, ath=[]),
    proof("for the token itself", "dpop_proof_wrong", ATH, ath="eyJhbGciOiJSUzI1NiJ9"),
    proof("for an empty digest", "dpop_proof_wrong", ATH, ath=""),
    proof("at minus one", "dpop_proof_stale", MADE, iat=-1),
    proof("at a time of many digits", "dpop_proof_stale", MADE, iat=10**31),
    proof("at a time in milliseconds", "dpop_proof_stale", MADE, iat=NOW * 1000),
    proof("at a time in a list", "dpop_proof_malformed", MADE, iat=[NOW]),
    proof("with a jti that separates lines", "dpop_proof_malformed", JTI, jti="\u2028"),
    proof("with a jti with a surrogate", "dpop_proof_malformed", JTI, jti="\ud800"),
    proof("with a jti in a list", "dpop_proof_malformed", JTI, jti=["proof-1"]),
    proof("with a jti that is zero", "dpop_proof_malformed", JTI, jti=0),
    proof("of a type in full", "dpop_proof_malformed", "RFC 9449 4.2", {"typ": "application/dpop+jwt"}),
    proof("of an access token's type", "dpop_proof_malformed", "RFC 9449 4.2", {"typ": "at+jwt"}),
    proof("with a key and its name", None, KEY, {"kid": "first"}),
    proof("with a list of keys", "dpop_proof_malformed", KEY, {"jwk": [{"kty": "EC"}]}),
    proof("with b64", "dpop_proof_malformed", "RFC 7797 6", {"b64": False}),
]


# --- what a provider tells

UNREAD: list[Case] = [
    told("active, of a stranger's token", "token_malformed", "one token, one tale", "a.b.c.d", sub=["x"]),
    told("a subject that is a number", "token_malformed", "RFC 7662 4", sub=7),
    told("exp 1e308", "token_malformed", "RFC 7662 4", exp=1e308),
    told("iat in the future", "token_not_yet_valid", "RFC 7662 4", iat=NOW + 60),
    told("an issuer with a slash behind", "issuer_wrong", "RFC 7662 4", iss="https://sso.example.com/"),
    told("an audience in another case", "audience_wrong", "RFC 7662 4", aud="GATEWAY"),
    told("a logout token", "token_type_wrong", "RFC 7662 4", typ="Logout"),
    told("types that disagree", "token_type_wrong", "RFC 7662 4", token_type="Bearer", token_use="id_token"),
    told("by DPoP, and not bound", "token_type_wrong", "RFC 9449 6.2", token_type="DPoP"),
]
