"""A client's connection, the arriving half: whose it is, whether there is room, and for whom a proxy speaks."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, cast

from gateway.errors import BadRequest, HttpsRequired
from gateway.http.client_certificate import Reader
from gateway.http.fields import REQUEST_KINDS, TRUSTED_KINDS, Kind
from gateway.http.forwarded import Said, origin
from gateway.http.peer import client_of
from gateway.proxy.clocks import TimedReader
from gateway.proxy.exchange import Exchange
from gateway.proxy.forwarding import Forwarding
from gateway.proxy.terms import PLAIN, Terms

if TYPE_CHECKING:
    from gateway.proxy.server import Server

HTTPS = 443
SAID = (Kind.FORWARDED, Kind.FORWARDED_FOR, Kind.FORWARDED_PROTO, Kind.FORWARDED_HOST)  # as the fields of Said


class Arrival(TimedReader):
    """A connection is met as it comes, or taken over from a greeting."""

    __slots__ = ("_client", "_hsts", "_terms", "certificate", "told")

    def __init__(self, server: Server, terms: Terms = PLAIN) -> None:
        super().__init__(server)
        self._terms = terms
        self._client = ""  # as whose connection it counts; turned away: nobody's
        self._hsts = b""
        self.certificate: bytes | None = None  # of who is at the other end, in DER
        self.told: tuple[bytes, Reader] | None = None  # where a proxy there tells of its client's, and how

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._meet(
            cast("asyncio.Transport", transport), address_of(transport), b"http"
        )  # uvloop's are of no such class
        self._enter(client_of(self.peer))

    def _enter(self, client: str) -> None:
        server = self.server
        refusal = server.enter(client, self.peer)
        if refusal is None:
            self._client = client
        elif server.crowd.may_tell():
            self.fault(refusal)
        elif self.transport is not None:
            self.transport.abort()

    def take_over(self, transport: asyncio.Transport, peer: str, client: str) -> None:
        """What was greeted; it is inside already, as `client`."""
        self._client = client
        self._meet(transport, peer, b"http")

    def secure(self, transport: asyncio.Transport, peer: str, client: str, certificate: bytes | None) -> None:
        """The same with TLS."""
        self._client = client
        self._hsts = self._terms.hsts
        self.certificate = certificate
        self._meet(transport, peer, b"https")

    def _meet(self, transport: asyncio.Transport, peer: str, scheme: bytes) -> None:
        self.transport = transport
        self.peer = peer
        self.forwarding = Forwarding(peer, scheme)
        trusted = self.server.trusts(peer)
        self.kinds = TRUSTED_KINDS if trusted else REQUEST_KINDS
        self.told = self.server.told if trusted else None
        self.server.connections.add(self)

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether a request is being read or answered."""

    @abstractmethod
    def drain(self) -> None:
        """The server stops."""

    # --- requests

    def believe(self, exchange: Exchange) -> None:
        """A trusted proxy says who sent it the request. Raises BadRequest where that cannot be told."""
        if not exchange.special:
            return
        said = Said(*(tuple(value for kind, value in exchange.special if kind is of) for of in SAID))
        if any(said):
            found = origin(self.peer, self.server.trusts, said)
            scheme = found.scheme or self.forwarding.scheme
            exchange.forwarding = Forwarding(found.address, scheme, found.host, found.hops)
            exchange.peer = found.address

    def redirect(self, exchange: Exchange, port: int) -> None:
        """Raises HttpsRequired, for a host that somebody serves; not for who came by https to a proxy."""
        if exchange.forwarding.scheme == b"https":
            return
        if not exchange.host:
            raise BadRequest("this port is not served: use https", code="https_required")
        target = exchange.path + (b"?" + exchange.query if exchange.query else b"")
        place = "" if port == HTTPS else f":{port}"
        raise HttpsRequired(f"https://{exchange.host.decode()}{place}{target.decode('latin-1')}")


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's address."""
    peer = transport.get_extra_info("peername")
    return peer[0] if peer else "unix"
