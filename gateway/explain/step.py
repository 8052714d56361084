"""One step of a decision."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from gateway.errors import GatewayError
from gateway.identity.refusals import Invalid


class Verdict(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    NOTE = "note"  # it decides nothing


class Step(NamedTuple):
    """`about` is what was looked at; `text` says how it is and, where it refuses, what to change. `code` as clients get
    it."""

    verdict: Verdict
    about: str
    text: str
    code: str = ""
    status: int = 0


def ok(about: str, text: str) -> Step:
    return Step(Verdict.OK, about, text)


def note(about: str, text: str) -> Step:
    return Step(Verdict.NOTE, about, text)


def refused(about: str, error: Invalid | GatewayError, more: str = "") -> Step:
    reason = error if isinstance(error, Invalid) else error.__cause__
    hint = reason.hint if isinstance(reason, Invalid) else ""
    text = "; ".join(part for part in (error.detail, hint, more) if part)
    return Step(Verdict.REFUSED, about, text, error.code, error.status if isinstance(error, GatewayError) else 0)
