"""Clients made and changed at the development provider, which answers as Keycloak does."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from gateway.clients.compare import compare, wanted
from gateway.clients.keycloak import PAUSES, Away, Clients, Refused, admin_url
from gateway.clients.sync import Done, sync
from gateway.devkit.provider import Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.model import Application, ClientCredentials, Config, Oidc, State

ACCOUNT = Client(id="gateway-clients", client_roles={"realm-management": ("manage-clients",)})
OTHERS = Client(id="others-app", audience=())


class Realm:
    """A provider, in front of which the test may put refusals: `ill` statuses are given first."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.ill: list[int] = []
        self.lost: list[int] = []  # the same, but the request is done
        self.asked: list[str] = []
        self._app = provider_app(provider)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/admin/"):
            self.asked.append(scope["method"])
            if self.ill:
                await Response(status_code=self.ill.pop(0))(scope, receive, send)
                return
            if self.lost:
                await self._app(scope, receive, nobody)
                await Response(status_code=self.lost.pop(0))(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def nobody(_: Any) -> None:
    """Who hears nothing."""


@asynccontextmanager
async def realm(account: Client = ACCOUNT) -> AsyncIterator[tuple[Realm, Clients, Oidc]]:
    sock = listener()
    issuer = f"http://127.0.0.1:{port_of(sock)}/realms/demo"
    realm = Realm(Provider(issuer, (account, OTHERS)))
    oidc = Oidc(name="keycloak", issuer=issuer, audience=("gateway",))
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    clients = Clients(oidc, ClientCredentials(client_id=account.id, client_secret=account.secret), sleep=sleep)
    async with serving(realm, sock):
        try:
            yield realm, clients, oidc
        finally:
            await clients.aclose()


def plans(*names: str, **more: Any) -> Config:
    applications = {name: Application(name=name, plans=(), client_ids=(f"{name}-app",), **more) for name in names}
    return Config(applications=applications)


async def synced(clients: Clients, config: Config, **options: bool) -> list[Done]:
    actions = compare(wanted(config, 0.0), await clients.all(), "gateway", **options)
    return [done async for done in sync(clients, actions, "gateway")]


def told(done: list[Done]) -> list[tuple[str, str, str | None]]:
    return [(one.action.what.value, one.action.client_id, one.failure) for one in done]


async def test_a_client_is_made_and_its_token_is_for_the_gateway() -> None:
    async with realm() as (keycloak, clients, _):
        (done,) = await synced(clients, plans("mobile"))
        assert told([done]) == [("create", "mobile-app", None)]
        made = keycloak.provider.client("mobile-app")
        assert (done.secret, made.audience) == (made.secret, ("gateway",))
        assert await synced(clients, plans("mobile")) == []


async def test_a_client_follows_its_application() -> None:
    async with realm() as (keycloak, clients, _):
        await synced(clients, plans("mobile"))
        suspended = plans("mobile", state=State.SUSPENDED)
        assert told(await synced(clients, suspended)) == [("disable", "mobile-app", None)]
        assert keycloak.provider.client("mobile-app").enabled is False
        assert await synced(clients, suspended) == []
        assert told(await synced(clients, plans("mobile"))) == [("enable", "mobile-app", None)]
        assert keycloak.provider.client("mobile-app").enabled is True
        assert told(await synced(clients, plans())) == [("disable", "mobile-app", None)]
        assert told(await synced(clients, plans(), prune=True)) == [("delete", "mobile-app", None)]
        assert {client.id for client in keycloak.provider.clients()} == {ACCOUNT.id, OTHERS.id}


async def test_what_others_made_is_changed_only_when_it_is_adopted() -> None:
    async with realm() as (keycloak, clients, _):
        suspended = plans("others", state=State.SUSPENDED)
        assert await synced(clients, suspended) == []
        assert await synced(clients, plans(), prune=True) == []
        adopted = await synced(clients, suspended, adopt=True)
        assert told(adopted) == [(what, "others-app", None) for what in ("adopt", "disable", "audience")]
        others = keycloak.provider.client("others-app")
        assert (others.enabled, others.audience) == (False, ("gateway",))
        assert await synced(clients, suspended, adopt=True) == []


async def test_all_pages_are_read() -> None:
    async with realm() as (keycloak, clients, _):
        for number in range(250):
            keycloak.provider.add(replace(OTHERS, id=f"app-{number}"))
        assert len(await clients.all()) == 252


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_provider_that_stumbles_is_asked_again(status: int) -> None:
    async with realm() as (keycloak, clients, _):
        keycloak.ill = [status, status]
        assert told(await synced(clients, plans("mobile"))) == [("create", "mobile-app", None)]


async def test_what_was_done_and_not_told_is_not_done_twice() -> None:
    async with realm() as (keycloak, clients, _):
        found = await clients.all()
        keycloak.lost = [502]
        actions = compare(wanted(plans("mobile"), 0.0), found, "gateway")
        (done,) = [done async for done in sync(clients, actions, "gateway")]
        assert (done.failure, done.secret) == (None, keycloak.provider.client("mobile-app").secret)
        assert keycloak.asked.count("POST") == 2
        assert [client.id for client in keycloak.provider.clients()].count("mobile-app") == 1


async def test_one_that_fails_holds_up_no_other() -> None:
    async with realm() as (keycloak, clients, _):
        actions = compare(wanted(plans("a", "b"), 0.0), await clients.all(), "gateway")
        keycloak.ill = [400]
        first, second = [done async for done in sync(clients, actions, "gateway")]
        assert first.failure is not None and "status 400" in first.failure
        assert second.failure is None


async def test_a_provider_that_stays_away() -> None:
    async with realm() as (keycloak, clients, _):
        keycloak.ill = [503] * (len(PAUSES) + 1)
        with pytest.raises(Away, match="status 503"):
            await clients.all()


async def test_an_account_without_the_role() -> None:
    async with realm(Client(id="weak")) as (_, clients, _):
        with pytest.raises(Refused, match="give the service account the role manage-clients of realm-management"):
            await clients.all()


async def test_an_account_with_a_wrong_secret() -> None:
    async with realm() as (_, _, oidc):
        clients = Clients(oidc, ClientCredentials(client_id=ACCOUNT.id, client_secret="wrong"))
        with pytest.raises(Refused, match="gets no token: invalid_client"):
            await clients.all()
        await clients.aclose()


def test_where_a_realms_clients_are() -> None:
    oidc = Oidc(name="x", issuer="https://sso.example/auth/realms/demo", audience=("gateway",))
    assert admin_url(oidc) == "https://sso.example/auth/admin/realms/demo/clients"
    assert (
        admin_url(replace(oidc, internal_url="http://kc:8080/realms/demo/"))
        == "http://kc:8080/admin/realms/demo/clients"
    )
    with pytest.raises(ValueError, match="is no realm of Keycloak"):
        admin_url(replace(oidc, issuer="https://sso.example"))


async def command(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "clients", *arguments),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_by_the_command(tmp_path: Path) -> None:
    async with realm() as (keycloak, _, oidc):
        (tmp_path / "secret").write_text(ACCOUNT.secret)
        (tmp_path / "plans").mkdir()
        (tmp_path / "plans" / "all.yaml").write_text(
            f"""
identity:
  keycloak:
    oidc:
      issuer: "{oidc.issuer}"
      audience: gateway
      clients: {{client_id: {ACCOUNT.id}, client_secret: "file:../secret"}}
services:
  x: {{upstream: {{targets: ["http://127.0.0.1:1"]}}, accept: [{{jwt: keycloak}}], rules: [GET /: hits]}}
plans: {{gold: {{services: [x]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
  others: {{plans: [gold], client_ids: [others-app], state: suspended}}
"""
        )
        code, out, _ = await command(tmp_path, "diff", "plans", "-o", "json")
        assert code == 2
        assert [(row["client"], row["what"]) for row in json.loads(out)] == [
            ("mobile-app", "create"),
            ("others-app", "left"),
        ]
        code, out, err = await command(tmp_path, "sync", "plans", "--secrets", "-o", "json")
        assert (code, err.splitlines()[-1]) == (0, "1 change")
        secret = keycloak.provider.client("mobile-app").secret
        assert [(row["client"], row["result"], row["secret"]) for row in json.loads(out)] == [
            ("mobile-app", "ok", secret)
        ]
        code, out, err = await command(tmp_path, "sync", "plans")
        assert (code, out) == (0, "")
        assert "as nobody knows who is suspended, no client is enabled" in err
        code, out, _ = await command(tmp_path, "diff", "plans")
        assert code == 2
        assert "others made it, so only --adopt changes it" in out
