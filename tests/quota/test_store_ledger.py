"""The shared ledger while its store is well: scopes, keys, clocks, processes, and trouble of one scope alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest
from rigs.ledgers import ask, client, gateway, units, until_granted, verdicts, yearly
from rigs.waiting import until

from gateway.model import Charge, Outcome, Over, Period, Verdict
from gateway.quota import store

from .conftest import Server, ask_all, limit

pytestmark = pytest.mark.redis


async def test_claims_work_on_when_their_scope_is_out_of_mind(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KNOWN", 2)
    async with gateway(server.url, timeout=5) as ledger:
        charge = Charge(yearly(3), 1)
        held = ledger.claim("mobile", (charge,))
        assert (await ask(ledger, held)).verdict is Verdict.GRANTED
        for number in range(5):
            await ask_all([ledger], 1, f"client{number}", charge)
        outcomes = [await ask(ledger, claim) for claim in (held, ledger.claim("mobile", (charge,)), held)]
        assert [outcome.verdict for outcome in outcomes] == ["granted", "granted", "refused"]


async def test_processes_never_admit_more_than_the_limit_and_all_of_it(server: Server) -> None:
    program = """if True:
        import asyncio, sys
        from gateway.model import Charge, Limit, Period, Store
        from gateway.quota.store import StoreLedger
        from gateway.store.topology import topology

        async def main():
            servers = topology(Store(kind="url", url=sys.argv[1]))
            ledger = StoreLedger(servers, timeout=10, durable=True)
            await ledger.start()
            claim = ledger.claim("mobile", (Charge(Limit(plan="gold", period=Period.YEAR, value=1000), 1),))
            granted, refused = 0, False
            while not refused:
                answers = [asyncio.get_running_loop().create_future() for _ in range(20)]
                for answer in answers:
                    outcome = ledger.consume(claim, answer.set_result)
                    if outcome is not None:
                        answer.set_result(outcome)
                outcomes = await asyncio.gather(*answers)
                granted += sum(outcome.verdict == "granted" for outcome in outcomes)
                refused = any(outcome.retry_after not in (None, 1) for outcome in outcomes)
                await asyncio.sleep(0.001)
            await ledger.close()
            await servers.close()
            print(granted)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", program, server.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    granted = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(granted) == 1000


async def test_counters_are_kept_past_their_window_and_calls_a_minute(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:

        async def kept(period: Period) -> int:
            """Seconds from the window's start."""
            await ask_all([ledger], 1, str(period), Charge(limit(5, period=period), 1))
            (key,) = [key async for key in redis.scan_iter(f"gw:{{{period}}}:gold:*")]
            return int(await redis.expiretime(key)) - int(key.rsplit(":", 1)[1])

        assert await kept(Period.MINUTE) == 60 + 3600
        assert await kept(Period.DAY) == 2 * 86_400
        assert await kept(Period.WEEK) == 14 * 86_400
        assert await kept(Period.YEAR) in {(days + 62) * 86_400 for days in (365, 366)}
        assert await kept(Period.ETERNITY) == -1  # never
        (call,) = [key async for key in redis.scan_iter("gw:{minute}:~*")]
        assert 0 < await redis.ttl(call) <= 60


async def test_a_gateway_with_a_late_clock_counts_in_the_stores_window(server: Server) -> None:
    async with gateway(server.url, timeout=2) as ledger, client(server.url) as redis:
        await ask_all([ledger], 1, "mobile", Charge(limit(9), 1))
        now, local = ledger.clock.seen, ledger.clock.local()
        for off in (-3600, 3600):
            ledger.clock.seen = 0
            ledger.clock.learn(now + off, local, local)
            ledger.clock.seen = 0
            asked = await ask_all([ledger], 1, "mobile", Charge(limit(9, metric=f"m{off}"), 1))
            assert verdicts(asked) == {"granted": 1}
            (key,) = [key async for key in redis.scan_iter(f"gw:{{mobile}}:gold::m{off}:*")]
            assert abs(int(key.rsplit(":", 1)[1]) - now) <= 61


async def test_a_flushed_script_is_loaded_again(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        charge = Charge(yearly(10), 1)
        for _ in range(2):
            assert verdicts(await ask_all([ledger], 2, "mobile", charge)) == {"granted": 2}
            await redis.script_flush()
        assert (await units(redis))[0] == 4


async def test_closing_reports_what_is_owed_and_answers_who_waits(server: Server) -> None:
    async with client(server.url) as redis:
        async with gateway(server.url, timeout=5) as ledger:
            await ask_all([ledger], 3, "mobile", Charge(yearly(2, over=Over.ALLOW), 1))
            answers: list[Outcome] = []
            assert ledger.consume(ledger.claim("other", (Charge(yearly(2), 1),)), answers.append) is None
        assert await units(redis) == (3, 0)
        assert verdicts(answers) == {"granted": 1}
        assert verdicts(await ask_all([ledger], 1, "other", Charge(yearly(2), 1))) == {"unavailable": 1}


@pytest.mark.alone
async def test_what_is_counted_beside_a_refused_limit_is_reported_within_a_second(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        soft = Charge(yearly(2, over=Over.ALLOW), 1)
        began = time.monotonic()
        await ask_all([ledger], 5, "mobile", soft)
        await until(lambda: not ledger.owes, seconds=2)
        assert time.monotonic() - began < 1.3
        assert await units(redis) == (5, 0)


@pytest.mark.parametrize("rubbish", ["LPUSH", "SET"])
async def test_rubbish_under_a_counters_name_concerns_its_scope_alone(server: Server, rubbish: str) -> None:
    async with gateway(server.url, timeout=5) as ledger, client(server.url) as redis:
        charge = Charge(yearly(10), 1)
        await ask_all([ledger], 1, "mobile", charge)
        (key,) = [key async for key in redis.scan_iter("gw:{mobile}:gold:*")]
        await redis.delete(key)
        await redis.execute_command(rubbish, key, "rubbish")
        began, calls = time.monotonic(), ledger.calls
        assert verdicts(await ask_all([ledger], 3, "mobile", charge)) == {"unavailable": 3}
        assert verdicts(await ask_all([ledger], 3, "other", charge)) == {"granted": 3}
        assert ledger.calls - calls <= 4
        assert not ledger.down
        assert time.monotonic() - began < 2  # nobody waited in vain
        await redis.delete(key)
        assert verdicts(await ask_all([ledger], 3, "mobile", charge)) == {"granted": 3}


async def test_a_request_that_fails_at_its_answer_hurts_no_other(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(server.url) as ledger:
        claim = ledger.claim("mobile", (Charge(yearly(10), 1),))

        def fails(outcome: Outcome) -> None:
            raise RuntimeError("gone")

        assert ledger.consume(claim, fails) is None
        assert (await ask(ledger, claim)).verdict is Verdict.GRANTED
        assert "a request failed" in caplog.text


async def test_more_counters_than_a_page_has_cells(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds no cell is not let in; who has one goes on, and cells come free."""
    monkeypatch.setattr("gateway.quota.page.CELLS", 2)
    async with gateway(server.url) as ledger:
        claims = [ledger.claim(f"client{number}", (Charge(yearly(10), 1),)) for number in range(4)]
        outcomes: list[Any] = await asyncio.gather(*(ask(ledger, claim) for claim in claims))
        assert verdicts(outcomes) == {"granted": 2, "unavailable": 2}
        assert (await ask(ledger, claims[0])).verdict is Verdict.GRANTED
        await until_granted(ledger, Charge(yearly(10), 1), scope="client3")
