"""The demonstration: commands to paste, what they really answer, a client over its limit, and the alert of it."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from rich.console import Console
from rich.text import Text

from gateway.devkit.provider import MOBILE, SHOP
from gateway.devkit.receiver import Receiver

EXTRACT = r"""sed 's/.*"access_token":"\([^"]*\)".*/\1/'"""
TOLD = ("content-type", "location", "www-authenticate", "retry-after", "ratelimit-policy", "ratelimit")
MOST = 150  # requests that the demonstration spends on reaching a limit
ROOM = 2.0  # seconds of the current minute that it wants for that
PATIENCE = 10.0  # seconds that an alert may take
BINS = {80, 100}  # percentages that must be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where everything is. `secrets` are the clients', `key` is an API key of an application."""

    gateway: str
    admin: str
    issuer: str
    orders: str
    stock: str
    web: str
    partner: str | None
    alerts: str
    secrets: Mapping[str, str]
    key: str
    receiver: Receiver
    log: Path


class Shown(NamedTuple):
    """A credential: the header field, and the same as the shell is told it."""

    name: str
    value: str
    curl: str


class Unexpected(Exception):
    """The demonstration did not go as it should."""


class Demo:
    """One run of it. Commands and answers go to `out`, progress to `progress`."""

    def __init__(self, stage: Stage, http: httpx2.AsyncClient, out: Console, progress: Console) -> None:
        self._stage = stage
        self._http = http
        self._out = out
        self._progress = progress

    async def run(self) -> None:
        """All scenes; raises Unexpected where an answer is not the promised one."""
        await self.by_token()
        await self.by_key()
        await self.anonymous()
        await self.by_browser()
        await self.around_the_gateway()
        shop = await self.outside_the_plan()
        await self.over_the_limit(shop)
        await self.alerted()

    async def by_token(self) -> None:
        self._title("A client with a token: checked, counted, forwarded over mutual TLS")
        mobile = await self._token(MOBILE, "TOKEN")
        await self._get("/orders", mobile, expect=200)

    async def by_key(self) -> None:
        self._title("A client with an API key")
        key = self._stage.key
        await self._get("/stock/tea", Shown("X-Api-Key", key, f'-H "X-Api-Key: {key}"'), expect=200)

    async def anonymous(self) -> None:
        self._title("Without credentials")
        await self._get("/orders", None, expect=401)

    async def by_browser(self) -> None:
        """Only as far as a browser is not needed."""
        self._title("A person with a browser is sent to sign in")
        url = f"{self._stage.gateway}/web"
        self._command(f"curl -i -H 'Accept: text/html' {url}")
        self._show(await self._http.get(url, headers={"accept": "text/html"}), expect=302)
        self._answer(f"Open {url} in a browser, and be Alice or Bob.")

    async def around_the_gateway(self) -> None:
        """Without the gateway's certificate, the service ends the connection."""
        self._title("Around the gateway")
        self._command(f"curl -sS --insecure {self._stage.orders}/orders")
        try:
            await self._http.get(f"{self._stage.orders}/orders")
        except (httpx2.ReadError, httpx2.RemoteProtocolError):
            self._answer("no answer: the service ends a connection without the gateway's certificate")
        else:
            raise Unexpected("the service answered a client without certificate")

    async def outside_the_plan(self) -> Shown:
        """Returns the client's token, which another scene uses on."""
        self._title("A client whose plan does not have the service")
        shop = await self._token(SHOP, "SHOP_TOKEN")
        await self._get("/stock/tea", shop, expect=403)
        return shop

    async def over_the_limit(self, shop: Shown) -> None:
        """Goes on until the limit refuses: in a new minute there is simply more to spend."""
        self._title("The same client goes over its limit")
        await self._room_in_this_minute()
        self._command(self._curl("/orders", shop))
        granted = 0
        while (answer := await self._send("/orders", shop)).status_code == 200 and granted < MOST:
            granted += 1
        self._answer(f"{granted} × 200, then:")
        self._show(answer, expect=429)

    async def alerted(self) -> None:
        self._title("Who wants to know is told, by signed webhooks")
        for message in await self._alerts():
            data = message["data"]
            self._answer(f"{data['application']} under plan {data['plan']}: {data['text']}")
        self._command(f"curl -s {self._stage.alerts}")
        self._answer((await self._http.get(self._stage.alerts)).text)

    async def _alerts(self) -> list[Any]:
        receiver = self._stage.receiver
        try:
            async with asyncio.timeout(PATIENCE):
                return await receiver.wait_for(lambda messages: thresholds(messages) >= BINS)
        except TimeoutError:
            raise Unexpected(f"the alerts at {BINS} % are due, {thresholds(receiver.messages)} came") from None

    async def _token(self, client: str, variable: str) -> Shown:
        """A token, fetched as the printed command does; the shell has it in `variable`."""
        url = f"{self._stage.issuer}/protocol/openid-connect/token"
        secret = self._stage.secrets[client]
        fetch = f"curl -s -u {client}:{secret} -d grant_type=client_credentials {url}"
        self._command(f"{variable}=$({fetch} | {EXTRACT})")
        answer = await self._http.post(url, data={"grant_type": "client_credentials"}, auth=(client, secret))
        token = answer.raise_for_status().json()["access_token"]
        return Shown("Authorization", f"Bearer {token}", f'-H "Authorization: Bearer ${variable}"')

    async def _get(self, path: str, shown: Shown | None, *, expect: int) -> None:
        self._command(self._curl(path, shown))
        self._show(await self._send(path, shown), expect=expect)

    async def _send(self, path: str, shown: Shown | None) -> httpx2.Response:
        headers = {} if shown is None else {shown.name: shown.value}
        return await self._http.get(self._stage.gateway + path, headers=headers)

    def _curl(self, path: str, shown: Shown | None) -> str:
        return f"curl -i {'' if shown is None else shown.curl + ' '}{self._stage.gateway}{path}"

    async def _room_in_this_minute(self) -> None:
        """Only for tidiness: a limit per minute is then reached without a new minute in between."""
        left = 60 - time.time() % 60
        if left < ROOM:
            with self._progress.status("waiting for the next minute"):
                await asyncio.sleep(left)

    def _show(self, answer: httpx2.Response, *, expect: int) -> None:
        style = "green" if answer.status_code < 400 else "yellow"
        self._answer(f"{answer.http_version} {answer.status_code} {answer.reason_phrase}", style)
        for name in TOLD:
            if name in answer.headers:
                self._answer(f"{name}: {answer.headers[name]}")
        self._answer(answer.text)
        if answer.status_code != expect:
            raise Unexpected(f"{answer.request.url} answered {answer.status_code} in place of {expect}")

    def _title(self, text: str) -> None:
        self._out.print(Text(f"\n{text}", "bold"), soft_wrap=True)

    def _command(self, text: str) -> None:
        self._out.print(Text(f"\n{text}", "cyan"), soft_wrap=True)

    def _answer(self, text: str, style: str = "") -> None:
        for line in text.splitlines():
            self._out.print(Text(f"    {line}", style), soft_wrap=True)


