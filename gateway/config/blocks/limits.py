"""How limits are written: `100/minute`, or a block."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.over import READER, Behaviour, OverKeys, behaviour_of
from gateway.config.blocks.scalar import one_of
from gateway.config.problems import Complaint
from gateway.model import Kind, Over, Per, Period

OverLimit = Annotated[OverKeys | Behaviour, READER]


class ServiceLimit(Block):
    limit: of.Window | None = None
    """Amount and period, such as 100/minute. Periods are calendar ones; a limit of 0 refuses."""
    rate: of.Rate | None = None
    """In place of a limit: how fast at most, such as 50/second."""
    burst: of.Burst | None = None
    """How much of a rate may pass at once; what comes in a second if left out, and at least 1."""
    concurrent: of.AtOnce | None = None
    """In place of a limit: how much may be under way at once."""
    over: OverLimit | None = None
    """reject (429), allow (counted on: the overage), suspend (403 until somebody resumes), {degrade: UPSTREAM}, or
    {wait: 2s}. If left out: what the plan says, and reject in a service."""
    time_zone: of.Zone = "UTC"
    """Where days, weeks, months and years begin."""
    shadow: of.Flag = False
    """Whether it refuses nobody, and only tells whom it would have refused."""

    short: ClassVar = "limit"

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = self._given("limit", "rate", "concurrent")
        if len(given) > 1:
            raise Complaint(f"cannot be beside {given[0]}; write a limit for each", given[1], (given[1],), on_key=True)
        if not given:
            raise Complaint("says nothing of how much (limit rate concurrent)")
        if self.burst is not None and self.rate is None:
            raise Complaint("is only for a rate", "burst", ("burst",), on_key=True)
        if self.limit is None:
            for key in ("time_zone", "shadow"):
                if key in self.model_fields_set:
                    raise Complaint(f"is only for a limit, and this is {KINDS[given[0]]}", key, (key,), on_key=True)
        return self

    @model_validator(mode="after")
    def _behaves(self) -> Self:
        over = Over.REJECT if self.over is None else behaviour_of(self.over).over
        if self.limit is None and over in (Over.ALLOW, Over.SUSPEND):
            kind = KINDS["rate" if self.rate else "concurrent"]
            raise Complaint(f"is only for a limit, and this is {kind}", over, at=("over",))
        if self.shadow and over is not Over.REJECT:
            raise Complaint("contradicts shadow: true, which tells what over: reject would do", at=("over",))
        if self.amount[0] == 0 and over is not Over.REJECT:
            raise Complaint("contradicts a limit of 0, which always refuses", at=("over",))
        if over is Over.WAIT and self.limit is not None and self.limit[1] is Period.ETERNITY:
            raise Complaint("contradicts a limit per eternity, where no turn comes by waiting", at=("over", "wait"))
        return self

    @property
    def kind(self) -> Kind:
        """What it holds within bounds."""
        if self.limit is not None:
            return Kind.WINDOW
        return Kind.RATE if self.rate is not None else Kind.CONCURRENT

    @property
    def amount(self) -> tuple[int, Period]:
        """How much, and the period; eternity, where it has none."""
        return self.limit or self.rate or (self.concurrent or 0, Period.ETERNITY)

    @property
    def most(self) -> int:
        """The burst of a rate."""
        if self.rate is None:
            return 0
        amount, period = self.rate
        return self.burst or -(-amount // of.RATE_SECONDS[period])


KINDS = {"rate": "a rate", "concurrent": "of what is under way"}


class Limit(ServiceLimit):
    per: Annotated[Per, one_of(Per, (), Per)] = Per.APPLICATION
    """Whose requests count together: those of each user or address of an application, of each application, of an
    account's applications, or of all the plan's applications to a service."""
