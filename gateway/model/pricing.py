"""What use of a plan costs: 3scale's pricing rules, with exact decimals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple


class Range(NamedTuple):
    """Units up to and including `upto` (None: all above) cost `price` each, as far as no range before has them."""

    upto: int | None
    price: Decimal

    def __str__(self) -> str:
        return str(self.price) if self.upto is None else f"{self.price} up to {self.upto}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What an application pays for a month of `zone`, and once; by metric, or `service.metric`, the ranges of units."""

    currency: str
    zone: str = "UTC"
    monthly: Decimal = Decimal(0)
    setup: Decimal = Decimal(0)
    metrics: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)


def cost_of(units: int, ranges: tuple[Range, ...]) -> Decimal:
    """The sum over the ranges, each for the units that fall into it."""
    total, below = Decimal(0), 0
    for upto, price in ranges:
        here = units - below if upto is None else min(units, upto) - below
        if here <= 0:
            break
        total += here * price
        below += here
    return total
