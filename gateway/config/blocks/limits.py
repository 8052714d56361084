"""How limits are written: `100/minute`, or a block."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.over import READER, Behaviour, OverKeys, behaviour_of
from gateway.config.blocks.scalar import one_of
from gateway.config.problems import Complaint
from gateway.model import Over, Per

OverLimit = Annotated[OverKeys | Behaviour, READER]


class ServiceLimit(Block):
    limit: of.Window
    """Amount and period, such as 100/minute. Periods are calendar ones; a limit of 0 refuses."""
    over: OverLimit | None = None
    """reject (429), allow (counted on: the overage), or {degrade: UPSTREAM}. If left out: what the plan says, and
    reject in a service."""
    time_zone: of.Zone = "UTC"
    """Where days, weeks, months and years begin."""
    shadow: of.Flag = False
    """Whether it refuses nobody, and only tells whom it would have refused."""

    short: ClassVar = "limit"
    later: ClassVar = {
        "rate": "use limit",
        "concurrent": "use limit",
        "burst": "use limit",
    }

    @model_validator(mode="after")
    def _zero_refuses(self) -> Self:
        over = Over.REJECT if self.over is None else behaviour_of(self.over).over
        if self.shadow and over is not Over.REJECT:
            raise Complaint("contradicts shadow: true, which tells what over: reject would do", at=("over",))
        if self.limit[0] == 0 and over is not Over.REJECT:
            raise Complaint("contradicts a limit of 0, which always refuses", at=("over",))
        return self


class Limit(ServiceLimit):
    per: Annotated[Per, one_of(Per, (), Per)] = Per.APPLICATION
    """Whose requests count together: those of each user or address of an application, of each application, of an
    account's applications, or of all the plan's applications to a service."""
