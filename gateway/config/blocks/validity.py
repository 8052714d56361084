"""When an application is served."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from gateway.config.blocks.base import Block
from gateway.config.blocks.moments import Moment
from gateway.config.problems import Complaint


class Valid(Block):
    from_: Moment | None = Field(default=None, alias="from")
    """From when on it is served: a date (its beginning in UTC), or a time."""
    until: Moment | None = None
    """From when on it is not any more."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.from_ is None and self.until is None:
            raise Complaint("says neither from nor until")
        if self.from_ is not None and self.until is not None and self.until <= self.from_:
            raise Complaint("ends before it begins", at=("until",))
        return self
