"""Days that begin and end under load, also those of 23 and 25 hours, whatever the gateways' own clocks say."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from random import Random
from typing import NamedTuple

import pytest

from gateway.model import Charge, Limit, Period, Verdict

from .paper.gateway import Request, store_ledger
from .paper.world import MONDAY, World

LIMIT = 400
AROUND = 10.0  # seconds before the border in which requests begin, and after it in which they end
OPENING = 6.0  # seconds until a new store's fence is open


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Border(NamedTuple):
    """A moment, and when the windows of the requests before and after it end."""

    moment: str
    before: str
    after: str


BORDERS = {  # in Berlin, where clocks go forward on 28 March 2100 and back on 31 October
    "a day of 24 hours ends, one of 23 begins": Border("2100-03-27T23:00Z", "2100-03-27T23:00Z", "2100-03-28T22:00Z"),
    "it is two o'clock, and then three": Border("2100-03-28T01:00Z", "2100-03-28T22:00Z", "2100-03-28T22:00Z"),
    "the day of 23 hours ends": Border("2100-03-28T22:00Z", "2100-03-28T22:00Z", "2100-03-29T22:00Z"),
    "a day of 25 hours begins": Border("2100-10-30T22:00Z", "2100-10-30T22:00Z", "2100-10-31T23:00Z"),
    "it is three o'clock, and then two": Border("2100-10-31T01:00Z", "2100-10-31T23:00Z", "2100-10-31T23:00Z"),
    "the day of 25 hours ends": Border("2100-10-31T23:00Z", "2100-10-31T23:00Z", "2100-11-01T23:00Z"),
}


@pytest.mark.parametrize("border", BORDERS.values(), ids=BORDERS)
def test_each_day_has_its_limit(border: Border) -> None:
    """Three gateways, asked for more than the limit of each day on either side; one's clock is set twice meanwhile."""
    moment = at(border.moment)
    daily = Limit(plan="gold", period=Period.DAY, zone="Europe/Berlin", value=LIMIT)
    requests: list[Request] = []

    async def story() -> None:
        random = Random(border.moment)
        gateways = [world.gateway() for _ in range(3)]
        await asyncio.sleep(OPENING)
        for number in range(4 * LIMIT):
            if number in (LIMIT, 3 * LIMIT):
                gateways[0].process.ahead += 7_200 * random.choice((-1, 1))
            requests.append(random.choice(gateways).ask("mobile", (Charge(daily, 1),)))
            await asyncio.sleep(random.expovariate(2 * LIMIT / AROUND))
        while requests[-1].answered == float("inf"):
            await asyncio.sleep(0.01)
        for gateway in gateways:
            await gateway.drain()

    with World(1, store_ledger(), start=moment - MONDAY - AROUND - OPENING) as world:
        world.run(story())

    admitted = Counter(r.outcome.resets_at for r in requests if r.outcome and r.outcome.verdict is Verdict.GRANTED)
    days = {at(border.before), at(border.after)}
    assert admitted == dict.fromkeys(days, LIMIT)
    for request in requests:
        assert request.outcome is not None
        asked = moment - AROUND + request.asked - OPENING
        if abs(asked - moment) > 0.1:
            assert request.outcome.resets_at == at(border.before if asked < moment else border.after)
