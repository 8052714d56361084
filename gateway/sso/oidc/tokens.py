"""The tokens of a sign-on, or of its refresh → what they prove. All that is taken from them is verified."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.identity.claims import identity_of
from gateway.identity.id_token import check_access_hash, check_id_token, check_own_access_token
from gateway.identity.provider import Provider
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import Token, parse
from gateway.model import Identity
from gateway.sso.session import SignedIn

EARLY = 30.0  # seconds before its end by which an access token is refreshed, or a quarter of its life
LONGEST = 10 * 365 * 86_400  # seconds of an access token
PERSONAL = ("name", "given_name", "family_name", "preferred_username", "email", "email_verified", "picture", "locale")


class BadTokens(Exception):
    """The token endpoint's answer cannot be used."""


class Reader:
    """Reads one client's tokens."""

    def __init__(self, provider: Provider, client_id: str, clock: Callable[[], float] = time.time) -> None:
        """`clock` in Unix seconds."""
        self._provider = provider
        self._client_id = client_id
        self._clock = clock

    async def read(self, answer: Mapping[str, Any], *, nonce: str, code: str) -> SignedIn:
        """What a code was exchanged for. Raises BadTokens, InvalidToken or Unavailable."""
        token = await self._id_token(_text(answer, "id_token"), nonce, code)
        return await self._signed_in(answer, token, str(answer["id_token"]))

    async def read_again(self, answer: Mapping[str, Any], before: SignedIn) -> SignedIn:
        """What a refresh brought, which is of the same person (Core 12.2). Raises as `read`."""
        if "id_token" not in answer:
            return await self._signed_in(answer, None, str(before.private["id_token"]), before)
        token = await self._id_token(_text(answer, "id_token"), None, "")
        if token.claims["sub"] != before.subject:
            raise InvalidToken("token_mixed_up", "the refreshed token is of another person")
        return await self._signed_in(answer, token, str(answer["id_token"]), before)

    async def _id_token(self, text: str, nonce: str | None, code: str) -> Token:
        token = parse(text.encode(errors="replace"))
        check_id_token(token, self._provider.issuer, self._client_id, self._clock(), nonce=nonce, code=code)
        await self._provider.prove(token)
        return token

    async def _signed_in(
        self, answer: Mapping[str, Any], token: Token | None, id_token: str, before: SignedIn | None = None
    ) -> SignedIn:
        access_token = _text(answer, "access_token")
        if str(answer.get("token_type", "")).lower() != "bearer":
            raise BadTokens("token_type is not Bearer")
        if token is not None:
            check_access_hash(token, access_token)
        claims = dict(before.claims) if token is None and before is not None else dict(token.claims if token else {})
        access = await self._access(access_token, claims["sub"])
        who = self._identity(claims, access)
        refresh = answer.get("refresh_token") or (before.private.get("refresh_token") if before else None)
        ends_at = self._end(answer, access, claims)
        return SignedIn(
            provider=self._provider.name,
            subject=who.subject,
            issuer=self._provider.issuer,
            client_id=self._client_id,
            claims=who.claims,
            roles=tuple(sorted(who.roles)),
            groups=tuple(sorted(who.groups)),
            scopes=tuple(sorted(who.scopes)),
            sid=claims.get("sid"),
            private={"id_token": id_token, "refresh_token": refresh},
            renew_at=ends_at - min(EARLY, (ends_at - self._clock()) / 4),
            good_until=ends_at,
        )

    async def _access(self, text: str, subject: str) -> dict[str, Any]:
        """The claims of an access token; none where it is not one that others can read, or tells of nobody."""
        try:
            token = parse(text.encode(errors="replace"))
        except InvalidToken:
            return {}
        if not self._provider.issued(token) or "sub" not in token.claims:
            return {}
        check_own_access_token(token, self._provider.issuer, self._client_id, subject, self._clock())
        await self._provider.prove(token)
        return token.claims

    def _identity(self, claims: dict[str, Any], access: dict[str, Any]) -> Identity:
        """The access token says what the person may do, the ID token who that is and how it was proven."""
        joined: dict[str, Any] = {
            **claims,
            **access,
            **{n: claims[n] for n in ("acr", "amr", "auth_time") if n in claims},
        }
        joined |= {name: claims[name] for name in PERSONAL if name in claims}
        joined["azp"] = self._client_id
        return identity_of(joined, self._provider.name)

    def _end(self, answer: Mapping[str, Any], access: dict[str, Any], claims: dict[str, Any]) -> float:
        """When what was proven is to be proven again."""
        lives = answer.get("expires_in")
        if isinstance(lives, int | float) and 0 < lives < LONGEST:
            told = self._clock() + float(lives)
        else:
            told = float(claims["exp"])
        return min(told, float(access["exp"])) if access else told


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise BadTokens(f"{name} is missing")
    return value
