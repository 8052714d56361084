"""What came of a request's checks: what holds for it, and that it was let in."""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import OverLimit, Unavailable
from gateway.gate.protocols import Claim, Permits
from gateway.model import Application, Identity, Outcome, Plan, Route, Verdict


class Subscription(NamedTuple):
    """An application under the plan that holds for a service, and what the request costs it."""

    application: Application
    plan: Plan
    scope: str
    claim: Claim | None  # None: no limit applies
    permits: Permits | None  # None: everything that has a rule
    note: bytes  # what the server made of it once: for HTTP the identity headers


class Admission(NamedTuple):
    """A request let in: who, under which plan, at what cost, and the limit to tell (None: none applies)."""

    route: Route
    identity: Identity
    subscription: Subscription
    outcome: Outcome | None


def conclude(route: Route, identity: Identity, subscription: Subscription, outcome: Outcome) -> Admission:
    """The ledger's answer as an admission; raises OverLimit or Unavailable."""
    if outcome.verdict is Verdict.GRANTED:
        return Admission(route, identity, subscription, outcome)
    if outcome.verdict is Verdict.UNAVAILABLE:
        raise Unavailable("usage cannot be counted at the moment", code="ledger_down")
    raise OverLimit(
        f"over the limit of {outcome.limit}", outcome, application=subscription.scope, plan=subscription.plan.name
    )
