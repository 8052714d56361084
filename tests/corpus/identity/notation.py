"""How the corpus is written down: what a client sends, what must come of it, and by which rule.

Cases are made from a scene: a provider, keys, and a client that has one. All of them are sent to one service that takes
the provider's tokens, with DPoP and introspection.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

Json = dict[str, Any]
HEAD: Json = {"alg": "RS256", "kid": "first", "typ": "JWT"}


class Scene(NamedTuple):
    """`issuer` makes tokens; `privates` are keys by algorithm, with `rsa`, `other` and `weak`; `holder` makes proofs;
    `jwk` makes public keys."""

    issuer: Any
    privates: dict[str, Any]
    holder: Any
    jwk: Callable[..., Json]


class Sent(NamedTuple):
    """A request, and what the provider says: `told` of the token when it is asked, `keys` that it publishes."""

    token: str | bytes
    scheme: bytes = b"Bearer"
    proofs: tuple[bytes, ...] = ()
    told: Json | None = None
    keys: list[Json] | None = None
    more: tuple[tuple[bytes, bytes], ...] = ()  # further fields


class Case(NamedTuple):
    """`code` is why it is refused; None: it is let in."""

    name: str
    code: str | None
    rule: str
    make: Callable[[Scene], Sent]
    status: int = 401


def claims(name: str, code: str | None, rule: str, **changed: Any) -> Case:
    """A good token but for these claims; None removes one."""
    return Case(name, code, rule, lambda scene: Sent(scene.issuer.token(**changed)))


def header(name: str, code: str | None, rule: str, head: Json, **changed: Any) -> Case:
    """A good token but for these members of its header, and claims."""
    return Case(name, code, rule, lambda scene: Sent(scene.issuer.token(header=head, **changed)))


def written(name: str, code: str | None, rule: str, payload: bytes, head: bytes = json.dumps(HEAD).encode()) -> Case:
    """Well signed octets. `%s` stands for the members of good claims, without the bracket before them."""

    def make(scene: Scene) -> Sent:
        rest = json.dumps(scene.issuer.claims()).encode()[1:]
        return Sent(scene.issuer.sign(head, payload.replace(b"%s", rest)))

    return Case(name, code, rule, make)


def spelled(name: str, code: str | None, rule: str, spell: Callable[[str, str, str], str]) -> Case:
    """A good token's three parts, put together otherwise."""
    return Case(name, code, rule, lambda scene: Sent(spell(*scene.issuer.token().split("."))))


def bound(scene: Scene) -> str:
    """A token that is bound to the holder's key."""
    token: str = scene.issuer.token(typ="DPoP", cnf=scene.holder.cnf)
    return token


def proof(name: str, code: str | None, rule: str, head: Json | None = None, /, **changed: Any) -> Case:
    """A bound token with a good proof but for these members of its header, and claims."""

    def make(scene: Scene) -> Sent:
        token = bound(scene)
        return Sent(token, b"DPoP", (scene.holder.proof(token, header=head, **changed),))

    return Case(name, code, rule, make)


def proven(name: str, code: str | None, rule: str, make: Callable[[Scene, str], bytes | tuple[bytes, ...]]) -> Case:
    """A bound token with whatever `make` makes of it."""

    def sent(scene: Scene) -> Sent:
        token = bound(scene)
        made = make(scene, token)
        return Sent(token, b"DPoP", (made,) if isinstance(made, bytes) else made)

    return Case(name, code, rule, sent)


def told(name: str, code: str | None, rule: str, token: str = "mF_9.B5f-4.1JqM", /, **changed: Any) -> Case:
    """An opaque token of which the provider tells good claims but for these."""

    def make(scene: Scene) -> Sent:
        good = scene.issuer.claims(**{"token_type": "Bearer", **changed})
        return Sent(token, told={"active": True, **good})

    return Case(name, code, rule, make)


def published(
    name: str,
    code: str | None,
    rule: str,
    keys: Callable[[Scene], list[Json]],
    *,
    by: str = "rsa",
    algorithm: str = "RS256",
    kid: str | None = "k",
) -> Case:
    """A token that is signed by one key, while the provider publishes these."""

    def make(scene: Scene) -> Sent:
        token = scene.issuer.token(header={"kid": kid}, private=scene.privates[by], algorithm=algorithm)
        spare = scene.jwk(scene.privates["ES512"], kid="spare")  # or there would be no key at all
        return Sent(token, keys=[*keys(scene), spare])

    return Case(name, code, rule, make)
