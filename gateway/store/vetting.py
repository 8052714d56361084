"""A store is looked at before it is used, and from then on: what it is set to may change while it runs."""

from __future__ import annotations

import asyncio
import logging

from redis.exceptions import RedisError

from gateway.model import Store
from gateway.store import StoreAway, StoreError
from gateway.store.check import Facts, Persistence, inspect
from gateway.store.connection import PATIENCE
from gateway.store.node import Node, Topology
from gateway.store.protocol import require_protocol
from gateway.store.refusals import explain
from gateway.store.rights import require_rights

FORGETFUL = (Persistence.SNAPSHOTS, Persistence.NONE)
AGAIN = 1.0  # seconds between looks at a store of which something is away
EVERY = 15.0  # and at one that answers

log = logging.getLogger("gateway.store")


class Vetting:
    """`problem` says why the store is unfit, or can grant nothing now, as far as it tells; None while it is away.

    `facts` are of each server that answered, by its name.
    """

    def __init__(self, topology: Topology, store: Store) -> None:
        self.problem: str | None = None
        self.facts: dict[str, Facts] = {}
        self._topology = topology
        self._store = store
        self._told: list[str] = []

    @property
    def cost(self) -> str:
        """What a restart of the store costs; of several servers the one that loses most."""
        known = [facts.persistence for facts in self.facts.values()] or [Persistence.UNKNOWN]
        return max(known, key=list(Persistence).index).cost

    @property
    def forgetful(self) -> bool:
        """Whether a restart of the store costs more than its last second."""
        return any(facts.persistence in FORGETFUL for facts in self.facts.values())

    async def look(self) -> bool:
        """Whether all answered; raises StoreError if one is unfit."""
        errors = await self._look()
        for error in errors:
            if not isinstance(error, StoreAway):
                raise error
        if not errors:
            described = {f"{facts.server}, durable: {facts.persistence}" for facts in self.facts.values()}
            log.info("the store is %s", "; ".join(sorted(described)))
            if self.forgetful:
                log.warning("%s", self.cost)
        return not errors

    async def look_on(self) -> None:
        """From now on."""
        while True:
            await asyncio.sleep(AGAIN if self._told else EVERY)
            await self._look()

    async def _look(self) -> list[StoreError]:
        """What is wrong: with one server, or with finding them."""
        errors = [] if await self._topology.refresh() else [explain(self._topology.failure, self._store)]
        self.facts = {}
        for node in self._topology.nodes:
            try:
                self.facts[node.name] = await self._inspect(node)
            except StoreError as error:
                errors.append(error)
        unfit = [str(error) for error in errors if not isinstance(error, StoreAway)]
        troubles = [f"{name}: {facts.trouble}" for name, facts in self.facts.items() if facts.trouble]
        warnings = [f"{name}: {facts.warning}" for name, facts in self.facts.items() if facts.warning]
        self.problem = "; ".join(dict.fromkeys([*unfit, *troubles])) or None
        self._tell(list(dict.fromkeys([*map(str, errors), *troubles, *warnings])))
        return errors

    async def _inspect(self, node: Node) -> Facts:
        async with self._topology.client(node.tag) as client:
            facts = await inspect(client, self._store)
        link = node.link()
        try:
            await link.open(PATIENCE)
            await require_protocol(link, self._store, node.tag, PATIENCE)
            refused = await require_rights(link, self._store, node.tag, PATIENCE)
        except (RedisError, OSError) as error:
            raise explain(error, self._store) from error
        finally:
            await link.close()
        return facts if refused is None else facts._replace(trouble=f"it takes no writes: {refused}")

    def _tell(self, lines: list[str]) -> None:
        """What is new to the log."""
        for line in lines:
            if line not in self._told:
                log.warning("%s", line)
        if self._told and not lines:
            log.warning("the store is fit again")
        self._told = lines
