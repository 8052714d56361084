"""A request's way through the rooms: the same functions that decide traffic, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from gateway.errors import GatewayError, NotFound
from gateway.explain.ask import Ask
from gateway.explain.limits import Reader, explain_limits
from gateway.explain.step import Step, Verdict, note, ok, refused
from gateway.explain.tokens import explain_token
from gateway.gate.applications import Contract, Directory
from gateway.gate.charges import charges_of, whose
from gateway.gate.conditions import outside_plan, require_all, requirements
from gateway.gate.protocols import Suspensions
from gateway.gate.standing import require_resumed, require_standing
from gateway.identity.credentials import bearer, dpop
from gateway.identity.passport import Passport
from gateway.identity.refusals import Invalid
from gateway.identity.verifier import items_of
from gateway.model import Accept, AppId, Application, Config, Identity, KeyPlace, Per, Route, Service, Upstream
from gateway.routing.router import compile_permits, compile_router


class Explainer:
    """Of one configuration. The passport has asked its providers; `reader` None: nobody tells what is spent."""

    def __init__(
        self,
        config: Config,
        passport: Passport,
        suspensions: Suspensions,
        reader: Reader | None,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._passport = passport
        self._suspensions = suspensions
        self._reader = reader
        self._clock = clock
        self._directory = Directory(config)

    # --- a token alone

    async def token(self, text: bytes) -> AsyncIterator[Step]:
        """Whether any provider lets it in, as whom, and at which services."""
        providers = dict(self._config.providers)
        failed = False
        for step in explain_token(text, providers, self._passport, self._clock()):
            failed = failed or step.verdict is Verdict.REFUSED
            yield step
        if failed:
            return
        identity: Identity | GatewayError | None = None
        for name in providers:
            asked = Ask(b"GET", b"", b"/", b"", "", [(b"authorization", b"Bearer " + text)])
            identity = await self._identified(_desk_of(name), asked)
            if isinstance(identity, Identity):
                break
        if not isinstance(identity, Identity):
            if identity is not None:
                yield refused("token", identity)
            return
        yield ok("identity", _described(identity))
        application = None
        for step in self._application(identity):
            yield step
            application = None if step.verdict is Verdict.REFUSED else self._directory.application(identity)
        if application is not None:
            for service in self._config.services.values():
                yield self._opened(application, service)

    def _opened(self, application: Application, service: Service) -> Step:
        try:
            contract = self._directory.contract(application, service)
        except GatewayError as error:
            return note(f"service {service.name}", error.detail)
        return ok(f"service {service.name}", f"plan {', '.join(plan.name for plan in contract.plans)}")

    # --- a request

    async def request(self, ask: Ask) -> AsyncIterator[Step]:
        """All steps until one refuses."""
        try:
            route = compile_router(self._config.services.values()).route(ask.method, ask.host, ask.path, ask.query)
        except GatewayError as error:
            yield refused("route", error, self._why(error))
            return
        service = route.service
        usage = ", ".join(f"{amount} {metric}" for metric, amount in route.usage.items()) or "nothing"
        free = ", ".join(service.charge.except_status)
        more = f", and nothing where it is answered {free}" if free else ""
        more = "".join((more, *(f"; {measure}: the answer says how much" for measure in route.measures)))
        yield ok("route", f"service {service.name}; rules {route.template}; it uses {usage}{more}")
        for step in self._credentials(service, ask):
            yield step
        identity = await self._identified(service, ask)
        if isinstance(identity, GatewayError):
            yield refused("identity", identity)
            return
        yield ok("identity", _described(identity))
        async for step in self._permitted(ask, route, identity):
            yield step

    async def _permitted(self, ask: Ask, route: Route, identity: Identity) -> AsyncIterator[Step]:
        for step in self._application(identity):
            yield step
            if step.verdict is Verdict.REFUSED:
                return
        application = self._directory.application(identity)
        try:
            contract = self._directory.contract(application, route.service)
        except GatewayError as error:
            yield refused("plan", error, f"its plans: {', '.join(application.plans) or 'none'}")
            return
        yield ok("plan", ", ".join(plan.name for plan in contract.plans))
        for step in self._conditions(ask, route, identity, application, contract):
            yield step
            if step.verdict is Verdict.REFUSED:
                return
        charges = charges_of(contract.limits, route)
        for step in await explain_limits(charges, whose(application, identity, ask.peer, route.service), self._reader):
            yield step
        yield note("upstream", f"{route.service.upstream.name}: credentials: {route.service.upstream.identity.telling}")

    def _conditions(
        self, ask: Ask, route: Route, identity: Identity, application: Application, contract: Contract
    ) -> Iterator[Step]:
        scopes = whose(application, identity, ask.peer, route.service)
        try:
            require_resumed(self._suspensions, application, (application.name, *scopes.values()), contract.limits)
        except GatewayError as error:
            yield refused("suspension", error, f"`gateway usage resume` serves {scopes[Per.APPLICATION]} again")
            return
        for require in requirements(route, contract.plans):
            try:
                require_all([require], identity, route.service.name, self._clock())
            except GatewayError as error:
                has = f"it has roles {_listed(identity.roles)}, scopes {_listed(identity.scopes)}"
                yield refused("condition", error, has)
                return
            yield ok("condition", "met")
        for plan in contract.plans:
            patterns = plan.allow.get(route.service.name)
            if patterns is not None and not compile_permits(patterns)(ask.method, ask.path, ask.query):
                allowed = ", ".join(f"{pattern.method} {pattern.pattern}" for pattern in patterns)
                outside = outside_plan(scopes[Per.APPLICATION], plan)
                yield refused("endpoint", outside, f"plan {plan.name} allows {allowed}")
                return
        yield ok("endpoint", "in the plan")

    # --- parts of both

    def _credentials(self, service: Service, ask: Ask) -> Iterator[Step]:
        """What each line of `accept` asks for, and a token's checks."""
        for position, line in enumerate(service.accept):
            yield note(f"accept[{position}]", _asks_for(line))
        names = dict.fromkeys(line.jwt for line in service.accept if line.jwt is not None)
        try:
            text = (bearer(ask) or dpop(ask)) if names else None
        except Invalid:  # told with the identity
            return
        if text is not None:
            providers = {name: self._config.providers[name] for name in names}
            yield from (
                step._replace(about=f"token: {step.about}")
                for step in explain_token(text, providers, self._passport, self._clock())
            )

    async def _identified(self, service: Service, ask: Ask) -> Identity | GatewayError:
        heard: asyncio.Future[Identity | GatewayError] = asyncio.get_running_loop().create_future()
        try:
            found = self._passport.identify(service, ask, heard.set_result)
        except GatewayError as error:
            return error
        return await heard if found is None else found

    def _application(self, identity: Identity) -> Iterator[Step]:
        try:
            application = self._directory.application(identity)
        except GatewayError as error:
            more = f"no application has the client id {identity.client_id!r}, and no `match` fits"
            yield refused("application", error, more if error.code == "no_application" else "")
            return
        yield ok("application", f"{application.name}, by {_by(application, identity)}")
        try:
            until = require_standing(application, self._directory.account(application), self._clock())
            require_resumed(self._suspensions, application, (application.name,), ())
        except GatewayError as error:
            yield refused("standing", error)
            return
        yield ok("standing", "served" if until is None else "served for a time")

    def _why(self, error: GatewayError) -> str:
        """What would have been found."""
        if error.code == "no_rule" and isinstance(error, NotFound) and error.service is not None:
            rules = ", ".join(f"{rule.method} {rule.pattern}" for rule in error.service.rules)
            return f"rules of {error.service.name}: {rules}"
        if error.code == "no_service":
            places = (f"{' '.join(one.hosts) or 'any host'} {one.path}" for one in self._config.services.values())
            return f"services: {', '.join(places)}"
        return ""