def thresholds(messages: list[Any]) -> set[int]:
    """The percentages that alerts told."""
    return {message["data"]["threshold"] for message in messages}


def introduce(out: Console, stage: Stage, seconds: float) -> None:
    """What runs where."""
    for name, where in (
        ("gateway", stage.gateway),
        ("admin", f"{stage.admin}  (/healthz /readyz /metrics)"),
        ("provider", stage.issuer),
        ("orders", f"{stage.orders}  (mutual TLS)"),
        ("stock", f"{stage.stock}  (mutual TLS)"),
        ("web", f"{stage.web}  (mutual TLS)"),
        ("partner", stage.partner and f"{stage.partner}  (by SAML: see docs/saml.md)"),
        ("alerts", stage.alerts),
    ):
        if where is None:
            continue
        out.print(Text.assemble((f"{name:10}", "bold"), where), soft_wrap=True)
    out.print(f"ready in {seconds:.1f} s")


def invite(out: Console, stage: Stage) -> None:
    """What to try next."""
    out.print(Text("\nEverything stays up; the commands above can be pasted into another terminal.", "bold"))
    out.print(Text(f"Browser:   {stage.gateway}/web  (sign in as Alice or Bob)"), soft_wrap=True)
    out.print(Text(f"Metrics:   curl -s {stage.admin}/metrics"), soft_wrap=True)
    out.print(Text(f"The log:   tail -f {shlex.quote(str(stage.log))}"), soft_wrap=True)
    out.print("Tokens last 5 minutes; fetch a new one in the same way.")
    out.print("Ctrl-C stops everything.")
