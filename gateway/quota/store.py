"""A ledger in Redis or Valkey, shared by all gateways.

A request for which units are in hand is answered at once. What is not in hand is asked of the store, for all that
wait in a scope in one call; there is one call per scope at a time, and what arrives meanwhile goes with the next.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from weakref import WeakValueDictionary

from gateway.model import Charge, Outcome
from gateway.quota.clock import StoreClock, boottime
from gateway.quota.counters import Claim, is_window
from gateway.quota.desk import Desk
from gateway.quota.dispatch import Dispatcher
from gateway.quota.errands import Errand
from gateway.quota.fallback import WithoutStore
from gateway.quota.forget import Forgetting
from gateway.quota.leases import LOOK, Leases
from gateway.quota.local.fallback import Fallback
from gateway.quota.memo import PUBLISH, Memo
from gateway.quota.meters import NOWHERE, Counter, Meter
from gateway.quota.nodes import Nodes
from gateway.quota.page import Page
from gateway.quota.pools.calls import POOLS, declarations
from gateway.quota.pools.meters import Pool
from gateway.quota.pools.scopes import PoolScope
from gateway.quota.scopes import Scope
from gateway.store import keys
from gateway.store.fence import Fence
from gateway.store.outboxes import register_outbox
from gateway.store.script import Command, Script
from gateway.store.topology import Node, Topology

KNOWN = 5_000  # scopes kept in mind after their last claim, at 2 to 4 KB
SLICE = 500  # counters looked at in one go


class StoreLedger:
    """Counts in the store of `topology`. `start` it in the loop that uses it.

    `timeout`: seconds that a request waits for the store. `look`: seconds between looks at what is idle or has to be
    reported. `fence`: seconds for which a store that may have lost data waits for all processes; `durable`: a restart
    of it loses nothing acknowledged. `wait`: replicas that must have a grant before it is used. `clock`: monotonic
    seconds. `page`: memory that outlives the process. `fallback` decides what the store cannot be asked about; none
    lets nothing in. `on_call` hears of each round trip: seconds, and whether it went well.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        prefix: str = "gw",
        timeout: float = 0.05,
        look: float = LOOK,
        fence: float = 5.0,
        durable: bool = False,
        wait: int = 0,
        clock: Callable[[], float] = boottime,
        page: Page | None = None,
        fallback: Fallback | None = None,
        on_call: Callable[[float, bool], None] = lambda seconds, ok: None,
    ) -> None:
        self.clock = StoreClock(clock)
        self._prefix = prefix
        self._look = look
        self._process = secrets.token_hex(8)
        self._leases = Leases(page or Page(), self._process)
        self._leases.page.sign(self._process)
        self._memo = Memo()
        self._forgetting = Forgetting()
        self._scopes: WeakValueDictionary[tuple[str, type[Scope]], Scope] = WeakValueDictionary()
        self._known: dict[Scope, None] = {}  # the latest last
        self._ticking: asyncio.Handle | None = None

        def dispatcher(node: Node, on_moved: Callable[[], None]) -> Dispatcher:
            here = Fence(prefix, node, self._process, seconds=fence, durable=durable)
            return Dispatcher(
                node,
                self,
                self.clock,
                here,
                prefix=prefix,
                timeout=timeout,
                wait=wait,
                on_call=on_call,
                on_moved=on_moved,
                register=lambda tag: register_outbox(topology, prefix, tag),
            )

        self._nodes = Nodes(topology, dispatcher)
        self._without = WithoutStore(self.clock, self._leases, fallback)
        self._desk = Desk(self.clock, self._leases, self._memo, timeout, self._nodes.make_ready, self._without.decide)

    async def start(self) -> None:
        """Learn the store's time. A store that is away does not prevent the start: see `down`."""
        await self._nodes.start()
        self._tick()

    async def close(self) -> None:
        """Report and return everything, answer who waits, and close the connections. `topology` stays its owner's."""
        if self._ticking is not None:
            self._ticking.cancel()
        self._leases.close()
        self._desk.close()
        await self._nodes.close()
        self._desk.expire_all()

    @property
    def down(self) -> bool:
        """Whether the store is known to be away."""
        dispatchers = self._nodes.dispatchers
        return not dispatchers or any(dispatcher.down for dispatcher in dispatchers)

    @property
    def away(self) -> bool:
        """Whether it has been down for so long that no request waits for it."""
        return any(dispatcher.away for dispatcher in self._nodes.dispatchers)

    @property
    def fenced(self) -> bool:
        """Whether the store waits for what processes remember, and grants nothing."""
        return any(dispatcher.fenced for dispatcher in self._nodes.dispatchers)

    @property
    def owes(self) -> bool:
        """Whether something was counted that the store does not know yet."""
        page = self._leases.page
        busy = any(dispatcher.busy for dispatcher in self._nodes.dispatchers)
        return busy or any(counter.owes(page) for counter in self._leases.counters)

    @property
    def in_hand(self) -> int:
        """Units leased and not used."""
        return sum(counter.hand for counter in self._leases.counters)

    @property
    def calls(self) -> int:
        """Calls made to the store so far."""
        return sum(dispatcher.calls for dispatcher in self._nodes.dispatchers)

    async def check(self) -> bool:
        """Whether the store counts now."""
        return all([await dispatcher.ping() for dispatcher in self._nodes.dispatchers])

    def claim(self, scope: str, charges: tuple[Charge, ...], *others: tuple[str, tuple[Charge, ...]]) -> Claim[Meter]:
        """A handle for `consume`; raises ValueError for charges that share a counter or are out of range."""
        narrowest = self._scope(scope, Scope)
        parts = [part for name, some in ((scope, charges), *others) for part in self._parts(name, some)]
        return parts[0] if len(parts) == 1 else narrowest.together(tuple(parts))

    def _parts(self, name: str, charges: tuple[Charge, ...]) -> Iterator[Claim[Meter]]:
        """What is charged to a scope's windows, and to its pools."""
        pools = tuple(charge for charge in charges if not is_window(charge.limit))
        windows = tuple(charge for charge in charges if is_window(charge.limit)) if pools else charges
        if windows or not pools:
            yield self._scope(name, Scope).claim(windows)
        if pools:
            yield self._scope(name, PoolScope).claim(pools)

    def _scope(self, name: str, kind: type[Scope]) -> Scope:
        known = self._scopes.get((name, kind))
        if known is None:
            known = self._scopes[name, kind] = kind(self._prefix, self._process, name)
        self._known.pop(known, None)
        self._known[known] = None
        if len(self._known) > KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            oldest.forget()
        return known

    def consume(self, claim: Claim[Meter], done: Callable[[Outcome], None]) -> Outcome | None:
        """Take a claim's costs from all its limits, or from none; None: `done` hears it within the timeout, once."""
        outcome = self._desk.take(claim)
        if outcome is not None:
            return outcome
        if self._desk.closed or any(map(self._nodes.away, self._desk.lacking(claim))):
            return self._without.decide(claim)
        self._desk.wait(claim, done)
        return None

    def next_calls(self, node: Node, most: int) -> Sequence[Errand]:
        """See dispatch.Caller."""
        return self._nodes.next_calls(node, most, self._desk.call)

    def remembered(self, node: Node, fence: Fence) -> Iterator[tuple[Script, Command]]:
        """See dispatch.Caller."""
        outbox = keys.outbox(self._prefix, node.tag)

        def is_there(tag: str) -> bool:
            return self._nodes.of(tag) is node

        for command in self._memo.publications(is_there, fence, outbox, self.clock.earliest()):
            yield PUBLISH, command
        by_scope: dict[Scope, list[Pool]] = {}
        for counter in self._leases.counters:
            if isinstance(counter, Pool) and is_there(counter.scope.tag):
                by_scope.setdefault(counter.scope, []).append(counter)
        late = self.clock.local() + self.clock.ahead
        for pools in by_scope.values():
            number = next(self._desk.numbers)
            yield POOLS, declarations(pools, self._leases, number, self.clock.seen, late, fence)

    def _tick(self) -> None:
        self._nodes.heartbeat()
        self._memo.forget_ended(self.clock.earliest())
        if not self.down and not self.fenced:
            self._without.tell(self._nodes.send)
            self._forgetting.tell(self.clock.local(), self._nodes.of, self._nodes.send)
        self._look_on(iter(tuple(self._leases.counters)))

    def _look_on(self, counters: Iterator[Counter]) -> None:
        """Look at some counters; the loop has its turn in between."""
        loop = asyncio.get_running_loop()
        local = self.clock.local()
        for seen, counter in enumerate(counters, 1):
            if counter.place != NOWHERE and self._leases.look(counter, local):
                self._nodes.make_ready(counter.scope)
            elif not counter.scope.cells:
                self._forgetting.note(counter.scope, local)
            if seen == SLICE:
                self._ticking = loop.call_soon(self._look_on, counters)
                return
        self._ticking = loop.call_later(self._look, self._tick)