def _desk_of(provider: str) -> Service:
    """A service that takes a provider's tokens, and nothing else."""
    upstream = Upstream(name=".explain", targets=())
    return Service(name=".explain", upstream=upstream, accept=(Accept(jwt=provider),), rules=())


def _described(identity: Identity) -> str:
    parts = [f"subject {identity.subject or '-'}", f"proven by {', '.join(identity.proof) or 'nothing'}"]
    if identity.client_id is not None:
        parts.append(f"client {identity.client_id}")
    if identity.roles:
        parts.append(f"roles {_listed(identity.roles)}")
    return "; ".join(parts)


def _listed(names: frozenset[str]) -> str:
    return " ".join(sorted(names)[:20]) or "none"


def _by(application: Application, identity: Identity) -> str:
    if identity.application == application.name:
        return "its credential"
    return f"client id {identity.client_id}" if identity.client_id in application.client_ids else "match"


def _asks_for(line: Accept) -> str:
    if line.anonymous is not None:
        return f"nobody's credentials: application {line.anonymous}"
    if line.sign_in:
        return f"a person signed in at {' or '.join(line.sign_in)}; sessions are not looked at here"
    return " and ".join(sorted(f"{item.kind} {_place(item.name)}" for item in items_of(line)))


def _place(name: str | KeyPlace | AppId) -> str:
    if isinstance(name, AppId):
        return f"in {_place(name.id)}, its key in {_place(name.key)}"
    return name if isinstance(name, str) else f"{name.kind} {name.name}"
