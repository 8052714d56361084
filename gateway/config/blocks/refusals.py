"""`refusals:` of a service: how its clients are told that they are refused."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import model_validator

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.scalar import Scalar, number
from gateway.config.problems import Complaint, choices, instead
from gateway.http.codes import CODES, EARLY
from gateway.http.refusals import PLACEHOLDERS, escape_of, split

STATUSES = ("401", "403", "404", "408", "413", "429", "500", "502", "503", "504")
_REASONS = (*sorted(CODES), *STATUSES)
_TYPE = r"[a-z0-9.+-]+/[a-z0-9.+-]+(?:; ?charset=utf-8)?"


def _reason(text: str) -> str:
    if text in EARLY:
        raise Complaint("is told before a service is found, so no service can word it", shown=text)
    if text not in _REASONS:
        raise Complaint(f"is no code of a refusal, nor a status{instead(text, _REASONS)}", shown=text)
    return text


def _type(text: str) -> str:
    if not re.fullmatch(_TYPE, text, re.ASCII | re.IGNORECASE):
        raise ValueError(text)
    return text if "charset" in text or not text.startswith("text/") else f"{text}; charset=utf-8"


Reason = Annotated[
    str,
    Scalar(
        f"a code such as over_limit, or a status {choices(STATUSES)}",
        _reason,
        {"enum": list(_REASONS)},
    ),
]
Status = Annotated[int, number(400, 599, "a status from 400 to 599")]
Type = Annotated[
    str, Scalar("a media type such as text/html, in UTF-8", _type, {"type": "string", "pattern": f"^{_TYPE}$"})
]


class Refusal(Block):
    status: Status | None = None
    """The status, if not its own."""
    type: Type | None = None
    """The body's type; text/plain if left out."""
    body: of.Text | None = None
    """The body, with placeholders such as {resets_at}."""
    file: of.FilePath | None = None
    """A file that holds the body."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = self._given("status", "body", "file")
        if not given:
            raise Complaint("says nothing of the answer (status body file)")
        if given[-2:] == ["body", "file"]:
            raise Complaint("is beside body; keep one of them", at=("file",))
        if self.type is not None and given == ["status"]:
            raise Complaint("is the type of a body, and there is none; add body or file", at=("type",))
        if self.body is not None:
            try:
                check_body(self.body, self.type)
            except Complaint as complaint:
                raise complaint.below("body") from None
        return self


def check_body(body: str, content_type: str | None) -> tuple[str, ...]:
    """The body in parts; raises Complaint."""
    try:
        parts = split(body)
    except ValueError as error:
        raise Complaint(f"is not a placeholder {choices(PLACEHOLDERS)}", shown=f"{{{error}}}") from None
    if len(parts) > 1 and content_type is not None and escape_of(content_type) is None:
        known = "text/plain, text/html, JSON or XML"
        raise Complaint(f"has placeholders, which can be escaped for {known} alone, and the type is {content_type}")
    return parts
