"""Numbers as decimal digits, by tables: what is joined of them is `%b` alone, which the compiler does itself."""

from __future__ import annotations

from typing import Final

SMALL: Final = [b"%d" % number for number in range(1000)]
PADDED: Final = [b"%03d" % number for number in range(1000)]


def decimal(number: int) -> bytes:
    """As `b"%d"`."""
    if 0 <= number < 1000:
        return SMALL[number]
    if 1000 <= number < 1_000_000:
        return SMALL[number // 1000] + PADDED[number % 1000]
    return b"%d" % number


def milliseconds(seconds: float) -> bytes:
    """With three decimals: to the microsecond; never below none."""
    microseconds = max(0, int(seconds * 1e6 + 0.5))
    return b"%b.%b" % (decimal(microseconds // 1000), PADDED[microseconds % 1000])
