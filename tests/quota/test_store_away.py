"""A store that is slow or away, and comes back with all that it knew: nobody waits long, all is counted once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis
from rigs.faults import FaultyProxy
from rigs.ledgers import TIMEOUT, Load, all_of, ask, client, gateway, units, until_granted, verdicts, yearly
from rigs.stores import Server, binary_of
from rigs.waiting import until

from gateway.model import Charge, Outcome, Over, Verdict
from gateway.quota import dispatch
from gateway.quota.calls import REMEMBERED
from gateway.quota.clock import boottime
from gateway.quota.store import StoreLedger

from .conftest import ask_all

pytestmark = pytest.mark.redis

MARGIN = 0.25  # seconds for a busy machine


# --- slow -----------------------------------------------------------------------------------------------


@pytest.mark.alone
async def test_a_request_waits_no_longer_than_the_timeout(server: Server) -> None:
    async with gateway(server.url) as ledger:
        server.pause()
        began = time.monotonic()
        outcomes = await ask_all([ledger], 5, "mobile", Charge(yearly(9), 1))
        assert outcomes == [Outcome(Verdict.UNAVAILABLE)] * 5
        assert TIMEOUT <= time.monotonic() - began < TIMEOUT + MARGIN
        await until(lambda: ledger.away)
        began = time.monotonic()
        assert verdicts(await ask_all([ledger], 5, "mobile", Charge(yearly(9), 1))) == {"unavailable": 5}
        assert time.monotonic() - began < MARGIN  # it is known by now
        server.resume()
        await until(lambda: not ledger.down)


async def test_a_grant_that_comes_late_is_used_by_the_next_request(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        claim = ledger.claim("mobile", (Charge(yearly(10), 1),))
        server.pause()
        assert verdicts(await ask_all([ledger], 4, "mobile", Charge(yearly(10), 1))) == {"unavailable": 4}
        server.resume()
        await until(lambda: ledger.in_hand)
        at_once = [ledger.consume(claim, lambda _: None) for _ in range(4)]
        assert [outcome and outcome.remaining for outcome in at_once] == [9, 8, 7, 6]
        assert (await units(redis))[0] == 4
        assert verdicts(await ask_all([ledger], 9, "mobile", Charge(yearly(10), 1))) == {"granted": 6, "refused": 3}


async def test_a_grant_that_comes_late_and_is_not_used_goes_back(server: Server) -> None:
    async with gateway(server.url) as ledger, gateway(server.url) as other, client(server.url) as redis:
        server.pause()
        assert verdicts(await ask_all([ledger], 4, "mobile", Charge(yearly(10), 1))) == {"unavailable": 4}
        server.resume()
        await until(lambda: ledger.in_hand)
        assert (await units(redis))[0] == 4
        assert await all_of(other, yearly(10)) + (await units(redis))[0] >= 10
        await until(lambda: ledger.in_hand == 0)
        await until(lambda: is_unused(redis))


async def is_unused(redis: Redis) -> bool:
    spent, held = await units(redis)
    return (spent, held) == (6, 0)  # what the other was let in


@pytest.mark.alone
async def test_spikes_of_latency_cost_nobody_more_than_the_timeout(server: Server, tmp_path: Path) -> None:
    limit = yearly(2_000)
    async with FaultyProxy(server.socket, tmp_path / "p") as proxy, gateway(proxy.url, timeout=0.1) as ledger:
        async with Load([ledger], Charge(limit, 1), rate=500) as load:
            for delay in (0.05, 0.0, 0.2, 0.0, 0.4, 0.0):
                proxy.delay = delay
                await asyncio.sleep(0.3)
        print(f"\n{dict(load.outcomes)}, the longest waited {load.longest * 1000:.0f} ms")
        assert load.longest < 0.1 + 0.05 + load.lateness.of_an_answer
        assert load.granted > 0
        await until(lambda: not ledger.down)
        assert load.granted + await all_of(ledger, limit) == 2_000


async def test_a_connection_without_answer_is_given_up_and_its_call_counted_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PATIENCE", 0.2)
    trips: list[bool] = []
    async with gateway(server.url, timeout=0.05, on_call=lambda seconds, ok: trips.append(ok)) as ledger:
        server.pause()
        assert verdicts(await ask_all([ledger], 4, "mobile", Charge(yearly(10), 1))) == {"unavailable": 4}
        await until(lambda: trips.count(False) >= 2)
        server.resume()
        await until(lambda: ledger.in_hand == 4)
        async with client(server.url) as redis:
            assert await units(redis) == (4, 0)
            ahead, behind = ledger.clock.ahead, ledger.clock.behind
            assert behind <= float((await redis.time())[0]) + 1 - ledger.clock.local()
            assert ahead >= behind  # the answer is as old as the first sending, so much is unknown


async def test_over_allow_does_not_wait_for_a_store_that_is_away(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        claim = ledger.claim("mobile", (Charge(yearly(2, over=Over.ALLOW), 1),))
        server.pause()
        outcomes = [ledger.consume(claim, lambda _: None) for _ in range(5)]
        assert [outcome and outcome.verdict for outcome in outcomes] == ["granted"] * 5
        server.resume()
        await until(lambda: not ledger.owes)
        assert await units(redis) == (5, 0)


# --- away -------------------------------------------------------------------------------------------------


async def test_a_killed_store_is_found_again_with_its_counts(server: Server) -> None:
    async with gateway(server.url) as ledger:
        charge = Charge(yearly(10), 1)
        assert verdicts(await ask_all([ledger], 6, "mobile", charge)) == {"granted": 6}
        server.kill()
        assert verdicts(await ask_all([ledger], 3, "mobile", charge)) == {"unavailable": 3}
        await until(lambda: ledger.down)
        assert not await ledger.check()
        server.start()
        await until_granted(ledger, charge)
        assert not ledger.down
        assert verdicts(await ask_all([ledger], 9, "mobile", charge)) == {"granted": 3, "refused": 6}


async def test_units_in_hand_are_spent_while_the_store_is_away(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        limit = yearly(10_000)
        async with Load([ledger], Charge(limit, 1), rate=1_000) as load:
            await until(lambda: load.granted > 100 and ledger.in_hand > 20)
        server.kill()
        in_hand, claim = ledger.in_hand, ledger.claim("mobile", (Charge(limit, 1),))
        for _ in range(in_hand):
            assert (await ask(ledger, claim)).verdict is Verdict.GRANTED
        assert (await ask(ledger, claim)).verdict is Verdict.UNAVAILABLE
        server.start()
        await until(lambda: not ledger.owes)
        assert (await units(redis))[0] == load.granted + in_hand


async def test_a_gateway_starts_without_its_store(server: Server) -> None:
    server.kill()
    async with gateway(server.url) as ledger:
        assert verdicts(await ask_all([ledger], 1, "mobile", Charge(yearly(10), 1))) == {"unavailable": 1}
        server.start()
        await until_granted(ledger, Charge(yearly(10), 1))


async def test_a_closed_idle_connection_goes_unnoticed(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        for number in range(4):
            assert verdicts(await ask_all([ledger], 1, f"client{number}", Charge(yearly(10), 1))) == {"granted": 1}
            assert not ledger.down
            assert await units(redis, f"client{number}") == (1, 0)
            await redis.client_kill_filter(_type="normal", skipme=True)


async def test_closing_does_not_hang_on_a_store_that_is_away(server: Server) -> None:
    async with gateway(server.url, timeout=5) as ledger:
        server.kill()
        answer = asyncio.ensure_future(ask_all([ledger], 2, "mobile", Charge(yearly(2), 1)))
        await until(lambda: ledger.down)
    assert verdicts(await answer) == {"unavailable": 2}


# --- answers that are lost ------------------------------------------------------------------------------------


async def test_a_call_whose_answer_was_lost_is_counted_once(server: Server, tmp_path: Path) -> None:
    charge = Charge(yearly(10, bins=(40,)), 1)
    soft = Charge(yearly(10, metric="soft", over=Over.ALLOW), 1)
    async with FaultyProxy(server.socket, tmp_path / "p") as proxy, gateway(proxy.url) as ledger:
        await ask_all([ledger], 1, "mobile", charge)
        proxy.losing = True
        assert verdicts(await ask_all([ledger], 5, "mobile", charge, soft)) == {"unavailable": 5}
        assert proxy.lost >= 2  # it was sent again
        async with client(server.url) as redis:
            assert (await units(redis))[0] == 6
            proxy.losing = False
            await until(lambda: ledger.in_hand)
            again = await ask_all([ledger], 12, "mobile", charge, soft)
            assert verdicts(again) == {"granted": 9, "refused": 3}  # 1 + 9: the five were in hand
            assert await redis.xlen("gw:outbox") == 1


@pytest.mark.parametrize("cut", [1, 7, 40, 200])
async def test_an_answer_of_which_a_part_comes_is_no_answer(server: Server, tmp_path: Path, cut: int) -> None:
    async with FaultyProxy(server.socket, tmp_path / "p") as proxy, gateway(proxy.url) as ledger:
        await ask_all([ledger], 1, "mobile", Charge(yearly(100), 1))
        proxy.cut_after = cut
        outcomes = await ask_all([ledger], 20, "mobile", Charge(yearly(100), 1))
        proxy.cut_after = None
        granted = verdicts(outcomes)["granted"]
        await until(lambda: not ledger.down)
        assert 1 + granted + await all_of(ledger, yearly(100)) == 100


async def test_reports_that_were_lost_are_counted_once(server: Server, tmp_path: Path) -> None:
    async with (
        FaultyProxy(server.socket, tmp_path / "p") as proxy,
        gateway(proxy.url) as ledger,
        client(server.url) as redis,
    ):
        await ask_all([ledger], 1, "other", Charge(yearly(10), 1))  # the script is loaded
        proxy.losing = True
        await ask_all([ledger], 5, "mobile", Charge(yearly(10, over=Over.ALLOW), 1))
        await until(lambda: proxy.lost >= 3)
        proxy.losing = False
        await until(lambda: not ledger.owes)
        assert await units(redis) == (5, 0)


async def test_a_call_that_was_not_answered_in_time_is_not_asked_again(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The store may have forgotten by then that it was done; done again, units would come free that are in use."""
    passed = 0.0
    charge = Charge(yearly(10), 1)
    async with (
        FaultyProxy(server.socket, tmp_path / "p") as proxy,
        gateway(proxy.url, clock=lambda: boottime() + passed) as ledger,
        client(server.url) as redis,
    ):
        await ask_all([ledger], 1, "other", charge)  # the script is loaded
        proxy.losing = True
        assert verdicts(await ask_all([ledger], 4, "mobile", charge)) == {"unavailable": 4}
        proxy.refusing = True  # for long
        passed = REMEMBERED / 2
        (call,) = [key async for key in redis.scan_iter("gw:{mobile}:~*")]
        await redis.delete(call)
        proxy.losing = proxy.refusing = False
        await until(lambda: "never answered" in caplog.text)
        await until_granted(ledger, charge)
        outcomes = await ask_all([ledger], 9, "mobile", charge)
        assert (await units(redis))[0] == 10
        assert verdicts(outcomes) == {"granted": 5, "refused": 4}  # the four that were lost stay unused


