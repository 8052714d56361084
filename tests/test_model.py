"""The nouns' few figures."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Down, DownMode, Limit, Outcome, Over, Period, Verdict


def limit(value: int, share: Fraction, gateways: int = 1, over: Over = Over.REJECT) -> Limit:
    down = Down(mode=DownMode.LOCAL, share=share, gateways=gateways)
    return Limit(plan="gold", period=Period.DAY, value=value, over=over, down=down)


def test_a_share_is_kept_back_from_what_the_store_hands_out_and_divided_among_the_gateways() -> None:
    kept_back = limit(1000, Fraction(10, 100), gateways=4)
    assert (kept_back.leased, kept_back.local) == (900, 25)


def test_a_limit_that_never_refuses_keeps_nothing_back() -> None:
    assert limit(1000, Fraction(10, 100), over=Over.ALLOW).leased == 1000


@pytest.mark.parametrize("mode", [DownMode.CLOSED, DownMode.OPEN])
def test_only_local_keeps_something_back(mode: DownMode) -> None:
    whole = Limit(plan="gold", period=Period.DAY, value=1000, down=Down(mode=mode, share=Fraction(1, 2)))
    assert (whole.leased, whole.local) == (1000, 0)


@given(value=st.integers(0, 10**15), permille=st.integers(1, 999), gateways=st.integers(1, 1000))
def test_store_and_gateways_together_never_have_more_than_the_limit(value: int, permille: int, gateways: int) -> None:
    divided = limit(value, Fraction(permille, 1000), gateways)
    assert 0 <= divided.leased + gateways * divided.local <= value
    assert (
        (value - divided.leased) * 1000 <= value * permille < (value - divided.leased + 1) * 1000
    )  # not by a rounding


def test_an_outcome_is_a_value() -> None:
    refused = Outcome(Verdict.REFUSED, remaining=3, retry_after=7)
    assert refused == Outcome(Verdict.REFUSED, None, 3, None, 7) != Outcome(Verdict.REFUSED)
    assert len({refused, Outcome(Verdict.REFUSED, remaining=3, retry_after=7)}) == 1
    other = refused.replace(remaining=0, crowded=True)
    assert other == Outcome(Verdict.REFUSED, remaining=0, retry_after=7, crowded=True)
    assert refused.remaining == 3
    assert repr(other).startswith("Outcome(verdict=<Verdict.REFUSED: 'refused'>, limit=None, remaining=0, ")
    with pytest.raises(TypeError):
        refused.replace(remains=1)
