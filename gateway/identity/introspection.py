"""Asks a provider about tokens that do not tell all themselves (RFC 7662): opaque and lightweight ones.

A token is asked about once at a time, however many requests bring it; how many questions are under way, and how many
requests wait for them, is bounded. Only what the provider says is an answer: while it is away nobody can say, which is
503. That a token is not active is remembered for a few seconds, apart from good ones, which nothing pushes out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from gateway.errors import Unavailable
from gateway.identity.calls import FAILED, OK, REFUSED, OnCall, nobody
from gateway.identity.channel import Channel, FetchFailed
from gateway.identity.refusals import InvalidToken
from gateway.model import Introspection

FLIGHTS = 32  # questions under way
WAITERS = 1_000
INACTIVE = 10_000  # tokens remembered; one is about 150 bytes
INACTIVE_SECONDS = 10.0
RETRY_AFTER = 5  # seconds, told with 503

Told = dict[str, Any] | InvalidToken | Unavailable
Hear = Callable[[Told], None]


class Introspector:
    """One provider's introspection endpoint. Use it in one event loop; `close` it."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        settings: Introspection,
        *,
        clock: Callable[[], float],
        log: logging.Logger,
        on_call: OnCall = nobody,
    ) -> None:
        self._name = name
        self._on_call = on_call
        self._channel = channel
        self._client = (settings.client_id, settings.client_secret)
        self._clock = clock
        self._log = log
        self._inactive: dict[bytes, float] = {}  # digest → when it may be asked about again
        self._waiting: dict[bytes, list[Hear]] = {}
        self._waiters = 0
        self._flights: set[asyncio.Task[None]] = set()
        self._permits = asyncio.Semaphore(FLIGHTS)
        self._failure = ""
        self._url: str | None = None

    def ask(self, token: bytes, digest: bytes, done: Hear) -> None:
        """`done` hears later, once, what the provider says. Raises InvalidToken for a token of which it said lately
        that it is not active, Unavailable where too many wait."""
        if self._clock() < self._inactive.get(digest, 0.0):
            raise _not_active()
        if self._waiters >= WAITERS:
            raise _away("too many tokens wait for the identity provider")
        self._waiters += 1
        waiting = self._waiting.setdefault(digest, [])
        waiting.append(done)
        if len(waiting) == 1:
            flight = asyncio.create_task(self._fly(token, digest), name=f"introspection at {self._name}")
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)

    async def close(self) -> None:
        """Stop; whoever waits is told."""
        flights = list(self._flights)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fly(self, token: bytes, digest: bytes) -> None:
        told: Told = _away("tokens cannot be verified at the moment")
        begun, result = time.monotonic(), FAILED
        try:
            async with self._permits:
                begun = time.monotonic()
                told = self._read(await self._fetch(token), digest)
            result = OK if isinstance(told, dict) else REFUSED
            self._heard("")
        except FetchFailed as error:
            self._heard(str(error))
        except Exception:  # a fault of ours is no answer either
            self._log.exception("identity %s: a token could not be asked about", self._name)
        finally:
            self._on_call(self._name, "introspection", result, time.monotonic() - begun)
            self._tell(digest, told)

    async def _fetch(self, token: bytes) -> dict[str, Any]:
        if self._url is None:
            self._url = self._channel.endpoint(await self._channel.discover(), "introspection_endpoint")
        url = self._url
        form = {"token": token.decode("ascii"), "token_type_hint": "access_token"}
        answer = await self._channel.post(url, form, self._client)
        if answer.status != 200:
            self._url = None  # it may have moved
            raise FetchFailed(f"{url}: status {answer.status}")
        return answer.members

    def _read(self, answer: dict[str, Any], digest: bytes) -> Told:
        """`active` must be true, and nothing that merely looks like it (RFC 7662 2.2)."""
        active = answer.pop("active", None)
        if active is True:
            return answer
        if active is not False:
            raise FetchFailed("the introspection endpoint does not say whether the token is active")
        while len(self._inactive) >= INACTIVE:
            del self._inactive[next(iter(self._inactive))]
        self._inactive[digest] = self._clock() + INACTIVE_SECONDS
        return _not_active()

    def _heard(self, failure: str) -> None:
        """A line when it changes."""
        if failure and failure != self._failure:
            refused = failure.endswith(("status 400", "status 401", "status 403"))
            cure = "; are client_id and client_secret those of a client that may introspect?" if refused else ""
            extra = {"provider": self._name}
            self._log.warning("identity %s: introspection: %s%s", self._name, failure, cure, extra=extra)
        self._failure = failure

    def _tell(self, digest: bytes, told: Told) -> None:
        """Through the loop, so that no one's fault reaches another."""
        waiting = self._waiting.pop(digest)
        self._waiters -= len(waiting)
        loop = asyncio.get_running_loop()
        for done in waiting:
            loop.call_soon(done, told)


def _not_active() -> InvalidToken:
    return InvalidToken("token_inactive", "the token is not active")


def _away(detail: str) -> Unavailable:
    return Unavailable(detail, code="identity_unavailable", retry_after=RETRY_AFTER)
