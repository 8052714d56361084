"""The gateway's own tokens (RFC 7519): who asks, by which application and plan, for one service and one minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt

from gateway.errors import GatewayError
from gateway.identity.credentials import Ask
from gateway.identity.outward.signing_keys import SigningKeys
from gateway.model import Application, Identity, Plan

LIFETIME = 60  # seconds
FRESH = 30  # seconds for which one is used again
REMEMBERED = 20_000  # who asks, and by what; one is about 1 KB

Who = tuple[Identity, str, str]  # an application, a plan


class Assertions:
    """Vouches for identities by signed tokens for one audience."""

    def __init__(
        self, keys: SigningKeys, issuer: str, audience: str, clock: Callable[[], float], *, scheme: bytes = b""
    ) -> None:
        """`scheme` comes before a token, as `Bearer ` in Authorization."""
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._scheme = scheme
        self._known: dict[Who, tuple[bytes, float]] = {}  # a value, and until when it is fresh

    def vouch(
        self,
        _ask: Ask,
        identity: Identity,
        application: Application,
        plan: Plan,
        _done: Callable[[bytes | GatewayError], None],
    ) -> bytes:
        who, now = (identity, application.name, plan.name), self._clock()
        known = self._known.get(who)
        if known is not None and 0 < known[1] - now <= FRESH:
            return known[0]
        value = self._scheme + self._signed(identity, application, plan, int(now)).encode()
        if who not in self._known and len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[who] = value, now + FRESH
        return value

    def _signed(self, identity: Identity, application: Application, plan: Plan, now: int) -> str:
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + LIFETIME,
            "application": application.name,
            "plan": plan.name,
        }
        more = {"sub": identity.subject or None, "azp": identity.client_id, "account": application.account}
        claims |= {name: value for name, value in more.items() if value is not None}
        key = self._keys.current()
        return jwt.encode(claims, key.private, "ES256", {"kid": key.kid})
