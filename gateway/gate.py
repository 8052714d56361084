"""admit(): service and usage → identity → application → consume. No HTTP server here, and no I/O.

Each room answers at once when everything is at hand, and by a callback when it must wait, so that the usual
request costs no task. Refusals are raised at once, and handed to the callback later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from gateway.errors import Forbidden, GatewayError, OverLimit, Unavailable
from gateway.model import (
    Application,
    Charge,
    Config,
    Each,
    Identity,
    Limit,
    Outcome,
    Per,
    Plan,
    Route,
    Service,
    State,
    Verdict,
)

MEMO = 20_000  # subscriptions remembered; one is about 0.5 KB


class Ask(Protocol):
    """What the gate needs of a request. `host` in lower case without port; `path` normalised; `query` as sent."""

    method: bytes
    host: bytes
    path: bytes
    query: bytes
    peer: str  # the client's address

    @property
    def certificate(self) -> bytes | None:
        """The client's own, in DER, verified by the listener's CA; None where it showed none."""

    def header(self, name: bytes) -> list[bytes]:
        """All values of the field `name` (lower case), in order."""


class Router(Protocol):
    def route(self, method: bytes, host: bytes, path: bytes, query: bytes) -> Route:
        """The service and usage of a request; raises NotFound."""


class Passport(Protocol):
    def identify(self, service: Service, ask: Ask, done: Callable[[Identity | GatewayError], None]) -> Identity | None:
        """Who asks; None: `done` hears it later, exactly once. Raises Unauthorized, BadRequest or Unavailable."""


Claim = Any  # a ledger's own handle: a scope and what one request of a kind costs its limits


class Ledger(Protocol):
    def claim(self, scope: str, charges: tuple[Charge, ...], *others: tuple[str, tuple[Charge, ...]]) -> Claim:
        """A handle for `consume`. `scope` names whose counters: a user's, an application's, an account's. A request
        may be charged to `others` too; the narrowest scope comes first."""

    def consume(self, claim: Claim, done: Callable[[Outcome], None]) -> Outcome | None:
        """Take a claim's costs from all its limits, or from none; None: `done` hears it later, exactly once."""


Permits = Callable[[bytes, bytes, bytes], bool]  # method, path, query


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
    ) -> None:
        """`permits` holds a matcher for each (plan, service) that lists what it allows; `note` is kept with each
        subscription for the server."""
        self._config = config
        self._router = router
        self._passport = passport
        self._ledger = ledger
        self._permits = permits
        self._note = note
        self._by_client = {c: app for app in config.applications.values() for c in app.client_ids}
        self._by_roles = [app for app in config.applications.values() if app.roles]
        self._memo: dict[tuple[Identity, Route], Subscription] = {}

    def route(self, ask: Ask) -> Route:
        """The hall: which service, and what the request uses; raises NotFound."""
        return self._router.route(ask.method, ask.host, ask.path, ask.query)

    def admit(self, ask: Ask, route: Route, done: Callable[[Admission | GatewayError], None]) -> Admission | None:
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

    def _charge(
        self, ask: Ask, route: Route, identity: Identity, done: Callable[[Admission | GatewayError], None]
    ) -> Admission | None:
        subscription = self._memo.get((identity, route)) or self._subscribe(ask, route, identity)
        permits = subscription.permits
        if permits is not None and not permits(ask.method, ask.path, ask.query):
            raise outside_plan(subscription.scope, subscription.plan)
        claim = subscription.claim
        if claim is None:
            return Admission(route, identity, subscription, None)

        def counted(outcome: Outcome) -> None:
            try:
                admission = conclude(route, identity, subscription, outcome)
            except GatewayError as error:
                done(error)
            else:
                done(admission)

        outcome = self._ledger.consume(claim, counted)
        return None if outcome is None else conclude(route, identity, subscription, outcome)

    def _subscribe(self, ask: Ask, route: Route, identity: Identity) -> Subscription:
        application = self._application(identity)
        require_live(application)
        plan = self._plan(application, route.service)
        scope = scope_of(application, identity, ask)
        charges = charges_of(plan, route)
        if any(charge.limit.value == 0 and not charge.limit.shadow for charge in charges):
            raise outside_plan(scope, plan)
        whose = {
            Per.USER: f"user:{application.name}/{identity.subject}",
            Per.ADDRESS: f"address:{application.name}/{ask.peer}",
            Per.APPLICATION: scope,
            Per.ACCOUNT: f"account:{application.account}",
            Per.SERVICE: f"service:{route.service.name}",
        }
        parts = [(whose[per], some) for per, some in by_whose(charges)]
        claim = self._ledger.claim(*parts[0], *parts[1:]) if parts else None
        permits = self._permits.get((plan.name, route.service.name))
        note = self._note(application, plan, identity)
        subscription = Subscription(application, plan, scope, claim, permits, note)
        if application.each is not Each.ADDRESS and not any(charge.limit.per is Per.ADDRESS for charge in charges):
            if len(self._memo) >= MEMO:
                del self._memo[next(iter(self._memo))]
            self._memo[identity, route] = subscription
        return subscription

    def _application(self, identity: Identity) -> Application:
        """By key, then client id, then `match` in order."""
        applications = self._config.applications
        by_key = applications.get(identity.application) if identity.application is not None else None
        by_client = self._by_client.get(identity.client_id) if identity.client_id is not None else None
        if by_key is not None and by_client is not None and by_key is not by_client:
            raise Forbidden("the credentials belong to different applications", code="credentials_differ")
        found = by_key or by_client
        if found is None:
            found = next((app for app in self._by_roles if not identity.roles.isdisjoint(app.roles)), None)
        if found is None:
            raise Forbidden("no application is registered for these credentials", code="no_application")
        return found

    def _plan(self, application: Application, service: Service) -> Plan:
        for name in application.plans:
            plan = self._config.plans[name]
            if service.name in plan.services:
                return plan
        raise Forbidden("the application has no plan for this service", code="no_plan", application=application.name)


