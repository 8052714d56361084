"""`gateway dev`: everything on this machine, a demonstration, then up until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.text import Text
from starlette.types import ASGIApp

from gateway.devkit.certificates import Pair, ensure_certificates, server_context
from gateway.devkit.demo import Demo, Stage, Unexpected, introduce, invite
from gateway.devkit.people import People, WebClient, demo_people
from gateway.devkit.process import GatewayFailed, gateway_running, tail
from gateway.devkit.provider import REALM, WEB, Client, Provider, demo_clients
from gateway.devkit.provider_app import provider_app
from gateway.devkit.receiver import PATH as ALERTS_PATH
from gateway.devkit.receiver import Receiver, make_secret
from gateway.devkit.servers import HOST, CannotListen, listener, listener_near, port_of, serving
from gateway.devkit.services import orders_app, stock_app
from gateway.devkit.web import web_app
from gateway.identity import api_keys

LISTEN_PORT, ADMIN_PORT, PROVIDER_PORT, ALERTS_PORT = 8080, 8081, 8180, 9080
ORDERS_PORT, STOCK_PORT, WEB_PORT = 9443, 9444, 9445
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_dev(plans: Path, *, once: bool = False, listen: str | None = None) -> int:
    """Start everything, show the demonstration, stay up until Ctrl-C unless `once`; returns the exit code.

    `listen` (HOST:PORT) is the gateway's address, by default 127.0.0.1:8080 or a free port. Each run starts with
    certificates, secrets and usage of its own, in a temporary folder.
    """
    progress = Console(stderr=True, highlight=False)
    try:
        return asyncio.run(_until_signalled(_develop(plans, once, listen, progress)))
    except (CannotListen, GatewayFailed) as error:
        complain(progress, str(error))
        return 1


def complain(progress: Console, text: str) -> None:
    progress.print(Text(f"gateway dev: {text}", "red"), soft_wrap=True)


async def _until_signalled(work: Coroutine[Any, Any, int]) -> int:
    """Run `work`; a signal to stop ends it in good order, with exit code 0."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def stop() -> None:
        for name in STOPPING:  # stopping is bounded in time: a second Ctrl-C must not leave processes behind
            loop.add_signal_handler(name, lambda: None)
        task.cancel()

    for name in STOPPING:
        loop.add_signal_handler(name, stop)
    try:
        return await task
    except asyncio.CancelledError:
        return 0


async def _develop(plans: Path, once: bool, listen: str | None, progress: Console) -> int:
    began = time.monotonic() - time.process_time()  # what was imported counts
    out = Console(highlight=False)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-dev-")))
        with progress.status("starting provider, services, receiver and gateway"):
            stage, process = await _start(stack, plans, folder, listen)
        introduce(out, stage, time.monotonic() - began)
        shown = await _demonstrate(stage, out, progress)
        if once:
            return 0 if shown else 1
        invite(out, stage)
        code = await process.wait()
        raise GatewayFailed(f"the gateway ended with exit code {code}; it says:\n{tail(stage.log)}")


async def _demonstrate(stage: Stage, out: Console, progress: Console) -> bool:
    """Whether every scene went as it should; other plans than the example ones may well answer otherwise."""
    # one of the scenes asks a service for itself, as `curl --insecure` does
    async with httpx2.AsyncClient(verify=False, trust_env=False) as http:
        try:
            await Demo(stage, http, out, progress).run()
        except (Unexpected, httpx2.HTTPError) as error:
            complain(progress, str(error) or type(error).__name__)
            return False
    return True


