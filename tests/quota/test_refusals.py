"""Refusals on a shared store: for good when the limit is spent, for a moment while others hold the rest."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from rigs.ledgers import TIMEOUT, ask, client, gateway, lease, never, units, yearly
from rigs.waiting import until

from gateway.model import Charge, Verdict
from gateway.quota.meters import SOFT
from gateway.quota.store import StoreLedger

from .conftest import Server

pytestmark = pytest.mark.redis


@pytest.mark.alone
async def test_while_others_hold_the_rest_a_request_may_come_again(server: Server) -> None:
    limit = yearly(300)
    async with gateway(server.url) as holder, gateway(server.url) as other:
        await lease(holder, limit)
        rest = other.claim("mobile", (Charge(limit, 300 - 12 - holder.in_hand),))
        whole = 0
        outcomes = []
        while (outcome := await ask(other, rest)).verdict is Verdict.GRANTED:
            whole += 1
        began = time.monotonic()
        outcomes = [await ask(other, rest) for _ in range(3)]
        assert time.monotonic() - began < SOFT + TIMEOUT  # only the first waits: then it is known for a moment
        assert {(o.verdict, o.retry_after) for o in (outcome, *outcomes)} == {(Verdict.REFUSED, 1)}


async def test_the_limit_itself_refuses_only_when_it_is_spent(server: Server) -> None:
    """A request that may still fit is told to come again; when it does not, until when."""
    limit = yearly(200)
    async with gateway(server.url) as one, gateway(server.url) as two, client(server.url) as redis:
        claims = [(ledger, ledger.claim("mobile", (Charge(limit, 1),))) for ledger in (one, two)]
        granted = 0
        for _ in range(400):
            for ledger, claim in claims:
                outcome = await ask(ledger, claim)
                granted += outcome.verdict is Verdict.GRANTED
                if outcome.verdict is Verdict.REFUSED and outcome.retry_after != 1:
                    assert (await units(redis))[0] == 200
            if granted == 200:
                break
        assert granted == 200


async def test_a_client_far_over_its_limit_costs_one_call_a_second(server: Server) -> None:
    async with gateway(server.url) as ledger:
        claim = ledger.claim("mobile", (Charge(yearly(1), 1),))
        await ask(ledger, claim)
        calls, began = ledger.calls, time.monotonic()
        while time.monotonic() - began < 1.1:
            assert (await ask(ledger, claim)).verdict is Verdict.REFUSED
            await asyncio.sleep(0)
        assert ledger.calls - calls <= 4  # the answers, and looks at the store's epoch


@pytest.mark.alone
async def test_a_refusal_is_believed_for_a_second(server: Server) -> None:
    async with gateway(server.url) as ledger, client(server.url) as redis:
        claim = ledger.claim("mobile", (Charge(yearly(1), 1),))
        assert [(await ask(ledger, claim)).verdict for _ in range(2)] == ["granted", "refused"]
        (key,) = [key async for key in redis.scan_iter("gw:{mobile}:gold:*")]
        await redis.set(key, (await redis.get(key)).replace("1 0 0 ", "1 0 5 ", 1))  # units are added to the limit
        began = time.monotonic()
        assert ledger.consume(claim, never).verdict is Verdict.REFUSED
        await until(lambda: is_let_in(ledger, claim), seconds=2)
        assert time.monotonic() - began < 1.2


async def is_let_in(ledger: StoreLedger, claim: Any) -> bool:
    return (await ask(ledger, claim)).verdict is Verdict.GRANTED
