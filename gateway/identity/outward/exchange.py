"""Token exchange (RFC 8693; Keycloak's standard token exchange): the client's token for one that a service is meant by.

What a provider gave is used again until shortly before it ends, and asked for once at a time, however many requests
wait. While the provider is away nobody can be vouched for, which is 503; where it refuses, client or provider are not
set up for it, which is 502 and is not asked again for some seconds.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from gateway.errors import BadGateway, GatewayError, Unavailable
from gateway.identity.calls import FAILED, OK, REFUSED, OnCall, nobody
from gateway.identity.channel import Answer, Channel, FetchFailed
from gateway.identity.credentials import Ask, bearer
from gateway.identity.token import TOKEN_BYTES
from gateway.model import Application, ClientCredentials, Identity, Plan

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name
FLIGHTS = 32  # exchanges under way
WAITERS = 1_000
REMEMBERED = 20_000  # tokens; one is about 3 KB
MARGIN = 10.0  # seconds before its end in which a token is not used any more
PAUSE = 5.0  # seconds that a refusal is believed
LONGEST = 86_400.0  # seconds that a token is used, whatever its provider says
RETRY_AFTER = 5  # seconds, told with 503

_printable = re.compile(r"[!-~]+").fullmatch  # RFC 6749 A.12, without spaces

Told = bytes | GatewayError
Hear = Callable[[Told], None]


class Wanted(NamedTuple):
    """A token by its SHA-256, for whom another is wanted, and with which scopes."""

    digest: bytes
    audience: str
    scope: str | None


class Exchanger:
    """One provider's. Use it in one event loop; `close` it."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        client: ClientCredentials,
        *,
        clock: Callable[[], float],
        log: logging.Logger,
        on_call: OnCall = nobody,
    ) -> None:
        self._name = name
        self._on_call = on_call
        self._channel = channel
        self._client = (client.client_id, client.client_secret)
        self._clock = clock
        self._log = log
        self._known: dict[Wanted, tuple[Told, float]] = {}  # what it gave, or why not, until when
        self._waiting: dict[Wanted, list[Hear]] = {}
        self._waiters = 0
        self._flights: set[asyncio.Task[None]] = set()
        self._permits = asyncio.Semaphore(FLIGHTS)
        self._failure = ""
        self._url: str | None = None

    def exchange(self, token: bytes, wanted: Wanted, ends: float, done: Hear) -> bytes | None:
        """The value of Authorization; None: `done` hears it later, once. `ends` is the token's own end in Unix seconds.
        Raises BadGateway or Unavailable."""
        told, until = self._known.get(wanted, (b"", 0.0))
        if self._clock() < until:
            if isinstance(told, GatewayError):
                raise told
            return told
        if self._waiters >= WAITERS:
            raise _away("too many requests wait for the identity provider")
        self._waiters += 1
        waiting = self._waiting.setdefault(wanted, [])
        waiting.append(done)
        if len(waiting) == 1:
            flight = asyncio.create_task(self._fly(token, wanted, ends), name=f"exchange at {self._name}")
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        return None

    async def close(self) -> None:
        """Stop; whoever waits is told."""
        flights = list(self._flights)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fly(self, token: bytes, wanted: Wanted, ends: float) -> None:
        told: Told = _away("the identity provider cannot vouch for the request at the moment")
        begun, result = time.monotonic(), FAILED
        try:
            async with self._permits:
                begun = time.monotonic()
                answer = await self._fetch(token, wanted)
            told = self._read(answer, wanted, ends)
            result = OK if isinstance(told, bytes) else REFUSED
        except FetchFailed as error:
            self._heard(str(error))
        except Exception:  # a fault of ours vouches for nobody
            self._log.exception("identity %s: a token could not be exchanged", self._name)
        finally:
            self._on_call(self._name, "exchange", result, time.monotonic() - begun)
            self._tell(wanted, told)

    async def _fetch(self, token: bytes, wanted: Wanted) -> Answer:
        if self._url is None:
            self._url = self._channel.endpoint(await self._channel.discover(), "token_endpoint")
        form = {
            "grant_type": GRANT,
            "subject_token": token.decode("ascii"),
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
            "audience": wanted.audience,
        }
        if wanted.scope is not None:
            form["scope"] = wanted.scope
        return await self._channel.post(self._url, form, self._client)

    def _read(self, answer: Answer, wanted: Wanted, ends: float) -> Told:
        if answer.status in (404, 408, 429):
            self._url = None  # it may have moved
            raise FetchFailed(f"the token endpoint: status {answer.status}")
        now = self._clock()
        if answer.status != 200:
            refused = _refused()
            self._remember(wanted, refused, now + PAUSE)
            self._heard(_reason(answer.members, wanted))
            return refused
        value, seconds = _token_in(answer.members)
        self._remember(wanted, value, min(now + min(seconds, LONGEST), ends) - MARGIN)
        self._heard("")
        return value

    def _remember(self, wanted: Wanted, told: Told, until: float) -> None:
        self._known.pop(wanted, None)
        while len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[wanted] = told, until

    def _heard(self, failure: str) -> None:
        """A line when it changes."""
        if failure and failure != self._failure:
            self._log.warning("identity %s: token exchange: %s", self._name, failure, extra={"provider": self._name})
        self._failure = failure

    def _tell(self, wanted: Wanted, told: Told) -> None:
        """Through the loop, so that no one's fault reaches another."""
        waiting = self._waiting.pop(wanted)
        self._waiters -= len(waiting)
        loop = asyncio.get_running_loop()
        for done in waiting:
            loop.call_soon(done, told)


