"""A gateway before a service that speaks mutual TLS, with a realm of Keycloak's: `gateway run`, as a user starts it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.devkit.certificates import Pair, client_context, ensure_certificates, server_context
from gateway.devkit.process import gateway_running
from gateway.devkit.servers import listener, port_of, serving
from gateway.devkit.services import orders_app

from .realms import Realm, Token

PLANS = """
version: 1
gateway:
  listen: "${LISTEN}"
  admin: "${ADMIN}"
  data: "${DATA}"
  store: STORE
identity:
  keycloak: {oidc: {issuer: "${ISSUER}", audience: [gateway]MORE}}
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
plans:
  partner: {services: [orders]}
  free: {services: [orders], limits: {hits: [2/year]}}
applications:
  mobile: {plans: [partner], client_ids: [mobile-app, rfc9068, es256, ps256, eddsa, lightweight, dpop]}
  customers: {plans: [free], match: {roles: [customer]}, each: client}
"""


class Counted:
    """An app, and how many requests have reached it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        await self._app(scope, receive, send)


class Service:
    """The demo service of orders, which takes only clients with a certificate of its own authority."""

    def __init__(self, url: str, certificates: Path, app: Counted) -> None:
        self.url = url
        self.certificates = certificates
        self._app = app

    @property
    def requests(self) -> int:
        """How many have reached it."""
        return self._app.requests

    def client(self, certificate: str | None = None) -> httpx2.AsyncClient:
        """One that goes past the gateway, and shows the certificate of that name, if any."""
        pair = Pair.at(self.certificates, certificate) if certificate else None
        return httpx2.AsyncClient(
            verify=client_context(self.certificates / "ca.pem", pair), base_url=self.url, trust_env=False
        )


class Gateway:
    """A running gateway, as its clients see it."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    @property
    def url(self) -> str:
        return str(self._http.base_url).rstrip("/")

    async def get(
        self, token: Token | str | None, path: str = "/orders", scheme: str = "Bearer", **headers: str
    ) -> httpx2.Response:
        """A request with the token. In headers' names `_` stands for a dash."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            fields["Authorization"] = f"{scheme} {token.text if isinstance(token, Token) else token}"
        return await self._http.get(path, headers=fields)


@contextlib.asynccontextmanager
async def serving_orders(folder: Path) -> AsyncIterator[Service]:
    certificates = ensure_certificates(folder / "certificates")
    tls = server_context(Pair.at(certificates, "orders"), certificates / "ca.pem")
    app = Counted(orders_app())
    async with serving(app, listener(), tls) as url:
        yield Service(url, certificates, app)


@contextlib.asynccontextmanager
async def gateway_before(
    service: Service, realm: Realm, folder: Path, store: str = "memory", **oidc: str
) -> AsyncIterator[Gateway]:
    """`store` is the value of that name in the plans, and may bring more lines of `gateway`; `oidc` are more keys of
    the provider; `folder` gets the plans, the data and the log."""
    plans = folder / "plans"
    plans.mkdir(parents=True, exist_ok=True)
    (plans / "gateway.yaml").write_text(
        PLANS.replace("STORE", store).replace("MORE", "".join(f", {key}: {value}" for key, value in oidc.items()))
    )
    listen, admin = free_addresses()
    environment = {
        "LISTEN": listen,
        "ADMIN": admin,
        "DATA": str(folder / "data"),
        "ISSUER": realm.issuer,
        "ORDERS": service.url,
        "CERTS": str(service.certificates),
    }
    async with (
        gateway_running(plans, environment, f"http://{admin}", folder / "gateway.log"),
        httpx2.AsyncClient(base_url=f"http://{listen}", trust_env=False, timeout=30) as http,
    ):
        yield Gateway(http)


def free_addresses() -> tuple[str, str]:
    with listener() as first, listener() as second:
        return f"127.0.0.1:{port_of(first)}", f"127.0.0.1:{port_of(second)}"


def code(answer: httpx2.Response) -> tuple[int, Any]:
    """What refused: the status and the problem's code."""
    return answer.status_code, answer.json()["code"]
