"""The shared ledger at work: how it calls the store, and what it does when the store or an answer is lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.model import Charge, Limit, Outcome, Over, Period, Store, Verdict
from gateway.quota import dispatch, store
from gateway.quota.calls import REMEMBERED
from gateway.quota.clock import boottime
from gateway.quota.store import StoreLedger
from gateway.store.connection import connect

from .conftest import Server, ask, ask_all, limit

pytestmark = pytest.mark.redis

YEAR = Period.YEAR  # windows that do not end while a test runs
TIMEOUT = 0.3  # seconds: far above what a busy machine takes to answer


@asynccontextmanager
async def gateway(url: str, **options: Any) -> AsyncIterator[StoreLedger]:
    redis = connect(Store(kind="url", url=url))
    ledger = StoreLedger(redis, **{"timeout": TIMEOUT, **options})
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()
        await redis.aclose()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Redis]:
    redis = Redis.from_url(url, decode_responses=True)
    try:
        yield redis
    finally:
        await redis.aclose()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def until_granted(ledger: StoreLedger, claim: Any) -> None:
    """Ask until the store has been found again."""
    deadline = time.monotonic() + 5
    while (await ask(ledger, claim)).verdict is not Verdict.GRANTED:
        assert time.monotonic() < deadline


def verdicts(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.verdict for outcome in outcomes)


def yearly(value: int, **fields: Any) -> Limit:
    return limit(value, **{"period": YEAR, **fields})


async def spent(redis: Redis) -> int:
    """Units in the only counter."""
    (key,) = [key async for key in redis.scan_iter("gw:{mobile}:gold:*")]
    return int((await redis.get(key)).split()[0])


# --- calls -------------------------------------------------------------------------------------------


async def test_requests_that_wait_together_share_a_call(server: Server) -> None:
    calls: list[bool] = []
    async with gateway(server.url, on_call=lambda seconds, ok: calls.append(ok)) as ledger:
        calls.clear()
        outcomes = await ask_all([ledger], 64, "mobile", Charge(yearly(100), 1))
        assert verdicts(outcomes) == {"granted": 64}
        assert calls == [True]


async def test_scopes_that_wait_together_share_a_round_trip(server: Server) -> None:
    calls: list[bool] = []
    async with gateway(server.url, on_call=lambda seconds, ok: calls.append(ok)) as ledger:
        calls.clear()
        claims = [ledger.claim(f"client{number}", (Charge(yearly(1), 1),)) for number in range(100)]
        assert verdicts(await asyncio.gather(*(ask(ledger, claim) for claim in claims))) == {"granted": 100}
        assert calls == [True]


async def test_a_client_far_over_its_limit_costs_one_call_a_second(server: Server) -> None:
    calls: list[bool] = []
    async with gateway(server.url, on_call=lambda seconds, ok: calls.append(ok)) as ledger:
        claim = ledger.claim("mobile", (Charge(yearly(1), 1),))
        await ask(ledger, claim)
        calls.clear()
        began = time.monotonic()
        while time.monotonic() - began < 1.1:
            assert (await ask(ledger, claim)).verdict is Verdict.REFUSED
            await asyncio.sleep(0)
        assert 1 <= len(calls) <= 2


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


async def test_processes_never_admit_more_than_the_limit(server: Server) -> None:
    program = """if True:
        import asyncio, sys
        from gateway.model import Charge, Limit, Period, Store
        from gateway.quota.store import StoreLedger
        from gateway.store.connection import connect

        async def main():
            redis = connect(Store(kind="url", url=sys.argv[1]))
            ledger = StoreLedger(redis, timeout=10)
            await ledger.start()
            claim = ledger.claim("mobile", (Charge(Limit(plan="gold", period=Period.YEAR, value=1000), 1),))
            granted = 0
            for _ in range(20):
                answers = [asyncio.get_running_loop().create_future() for _ in range(50)]
                for answer in answers:
                    outcome = ledger.consume(claim, answer.set_result)
                    if outcome is not None:
                        answer.set_result(outcome)
                granted += sum(outcome.verdict == "granted" for outcome in await asyncio.gather(*answers))
            await ledger.close()
            await redis.aclose()
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
        assert await kept(Period.YEAR) in {(days + 7) * 86_400 for days in (365, 366)}
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
            assert verdicts(await ask_all([ledger], 1, "mobile", Charge(limit(9, metric=f"m{off}"), 1))) == {
                "granted": 1
            }
            (key,) = [key async for key in redis.scan_iter(f"gw:{{mobile}}:gold::m{off}:*")]
            assert abs(int(key.rsplit(":", 1)[1]) - now) <= 61


