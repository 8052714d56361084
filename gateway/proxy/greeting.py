"""What comes before HTTP on some listeners: a proxy's word of whose connection it is, and the TLS handshake.

All of it has the time of one request's head. Who is refused here is cut without an answer.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import TYPE_CHECKING, cast

from gateway.errors import BadRequest
from gateway.http.peer import client_of
from gateway.http.proxy_protocol import ProxyProtocolError, read_header
from gateway.proxy.arrival import address_of
from gateway.proxy.client import FAREWELL, ClientConnection
from gateway.proxy.secure import SecureTransport, reason_of
from gateway.proxy.wire import Wire, protocol

if TYPE_CHECKING:
    from gateway.proxy.server import Server
    from gateway.proxy.terms import Terms

log = logging.getLogger("gateway.client")

HANDSHAKE = b"\x16"  # the type of a TLS record that begins one; no method of HTTP starts so


class Greeting(asyncio.Protocol):
    """A connection until a `ClientConnection` takes its place."""

    __slots__ = ("_born", "_client", "_data", "_peer", "_server", "_terms", "_unclaimed", "transport")

    busy = False  # no request is here

    def __init__(self, server: Server, terms: Terms) -> None:
        self.transport: asyncio.Transport | None = None
        self._server = server
        self._terms = terms
        self._unclaimed = terms.proxy_protocol  # the proxy has yet to say whose connection it is
        self._born = time.monotonic()
        self._peer = ""
        self._client = ""  # as whose connection it counts; turned away: nobody's
        self._data = b""

    def __repr__(self) -> str:
        return f"<Greeting {self._peer}>"

    # --- life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no asyncio class
        self._server.connections.add(self)
        self._peer = address_of(self.transport)
        self._enter()
        if self._unclaimed and not self._server.trusts(self._peer):
            self._refuse("proxy_protocol", "it is not one of trusted_proxies")

    def _enter(self) -> None:
        client = client_of(self._peer)
        if self._server.enter(client, self._peer) is None:
            self._client = client
        else:
            self._server.crowd.count("unanswered")
            self._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:
            self._server.connections.discard(self)
            self._server.crowd.leave(self._client)
            self.transport = None

    def sweep(self, now: float) -> None:
        """Ends what takes too long; `now` is monotonic."""
        if now - self._born > self._server.timeouts.head:
            self._refuse("proxy_protocol" if self._unclaimed else "handshake", "it took too long")

    def drain(self) -> None:
        """The server stops: a handshake that is nearly done is waited for, as a request may follow."""
        if time.monotonic() - self._born > FAREWELL:
            self._abort()

    def _refuse(self, reason: str, why: str) -> None:
        """Counted; told in the log only where somebody looks for it, as anybody can cause it."""
        if self.transport is not None and not self.transport.is_closing():
            self._server.crowd.count(reason)
            log.debug("%s: %s refused: %s", self._peer, reason, why)
        self._abort()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # --- whose connection it is

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self._data += data
        try:
            if self._unclaimed:
                self._read_claim()
        except ProxyProtocolError as error:
            self._refuse("proxy_protocol", str(error))
        if not self._unclaimed and not self.transport.is_closing():
            self._open()

    def _read_claim(self) -> None:
        header = read_header(self._data)
        if header is None:
            return
        self._unclaimed = False
        self._data = self._data[header.size :]
        if header.address is not None:
            self._server.crowd.leave(self._client)
            self._client, self._peer = "", header.address
            self._enter()

    # --- what it speaks

    def _open(self) -> None:
        assert self.transport is not None
        context, data = self._terms.context, self._data
        if context is None:
            connection = self._serve_plainly()
            if data:
                connection.data_received(data)
        elif data[:1] == HANDSHAKE:
            secure = SecureTransport(self.transport, context, self)
            self.transport.set_protocol(protocol(secure))
            secure.data_received(data)
        elif data[:1].isalpha():
            self._serve_plainly().fault(BadRequest("this port is for https", code="https_required"))
        elif data:
            self._refuse("handshake", "it is neither TLS nor HTTP")

    def _serve_plainly(self) -> ClientConnection:
        assert self.transport is not None
        transport, connection = self.transport, ClientConnection(self._server, self._terms)
        transport.set_protocol(protocol(connection))
        self._leave()
        connection.take_over(transport, self._peer, self._client)
        return connection

    def _leave(self) -> None:
        """Its place among the clients goes over."""
        self._server.connections.discard(self)
        self.transport = None

    def secured(self, transport: SecureTransport) -> Wire:
        """The handshake is done."""
        connection = ClientConnection(self._server, self._terms)
        self._leave()
        connection.secure(cast("asyncio.Transport", transport), self._peer, self._client, transport.certificate)
        return connection

    def failed(self, error: ssl.SSLError) -> None:
        """The client has been sent an alert: the connection is closed behind it."""
        self._server.crowd.count("handshake")
        log.debug("%s: handshake refused: %s", self._peer, reason_of(error))
        if self.transport is not None:
            self.transport.close()
