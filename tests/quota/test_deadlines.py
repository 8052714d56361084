"""Each wait ends in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.quota.deadlines import Deadlines


@dataclass
class Wait:
    deadline: float
    done: object | None = "waits"


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_who_still_waits_is_ended_at_the_deadline_and_nobody_else() -> None:
    ended: list[Wait] = []
    deadlines: Deadlines[Wait] = Deadlines(ended.append)
    answered, slow, later = Wait(soon(0.01), done=None), Wait(soon(0.02)), Wait(soon(30))
    for wait in (answered, slow, later):
        deadlines.add(wait)
    await asyncio.sleep(0.1)
    assert ended == [slow]
    deadlines.expire_all()
    assert ended == [slow, later]


async def test_a_wait_that_begins_when_another_ends_delays_no_third() -> None:
    ended: list[Wait] = []

    def end(wait: Wait) -> None:
        ended.append(wait)
        if wait is first:
            deadlines.add(Wait(soon(30)))

    deadlines: Deadlines[Wait] = Deadlines(end)
    first, second = Wait(soon(0.01)), Wait(soon(0.05))
    deadlines.add(first)
    deadlines.add(second)
    await asyncio.sleep(0.2)
    assert ended == [first, second]
    deadlines.expire_all()
