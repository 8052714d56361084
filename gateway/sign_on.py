"""Single sign-on as a worker serves it: the rooms that it takes, put together for one configuration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.http.host import parse_host
from gateway.http.path import normalise
from gateway.identity.passport import Passport
from gateway.model import Config, Service
from gateway.proxy.pages import MAX_BODY, Page
from gateway.routing.router import Router
from gateway.sso.app import Offers, SignOnApp
from gateway.sso.browser import PREFIX
from gateway.sso.desk import Desk
from gateway.sso.keeper import Keeper
from gateway.sso.me import Limits, no_limits
from gateway.sso.oidc.way import OidcWay
from gateway.sso.pages import Look
from gateway.sso.renewal import Renewal
from gateway.sso.sessions import Sessions
from gateway.sso.verifier import Door
from gateway.sso.way import Way
from gateway.store.shared import Shared

Clock = Callable[[], float]  # Unix seconds
LARGEST_FORM = 768 * 1024  # bytes: a SAML response of the largest size, in base64, escaped


@dataclass(frozen=True, slots=True)
class SignOn:
    """What the passport asks, and what people see."""

    door: Door
    desk: Desk
    app: SignOnApp

    async def close(self) -> None:
        """Nobody signs in by it any more."""
        await self.app.close()


def people_of(service: Service) -> tuple[str, ...]:
    """The providers that people may sign in with, in order."""
    return tuple(dict.fromkeys(name for line in service.accept for name in line.sign_in))


def build_sign_on(config: Config, shared: Shared, clock: Clock = time.time) -> SignOn:
    """Raises OSError for pages that cannot be read."""
    sessions = Sessions(shared.records, shared.marks, config.sign_on, clock)
    desk = Desk(shared.records, sessions, Look(config.sign_on.pages), clock)
    app = SignOnApp(desk, sessions)
    keeper = Keeper(sessions, Renewal(sessions, shared.records, app.ways, clock), clock)
    return SignOn(Door(keeper), desk, app)


def sign_on_pages(
    config: Config,
    sign_on: SignOn,
    passport: Passport,
    router: Router,
    limits: Limits | None = None,
    clock: Clock = time.time,
) -> list[Page]:
    """The pages, on the hosts of the services that have people sign in."""
    services = [service for service in config.services.values() if people_of(service)]
    for name in dict.fromkeys(name for service in services for name in people_of(service)):
        sign_on.app.ways[name] = _way(name, config, sign_on, passport, clock)
    sign_on.app.ready(offers_of(services, router), limits or no_limits)
    hosts = {host for service in services for host in service.hosts}
    anywhere = not all(service.hosts for service in services)
    largest = LARGEST_FORM if any(name in config.saml for name in sign_on.app.ways) else MAX_BODY
    return [Page("sso", sign_on.app, path=PREFIX, hosts=() if anywhere else sorted(hosts), max_body=largest)]


def _way(name: str, config: Config, sign_on: SignOn, passport: Passport, clock: Clock) -> Way:
    if name in config.saml:
        from gateway.sso.saml.way import SamlWay  # its libraries are an extra

        return SamlWay(config.saml[name], sign_on.desk, clock)
    oidc = config.providers[name]
    assert oidc.sign_in is not None  # the plans were checked
    return OidcWay(oidc, oidc.sign_in, passport.provider(name), sign_on.desk, clock)


def offers_of(services: list[Service], router: Router) -> Offers:
    """Names the providers for a target of a host: its service's, else all."""
    everyone = tuple(dict.fromkeys(name for service in services for name in people_of(service)))

    def offers(host: str, target: str) -> tuple[str, ...]:
        try:
            found = router.route(b"GET", parse_host(host.encode())[0], *normalise(target.encode()))
        except (GatewayError, UnicodeEncodeError):
            return everyone
        return people_of(found.service) or everyone

    return offers
