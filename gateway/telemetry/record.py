"""What the guest book needs to know of a finished request."""

from __future__ import annotations

from typing import Protocol


class Record(Protocol):
    """One request, after its last byte or its failure. It holds no query, header, key or token."""

    request_id: str
    trace_id: str
    started: float  # Unix seconds
    method: bytes
    host: bytes
    path: bytes  # normalised, without the query
    peer: str  # the client's address
    service: str | None
    template: str | None  # the patterns that matched
    application: str | None  # the scope that was counted
    plan: str | None
    subject: str | None
    status: int  # 0: the client left before an answer
    reason: str  # "ok", a refusal's code, "client_abort" …: a fixed set, it labels a metric
    bytes_in: int
    bytes_out: int
    seconds: float  # from the first byte to the last
    upstream_seconds: float | None  # None: no upstream was asked
    upstream: str | None  # the target
    limit: str | None  # the limit that was told to the client
    remaining: int | None
