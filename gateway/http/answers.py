"""The gateway's own answers: problem+json (RFC 9457) with the fields that each status demands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus

from gateway.errors import (
    USUAL,
    GatewayError,
    HttpsRequired,
    MethodNotAllowed,
    OverLimit,
    ServerOptions,
    SignInNeeded,
    Unauthorized,
)
from gateway.http.ratelimit import limit_fields
from gateway.http.refusals import rendered, status_of
from gateway.model import Kind, Refusal

STATUS_LINES = {s: b"HTTP/1.1 %d \r\n" % s for s in range(100, 600)} | {
    s.value: b"HTTP/1.1 %d %b\r\n" % (s.value, s.phrase.encode()) for s in HTTPStatus
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROBLEM = "application/problem+json"
PLAIN = "text/plain; charset=utf-8"
TYPE = "about:blank"  # RFC 9457 4.2.1: the status says it all; `code` is for programs


def problem(
    error: GatewayError,
    request_id: str,
    *,
    now: float,
    close: bool,
    head: bool = False,
    more: bytes = b"",
    refusal: Refusal | None = None,
) -> bytes:
    """A whole answer for `error`, with `more` lines. `head`: to HEAD, so without the body (its length stays). `refusal`
    is what the service has instead.
    """
    status = status_of(error, refusal)
    kind, body = _said(error, request_id, status, refusal)
    lines = [
        STATUS_LINES[status],
        b"content-type: %b\r\ncontent-length: %d\r\n" % (kind.encode("latin-1"), len(body)),
        b"date: %b\r\nx-request-id: %b\r\n" % (date(now), request_id.encode()),
        b"cache-control: no-store\r\n",
        *extra_fields(error, now, status),
        more,
        b"connection: close\r\n\r\n" if close else b"\r\n",
    ]
    if not head:
        lines.append(body)
    return b"".join(lines)


def _said(error: GatewayError, request_id: str, status: int, refusal: Refusal | None) -> tuple[str, bytes]:
    """Type and body."""
    members = {**document(error, request_id), "status": status}
    if refusal is not None and refusal.parts is not None:
        kind = refusal.type or PLAIN
        return kind, rendered(refusal.parts, kind, _all(members, error))
    return PROBLEM, json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def _all(members: dict[str, object], error: GatewayError) -> dict[str, object]:
    """What a template may name."""
    after = error.outcome.retry_after if isinstance(error, OverLimit) else error.retry_after
    service = None if error.service is None else error.service.name
    return {"application": error.application, "plan": error.plan, "retry_after": after, "service": service, **members}


def document(error: GatewayError, request_id: str) -> dict[str, object]:
    """The problem's members; for a limit also which one, and when it resets."""
    members: dict[str, object] = {
        "type": TYPE,
        "title": error.title,
        "status": error.status,
        "detail": error.detail or error.title,
        "code": error.code,
        "request_id": request_id,
    }
    if isinstance(error, OverLimit) and error.outcome.limit is not None:
        limit = error.outcome.limit
        resets_at = error.outcome.resets_at
        members |= {
            "application": error.application,
            "plan": error.plan,
            "metric": f"{limit.service}.{limit.metric}" if limit.service else limit.metric,
            "period": limit.span if limit.kind is Kind.CONCURRENT else limit.period.value,
            "limit": limit.value,
            "resets_at": None if resets_at is None else datetime.fromtimestamp(resets_at, UTC).isoformat(),
        }
    return members


def extra_fields(error: GatewayError, now: float, status: int) -> list[bytes]:
    """WWW-Authenticate where other credentials may help (not beside another `status`), Retry-After where waiting may;
    RateLimit for a limit, Location for a redirect, Allow for a method."""
    if error.challenges and status != error.status:
        return []
    if error.challenges:
        nonce = error.nonce if isinstance(error, Unauthorized) else None
        told = [] if nonce is None else [b"dpop-nonce: %b\r\n" % nonce.encode()]
        return told + [b"www-authenticate: %b\r\n" % challenge.encode() for challenge in error.challenges]
    if isinstance(error, HttpsRequired | SignInNeeded):
        return [b"location: %b\r\n" % error.location.encode("ascii")]
    if isinstance(error, MethodNotAllowed | ServerOptions):
        return [b"allow: %b\r\n" % USUAL.encode()]
    if isinstance(error, OverLimit):
        after = error.outcome.retry_after
        retry = [] if after is None else [b"retry-after: %d\r\n" % after]
        return [*retry, limit_fields(error.outcome, now)]
    return [] if error.retry_after is None else [b"retry-after: %d\r\n" % error.retry_after]


_date: tuple[int, bytes] = (0, b"")


def date(now: float) -> bytes:
    """An HTTP date (RFC 9110 5.6.7), made once a second."""
    global _date  # noqa: PLW0603 - a memo
    second = int(now)
    if _date[0] != second:
        _date = (second, formatdate(second, usegmt=True).encode())
    return _date[1]
