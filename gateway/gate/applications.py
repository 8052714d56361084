"""Which application a request is of, and which of its plans holds."""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import Forbidden
from gateway.gate.conditions import meets
from gateway.model import Account, Application, Config, Identity, Limit, Plan, Service, account_of, limits_of, plans_of


class Contract(NamedTuple):
    """The plans that open a service to an application, all of which hold: its own, then its account's."""

    plans: tuple[Plan, ...]
    limits: tuple[Limit, ...]

    @property
    def plan(self) -> Plan:
        """The one that is told."""
        return self.plans[0]


class Directory:
    """The applications and plans of one configuration."""

    def __init__(self, config: Config) -> None:
        self._applications = config.applications
        self._config = config
        self._contracts: dict[tuple[str, str], Contract] = {}  # by application and service
        self._by_client = {c: app for app in config.applications.values() for c in app.client_ids}
        self._by_match = [(app, app.match) for app in config.applications.values() if app.match is not None]

    def application(self, identity: Identity) -> Application:
        """By key, then client id, then `match` in order; raises Forbidden."""
        by_key = self._applications.get(identity.application) if identity.application is not None else None
        by_client = self._by_client.get(identity.client_id) if identity.client_id is not None else None
        if by_key is not None and by_client is not None and by_key is not by_client:
            raise Forbidden("the credentials belong to different applications", code="credentials_differ")
        found = by_key or by_client
        if found is None:
            found = next((app for app, match in self._by_match if meets(match, identity)), None)
        if found is None:
            raise Forbidden("no application is registered for these credentials", code="no_application")
        return found

    def account(self, application: Application) -> Account | None:
        """Its owner."""
        return account_of(self._config, application)

    def contract(self, application: Application, service: Service) -> Contract:
        """What holds for an application at a service; raises Forbidden where nothing does."""
        key = application.name, service.name
        found = self._contracts.get(key)
        if found is None:
            plans = tuple(plan for plan in plans_of(self._config, application) if service.name in plan.services)
            if not plans:
                text = "the application has no plan for this service"
                raise Forbidden(text, code="no_plan", application=application.name)
            found = self._contracts[key] = Contract(plans, limits_of(plans, service.name))
        return found
