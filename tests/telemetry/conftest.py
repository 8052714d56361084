"""A finished request to write into the guest book."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Finished:
    """A Record with the values of a usual request."""

    request_id: str = "0192f0c1"
    trace_id: str = "4bf92f3577b34da6a3ce929d0e0e4736"
    started: float = 1_793_000_000.25
    method: bytes = b"GET"
    host: bytes = b"api.example.com"
    path: bytes = b"/orders/4711"
    peer: str = "192.0.2.17"
    service: str | None = "orders"
    template: str | None = "GET /orders"
    application: str | None = "mobile"
    plan: str | None = "gold"
    subject: str | None = "f3b1c0de"
    proof: str | None = "jwt:keycloak"
    status: int = 200
    reason: str = "ok"
    bytes_in: int = 0
    bytes_out: int = 512
    seconds: float = 0.0035
    upstream_seconds: float | None = 0.002
    upstream_name: str | None = "https://orders-1.internal:8443"
    limit: str | None = "100 hits per minute"
    remaining: int | None = 42
    shadow: str | None = None
    charged: Mapping[str, int] | None = field(default_factory=lambda: {"hits": 1})
    measured: bool = False
    ledger: str | None = None
    turn: Any = None  # a wait that has ended, with its `seconds`

    @property
    def kind(self) -> tuple[object, ...]:
        who = self.service, self.template, self.application, self.plan, self.subject, self.proof
        limits = self.limit, self.shadow, str(self.charged), self.ledger
        return (*who, self.status, self.reason, self.upstream_name, *limits)

    def identify(self) -> tuple[bytes, bytes]:
        return self.request_id.encode(), self.trace_id.encode()


@pytest.fixture(scope="session")
def finished() -> Callable[..., Finished]:
    """Makes a finished request: `finished(status=404)`."""
    return Finished
