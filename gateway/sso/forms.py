"""Queries and forms, read strictly: each parameter once, those without a value as absent (RFC 6749 3.1)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.sso.refusals import BadSignOn

FORM = "application/x-www-form-urlencoded"
MOST = 20  # parameters


def parameters(query: str) -> dict[str, str]:
    """Raises BadSignOn."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST, errors="strict")
    except ValueError:
        raise BadSignOn("request_malformed", "The parameters cannot be read.") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadSignOn("request_malformed", "A parameter is given twice.")
    return {name: value for name, value in found.items() if value}


async def form_of(request: Request) -> dict[str, str]:
    """Raises BadSignOn."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise BadSignOn("request_malformed", f"The body must be {FORM}.", status=415)
    try:
        return parameters((await request.body()).decode("ascii"))
    except UnicodeDecodeError:
        raise BadSignOn("request_malformed", "The form cannot be read.") from None
