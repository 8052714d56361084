"""Another configuration, made ready beside traffic and then taken: requests must not notice either."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.control import unpack
from gateway.gate import Ledger, Turns
from gateway.identity.calls import OnCall, nobody
from gateway.identity.passport import close_all
from gateway.identity.provider import Provider
from gateway.quota.refusals import Refusals
from gateway.site import Site, build_site
from gateway.store.shared import Shared

RETIRE = 15.0  # seconds for requests that wait for a provider which is not used any more
SWITCH = 0.0005  # seconds that the thread builds before traffic has its turn
SLICE = 20  # pools whose certificates are looked at in one go
AT_ONCE = 20  # services, rules of services, plans, or applications that are freed in one go


class Staging:
    """`site` is what is served."""

    def __init__(
        self,
        site: Site,
        ledger: Ledger,
        shared: Shared,
        refusals: Refusals,
        on_call: OnCall = nobody,
        turns: Turns | None = None,
    ) -> None:
        self.site = site
        self._ledger = ledger
        self._shared = shared
        self._refusals = refusals
        self._on_call = on_call
        self._turns = turns
        self._next: Site | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def prepare(self, packed: bytes) -> None:
        """Makes a configuration ready. Raises whatever is wrong with it: nothing has changed then."""
        await self._abandon()
        self._next = site = await self._build(packed)
        await site.passport.start()
        for number, pool in enumerate(site.pools.values()):
            pool.reload_certificates()  # of those that go on
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def commit(self) -> Site:
        """What was made ready is what is served."""
        assert self._next is not None
        old, self.site, self._next = self.site, self._next, None
        if left := old.passport.left(self.site.passport):
            self._start(retire(left))
        self._start(let_go([old]) if old.sign_on is None else retire_sign_on([old]))
        return self.site

    def take_key_uses(self) -> dict[str, float]:
        """See Passport.take_uses."""
        return self.site.passport.take_uses()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Ends the background work of all that was served."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._abandon()
        await self.site.passport.close()
        await end_sign_on(self.site)

    async def _abandon(self) -> None:
        site, self._next = self._next, None
        if site is not None:
            await close_all(site.passport.left(self.site.passport))
            await end_sign_on(site)

    async def _build(self, packed: bytes) -> Site:
        loop = asyncio.get_running_loop()

        def build() -> Site:
            parts = self._ledger, self._shared, self._refusals, loop, self.site
            return build_site(unpack(packed), *parts, on_call=self._on_call, turns=self._turns)

        with yielding():
            return await loop.run_in_executor(None, build)


async def let_go(sites: list[Site]) -> None:
    """Frees what was served piece by piece: all at once would hold traffic up for as long as it takes."""
    pieces = pieces_of(sites.pop())
    while pieces:
        await asyncio.sleep(0)
        del pieces[-AT_ONCE:]


def pieces_of(site: Site) -> list[object]:
    """Nearly all of it: what holds them is freed in no time while they are in this list."""
    config = site.config
    of_config = config.services, config.plans, config.applications, config.accounts
    return [
        *(piece for mapping in (*of_config, site.pools) for piece in mapping.values()),
        *site.router.parts(),
        *site.gate.parts(),
    ]


async def retire(providers: set[Provider]) -> None:
    """Closes them once nobody can be waiting for them."""
    try:
        await asyncio.sleep(RETIRE)
    finally:
        await close_all(providers)


async def retire_sign_on(sites: list[Site]) -> None:
    """The same of a site's sign-on, whose pages know all of it; then it is let go."""
    try:
        await asyncio.sleep(RETIRE)
    finally:
        await end_sign_on(sites[0])
    await let_go(sites)


async def end_sign_on(site: Site) -> None:
    if site.sign_on is not None:
        await site.sign_on.close()


@contextmanager
def yielding() -> Iterator[None]:
    """While a thread builds: traffic soon has its turn again, and nobody looks for garbage in so much that is new."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.freeze()
        gc.enable()
