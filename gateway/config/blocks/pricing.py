"""`pricing:` of a plan: what its use costs."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, OneOrSome
from gateway.config.blocks.scalar import Scalar, matching, number
from gateway.config.problems import Complaint

_AMOUNT = r"[0-9]{1,9}(?:\.[0-9]{1,4})?"


def _amount(text: str) -> Decimal:
    if re.fullmatch(_AMOUNT, text, re.ASCII) is None:
        raise ValueError(text)
    return Decimal(text)


Amount = Annotated[
    Decimal,
    Scalar(
        "an amount such as 49 or 0.0025, with 4 decimals at most",
        _amount,
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_AMOUNT}$"}]},
    ),
]
Currency = Annotated[
    str, Scalar("a currency such as EUR (ISO 4217)", matching("[A-Z]{3}"), {"type": "string", "pattern": "^[A-Z]{3}$"})
]
Units = Annotated[int, number(1, of.GREATEST, "a whole number from 1 to 10^15")]


class Range(Block):
    upto: Units | None = None
    """The last unit of the month that it holds for; all above the range before if left out."""
    price: Amount
    """Of each unit."""

    short: ClassVar = "price"


class Pricing(Block):
    currency: Currency
    """Of all amounts."""
    monthly: Amount = Decimal(0)
    """What an application pays for each month."""
    setup: Amount = Decimal(0)
    """What it pays once, in the month that it begins in."""
    time_zone: of.Zone = "UTC"
    """Where months begin."""
    metrics: dict[of.Metered, OneOrSome[Range]] = Field(default_factory=dict)
    """By metric, or as `service.metric`: the price of a unit, or of each range of units in a month."""

    @model_validator(mode="after")
    def _ranges_follow(self) -> Self:
        for metric, ranges in self.metrics.items():
            below = 0
            for position, item in enumerate(ranges):
                at = ("metrics", metric, position)
                last = position == len(ranges) - 1
                if item.upto is None and not last:
                    raise Complaint("has no upto, and a range after it; only the last one holds for all above", at=at)
                if item.upto is not None and last:
                    raise Complaint(f"leaves what is above {item.upto} without a price; end with {{price: …}}", at=at)
                if item.upto is not None and item.upto <= below:
                    raise Complaint(f"is not above the range before it ({below})", at=(*at, "upto"))
                below = item.upto or below
        return self
