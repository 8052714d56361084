"""What holds for somebody at the services of a host: their application, plan and limits, as front ends show them."""

from __future__ import annotations

from typing import Any

from gateway.errors import Forbidden
from gateway.gate.applications import Directory
from gateway.model import Config, Identity
from gateway.pages.usage import UsagePage
from gateway.proxy.pages import among


class Standings:
    """Of one configuration."""

    def __init__(self, config: Config, usage: UsagePage) -> None:
        self._services = [
            service for service in config.services.values() if any(line.sign_in for line in service.accept)
        ]
        self._directory = Directory(config)
        self._usage = usage

    async def __call__(self, identity: Identity, provider: str, host: str, peer: str) -> dict[str, Any]:
        """By service, of those that take people of the provider and have a plan for this one. Raises Unavailable where
        the store is away.
        """
        found = {}
        for service in self._services:
            hosts = frozenset(name.encode() for name in service.hosts)
            taken = any(provider in line.sign_in for line in service.accept)
            if not taken or not among(host.encode(errors="replace"), hosts):
                continue
            try:
                application = self._directory.application(identity)
                plan = self._directory.contract(application, service).plan
                found[service.name] = await self._usage.standing(application, plan, identity, service, peer)
            except Forbidden:
                continue
        return found
