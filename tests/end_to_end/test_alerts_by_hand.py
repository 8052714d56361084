"""People and alerts: given up, seen, sent again, silenced, acknowledged, tried; and no secret is told on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiosmtpd.smtp import SMTP
from rigs.gateway import Gateway
from rigs.load import lasting, rush
from rigs.stage import ORDERS, Stage
from rigs.waiting import until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.devkit.receiver import make_secret
from gateway.devkit.servers import listener, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

CANARY = "canary-5d1f0c77"


class Mailbox:
    """Takes all mail."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 taken"


class Hook:
    """A receiver whose path is a secret; it wants no more (410) while `shut`."""

    def __init__(self) -> None:
        self.shut = False
        self.got: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/" + CANARY, self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        if self.shut:
            return Response(status_code=410)
        self.got.append(await request.json())
        return Response(status_code=204)


@asynccontextmanager
async def mail_server(mailbox: Mailbox) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: SMTP(mailbox, hostname="mail", loop=loop), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def plans(mail: int) -> str:
    return f"""
alerts:
  channels:
    ops: {{webhook: "${{HOOK}}", secret: "${{SECRET}}"}}
    customers:
      email: {{server: "127.0.0.1:{mail}", sender: gateway@example.com, contacts: true, tls: none}}
      batch: 100ms
    mail:
      email:
        server: 127.0.0.1:{mail}
        sender: gateway@example.com
        to: ops@example.com
        username: gw
        password: "${{PASSWORD}}"
    oncall: {{alertmanager: "http://127.0.0.1:1", token: "${{PASSWORD}}"}}
    chat: {{notify: "json://127.0.0.1:1/{CANARY}"}}
plans:
  gold:
    services: [orders]
    limits: {{hits: [{lasting(10)}]}}
    alerts: {{at: [50, 80, 100], to: [ops, customers]}}
accounts:
  acme: {{contact: {{email: api@acme.example}}}}
applications:
  mobile: {{account: acme, plans: [gold], client_ids: [mobile-app]}}
"""


async def alerts(gateway: Gateway, *words: str, code: int = 0) -> Any:
    """What `gateway alerts VERB plans` prints as JSON."""
    verb, *rest = words
    done = await gateway.command("alerts", verb, str(gateway.plans), *rest, "-o", "json")
    assert done.returncode == code, done.stderr
    assert CANARY not in done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


async def states(gateway: Gateway) -> dict[int, str]:
    return {alert["threshold"]: alert["state"] for alert in await alerts(gateway, "ls")}


@pytest.mark.parametrize("store", ["memory", "embedded"])
async def test_what_was_given_up_is_seen_and_sent_again(stage: Stage, tmp_path: Path, store: str) -> None:
    hook, mailbox = Hook(), Mailbox()
    async with serving(hook.app, listener()) as url, mail_server(mailbox) as port:
        surroundings = {"HOOK": f"{url}/{CANARY}", "SECRET": make_secret(), "PASSWORD": CANARY, "STORE": store}
        async with stage.gateway(tmp_path, ORDERS, plans(port), **surroundings) as gateway:
            hook.shut = True
            assert await rush([gateway], stage.token(), 5, connections=1) == {200: 5}
            await until(lambda: mailbox.mails)
            assert mailbox.mails[0][0] == ["api@acme.example"]
            assert "5/10 (50 %)" in mailbox.mails[0][1]

            async def dead() -> bool:
                return await gateway.metric("gateway_alerts_dead") == 1

            await until(dead)
            [alert] = await alerts(gateway, "ls", "--state", "failed")
            assert alert["channels"]["ops"]["reason"] == "answered 410"
            assert alert["channels"]["customers/acme"]["state"] == "delivered"
            hook.shut = False
            await alerts(gateway, "retry", "--all")
            await until(lambda: hook.got)
            assert hook.got[0]["data"]["id"] == alert["id"]
            assert len(mailbox.mails) == 1
            assert await gateway.metric('gateway_alert_attempts_total{channel="ops",result="failed"}') == 1

            [silence] = await alerts(gateway, "silence", "--for", "1h", "-a", "mobile", "--comment", "load test")
            assert await rush([gateway], stage.token(), 3, connections=1) == {200: 3}

            async def silenced() -> bool:
                return (await states(gateway)).get(80) == "silenced"

            await until(silenced)
            assert [told["id"] for told in await alerts(gateway, "silence")] == [silence["id"]]
            await gateway.command("alerts", "silence", str(gateway.plans), "--end", silence["id"])
            assert await alerts(gateway, "silence") == []

            hook.shut = True
            assert await rush([gateway], stage.token(), 2, connections=1) == {200: 2}

            async def failed() -> bool:
                return (await states(gateway)).get(100) == "failed"

            await until(failed)
            [last] = await alerts(gateway, "ls", "--state", "failed")
            assert (await alerts(gateway, "ack", last["id"], "--by", "alice"))["by"] == "alice"
            assert await states(gateway) == {50: "delivered", 80: "silenced", 100: "acknowledged"}

            hook.shut = False
            assert (await alerts(gateway, "test", "ops"))["delivered"]
            assert hook.got[-1]["type"] == "usage.test"
            assert (await alerts(gateway, "test", "customers/acme"))["delivered"]
            for channel in ("mail", "oncall", "chat"):
                assert not (await alerts(gateway, "test", channel, code=1))["delivered"]
            assert "name one, as customers/ACCOUNT" in await alerts(gateway, "test", "customers", code=1)
            for text in (gateway.told(), gateway.errors(), await gateway.metrics()):
                assert CANARY not in text
                assert surroundings["SECRET"] not in text


async def test_a_page_in_a_browser_may_do_nothing_with_alerts(stage: Stage, tmp_path: Path) -> None:
    surroundings = {"HOOK": "http://127.0.0.1:1/x", "SECRET": make_secret(), "PASSWORD": CANARY}
    async with (
        stage.gateway(tmp_path, ORDERS, plans(1), **surroundings) as gateway,
        httpx2.AsyncClient(trust_env=False) as client,
    ):
        led = {"Origin": "https://evil.example"}
        pages = (("GET", "/alerts"), ("POST", "/alerts/retry"), ("POST", "/silences"), ("POST", "/channels/ops/test"))
        for method, path in pages:
            answer = await client.request(method, f"http://{gateway.admin}{path}", headers=led)
            assert answer.status_code == 403
