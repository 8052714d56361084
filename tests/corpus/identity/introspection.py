"""Opaque tokens, of which the provider tells."""

from __future__ import annotations

from typing import Any

from .notation import Case, Scene, Sent, told

NOW = 1_800_000_000
SAME = "RFC 7662 4: what is told is held to the rules of tokens"
TYPE = "RFC 7662 4: an active refresh token is none for access"


def answer(name: str, code: str, rule: str, document: Any, status: int = 401) -> Case:
    """What the provider says in whole."""
    return Case(name, code, rule, lambda scene: Sent("mF_9.B5f-4.1JqM", told=document), status)


TOLD: list[Case] = [
    told("for another audience", "audience_wrong", SAME, aud="account"),
    told("without audience", "audience_missing", SAME, aud=None),
    told("audience as an object", "token_malformed", SAME, aud={"gateway": 1}),
    told("expired", "token_expired", SAME, exp=NOW - 60),
    told("without exp", "token_malformed", SAME, exp=None),
    told("exp as text", "token_malformed", SAME, exp="1900000000"),
    told("not valid yet", "token_not_yet_valid", SAME, nbf=NOW + 60),
    told("another issuer", "issuer_wrong", SAME, iss="https://evil.example"),
    told("a refresh token", "token_type_wrong", TYPE, typ="Refresh"),
    told("a refresh token by its use", "token_type_wrong", TYPE, typ=None, token_use="refresh_token"),
    told("an ID token", "token_type_wrong", TYPE, typ="ID"),
    told("of no type", "token_type_wrong", TYPE, typ=None, token_type=None),
    told("of a type that is a list", "token_type_wrong", TYPE, token_type=["Bearer"]),
    told("of MAC's type", "token_type_wrong", TYPE, token_type="mac"),
    told("bound to a key, as Bearer", "dpop_required", "RFC 9449 6.2", cnf={"jkt": "A" * 43}),
    told("bound to what is not understood", "token_bound", "RFC 7800 3.1", cnf={"kid": "x"}),
    told("without subject", "subject_missing", SAME, sub=None),
    told("a subject that breaks lines", "token_malformed", SAME, sub="a\r\nb"),
    answer("not active", "token_inactive", "RFC 7662 2.2", {"active": False}),
    answer("not active, with claims", "token_inactive", "RFC 7662 2.2", {"active": False, "aud": "gateway"}),
    answer("active as text", "identity_unavailable", "RFC 7662 2.2", {"active": "true"}, 503),
    answer("active as a number", "identity_unavailable", "RFC 7662 2.2", {"active": 1}, 503),
    answer("neither", "identity_unavailable", "RFC 7662 2.2", {"sub": "alice"}, 503),
]


def garbage(name: str, token: str | bytes, code: str = "token_malformed") -> Case:
    return Case(name, code, "RFC 6750 2.1: what is no token is not asked about", lambda scene: Sent(token))


def forged(scene: Scene) -> Sent:
    """Lightweight and signed by a stranger: nobody is asked about it."""
    return Sent(scene.issuer.token(aud=None, private=scene.privates["other"]), told={"active": True})


GARBAGE: list[Case] = [
    garbage("blanks", "a b c"),
    garbage("quotes", '"token"'),
    garbage("a comma", "a,b"),
    garbage("padding inside", "a=b"),
    garbage("control characters", b"a\x01b"),
    garbage("beyond ASCII", "tökén"),
    garbage("too large", "x" * 16_385),
    Case("a lightweight token by a stranger", "signature_invalid", "RFC 7662 4", forged),
]

GOOD: list[Case] = [
    told("an opaque token", None, SAME),
    told("with a type in small letters", None, SAME, typ=None, token_type="bearer"),
    told("without issuer, as who tells it is", None, "RFC 7662 2.2", iss=None),
    told("that has dots", None, "RFC 6750 2.1", "a.b.c.d.e"),
    told("that ends with padding", None, "RFC 6750 2.1", "abc=="),
]
