"""Revocations as operators make and take them back: marks that all gateways know, with a line in the log for each."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from gateway.identity.refusals import InvalidToken
from gateway.identity.revocations import CLIENT, DIGEST, KINDS, REALM, SESSION, TOKEN, USER, named
from gateway.identity.token import parse
from gateway.model import Config, Oidc
from gateway.store.marks import Mark, Marks
from gateway.store.store_marks import hear

log = logging.getLogger("gateway.audit")

WHAT = {"jti": TOKEN, "session": SESSION, "user": USER, "client": CLIENT, "realm": REALM, "digest": DIGEST}
NOUNS = {kind: noun for noun, kind in WHAT.items()}
EPOCHS = (REALM, CLIENT, USER)
GRACE = 120.0  # seconds that a token may be taken past its `exp`, clocks included

Row = dict[str, Any]


class Operator(NamedTuple):
    """Who asks: who he says he is, his address, and as whom the system knows him."""

    by: str | None
    peer: str
    user: str | None


class Order(NamedTuple):
    """What is to be revoked: `what` is a word of WHAT, or `token` for a token itself. Of a user, client or realm what
    was issued until `before` (Unix seconds; None: now). It holds for `seconds`; None: as long as it can matter.
    """

    what: str
    name: str = ""
    provider: str | None = None
    before: float | None = None
    seconds: float | None = None
    reason: str = ""


class UnknownError(Exception):
    """There is no such provider or revocation."""


class RevocationDesk:
    """Of one gateway. Raises UnknownError, ValueError for what cannot be meant, StoreError."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._providers: list[Oidc] = []
        self._marks: Marks | None = None

    def start(self, marks: Marks, config: Config) -> None:
        self._marks = marks
        self.take(config)

    def take(self, config: Config) -> None:
        """The providers that hold from now on."""
        self._providers = list(config.providers.values())

    async def listed(self) -> list[Row]:
        """All that hold, the latest first."""
        await hear(self._kept)
        rows = [self._row(kind, name, mark) for kind, name, mark in self._held()]
        return sorted(rows, key=lambda row: str(row["since"]), reverse=True)

    async def revoke(self, order: Order, operator: Operator) -> Row:
        kind, name, ends = self._meant(order)
        value = order.reason
        if kind in EPOCHS:
            value = f"{self._clock() if order.before is None else order.before:.3f} {order.reason}".rstrip()
        elif order.before is not None:
            raise ValueError("before is for a user, a client or a realm")
        until = self._clock() + order.seconds if order.seconds is not None else ends
        mark = await self._done("revoke", kind, name, operator, self._kept.set(kind, name, value, until))
        return self._row(kind, name, mark)

    async def restore(self, identifier: str, operator: Operator) -> Row:
        await hear(self._kept)
        for kind, name, mark in self._held():
            if id_of(kind, name) == identifier:
                await self._done("restore", kind, name, operator, self._kept.clear(kind, name))
                return self._row(kind, name, mark)
        raise UnknownError(f"there is no revocation {identifier}")

    @property
    def _kept(self) -> Marks:
        assert self._marks is not None
        return self._marks

    def _held(self) -> Iterator[tuple[str, str, Mark]]:
        for kind in KINDS:
            yield from ((kind, name, mark) for name, mark in self._kept.listed(kind).items())

    def _meant(self, order: Order) -> tuple[str, str, float | None]:
        """The mark's kind and name, and when it does not matter any more."""
        if order.what == "token":
            return self._of_token(order.name, order.provider)
        kind = WHAT[order.what]
        issuer = self._provider(order.provider).issuer
        return kind, issuer if kind == REALM else named(issuer, order.name), None

    def _of_token(self, text: str, provider: str | None) -> tuple[str, str, float | None]:
        """Nothing of it is verified: who has it may revoke it. An opaque one is known by its digest alone; of a signed
        one there may be several spellings, but one `jti`."""
        try:
            claims = parse(text.encode("ascii", "replace")).claims
        except InvalidToken:
            if text.count(".") == 2 and text.startswith("ey"):
                raise
            return DIGEST, sha256(text.encode()).hexdigest(), None
        issuers = [self._provider(provider).issuer] if provider else [one.issuer for one in self._providers]
        if claims.get("iss") not in issuers:
            raise UnknownError("the token is of no provider here")
        if not isinstance(claims.get("jti"), str):
            raise ValueError("the token has no jti to be known by; revoke its session, user or client")
        expires = claims.get("exp")
        ends = max(expires, self._clock()) + GRACE if isinstance(expires, int | float) else None
        return TOKEN, named(claims["iss"], claims["jti"]), ends

    def _provider(self, name: str | None) -> Oidc:
        if name is None and len(self._providers) == 1:
            return self._providers[0]
        known = ", ".join(provider.name for provider in self._providers) or "there is none"
        if name is None:
            raise ValueError(f"say of which provider ({known})")
        for provider in self._providers:
            if provider.name == name:
                return provider
        raise UnknownError(f"'{name}' is not a provider ({known})")

    def _row(self, kind: str, name: str, mark: Mark) -> Row:
        issuer, _, of = (name, "", "") if kind == REALM else ("", "", name) if kind == DIGEST else name.partition(" ")
        before, _, reason = mark.value.partition(" ") if kind in EPOCHS else ("", "", mark.value)
        return {
            "id": id_of(kind, name),
            "what": NOUNS[kind],
            "name": of,
            "providers": [provider.name for provider in self._providers if provider.issuer == issuer],
            "issuer": issuer,
            "before": stamp(float(before)) if before else None,
            "since": stamp(mark.since),
            "until": None if mark.until is None else stamp(mark.until),
            "reason": reason,
        }

    async def _done(self, action: str, kind: str, name: str, operator: Operator, work: Awaitable[Any]) -> Any:
        """Done and told, or told that it failed."""
        who = {"action": f"tokens.{action}", **operator._asdict(), "what": NOUNS[kind], "name_of": name}
        try:
            done = await work
        except Exception as error:
            log.warning("tokens %s failed: %s", action, error, extra=who)
            raise
        log.info("tokens %s", action, extra=who)
        return done


def id_of(kind: str, name: str) -> str:
    """What a revocation is called by."""
    return sha256(f"{kind} {name}".encode()).hexdigest()[:16]


def stamp(moment: float) -> str:
    """RFC 3339, in milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