class Exchanged:
    """Vouches for identities by the tokens that theirs are exchanged for, for one audience."""

    def __init__(self, find: Callable[[str], Exchanger | None], audience: str, scope: str | None) -> None:
        """`find` gives a provider's, by its name."""
        self._find = find
        self._audience = audience
        self._scope = scope

    def vouch(
        self, ask: Ask, identity: Identity, _application: Application, _plan: Plan, done: Callable[[Told], None]
    ) -> bytes | None:
        provider = next((proof[4:] for proof in identity.proof if proof.startswith("jwt:")), "")
        exchanger, token = self._find(provider), bearer(ask)
        if exchanger is None or token is None:  # the configuration permits neither
            raise _refused()
        wanted = Wanted(sha256(token).digest(), self._audience, self._scope)
        return exchanger.exchange(token, wanted, identity.expires, done)


def _token_in(members: dict[str, Any]) -> tuple[bytes, float]:
    """The value of Authorization, and the seconds that it is good for (RFC 8693 2.2.1). Raises FetchFailed."""
    token, seconds = members.get("access_token"), members.get("expires_in", 0)
    kind = members.get("token_type")
    if not isinstance(token, str) or not _printable(token) or len(token) > TOKEN_BYTES:
        raise FetchFailed("the token endpoint gave no token that can be sent on")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise FetchFailed("the token endpoint gave a token that is not for bearers")
    if type(seconds) not in (int, float) or seconds < 0:
        raise FetchFailed("the token endpoint gave a token with an end that is none")
    return b"Bearer " + token.encode(), float(seconds)


def _reason(members: dict[str, Any], wanted: Wanted) -> str:
    """What it says (RFC 6749 5.2), for the log, and what to look at."""
    said = " ".join(str(members.get(name, ""))[:200] for name in ("error", "error_description")).strip()
    said = said if said.isprintable() else "something unreadable"
    cure = (
        f"may the gateway's client exchange tokens (in Keycloak: Standard token exchange), is it in the audience of "
        f"clients' tokens, and may it have the audience {wanted.audience!r}?"
    )
    return f"refused: {said}; {cure}"


def _refused() -> BadGateway:
    return BadGateway("the identity provider does not vouch for the request", code="exchange_refused")


def _away(detail: str) -> Unavailable:
    return Unavailable(detail, code="exchange_unavailable", retry_after=RETRY_AFTER)
