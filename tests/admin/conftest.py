"""The admin listener on a free port, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest

from gateway.admin.app import admin_app
from gateway.admin.serve import serve_admin
from gateway.process.reload import Outcome, Reloaded
from gateway.process.usage import UsageDesk

NOTHING = Reloaded(Outcome.UNCHANGED, "nothing has changed")


@dataclass
class Gateway:
    """What the admin pages ask the gateway, and where they are served."""

    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exposition: bytes = b"gateway_connections 1.0\n"
    accepted: list[str] = field(default_factory=list)
    reloaded: Reloaded = NOTHING
    reloads: int = 0
    usage: UsageDesk = field(default_factory=UsageDesk)
    hang: bool = False
    broken: bool = False
    sock: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.port: int = self.sock.getsockname()[1]

    async def ready(self) -> list[str]:
        await self._answer()
        return self.missing

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        self.accepted.append(accept)
        await self._answer()
        return self.exposition, "text/plain; version=0.0.4; charset=utf-8"

    async def reload(self) -> Reloaded:
        self.reloads += 1
        return self.reloaded

    async def _answer(self) -> None:
        if self.broken:
            raise RuntimeError("redis://gw:hunter2@store")
        if self.hang:
            await asyncio.Event().wait()

    async def stop(self) -> float:
        """Stop serving; the seconds that it took."""
        assert self.task is not None
        began = asyncio.get_running_loop().time()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        return asyncio.get_running_loop().time() - began


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    gateway.task = asyncio.create_task(
        serve_admin(
            admin_app(gateway.ready, gateway.metrics, gateway.reload, gateway.usage, warnings=lambda: gateway.warnings),
            gateway.sock,
        )
    )
    yield gateway
    await gateway.stop()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False, verify=False) as client:
        yield client
