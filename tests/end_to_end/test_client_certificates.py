"""Clients known by their certificates alone, through a listener with TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from rigs.gateway import Gateway
from rigs.issuers import Issued, Issuer
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

LISTEN = (
    'listen: {address: "${LISTEN}", tls: {cert: "${CERTS}/orders.pem", key: "${CERTS}/orders.key", '
    'client_ca: "${DEVICES}/all.pem", client_certificate: optional}}'
)
IDENTITY = 'identity: {devices: {certificate: {ca: "${DEVICES}/ca.pem", crl: "${DEVICES}/ca.crl", spiffe: prod}}}'
SERVICE = ORDERS.replace("accept: [{jwt: keycloak}]", "accept: [{certificate: devices}, {jwt: keycloak}]")
PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [{limit: 2/eternity, per: user}]}}
applications:
  pumps: {plans: [gold], certificates: {devices: ["spiffe://prod/pumps/*"]}}
"""


class SecureGateway(Gateway):
    def configure(self, *files: str) -> None:
        super().configure(*files)
        first = self.plans / "0.yaml"
        first.write_text(first.read_text().replace('listen: "${LISTEN}"', LISTEN))


@asynccontextmanager
async def secure(stage: Stage, folder: Path, devices: Path) -> AsyncIterator[Gateway]:
    environment = {
        "ISSUER": stage.provider.issuer,
        "ORDERS": stage.orders,
        "CERTS": str(stage.certificates),
        "STORE": "memory",
        "STORE_TIMEOUT": "5s",
        "DEVICES": str(devices),
    }
    gateway = SecureGateway(folder, (IDENTITY, SERVICE, PLANS), environment)
    try:
        yield await gateway.start()
    finally:
        await gateway.close()


async def test_a_device_is_known_by_its_certificate(stage: Stage, tmp_path: Path) -> None:
    ca, others = Issuer(now=time.time()), Issuer("others", now=time.time())
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    (tmp_path / "all.pem").write_bytes(ca.pem + others.pem)
    (tmp_path / "ca.crl").write_bytes(ca.revoked())

    def client(issued: Issued | None) -> httpx2.AsyncClient:
        context = ssl.create_default_context(cafile=stage.certificates / "ca.pem")
        if issued is not None:
            context.load_cert_chain(issued.write(tmp_path, f"{id(issued)}"))
        return httpx2.AsyncClient(verify=context, trust_env=False, base_url=gateway.url.replace("http:", "https:"))

    async def asked(issued: Issued | None, **headers: str) -> httpx2.Response:
        async with client(issued) as http:
            return await http.get("/orders", headers=headers)

    first, second = ca.issue(uris=["spiffe://prod/pumps/1"]), ca.issue(uris=["spiffe://prod/pumps/2"])
    async with secure(stage, tmp_path, tmp_path) as gateway:
        answer = await asked(first)
        subject = "certificate:spiffe://prod/pumps/1"
        assert answer.json()["caller"] == {"application": "pumps", "plan": "gold", "subject": subject}
        assert [(await asked(first)).status_code for _ in range(2)] == [200, 429]  # each device by itself
        assert (await asked(second)).status_code == 200
        assert code(await asked(None)) == (401, "credentials_missing")
        assert code(await asked(others.issue(uris=["spiffe://prod/pumps/1"]))) == (401, "certificate_untrusted")
        assert code(await asked(ca.issue(uris=["spiffe://prod/drills/1"]))) == (403, "no_application")
        token = stage.token()
        gateway.secrets.add(token)
        assert code(await asked(None, authorization=f"Bearer {token}")) == (403, "no_application")
        (tmp_path / "new.crl").write_bytes(ca.revoked(second))
        (tmp_path / "new.crl").replace(tmp_path / "ca.crl")
        await until(told(asked, second, (401, "certificate_revoked")))


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def told(asked: Callable[..., object], issued: Issued, wanted: tuple[int, str]) -> Callable[[], object]:
    async def is_told() -> bool:
        answer = await asked(issued)  # type: ignore[misc]
        return answer.status_code != 200 and code(answer) == wanted

    return is_told
