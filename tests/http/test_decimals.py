"""Numbers as decimal digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.decimals import decimal, milliseconds


@given(st.integers(-(2**70), 2**70) | st.integers(-2000, 2_000_000))
def test_any_integer_is_written_as_the_language_writes_it(number: int) -> None:
    assert decimal(number) == b"%d" % number


@pytest.mark.parametrize("number", [0, 9, 10, 999, 1000, 1001, 999_999, 1_000_000, -1])
def test_so_are_those_at_the_tables_edges(number: int) -> None:
    assert decimal(number) == b"%d" % number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, b"0.000"),
        (0.0000004, b"0.000"),
        (0.0000006, b"0.001"),
        (0.0123456, b"12.346"),
        (0.9999999, b"1000.000"),
        (75.25, b"75250.000"),
        (-0.001, b"0.000"),  # a clock that was set back
    ],
)
def test_times_are_milliseconds_to_the_microsecond(seconds: float, text: bytes) -> None:
    assert milliseconds(seconds) == text


@given(st.floats(0, 1e6))
def test_a_time_is_off_by_half_a_microsecond_at_most(seconds: float) -> None:
    assert abs(float(milliseconds(seconds)) - seconds * 1e3) <= 0.000_501
