"""uvicorn inside our own loop, on a socket that we own, stopped by us and within a second."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0  # for a whole request's head
IDLE_SECONDS = 75  # longer than Prometheus' usual interval, so that its connection lasts
GRACE = 0.5  # seconds for answers in flight at a stop


class AdminProtocol(HttpToolsProtocol):
    """uvicorn's, with a clock on the head: a client that never finishes one must not hold a descriptor."""

    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock."""
        super().connection_made(transport)
        self._wind()

    def data_received(self, data: bytes) -> None:
        """Starts the clock for a further request."""
        if self._clock is None and (self.cycle is None or self.cycle.response_complete):
            self._wind()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Stops the clock."""
        self._unwind()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._unwind()
        super().connection_lost(exc)

    def _wind(self) -> None:
        self._clock = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _unwind(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


class AdminServer(uvicorn.Server):
    """uvicorn's, which leaves signals to us and cuts what does not end by itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing: signals are the supervisor's."""
        yield

    def cut(self) -> None:
        """Close all connections at once, whatever is unsent, and end the pages that are still being made."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()


def server_of(app: ASGIApp, **changes: Any) -> AdminServer:
    """A server that says nothing of itself and logs nothing but warnings."""
    settings: dict[str, Any] = {
        "http": AdminProtocol,
        "ws": "none",
        "loop": "none",
        "lifespan": "off",
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": IDLE_SECONDS,
    }
    return AdminServer(uvicorn.Config(app, **settings))


async def serve_admin(app: ASGIApp, sock: socket.socket) -> None:
    """Serve `app` on a listening socket until cancelled; then closes it, and is gone within a second."""
    server = server_of(app)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        asyncio.get_running_loop().call_later(GRACE, server.cut)
        await serving
