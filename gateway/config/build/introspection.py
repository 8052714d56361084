"""Whom a service can ask about opaque tokens."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.blocks.gateway import Provider
from gateway.config.blocks.services import Service
from gateway.config.build.context import Context
from gateway.config.problems import Complaint


def check_readers(services: Mapping[str, Service], providers: Mapping[str, Provider], context: Context) -> None:
    """An opaque token does not say whose it is, so that one provider at most may be asked about a service's."""
    reading = {name for name, provider in providers.items() if _reads(provider)}
    for name, service in services.items():
        first = None
        for position, line in enumerate(service.accept):
            if line.jwt not in reading or line.jwt == first:
                continue
            if first is not None:
                text = f"is asked about opaque tokens, as '{first}' is; they do not say whose they are, so take one"
                context.complain(("services", name, "accept", position, "jwt"), Complaint(text, shown=line.jwt))
            first = first or line.jwt


def _reads(provider: Provider) -> bool:
    asked = None if provider.oidc is None else provider.oidc.introspection
    return asked is not None and not {"opaque", "all"}.isdisjoint(asked.tokens)
