"""What comes before HTTP towards a service: the TLS handshake."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from gateway.proxy.secure import SecureTransport
from gateway.proxy.upstream import UpstreamConnection
from gateway.proxy.wire import Wire, protocol


class Opening(asyncio.Protocol):
    """A connection until an `UpstreamConnection` takes its place, which `ready` tells."""

    def __init__(self, context: ssl.SSLContext, server: str, make: Callable[[], UpstreamConnection]) -> None:
        """`server`: the name that the service must prove to have."""
        self.ready: asyncio.Future[UpstreamConnection] = asyncio.get_running_loop().create_future()
        self._context = context
        self._server = server
        self._make = make
        self._raw: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = raw = cast("asyncio.Transport", transport)  # uvloop's are of no asyncio class
        secure = SecureTransport(raw, self._context, self, self._server)
        raw.set_protocol(protocol(secure))
        secure.begin()

    def secured(self, transport: SecureTransport) -> Wire:
        """The handshake is done; a client's certificate that the service does not take is refused after it."""
        connection = self._make()
        connection.connection_made(cast("asyncio.Transport", transport))
        if not self.ready.done():
            self.ready.set_result(connection)
        return connection

    def failed(self, error: ssl.SSLError) -> None:
        """The service has been sent an alert: the connection is closed behind it."""
        self._fail(error)
        if self._raw is not None:
            self._raw.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("closed in the TLS handshake"))

    def _fail(self, error: Exception) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)
