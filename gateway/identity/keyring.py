"""The life of one provider's keys: fetched, kept fresh, asked for again when a token names one that is not here.

States: no keys yet (requests are told 503) → keys → keys while the provider is away (the last good set stays).
One fetch is under way at a time, and all who wait share it. Tokens can cause REFETCHES in any PERIOD, whatever they
name, so that nobody can turn the gateway against the provider; and of these one address only one per REFETCH_SECONDS,
so that nobody by himself keeps a new key from being found. A fetch that found a key which was never here before does
not count: keys may change again at once, and no one but the provider makes keys. Whose token could not be asked for
through the fault of others is told that nobody can say (503), and not that it is bad.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.http.peer import client_of
from gateway.identity.calls import FAILED, OK, OnCall, nobody
from gateway.identity.channel import FetchFailed
from gateway.identity.keys import KeySet

REFRESH_SECONDS = 300.0  # a withdrawn key dies within this
RETRY_SECONDS = 15.0  # the longest pause between attempts while the provider is away
REFETCHES = 2
PERIOD = 60.0  # seconds
REFETCH_SECONDS = 30.0
UNKNOWN_SECONDS = 60.0  # an unknown `kid` is not asked for again before
UNKNOWN_KIDS = 1_000
WAITERS = 1_000
MET = 1_000  # keys that were here once
ADDRESSES = 1_000  # that have lately caused a fetch; more than can have, by REFETCH_SECONDS

Sleep = Callable[[float], Awaitable[object]]


class Source(Protocol):
    """Where keys come from; both raise FetchFailed."""

    async def fetch(self) -> KeySet: ...
    async def refetch(self) -> KeySet: ...


class KeyRing:
    """One provider's keys. `changed` hears each new set."""

    def __init__(
        self,
        name: str,
        source: Source,
        changed: Callable[[KeySet], None],
        *,
        clock: Callable[[], float],
        sleep: Sleep,
        log: logging.Logger,
        on_call: OnCall = nobody,
    ) -> None:
        self.keys = KeySet()
        self._on_call = on_call
        self._name = name
        self._source = source
        self._changed = changed
        self._clock = clock
        self._sleep = sleep
        self._log = log
        self._failure: str | None = "not asked yet"
        self._failures = 0
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._waiting: list[tuple[str, Callable[[], None]]] = []
        self._unknown: dict[str, float] = {}  # kid → when it may be asked for again
        self._met: dict[str | None, None] = {}  # kids that were here, the oldest first
        self._caused: list[float] = []  # when the latest fetches began that tokens caused
        self._spent: dict[str, float] = {}  # address → when it may cause a fetch again
        self._causing: str | None = None  # the address because of which a fetch is under way

    def __repr__(self) -> str:
        counts = f"{len(self.keys)} keys, {len(self._waiting)} waiting, {len(self._unknown)} unknown"
        return f"<KeyRing {self._name}: {counts}, {self._failure or 'fresh'}>"

    async def start(self) -> None:
        """Try once, then keep fresh in the background."""
        await self._fly(self._source.fetch)
        self._keeper = asyncio.create_task(self._keep_fresh(), name=f"keys of {self._name}")

    async def close(self) -> None:
        """Stop; whoever waits is told."""
        self._failure = "closing"
        tasks = [task for task in (self._keeper, self._flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def settles(self, kid: str | None, peer: str) -> bool:
        """Whether a `kid` that is not here is nowhere: it was asked for lately; or the last answer was good, and that
        no newer one is under way is because of this address itself."""
        if self.keys.knows(kid):
            return True
        now = self._clock()
        if kid is not None and now < self._unknown.get(kid, 0):
            return True
        return self._failure is None and self._flight is None and now < self._spent.get(client_of(peer), 0)

    def problem(self) -> str | None:
        """Why no token can be verified; None: all is well, or the last good keys serve."""
        return None if self.keys else f"no keys yet: {self._failure}"

    def refetch(self, kid: str, peer: str, done: Callable[[], None]) -> bool:
        """Ask the provider again because a token from an address names `kid`. True: `done` hears the end, once; False:
        not now."""
        now = self._clock()
        if now < self._unknown.get(kid, 0) or len(self._waiting) >= WAITERS:
            return False
        if self._flight is None and not self._may_cause(client_of(peer), now):
            return False
        if self._flight is None:
            self._causing = client_of(peer)
        self._waiting.append((kid, done))
        self._fly(self._source.refetch)
        return True

    def _may_cause(self, client: str, now: float) -> bool:
        """Whether this address may have a fetch made; it then has had it."""
        if 0 < self._spent.get(client, 0) - now <= REFETCH_SECONDS or not self._permitted(now):
            return False
        self._spent.pop(client, None)
        while len(self._spent) >= ADDRESSES:
            del self._spent[next(iter(self._spent))]
        self._spent[client] = now + REFETCH_SECONDS
        return True

    def _reward(self) -> None:
        """A fetch that found a new key that was asked for is held against nobody."""
        found = {kid for kid, _ in self._waiting if self.keys.knows(kid)}
        if self._causing is not None and found - self._met.keys():
            self._spent.pop(self._causing, None)
            self._caused.pop()
        self._causing = None
        self._met |= dict.fromkeys(key.kid for key in self.keys.keys)
        while len(self._met) > MET:
            del self._met[next(iter(self._met))]

    def _permitted(self, now: float) -> bool:
        """Whether fewer than REFETCHES began in the last PERIOD; one begins now. What began later than now did so
        before the clock was set back."""
        self._caused = [min(began, now) for began in self._caused if now - began < PERIOD]
        if len(self._caused) >= REFETCHES:
            return False
        self._caused.append(now)
        return True

    def _fly(self, fetch: Callable[[], Awaitable[KeySet]]) -> asyncio.Task[None]:
        """The fetch that is under way, else this one."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._run(fetch), name=f"fetch keys of {self._name}")
        return self._flight

    async def _run(self, fetch: Callable[[], Awaitable[KeySet]]) -> None:
        begun, result = time.monotonic(), FAILED
        try:
            self._adopt(await fetch())
            result = FAILED if self._failure else OK
        except FetchFailed as error:
            self._fail(str(error))
        except Exception:  # a fault of ours must not end the refreshing
            self._log.exception("identity %s: keys could not be read", self._name)
            self._fail("internal error")
        finally:
            self._flight = None
            self._on_call(self._name, "keys", result, time.monotonic() - begun)
            self._tell()

    async def _keep_fresh(self) -> None:
        while True:
            await self._sleep(self._pause())
            await self._fly(self._source.fetch)

    def _pause(self) -> float:
        """Jitter keeps many gateways from asking at once."""
        if not self._failures:
            return REFRESH_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, guards nothing
        return float(min(2.0 ** min(self._failures, 10), RETRY_SECONDS) * random.uniform(0.5, 1.0))  # noqa: S311

    def _adopt(self, keys: KeySet) -> None:
        if keys.identities != self.keys.identities:
            self._log.info("identity %s: %d keys", self._name, len(keys), extra={"provider": self._name})
        self.keys = keys
        self._changed(keys)
        if not keys:
            self._fail("the provider publishes no key that can be used")
            return
        self._failure, self._failures = None, 0

    def _fail(self, why: str) -> None:
        self._failures += 1
        if why != self._failure:
            self._log.warning("identity %s: %s", self._name, why, extra={"provider": self._name})
        self._failure = why

    def _tell(self) -> None:
        """Through the loop, so that no one's fault reaches another."""
        self._reward()
        waiting, self._waiting = self._waiting, []
        again = self._clock() + UNKNOWN_SECONDS
        loop = asyncio.get_running_loop()
        for kid, done in waiting:
            if self._failure is None and not self.keys.knows(kid):
                self._unknown[kid] = again
            loop.call_soon(done)
        while len(self._unknown) > UNKNOWN_KIDS:
            del self._unknown[next(iter(self._unknown))]
