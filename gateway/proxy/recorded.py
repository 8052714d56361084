"""What the guest book asks of a finished request (telemetry's Record)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import GatewayError, OverLimit
from gateway.gate import Admission
from gateway.http.ratelimit import policy_of
from gateway.model import Outcome, Route
from gateway.proxy.outward import Outward


class Recorded:
    """The half of an exchange that only reads."""

    __slots__ = ("_kind",)
    _kind: tuple[object, ...] | None  # made once: the guest book is more than one
    route: Route | None
    admission: Admission | None
    error: GatewayError | None
    status: int
    reason: str
    upstream_name: str | None
    outward: Outward | None

    @property
    def kind(self) -> tuple[object, ...]:
        """Equal for what is alike in all but times, sizes and ids; of an exchange that has ended."""
        if self._kind is None:
            self._kind = self._find_kind()
        return self._kind

    def _find_kind(self) -> tuple[object, ...]:
        admission, outcome = self.admission, self.outcome
        who: tuple[object, ...]
        if admission is None:
            who = self.application, self.plan, None
        else:
            who = admission.subscription.scope, admission.subscription.plan.name, admission.identity
        # a route is of one configuration, as limits are: while it is known, no other limit has their place in memory
        limits = (None, None, None) if outcome is None else (id(outcome.limit), id(outcome.shadow), outcome.fallback)
        return (self.route, *who, self.status, self.reason, self.upstream_name, *limits)

    @property
    def service(self) -> str | None:
        return None if self.route is None else self.route.service.name

    @property
    def template(self) -> str | None:
        return None if self.route is None else self.route.template

    @property
    def application(self) -> str | None:
        if self.admission is not None:
            return self.admission.subscription.scope
        return None if self.error is None else self.error.application

    @property
    def plan(self) -> str | None:
        if self.admission is not None:
            return self.admission.subscription.plan.name
        return None if self.error is None else self.error.plan

    @property
    def subject(self) -> str | None:
        return None if self.admission is None else self.admission.identity.subject

    @property
    def proof(self) -> str | None:
        return None if self.admission is None else " ".join(self.admission.identity.proof) or None

    @property
    def outcome(self) -> Outcome | None:
        """What the ledger said, if it was asked and a limit applied."""
        if self.admission is not None:
            return self.admission.outcome
        return self.error.outcome if isinstance(self.error, OverLimit) else None

    @property
    def limit(self) -> str | None:
        outcome = self.outcome
        return None if outcome is None or outcome.limit is None else policy_of(outcome.limit).name

    @property
    def shadow(self) -> str | None:
        outcome = self.outcome
        return None if outcome is None or outcome.shadow is None else policy_of(outcome.shadow).name

    @property
    def remaining(self) -> int | None:
        outcome = self.outcome
        return None if outcome is None or outcome.limit is None else outcome.remaining

    @property
    def charged(self) -> Mapping[str, int] | None:
        if self.measured:
            assert self.outward is not None and self.outward.meter is not None
            return self.outward.meter.charged
        return None if self.admission is None else self.admission.route.charged(self.status)

    @property
    def measured(self) -> bool:
        """Whether its answer said what is charged, so that others of its kind are charged otherwise."""
        return self.outward is not None and self.outward.meter is not None

    @property
    def ledger(self) -> str | None:
        outcome = self.outcome
        return None if outcome is None or outcome.fallback is None else outcome.fallback.value
