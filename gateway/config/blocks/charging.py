"""`charge:` of a service: for which answers nothing is charged."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import model_validator

from gateway.config.blocks.base import Block, Some
from gateway.config.blocks.scalar import Scalar, matching
from gateway.config.problems import Complaint, repeated

_STATUS = r"[2-5]([0-9]{2}|xx)"
Statuses = Annotated[
    str,
    Scalar(
        "a status from 200 to 599, such as 404, or a class of them, such as 5xx",
        matching(_STATUS),
        {"anyOf": [{"type": "integer", "minimum": 200, "maximum": 599}, {"type": "string", "pattern": f"^{_STATUS}$"}]},
    ),
]


class Charge(Block):
    except_status: Some[Statuses]
    """Nothing is charged for answers of these statuses, also where the gateway answers in place of the service."""

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        for place in repeated(self.except_status):
            raise Complaint("is said twice", self.except_status[place], ("except_status", place))
        for place, status in enumerate(self.except_status):
            if status[1:] != "xx" and f"{status[0]}xx" in self.except_status:
                raise Complaint(f"is one of {status[0]}xx", status, ("except_status", place))
        return self
