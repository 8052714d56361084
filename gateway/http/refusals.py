"""Refusals in a service's own words: a template with a fixed set of placeholders, escaped as its type needs."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.model import Refusal, Service

PLACEHOLDERS = (
    "code", "status", "title", "detail", "request_id", "service",
    "application", "plan", "metric", "period", "limit", "resets_at", "retry_after",
)  # fmt: skip

_placeholder = re.compile(r"\{([a-z_]+)\}")
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def split(body: str) -> tuple[str, ...]:
    """Text and the names of placeholders in turn. What is in braces and no name is text; raises ValueError for a name
    that is none of PLACEHOLDERS.
    """
    parts = _placeholder.split(body)
    unknown = [name for name in parts[1::2] if name not in PLACEHOLDERS]
    if unknown:
        raise ValueError(unknown[0])
    return tuple(parts)


def escape_of(content_type: str) -> Callable[[str], str] | None:
    """How values are written into a body of this type; None: nobody knows."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        return lambda value: json.dumps(value)[1:-1]
    if kind in ("text/html", "text/xml", "application/xml") or kind.endswith("+xml"):
        return lambda value: html.escape(_control.sub(" ", value))
    return (lambda value: _control.sub(" ", value)) if kind == "text/plain" else None


def refusal_for(service: Service | None, error: GatewayError) -> Refusal | None:
    """What a service says of it: by its code, else by its status."""
    if service is None or not service.refusals:
        return None
    return service.refusals.get(error.code) or service.refusals.get(str(error.status))


def status_of(error: GatewayError, refusal: Refusal | None) -> int:
    """What is answered."""
    return error.status if refusal is None or refusal.status is None else refusal.status


def rendered(parts: tuple[str, ...], content_type: str, members: dict[str, object]) -> bytes:
    """The body; a placeholder for what is not there is empty."""
    escape = escape_of(content_type) or str
    values = (
        part if position % 2 == 0 else escape("" if members.get(part) is None else str(members[part]))
        for position, part in enumerate(parts)
    )
    return "".join(values).encode("utf-8", "replace")
