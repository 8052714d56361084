"""Which application a request is of, and which of its plans holds."""

from __future__ import annotations

from gateway.errors import Forbidden
from gateway.gate.conditions import meets
from gateway.model import Account, Application, Config, Identity, Plan, Service


class Directory:
    """The applications and plans of one configuration."""

    def __init__(self, config: Config) -> None:
        self._applications = config.applications
        self._plans = config.plans
        self._accounts = config.accounts
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
        return None if application.account is None else self._accounts.get(application.account)

    def plan(self, application: Application, service: Service) -> Plan:
        """The one of the application's plans that opens a service; raises Forbidden."""
        for name in application.plans:
            plan = self._plans[name]
            if service.name in plan.services:
                return plan
        raise Forbidden("the application has no plan for this service", code="no_plan", application=application.name)
