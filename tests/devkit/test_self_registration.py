"""Clients that register themselves (RFC 7591), use what they got, and go again (RFC 7592)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import jwt
import pytest

from gateway.devkit.provider import Client, Provider
from gateway.devkit.provider_app import provider_app

ISSUER = "http://sso.example.com/realms/demo"
MANAGER = Client(id="manager", client_roles={"realm-management": ("manage-clients",)})
WEAK = Client(id="weak")


@pytest.fixture
def provider() -> Provider:
    return Provider(ISSUER, (MANAGER, WEAK))


@pytest.fixture
async def http(provider: Provider) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(provider_app(provider))
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as http:
        yield http


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_who_registers_gets_tokens_and_may_go(http: httpx2.AsyncClient, provider: Provider) -> None:
    endpoint = (await http.get("/.well-known/openid-configuration")).json()["registration_endpoint"]
    asked = {"client_name": "newcomer", "grant_types": ["client_credentials"], "client_id": "mobile-app"}
    answer = await http.post(endpoint, json=asked, headers=bearing(provider.token("manager")))
    assert answer.status_code == 201
    made = answer.json()
    assert made["client_name"] == "newcomer"
    assert made["client_id"] != "mobile-app"  # nobody takes another's name
    login = {"auth": (made["client_id"], made["client_secret"]), "data": {"grant_type": "client_credentials"}}
    token = (await http.post("/protocol/openid-connect/token", **login)).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["azp"] == made["client_id"]
    assert "gateway" not in claims.get("aud", [])  # which nobody has asked for

    own, other = bearing(made["registration_access_token"]), bearing("other")
    place = made["registration_client_uri"]
    assert (await http.get(place, headers=other)).status_code == 401
    shown = (await http.get(place, headers=own)).json()
    assert shown["client_id"] == made["client_id"]
    assert not {"client_secret", "registration_access_token"} & shown.keys()
    assert (await http.delete(place, headers=other)).status_code == 401
    assert (await http.delete(place, headers=own)).status_code == 204
    assert (await http.get(place, headers=own)).status_code == 401
    assert (await http.post("/protocol/openid-connect/token", **login)).status_code == 401


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [("", b"{}", 401), ("weak", b"{}", 403), ("manager", b"{", 400), ("manager", b"[]", 400),
     ("manager", b'{"redirect_uris": "https://a.example"}', 400)],
)  # fmt: skip
async def test_who_may_not_and_what_is_no_client(
    http: httpx2.AsyncClient, provider: Provider, who: str, body: bytes, status: int
) -> None:
    headers = bearing(provider.token(who)) if who else {}
    answer = await http.post("/clients-registrations/openid-connect", content=body, headers=headers)
    assert answer.status_code == status
    assert len(provider.clients()) == 2
