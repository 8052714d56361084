"""When keys were last used, as several gateways tell it."""

from __future__ import annotations

import time

import pytest
from rigs.shared import lines
from rigs.stores import TcpServer

from gateway.model import Store
from gateway.store.key_uses import AT_ONCE, KEPT, KeyUses, MemoryKeyUses, StoreKeyUses, key_uses


async def told(first: KeyUses, second: KeyUses) -> None:
    now = float(int(time.time()))
    await first.tell({"a": now - 5, "b": now})
    await second.tell({"a": now - 60, "c": now})
    assert await first.all() == await second.all() == {"a": now - 5, "b": now, "c": now}
    await second.tell({})
    many = {f"k{number}": now for number in range(2 * AT_ONCE + 1)}
    await first.tell(many)
    assert len(await second.all()) == len(many) + 3


async def test_in_memory() -> None:
    uses = key_uses(None, "gw")
    assert isinstance(uses, MemoryKeyUses)
    await told(uses, uses)


@pytest.mark.redis
async def test_in_a_store_which_forgets_what_was_long_ago(server: TcpServer) -> None:
    async with lines(Store(kind="url", url=server.url)) as one, lines(Store(kind="url", url=server.url)) as other:
        await told(key_uses(one, "gw"), key_uses(other, "gw"))
        later = StoreKeyUses(one, "gw", lambda: time.time() + KEPT - 30)
        await later.tell({})
        assert "a" in await later.all()
        await StoreKeyUses(one, "gw", lambda: time.time() + KEPT + 1).tell({})
        assert await later.all() == {}