def require_live(application: Application) -> None:
    """Raises Forbidden for a suspended or pending application."""
    if application.state is not State.LIVE:
        state = application.state
        raise Forbidden(f"the application is {state}", code=f"application_{state}", application=application.name)


def outside_plan(scope: str, plan: Plan) -> Forbidden:
    """An endpoint that the plan does not list, or of which it allows none."""
    return Forbidden("the plan does not include this endpoint", code="not_in_plan", application=scope, plan=plan.name)


def scope_of(application: Application, identity: Identity, ask: Ask) -> str:
    """Whose counters a request uses: the application's, or one of each client's, user's or address's."""
    match application.each:
        case Each.SHARED:
            return application.name
        case Each.ADDRESS:
            return f"{application.name}/{ask.peer}"
        case Each.USER:
            return f"{application.name}/{identity.subject}"
        case Each.CLIENT:
            if identity.client_id is None:
                raise Forbidden("the credentials name no client", code="no_application")
            return f"{application.name}/{identity.client_id}"


def charges_of(plan: Plan, route: Route) -> tuple[Charge, ...]:
    """What a request costs each limit of its metrics and their ancestors."""

    def applies(limit: Limit) -> bool:
        return limit.service in (None, route.service.name) and limit.metric in route.usage

    return tuple(Charge(limit, route.usage[limit.metric]) for limit in plan.limits if applies(limit))


def by_whose(charges: tuple[Charge, ...]) -> Iterator[tuple[Per, tuple[Charge, ...]]]:
    """Charges by whose requests count together, the narrowest first."""
    for per in Per:
        some = tuple(charge for charge in charges if charge.limit.per is per)
        if some:
            yield per, some


def conclude(route: Route, identity: Identity, subscription: Subscription, outcome: Outcome) -> Admission:
    """The ledger's answer as an admission; raises OverLimit or Unavailable."""
    if outcome.verdict is Verdict.GRANTED:
        return Admission(route, identity, subscription, outcome)
    if outcome.verdict is Verdict.UNAVAILABLE:
        raise Unavailable("usage cannot be counted at the moment", code="ledger_down")
    raise OverLimit(
        f"over the limit of {outcome.limit}", outcome, application=subscription.scope, plan=subscription.plan.name
    )
