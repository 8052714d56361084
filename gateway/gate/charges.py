"""Whose counters a request uses, and what it costs their limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.errors import Forbidden
from gateway.model import Application, Charge, Each, Identity, Limit, Per, Route, Service


def scope_of(application: Application, identity: Identity, peer: str) -> str:
    """Whose counters a request uses: the application's, or one of each client's, user's or address's."""
    match application.each:
        case Each.SHARED:
            return application.name
        case Each.ADDRESS:
            return f"{application.name}/{peer}"
        case Each.USER:
            return f"{application.name}/{identity.subject}"
        case Each.CLIENT:
            if identity.client_id is None:
                raise Forbidden("the credentials name no client", code="no_application")
            return f"{application.name}/{identity.client_id}"


def whose(application: Application, identity: Identity, peer: str, service: Service) -> dict[Per, str]:
    """The scope that each sort of limit counts a request in; `peer` is the client's address."""
    return {
        Per.USER: f"user:{application.name}/{identity.subject}",
        Per.ADDRESS: f"address:{application.name}/{peer}",
        Per.APPLICATION: scope_of(application, identity, peer),
        Per.ACCOUNT: f"account:{application.account}",
        Per.SERVICE: f"service:{service.name}",
    }


def charges_of(limits: Iterable[Limit], route: Route) -> tuple[Charge, ...]:
    """What a request costs each limit of its metrics and their ancestors."""

    def applies(limit: Limit) -> bool:
        return limit.service in (None, route.service.name) and limit.metric in route.usage

    return tuple(
        Charge(limit, route.usage[limit.metric], limit.metric in route.unsure) for limit in limits if applies(limit)
    )


def by_whose(charges: tuple[Charge, ...]) -> Iterator[tuple[Per, tuple[Charge, ...]]]:
    """Charges by whose requests count together, the narrowest first."""
    for per in Per:
        some = tuple(charge for charge in charges if charge.limit.per is per)
        if some:
            yield per, some