async def test_half_open_connections_and_a_partition(server: Server, tmp_path: Path) -> None:
    """One gateway cannot reach the store; the others go on, and together they never pass the limit."""
    limit = yearly(3_000)
    async with FaultyProxy(server.socket, tmp_path / "p") as proxy, gateway(server.url) as other:
        async with (
            gateway(proxy.url, timeout=0.05) as cut_off,
            Load([cut_off, other], Charge(limit, 1), rate=800) as load,
        ):
            await asyncio.sleep(0.4)
            proxy.deaf = True
            await until(lambda: cut_off.down)
            await asyncio.sleep(0.5)
            proxy.deaf = False
            await until(lambda: not cut_off.down)
            await asyncio.sleep(0.2)
        assert load.outcomes["unavailable"] > 0
        assert load.granted + await all_of(other, limit) == 3_000


# --- another server ---------------------------------------------------------------------------------------------


@pytest.fixture
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, Server]:
    made = [Server(binary_of("valkey"), tmp_path_factory.mktemp("twin")).start() for _ in range(2)]
    yield made[0], made[1]
    for server in made:
        server.close()


async def test_an_address_that_leads_to_another_server_after_the_old_one_has_become_a_replica(
    twins: tuple[Server, Server], tmp_path: Path
) -> None:
    """As behind one name of a hosted store: the old connections stay, and lead to a server that takes no writes."""
    old, new = twins
    async with FaultyProxy(old.socket, tmp_path / "p") as proxy, gateway(proxy.url) as ledger:
        await until_granted(ledger, Charge(yearly(10), 1))
        proxy.target = new.socket
        old.ask("REPLICAOF", "127.0.0.1", "1")
        await until(lambda: is_let_in_by(new, ledger))


async def is_let_in_by(server: Server, ledger: StoreLedger) -> bool:
    await ask_all([ledger], 1, "mobile", Charge(yearly(1_000), 1))
    async with client(server.url) as redis:
        return (await units(redis))[0] > 0
