"""What is known of the store's clock."""

from __future__ import annotations

import time

import pytest

from gateway.quota.clock import StoreClock


def test_the_stores_time_lies_between_two_bounds() -> None:
    clock = StoreClock(lambda: 107.0)
    clock.learn(5000.0, sent=100.0, received=101.0)
    assert (clock.earliest(), clock.local() + clock.ahead) == (5006.0, 5007.0)


def test_an_answer_that_was_overtaken_teaches_nothing() -> None:
    clock = StoreClock(lambda: 107.0)
    clock.learn(5000.0, sent=100.0, received=101.0)
    clock.learn(4999.0, sent=98.0, received=102.0)
    assert (clock.seen, clock.earliest()) == (5000.0, 5006.0)


def test_before_the_first_answer_it_is_this_machines() -> None:
    assert StoreClock().earliest() == pytest.approx(time.time(), abs=5)
