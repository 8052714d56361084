"""What is around gateways: a service that takes only their certificate, and a provider of tokens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigs.gateway import Gateway

from gateway.devkit.certificates import Pair, ensure_certificates, server_context
from gateway.devkit.provider import Client, Provider, demo_clients
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.devkit.services import orders_app

ORDERS = """
services:
  orders:
    path: /orders
    upstream:
      targets: ["${ORDERS}"]
      tls:
        ca: "${CERTS}/ca.pem"
        cert: "${CERTS}/gateway.pem"
        key: "${CERTS}/gateway.key"
        verify_name: orders.internal
    accept: [{jwt: keycloak}]
    rules:
      - GET /orders: hits
      - POST /orders: hits
"""


@dataclass(frozen=True)
class Stage:
    """What is around gateways: certificates, a provider, and the demo service of orders behind mutual TLS."""

    certificates: Path
    provider: Provider
    orders: str

    def token(self, client: str = "mobile-app", **claims: Any) -> str:
        return self.provider.token(client, **claims)

    @asynccontextmanager
    async def gateway(
        self, folder: Path, *files: str, start: bool = True, **environment: str
    ) -> AsyncIterator[Gateway]:
        """One before the service, with `files` for its plans. `environment` in capitals: STORE, ISSUER and so on."""
        defaults = {
            "ISSUER": self.provider.issuer,
            "ORDERS": self.orders,
            "CERTS": str(self.certificates),
            "STORE": "memory",
            "STORE_TIMEOUT": "5s",  # on a busy machine 50 ms may pass without anybody's fault
        }
        gateway = Gateway(folder, files, {**defaults, **environment})
        try:
            if start:
                await gateway.start()
            yield gateway
        finally:
            await gateway.close()

    @asynccontextmanager
    async def gateways(
        self, number: int, folder: Path, *files: str, **environment: str
    ) -> AsyncIterator[list[Gateway]]:
        """So many of them, alike, with a folder for the data of each."""
        async with AsyncExitStack() as stack:
            own = ({"DATA": str(folder / f"data-{place}"), **environment} for place in range(number))
            entered = (self.gateway(folder, *files, start=False, **its) for its in own)
            gateways = [await stack.enter_async_context(gateway) for gateway in entered]
            await asyncio.gather(*(gateway.start() for gateway in gateways))
            yield gateways


@asynccontextmanager
async def stage_at(folder: Path) -> AsyncIterator[Stage]:
    certificates = ensure_certificates(folder / "certificates")
    tls = server_context(Pair.at(certificates, "orders"), certificates / "ca.pem")
    async with serving(orders_app(), listener(), tls) as orders, providing(listener()) as provider:
        yield Stage(certificates, provider, orders)


@asynccontextmanager
async def providing(sock: socket.socket) -> AsyncIterator[Provider]:
    """A provider where its issuer says."""
    more = Client(id="guest-app"), Client(id="late-app"), Client(id="tea-shop", roles=("customer",))
    provider = Provider(f"http://127.0.0.1:{port_of(sock)}/realms/demo", (*demo_clients(), *more))
    async with serving(provider_app(provider), sock):
        yield provider
