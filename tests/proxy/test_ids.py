"""Ids of requests and traces."""

from __future__ import annotations

import re

from gateway.proxy.ids import DRAWN, Ids


def test_ids_are_as_long_as_asked_and_none_comes_twice() -> None:
    ids = Ids()
    lengths = [16, 32] * DRAWN  # the system is asked many times
    drawn = [ids.draw(length) for length in lengths]
    assert [len(one) for one in drawn] == lengths
    assert all(re.fullmatch(rb"[0-9a-f]+", one) for one in drawn)
    assert len(set(drawn)) == len(drawn)


def test_no_two_workers_draw_the_same() -> None:
    assert Ids().draw(32) != Ids().draw(32)
