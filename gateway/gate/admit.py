"""admit(): service and usage → identity → application → consume. No HTTP server here, and no I/O.

Each room answers at once when everything is at hand, and by a callback when it must wait, so that the usual
request costs no task. Refusals are raised at once, and handed to the callback later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from math import inf

from gateway.errors import GatewayError, StepUpNeeded, Unauthorized
from gateway.gate.admission import Admission, Subscription, conclude, degraded, degrades, suspends
from gateway.gate.applications import Directory
from gateway.gate.charges import by_whose, charges_of, whose
from gateway.gate.conditions import outside_plan, permits_all, require_all, requirements
from gateway.gate.protocols import Ask, Claim, Ledger, NoSuspensions, Passport, Permits, Router, StepUp, Suspensions
from gateway.gate.queue import Patient, waits_of
from gateway.gate.standing import over_and_out, require_resumed, require_standing
from gateway.gate.turns import Turns
from gateway.model import (
    Application,
    Charge,
    Config,
    Each,
    Identity,
    Limit,
    Outcome,
    Over,
    Per,
    Plan,
    Require,
    Route,
    Verdict,
)

UNCOUNTED = Outcome(Verdict.GRANTED)
Done = Callable[[Admission | GatewayError], None]

BELIEVED = 2.0  # seconds in which a ledger may still say what it knew before
MEMO = 20_000  # subscriptions remembered; one is about 0.5 KB


class Gate:
    """One compiled configuration. Thread-free; a reload makes another one over the same ledger."""

    def __init__(
        self,
        config: Config,
        router: Router,
        passport: Passport,
        ledger: Ledger,
        permits: Mapping[tuple[str, str], Permits],
        note: Callable[[Application, Plan, Identity], bytes],
        *,
        suspensions: Suspensions | None = None,
        on_refused: Callable[[str, Limit, float | None], None] = lambda scope, limit, resets_at: None,
        step_up: StepUp | None = None,
        turns: Turns | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`permits` holds a matcher for each (plan, service) that lists what it allows; `note` is kept with each
        subscription for the server. `on_refused` hears whose requests were refused, by which limit, and when that
        begins anew. `step_up` says where a person can sign in better. `turns` are those of the process, over the same
        ledger; without them nobody waits. `clock` in Unix seconds."""
        self._directory = Directory(config)
        self._router = router
        self._passport = passport
        self._ledger = ledger
        self._permits = permits
        self._note = note
        self._suspensions = NoSuspensions() if suspensions is None else suspensions
        self._on_refused = on_refused
        self._step_up = step_up
        self._turns = turns
        self._clock = clock
        self._resumed: dict[str, float] = {}  # scopes, and when
        self._memo: dict[tuple[Identity, Route], Subscription] = {}

    def heard(self, scope: str, *, resumed: bool) -> None:
        """Look at everybody again: somebody was suspended, or resumed, for whom old refusals are not held against."""
        self._memo.clear()
        self._resumed = {one: at for one, at in self._resumed.items() if self._clock() < at + BELIEVED}
        if resumed:
            self._resumed[scope] = self._clock()

    def parts(self) -> list[Subscription]:
        """Of what is remembered, all that takes time to free."""
        return list(self._memo.values())

    def route(self, ask: Ask) -> Route:
        """The hall: which service, and what the request uses; raises NotFound."""
        return self._router.route(ask.method, ask.host, ask.path, ask.query)

    def admit(self, ask: Ask, route: Route, done: Done) -> Admission | None:
        """Passport and ledger. An Admission at once, or None and `done` hears it later; raises GatewayError."""

        def identified(identity: Identity | GatewayError) -> None:
            try:
                if isinstance(identity, GatewayError):
                    raise identity
                admission = self._charge(ask, route, identity, done)
            except GatewayError as error:
                done(error)
            else:
                if admission is not None:
                    done(admission)

        identity = self._passport.identify(route.service, ask, identified)
        return None if identity is None else self._charge(ask, route, identity, done)

    def _charge(self, ask: Ask, route: Route, identity: Identity, done: Done) -> Admission | None:
        subscription = self._memo.get((identity, route))
        if subscription is None or (subscription.until is not None and self._clock() >= subscription.until):
            subscription = self._subscribe(ask, route, identity)
        permits = subscription.permits
        if permits is not None and not permits(ask.method, ask.path, ask.query):
            raise outside_plan(subscription.scope, subscription.plan)

        def hear(outcome: Outcome) -> None:
            try:
                admission = self._conclude(ask, route, identity, subscription, outcome, done)
            except GatewayError as error:
                done(error)
            else:
                if admission is not None:
                    done(admission)

        claim = subscription.claim
        if claim is None:
            return self._charge_apart(ask, route, identity, subscription, done, hear)
        outcome = self._ledger.consume(claim, hear)
        if outcome is None:
            return None
        if outcome.verdict is Verdict.GRANTED:  # as `_conclude`, without a call
            return Admission(route, identity, subscription, outcome)
        return self._conclude(ask, route, identity, subscription, outcome, done)

    def _charge_apart(
        self,
        ask: Ask,
        route: Route,
        identity: Identity,
        subscription: Subscription,
        done: Done,
        hear: Callable[[Outcome], None],
    ) -> Admission | None:
        """Where no limit applies, or one lets wait for its turn; `hear` concludes what is decided later."""
        patient = subscription.patient
        if patient is None:
            return Admission(route, identity, subscription, None, route.page)

        outcome = self._consume(ask, patient, hear)
        return None if outcome is None else self._conclude(ask, route, identity, subscription, outcome, done)

    def _consume(self, ask: Ask, claim: Claim | Patient, done: Callable[[Outcome], None]) -> Outcome | None:
        if self._turns is not None and isinstance(claim, Patient):
            return self._turns.consume(ask, claim, done)
        return self._ledger.consume(claim, done)

    def _conclude(
        self, ask: Ask, route: Route, identity: Identity, subscription: Subscription, outcome: Outcome, done: Done
    ) -> Admission | None:
        if degrades(outcome):
            return self._degrade(ask, route, identity, subscription, outcome, done)
        if outcome.verdict is Verdict.REFUSED:
            self._refused(ask, route, identity, subscription, outcome)
        return conclude(route, identity, subscription, outcome)

    def _refused(
        self, ask: Ask, route: Route, identity: Identity, subscription: Subscription, outcome: Outcome
    ) -> None:
        """Raises Forbidden where it is suspended for it, unless it was resumed so lately that the refusal may be of
        before.
        """
        limit, application = outcome.limit, subscription.application
        assert limit is not None
        scope = whose(application, identity, ask.peer, route.service)[limit.per]
        self._on_refused(scope, limit, outcome.resets_at)
        if suspends(outcome) and self._clock() >= self._resumed.get(scope, -inf) + BELIEVED:
            self._suspensions.suspend(scope, limit)
            raise over_and_out(application)

    def _degrade(
        self, ask: Ask, route: Route, identity: Identity, subscription: Subscription, first: Outcome, done: Done
    ) -> Admission | None:
        """Another upstream serves what is over the limit of `first`, if the limits that do not degrade let it in."""

        def counted(rest: Outcome) -> Admission:
            if rest.verdict is Verdict.REFUSED:
                self._refused(ask, route, identity, subscription, rest)
            return degraded(route, identity, subscription, first, rest)

        def hear(rest: Outcome) -> None:
            try:
                admission = counted(rest)
            except GatewayError as error:
                done(error)
            else:
                done(admission)

        rest = subscription.rest
        outcome = UNCOUNTED if rest is None else self._consume(ask, rest, hear)
        return None if outcome is None else counted(outcome)

    def _subscribe(self, ask: Ask, route: Route, identity: Identity) -> Subscription:
        application = self._directory.application(identity)
        until = require_standing(application, self._directory.account(application), self._clock())
        contract = self._directory.contract(application, route.service)
        plan = contract.plan
        requires = requirements(route, contract.plans)
        if requires:
            self._require(ask, requires, route, application, plan, identity)
        scopes = whose(application, identity, ask.peer, route.service)
        scope = scopes[Per.APPLICATION]
        charges = charges_of(contract.limits, route)
        require_resumed(self._suspensions, application, (application.name, *scopes.values()), contract.limits)
        if any(charge.limit.value == 0 and not charge.limit.shadow for charge in charges):
            raise outside_plan(scope, plan)
        claim = self._claim(scopes, charges)
        firm = tuple(charge for charge in charges if charge.limit.over is not Over.DEGRADE)
        rest = claim if firm == charges else self._claim(scopes, firm)
        matchers = (self._permits.get((some.name, route.service.name)) for some in contract.plans)
        permits = None if route.page else permits_all([matcher for matcher in matchers if matcher is not None])
        note = self._note(application, plan, identity)
        patient = claim if isinstance(claim, Patient) else None
        claim = None if patient is not None else claim
        subscription = Subscription(application, plan, scope, claim, permits, note, rest, until, patient)
        by_address = application.each is Each.ADDRESS or any(charge.limit.per is Per.ADDRESS for charge in charges)
        if not by_address and all(require.max_age is None for require in requires):
            if len(self._memo) >= MEMO:
                del self._memo[next(iter(self._memo))]
            self._memo[identity, route] = subscription
        return subscription

    def _claim(self, scopes: Mapping[Per, str], charges: tuple[Charge, ...]) -> Claim | Patient | None:
        parts = [(scopes[per], some) for per, some in by_whose(charges)]
        if not parts:
            return None
        claim = self._ledger.claim(*parts[0], *parts[1:])
        waits = {} if self._turns is None else waits_of(parts)
        return Patient(claim, waits) if waits else claim

    def _require(
        self,
        ask: Ask,
        requires: tuple[Require, ...],
        route: Route,
        application: Application,
        plan: Plan,
        identity: Identity,
    ) -> None:
        """Raises what refuses, with whose request it was. Who came without credentials is asked for some; a person who
        can sign in better is sent there."""
        try:
            if not identity.subject and (challenges := self._passport.challenges(route.service)):
                raise Unauthorized("credentials are required", code="credentials_missing", challenges=challenges)
            require_all(requires, identity, route.service.name, self._clock())
        except StepUpNeeded as error:
            better = None if self._step_up is None else self._step_up(ask, identity, error)
            raise better or told(error, application, plan) from None
        except GatewayError as error:
            told(error, application, plan)
            raise


def told(error: GatewayError, application: Application, plan: Plan) -> GatewayError:
    """The error, which says whose request it was."""
    error.application, error.plan = application.name, plan.name
    return error
