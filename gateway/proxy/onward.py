"""Before a pool: a request's credentials are taken out, and what vouches for its identity may come in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol
from urllib.parse import unquote_to_bytes

from gateway.errors import GatewayError
from gateway.gate import Ask
from gateway.http.fields import Fields
from gateway.model import Application, Identity, KeyPlace, Plan, Service
from gateway.proxy.backend import Backend
from gateway.proxy.exchange import Exchange
from gateway.proxy.outward import Outward

ALWAYS = frozenset((b"authorization", b"dpop"))  # which is of no use without a token

_sign = re.compile(rb"[^a-z0-9]").sub  # some servers make one sign of all (RFC 3875 4.1.18)


class Voucher(Protocol):
    def vouch(
        self,
        ask: Ask,
        identity: Identity,
        application: Application,
        plan: Plan,
        done: Callable[[bytes | GatewayError], None],
    ) -> bytes | None:
        """The value of the header that tells who asks; None: `done` hears it later, once. Raises GatewayError."""


class Onward:
    """A `Backend` in front of a pool that others may use too: the pool's life is not its own."""

    def __init__(
        self, pool: Backend, service: Service, header: str = "authorization", voucher: Voucher | None = None
    ) -> None:
        """Without a voucher nothing comes in place of what is taken out."""
        places = [place for line in service.accept for place in (line.api_key, *(line.app_id or ())) if place]
        self._pool = pool
        self._names = ALWAYS | {name.lower().encode() for name in _of("header", places)} | {header.encode()}
        self._parameters = frozenset(name.encode() for name in _of("query", places))
        self._header = header.encode()
        self._voucher = voucher
        self._kept: dict[bytes, bool] = {}  # whether a field of this name stays

    def dispatch(self, exchange: Exchange) -> None:
        voucher, admission = self._voucher, exchange.admission
        if voucher is None or admission is None:
            self._send(exchange, None)
            return
        subscription = admission.subscription
        application, plan = subscription.application, subscription.plan

        def heard(answer: bytes | GatewayError) -> None:
            if exchange.client is None:  # it went away meanwhile
                return
            if isinstance(answer, GatewayError):
                exchange.client.refuse(exchange, answer)
            else:
                self._send(exchange, answer)

        try:
            value = voucher.vouch(exchange, admission.identity, application, plan, heard)
        except GatewayError as error:
            heard(error)
        else:
            if value is not None:
                self._send(exchange, value)

    def sweep(self, now: float) -> None:
        """The pool's own."""

    def reload_certificates(self) -> None:
        """The pool's own."""

    def close(self) -> None:
        """The pool's own."""

    def _send(self, exchange: Exchange, value: bytes | None) -> None:
        fields = self._without(exchange.fields)
        if value is not None:
            fields += (self._header, b": ", value, b"\r\n")
        query = exchange.query
        exchange.outward = Outward(fields, self._stripped(query) if query and self._parameters else query)
        self._pool.dispatch(exchange)

    def _without(self, fields: Fields) -> Fields:
        kept: Fields = []
        for i in range(0, len(fields), 4):
            name = fields[i]
            stays = self._kept.get(name)
            if self._stays(name) if stays is None else stays:
                kept += fields[i : i + 4]
        return kept

    def _stays(self, name: bytes) -> bool:
        stays = name not in self._names and _sign(b"-", name) not in self._names
        if len(self._kept) < 1000:
            self._kept[name] = stays
        return stays

    def _stripped(self, query: bytes) -> bytes:
        """Without the parameters of keys, however they are encoded."""
        pairs = query.split(b"&")
        return b"&".join(pair for pair in pairs if self._names_none(pair.partition(b"=")[0]))

    def _names_none(self, name: bytes) -> bool:
        return unquote_to_bytes(name.replace(b"+", b" ")) not in self._parameters


def _of(kind: str, places: Iterable[KeyPlace]) -> list[str]:
    return [place.name for place in places if place.kind == kind]
