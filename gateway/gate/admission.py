"""What came of a request's checks: what holds for it, and that it was let in."""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import OverLimit, Unavailable
from gateway.gate.protocols import Claim, Permits
from gateway.gate.queue import Patient
from gateway.model import NO_PLAN, Application, Identity, Outcome, Over, Plan, Route, Verdict


class Subscription(NamedTuple):
    """An application under the plan that holds for a service, and what the request costs it."""

    application: Application
    plan: Plan
    scope: str
    claim: Claim | None  # None: no limit applies
    permits: Permits | None  # None: everything that has a rule
    note: bytes  # what the server made of it once: for HTTP the identity headers
    rest: Claim | Patient | None = None  # what it costs the limits that do not degrade
    until: float | None = None  # Unix seconds; from then on it must be looked at again
    patient: Patient | None = None  # in place of `claim`, where a limit lets wait


class Admission(NamedTuple):
    """A request let in: who, under which plan, at what cost, and the limit to tell (None: none applies)."""

    route: Route
    identity: Identity
    subscription: Subscription
    outcome: Outcome | None
    upstream: str | None = None  # of the service; None: the default one


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
    outcome = rest._replace(limit=first.limit, remaining=0, resets_at=first.resets_at)
    return admission._replace(outcome=outcome, upstream=first.limit.upstream)
