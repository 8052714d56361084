"""Alerts, of every ledger: the same tests over memory, Redis, Valkey and the embedded store."""

from __future__ import annotations

from gateway.model import Charge, Limit, Outcome, Over, Period

from .conftest import MONDAY, Gateway, World, ask, ask_all, limit


async def spend(ledger: Gateway, scope: str, *charges: Charge) -> Outcome:
    return await ask(ledger, ledger.claim(scope, charges))


async def test_each_bin_is_raised_once_and_never_early(world: World) -> None:
    ledger = await world.gateway()
    claim = ledger.claim("mobile", (Charge(limit(7, service="orders", metric="writes", bins=(50, 100)), 1),))
    raised = []
    for _ in range(9):
        await ask(ledger, claim)
        raised.append([alert.bin for alert in await world.alerts()])
    assert raised == [[], [], [], [50], [50], [50], [50, 100], [50, 100], [50, 100]]


async def test_an_alert_tells_all(world: World) -> None:
    ledger = await world.gateway()
    writes = limit(10, service="orders", metric="writes", period=Period.HOUR, bins=(80,))
    await world.advance(5.5)
    await spend(ledger, 'custömers/"J"', Charge(writes, 9))
    (alert,) = await world.alerts()
    assert alert._replace(id="") == (
        *("", 'custömers/"J"', "gold", "orders.writes", "hour", 80, 10, 9),
        *(MONDAY, MONDAY + 3600, MONDAY + 5.5),
        *(True, None, "threshold"),
    )


async def test_eternitys_alert_has_no_end(world: World) -> None:
    ledger = await world.gateway()
    await spend(ledger, "mobile", Charge(limit(1, period=Period.ETERNITY, bins=(100,)), 1))
    (alert,) = await world.alerts()
    assert (alert.window_start, alert.window_end) == (0, None)


async def test_many_gateways_raise_each_bin_once(world: World) -> None:
    gateways = [await world.gateway() for _ in range(4)]
    await ask_all(gateways, 300, "mobile", Charge(limit(100, bins=(50, 80, 90, 100)), 1))
    alerts = await world.alerts()
    assert [alert.bin for alert in alerts] == [50, 80, 90, 100]
    assert all(alert.spent * 100 >= alert.bin * alert.value for alert in alerts)


async def test_a_new_window_raises_again_under_another_id(world: World) -> None:
    ledger = await world.gateway()
    for _ in range(2):
        await ask_all([ledger], 5, "mobile", Charge(limit(4, bins=(100,)), 1))
        await world.advance(60)
    first, second = await world.alerts()
    assert first.id != second.id
    assert second.window_start == first.window_end


async def test_an_edit_raises_no_bin_twice_and_those_that_it_reaches_once(world: World) -> None:
    ledger = await world.gateway()
    for value in (10, 20, 8, 10):  # after 8 of 10: up, down below what is spent, and back
        await ask_all([ledger], 8 if value == 10 else 1, "mobile", Charge(limit(value, bins=(80, 100)), 1))
    bins = [alert.bin for alert in await world.alerts()]
    assert sorted(bins) == [80, 100]


async def test_a_limit_of_nothing_is_reached_by_the_first_unit(world: World) -> None:
    ledger = await world.gateway()
    nothing = Limit(plan="gold", period=Period.MINUTE, value=0, over=Over.ALLOW, bins=(80,))
    assert not await world.alerts()
    await spend(ledger, "mobile", Charge(nothing, 1))
    assert [alert.spent for alert in await world.alerts()] == [1]