# --- the store is slow ---------------------------------------------------------------------------------


async def test_a_request_waits_no_longer_than_the_timeout(server: Server) -> None:
    async with gateway(server.url) as ledger:
        server.signal(signal.SIGSTOP)
        began = time.monotonic()
        outcomes = await ask_all([ledger], 5, "mobile", Charge(yearly(9), 1))
        assert outcomes == [Outcome(Verdict.UNAVAILABLE)] * 5
        assert TIMEOUT <= time.monotonic() - began < 2 * TIMEOUT
        await until(lambda: ledger.down)
        server.signal(signal.SIGCONT)
        await until(lambda: not ledger.down)


async def test_a_grant_that_comes_late_is_used_by_the_next_request(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        claim = ledger.claim("mobile", (Charge(yearly(10), 1),))
        server.signal(signal.SIGSTOP)
        assert verdicts(await ask_all([ledger], 4, "mobile", Charge(yearly(10), 1))) == {"unavailable": 4}
        server.signal(signal.SIGCONT)
        await until(lambda: not ledger.owes)
        at_once = [ledger.consume(claim, lambda _: None) for _ in range(4)]
        assert [outcome and outcome.remaining for outcome in at_once] == [9, 8, 7, 6]
        assert await spent(redis) == 4
        assert verdicts(await ask_all([ledger], 9, "mobile", Charge(yearly(10), 1))) == {"granted": 6, "refused": 3}


async def test_a_connection_without_answer_is_given_up_and_its_call_counted_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PATIENCE", 0.2)
    calls: list[bool] = []
    async with (
        gateway(server.url, timeout=0.05, on_call=lambda seconds, ok: calls.append(ok)) as ledger,
        client(server.url) as redis,
    ):
        server.signal(signal.SIGSTOP)
        assert verdicts(await ask_all([ledger], 4, "mobile", Charge(yearly(10), 1))) == {"unavailable": 4}
        await until(lambda: calls.count(False) >= 2)
        server.signal(signal.SIGCONT)
        await until(lambda: not ledger.owes)
        assert await spent(redis) == 4
        ahead, behind = ledger.clock.ahead, ledger.clock.behind
        assert behind <= float((await redis.time())[0]) + 1 - ledger.clock.local()
        assert ahead >= behind  # the answer is as old as the first sending, so much is unknown
        claim = ledger.claim("mobile", (Charge(yearly(10), 1),))
        assert [ledger.consume(claim, lambda _: None) is not None for _ in range(4)] == [True] * 4


async def test_over_allow_does_not_wait_for_a_store_that_is_away(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        claim = ledger.claim("mobile", (Charge(yearly(2, over=Over.ALLOW), 1),))
        server.signal(signal.SIGSTOP)
        outcomes = [ledger.consume(claim, lambda _: None) for _ in range(5)]
        assert [outcome and outcome.verdict for outcome in outcomes] == ["granted"] * 5
        server.signal(signal.SIGCONT)
        await until(lambda: not ledger.owes)
        assert await spent(redis) == 5


# --- the store or an answer is lost ----------------------------------------------------------------------


async def test_a_killed_store_is_found_again_with_its_counts(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        charge = Charge(yearly(10), 1)
        assert verdicts(await ask_all([ledger], 6, "mobile", charge)) == {"granted": 6}
        server.kill()
        assert verdicts(await ask_all([ledger], 3, "mobile", charge)) == {"unavailable": 3}
        await until(lambda: ledger.down)
        assert not await ledger.check()
        server.start()
        await until_granted(ledger, ledger.claim("mobile", (charge,)))
        assert not ledger.down
        assert verdicts(await ask_all([ledger], 9, "mobile", charge)) == {"granted": 3, "refused": 6}
        assert await spent(redis) == 10


async def test_a_gateway_starts_without_its_store(server: Server) -> None:
    server.kill()
    async with gateway(server.url) as ledger:
        claim = ledger.claim("mobile", (Charge(yearly(10), 1),))
        assert (await ask(ledger, claim)).verdict is Verdict.UNAVAILABLE
        server.start()
        await until_granted(ledger, claim)


async def test_a_closed_idle_connection_goes_unnoticed(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        charge = Charge(yearly(10), 1)
        await ask_all([ledger], 1, "mobile", charge)
        for _ in range(3):
            await redis.client_kill_filter(_type="normal", skipme=True)
            assert verdicts(await ask_all([ledger], 1, "mobile", charge)) == {"granted": 1}
            assert not ledger.down
        assert await spent(redis) == 4


class Forgetful:
    """A proxy that can lose the store's answers: what was asked is done, and the connection breaks."""

    def __init__(self, target: str, path: str) -> None:
        self.url = f"unix://{path}"
        self.losing = False
        self.lost = 0
        self._target = target.removeprefix("unix://")
        self._path = path
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Forgetful:
        self._server = await asyncio.start_unix_server(self._accept, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_store, to_store = await asyncio.open_unix_connection(self._target)
        forward = asyncio.create_task(self._forward(reader, to_store))
        while answer := await from_store.read(65536):
            if self.losing:
                self.lost += 1
                break
            writer.write(answer)
        to_store.close()
        writer.close()
        await forward

    async def _forward(self, reader: asyncio.StreamReader, to_store: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65536):
            to_store.write(asked)
        to_store.close()


async def test_a_call_whose_answer_was_lost_is_counted_once(server: Server, tmp_path: Any) -> None:
    async with (
        Forgetful(server.url, f"{tmp_path}/p") as proxy,
        gateway(proxy.url) as ledger,
        client(server.url) as redis,
    ):
        charge = Charge(yearly(10, bins=(40,)), 1)
        soft = Charge(yearly(10, metric="soft", over=Over.ALLOW), 1)
        await ask_all([ledger], 1, "mobile", charge)
        proxy.losing = True
        lost = await ask_all([ledger], 5, "mobile", charge, soft)
        assert verdicts(lost) == {"unavailable": 5}
        assert proxy.lost >= 2  # it was sent again
        assert await spent(redis) == 6
        proxy.losing = False
        await until(lambda: not ledger.owes)
        again = await ask_all([ledger], 12, "mobile", charge, soft)
        assert verdicts(again) == {"granted": 9, "refused": 3}  # 1 + 9: the five were in hand
        assert await redis.xlen("gw:outbox") == 1


async def test_a_call_that_is_never_answered_is_given_up_before_the_store_forgets_it(
    server: Server, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    passed = 0.0
    async with (
        Forgetful(server.url, f"{tmp_path}/p") as proxy,
        gateway(proxy.url, clock=lambda: boottime() + passed) as ledger,
        client(server.url) as redis,
    ):
        await ask_all([ledger], 1, "other", Charge(yearly(10), 1))  # the script is loaded
        proxy.losing = True
        assert verdicts(await ask_all([ledger], 4, "mobile", Charge(yearly(10), 1))) == {"unavailable": 4}
        passed = REMEMBERED / 2
        await until(lambda: "never answered" in caplog.text)
        proxy.losing = False
        await until_granted(ledger, ledger.claim("mobile", (Charge(yearly(10), 1),)))
        outcomes = await ask_all([ledger], 9, "mobile", Charge(yearly(10), 1))
        assert await spent(redis) == 10
        assert verdicts(outcomes) == {"granted": 5, "refused": 4}  # the four that were lost stay unused


async def test_reports_that_were_lost_are_counted_once(server: Server, tmp_path: Any) -> None:
    async with (
        Forgetful(server.url, f"{tmp_path}/p") as proxy,
        gateway(proxy.url) as ledger,
        client(server.url) as redis,
    ):
        await ask_all([ledger], 1, "other", Charge(yearly(10), 1))  # the script is loaded
        proxy.losing = True
        await ask_all([ledger], 5, "mobile", Charge(yearly(10, over=Over.ALLOW), 1))
        await until(lambda: proxy.lost >= 3)
        proxy.losing = False
        await until(lambda: not ledger.owes)
        assert await spent(redis) == 5


async def test_a_flushed_script_is_loaded_again(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        charge = Charge(yearly(10), 1)
        for _ in range(2):
            assert verdicts(await ask_all([ledger], 2, "mobile", charge)) == {"granted": 2}
            await redis.script_flush()
        assert await spent(redis) == 4


async def test_closing_reports_what_is_owed_and_answers_who_waits(server: Server) -> None:
    async with client(server.url) as redis:
        async with gateway(server.url, timeout=5) as ledger:
            await ask_all([ledger], 3, "mobile", Charge(yearly(2, over=Over.ALLOW), 1))
            answers: list[Outcome] = []
            assert ledger.consume(ledger.claim("other", (Charge(yearly(2), 1),)), answers.append) is None
        assert await spent(redis) == 3
        assert verdicts(answers) == {"granted": 1}
        assert verdicts(await ask_all([ledger], 1, "other", Charge(yearly(2), 1))) == {"unavailable": 1}


async def test_closing_does_not_hang_on_a_store_that_is_away(server: Server) -> None:
    async with gateway(server.url, timeout=5) as ledger:
        server.kill()
        answer = asyncio.ensure_future(ask_all([ledger], 2, "mobile", Charge(yearly(2), 1)))
        await until(lambda: ledger.down)
    assert verdicts(await answer) == {"unavailable": 2}


# --- the store refuses ---------------------------------------------------------------------------------


async def refuses(ledger: StoreLedger, redis: Redis, *break_it: str) -> None:
    """After the command `break_it` nobody is let in, nor counted."""
    charge = Charge(yearly(10), 1)
    assert verdicts(await ask_all([ledger], 1, "mobile", charge)) == {"granted": 1}
    await redis.execute_command(*break_it)
    began = time.monotonic()
    assert verdicts(await ask_all([ledger], 3, "mobile", charge)) == {"unavailable": 3}
    assert time.monotonic() - began < 2 * TIMEOUT


async def recovers(ledger: StoreLedger, redis: Redis, *mend_it: str) -> None:
    """After `mend_it` the store is found again, and all that was counted is what was let in."""
    await redis.execute_command(*mend_it)
    claim = ledger.claim("mobile", (Charge(yearly(10), 1),))
    await until_granted(ledger, claim)
    await until(lambda: not ledger.owes)
    outcomes = await ask_all([ledger], 12, "mobile", Charge(yearly(10), 1))
    assert verdicts(outcomes) == {"granted": 8, "refused": 4}


async def test_a_full_store(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await refuses(ledger, redis, "CONFIG", "SET", "maxmemory", "1")
        await recovers(ledger, redis, "CONFIG", "SET", "maxmemory", "0")


async def test_what_a_full_store_did_not_take_is_reported_again(server: Server) -> None:
    async with gateway(server.url, report=0.01) as ledger, client(server.url) as redis:
        soft = Charge(yearly(10, over=Over.ALLOW), 1)
        await redis.config_set("maxmemory", 1)
        assert verdicts(await ask_all([ledger], 3, "mobile", soft)) == {"granted": 3}
        await until(lambda: ledger.down)
        remaining = [outcome.remaining for outcome in await ask_all([ledger], 2, "mobile", soft)]
        assert remaining == [6, 5]
        await redis.config_set("maxmemory", 0)
        await until(lambda: not ledger.owes)
        assert await spent(redis) == 5


async def test_a_store_that_became_a_replica(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await refuses(ledger, redis, "REPLICAOF", "127.0.0.1", "1")
        assert ledger.down
        await recovers(ledger, redis, "REPLICAOF", "NO", "ONE")


async def test_a_store_that_asks_for_another_password(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await refuses(ledger, redis, "ACL", "SETUSER", "default", "on", "-@all", "+acl", "+auth", "+client")
        await recovers(ledger, redis, "ACL", "SETUSER", "default", "+@all")


async def test_a_password_set_meanwhile(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        await redis.config_set("requirepass", "secret")
        await redis.client_kill_filter(_type="normal", skipme=True)
        outcomes = await ask_all([ledger], 3, "mobile", Charge(yearly(10), 1))
        assert verdicts(outcomes) == {"unavailable": 3}
        await redis.config_set("requirepass", "")
        await until_granted(ledger, ledger.claim("mobile", (Charge(yearly(10), 1),)))


@pytest.mark.parametrize("rubbish", ["LPUSH", "SET"])
async def test_rubbish_under_a_counters_name_concerns_its_scope_alone(server: Server, rubbish: str) -> None:
    async with gateway(server.url, timeout=5) as ledger, client(server.url) as redis:
        charge = Charge(yearly(10), 1)
        await ask_all([ledger], 1, "mobile", charge)
        (key,) = [key async for key in redis.scan_iter("gw:{mobile}:gold:*")]
        await redis.delete(key)
        await redis.execute_command(rubbish, key, "rubbish")
        began = time.monotonic()
        assert verdicts(await ask_all([ledger], 3, "mobile", charge)) == {"unavailable": 3}
        assert verdicts(await ask_all([ledger], 3, "other", charge)) == {"granted": 3}
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
