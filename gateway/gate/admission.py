"""What came of a request's checks: what holds for it, and that it was let in."""

from __future__ import annotations

from gateway.errors import OverLimit, Unavailable
from gateway.gate.protocols import Claim, Permits
from gateway.gate.queue import Patient
from gateway.model import NO_PLAN, Application, Identity, Outcome, Over, Plan, Route, Verdict


class Subscription:
    """An application under the plan that holds for a service, and what the request costs it."""

    __slots__ = ("application", "claim", "note", "patient", "permits", "plan", "rest", "scope", "until")

    def __init__(
        self,
        application: Application,
        plan: Plan,
        scope: str,
        claim: Claim | None,
        permits: Permits | None,
        note: bytes,
        rest: Claim | Patient | None = None,
        until: float | None = None,
        patient: Patient | None = None,
    ) -> None:
        """`claim`: None where no limit applies. `permits`: None where everything that has a rule may be used. `note`:
        what the server made of it once: for HTTP the identity headers. `rest`: what it costs the limits that do not
        degrade. From `until` on (Unix seconds) it must be looked at again. `patient`: in place of `claim`, where a
        limit lets wait.
        """
        self.application = application
        self.plan = plan
        self.scope = scope
        self.claim = claim
        self.permits = permits
        self.note = note
        self.rest = rest
        self.until = until
        self.patient = patient


class Admission:
    """A request let in: who, under which plan, at what cost, and the limit to tell (None: none applies)."""

    __slots__ = ("identity", "outcome", "route", "subscription", "upstream")

    def __init__(
        self,
        route: Route,
        identity: Identity,
        subscription: Subscription,
        outcome: Outcome | None,
        upstream: str | None = None,
    ) -> None:
        """`upstream`: of the service; None: the default one."""
        self.route = route
        self.identity = identity
        self.subscription = subscription
        self.outcome = outcome
        self.upstream = upstream

    def replace(self, outcome: Outcome, upstream: str | None = None) -> Admission:
        """To `upstream`, with another outcome."""
        return Admission(self.route, self.identity, self.subscription, outcome, upstream)


def conclude(route: Route, identity: Identity, subscription: Subscription, outcome: Outcome) -> Admission:
    """The ledger's answer as an admission; raises OverLimit or Unavailable."""
    if outcome.verdict is Verdict.GRANTED:
        return Admission(route, identity, subscription, outcome)
    if outcome.verdict is Verdict.UNAVAILABLE:
        raise Unavailable("usage cannot be counted at the moment", code="ledger_down")
    limit = outcome.limit
    plan = limit.plan if limit is not None and limit.plan != NO_PLAN else subscription.plan.name
    detail, code = f"over the limit of {limit}", None
    if outcome.crowded:
        detail, code = f"{detail}, and too many wait for their turn", "too_many_waiting"
    raise OverLimit(detail, outcome, code=code, application=subscription.scope, plan=plan)


def degrades(outcome: Outcome) -> bool:
    """Whether a limit refused that has another upstream serve what is over it."""
    return outcome.verdict is Verdict.REFUSED and outcome.limit is not None and outcome.limit.over is Over.DEGRADE


def suspends(outcome: Outcome) -> bool:
    """Whether a limit was gone over that suspends; not where a part of it is only in other hands."""
    limit = outcome.limit
    over = outcome.verdict is Verdict.REFUSED and not outcome.elsewhere
    return over and limit is not None and limit.over is Over.SUSPEND


def degraded(route: Route, identity: Identity, subscription: Subscription, first: Outcome, rest: Outcome) -> Admission:
    """Over the limit of `first`, and let in by the `rest`: an admission to that limit's upstream, of which nothing
    remains. Raises OverLimit or Unavailable.
    """
    admission = conclude(route, identity, subscription, rest)
    assert first.limit is not None
    outcome = rest.replace(limit=first.limit, remaining=0, resets_at=first.resets_at)
    return admission.replace(outcome, first.limit.upstream)
