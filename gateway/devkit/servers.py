"""Starlette apps on this process's loop, each on its own socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

HOST = "127.0.0.1"


class CannotListen(Exception):
    """An address cannot be had: it is in use, not this machine's, or no address at all."""


def listener(port: int = 0, host: str = HOST) -> socket.socket:
    """A listening socket; 0: any free port. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio asks the protocol for TCP_NODELAY
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen()  # at once: until then, SO_REUSEADDR lets others bind the same port
    except OSError as error:
        sock.close()
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return sock


def listener_near(port: int) -> socket.socket:
    """A socket listening on `port`, or on a free one if that is taken."""
    try:
        return listener(port)
    except CannotListen:
        return listener()


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, sock: socket.socket, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve `app` on `sock` inside the block; gives its base URL."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    task.add_done_callback(lambda _: server.ready.set())
    try:
        await server.ready.wait()
        if task.done():  # it never came up: say why
            task.result()
        yield f"{'https' if tls else 'http'}://{HOST}:{port_of(sock)}"
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """Tells when it is ready, and leaves signals to the program."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