async def _start(
    stack: contextlib.AsyncExitStack, plans: Path, folder: Path, listen: str | None
) -> tuple[Stage, Process]:
    """Everything, ready; `stack` stops it, the gateway first."""
    certificates = ensure_certificates(folder / "certs")
    receiver = Receiver(secret := make_secret())
    clients, key = demo_clients(), api_keys.create()
    listen, admin = _addresses(listen)
    partner = folder / "partner"
    stage = Stage(
        gateway=f"http://{_reachable(listen)}",
        admin=f"http://{admin}",
        issuer=await _start_provider(stack, clients, f"http://{_reachable(listen)}"),
        orders=await _start_service(stack, orders_app(), "orders", ORDERS_PORT, certificates),
        stock=await _start_service(stack, stock_app(), "stock", STOCK_PORT, certificates),
        web=await _start_service(stack, web_app(), "web", WEB_PORT, certificates),
        partner=await _start_partner(stack, partner, f"http://{_reachable(listen)}"),
        alerts=await stack.enter_async_context(serving(receiver.app, listener_near(ALERTS_PORT))) + ALERTS_PATH,
        secrets={client.id: client.secret for client in clients},
        key=key.key,
        receiver=receiver,
        log=folder / "gateway.log",
    )
    environment = {"LISTEN": listen, "ADMIN": admin, "DATA": str(folder / "data"), "CERTS": str(certificates)}
    environment |= {"ISSUER": stage.issuer, "ORDERS_URL": stage.orders, "STOCK_URL": stage.stock}
    environment |= {"WEB_URL": stage.web, "WEB_SECRET": stage.secrets[WEB]}
    environment |= {"PARTNER": str(partner)}
    environment |= {"ALERTS_URL": stage.alerts, "ALERTS_SECRET": secret, "SCANNER_KEY": key.digest}
    return stage, await stack.enter_async_context(gateway_running(plans, environment, stage.admin, stage.log))


async def _start_provider(stack: contextlib.AsyncExitStack, clients: tuple[Client, ...], gateway: str) -> str:
    """Returns the issuer. People sign in to what is at `gateway`, and at its other names on this machine."""
    sock = listener_near(PROVIDER_PORT)
    issuer = f"http://{HOST}:{port_of(sock)}/realms/{REALM}"
    provider = Provider(issuer, clients)
    urls = (f"{gateway}/", f"{gateway.replace(HOST, 'localhost')}/")
    web = WebClient(urls=urls, back_channel=f"{gateway}/.sso/keycloak/back-channel")
    people = People(provider, [web], demo_people())
    await stack.enter_async_context(serving(provider_app(provider, people), sock))
    return issuer


async def _start_partner(stack: contextlib.AsyncExitStack, folder: Path, gateway: str) -> str | None:
    """Returns where a provider by SAML is, or None where its libraries are not installed."""
    if find_spec("signxml") is None:
        return None
    from gateway.devkit.partner import start_partner

    return (await start_partner(stack, folder, gateway)).entity_id


async def _start_service(
    stack: contextlib.AsyncExitStack, app: ASGIApp, name: str, port: int, certificates: Path
) -> str:
    """Returns the base URL."""
    tls = server_context(Pair.at(certificates, name), certificates / "ca.pem")
    return await stack.enter_async_context(serving(app, listener_near(port), tls))


def _addresses(listen: str | None) -> tuple[str, str]:
    """HOST:PORT of the gateway and of its admin listener, both free now; the gateway binds them itself.

    Raises CannotListen for an address that was asked for and cannot be had.
    """
    with _gateway_socket(listen) as sock, listener_near(ADMIN_PORT) as admin:
        host = HOST if listen is None else listen.rpartition(":")[0]
        return f"{host}:{port_of(sock)}", f"{HOST}:{port_of(admin)}"


def _gateway_socket(listen: str | None) -> socket.socket:
    if listen is None:
        return listener_near(LISTEN_PORT)
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise CannotListen(f"{listen!r} is not HOST:PORT, as 127.0.0.1:8080")
    return listener(int(port), host.strip("[]"))


def _reachable(address: str) -> str:
    """Where a client finds what listens on `address`: any address of this machine is the loopback one too."""
    host, _, port = address.rpartition(":")
    loopback = {"0.0.0.0": HOST, "[::]": "[::1]"}  # noqa: S104 - compared, not bound
    return f"{loopback.get(host, host)}:{port}"
