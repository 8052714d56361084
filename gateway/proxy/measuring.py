"""Before a pool: requests of which the answer says the cost get a meter. Other requests of the service pass by."""

from __future__ import annotations

from gateway.http.fields import without
from gateway.proxy.exchange import Exchange
from gateway.proxy.meter import JSON, Meter
from gateway.proxy.outward import Outward
from gateway.proxy.pool import Pool

IDENTITY = [b"accept-encoding", b": ", b"identity", b"\r\n"]


class Measuring:
    """A `Backend` in front of a pool, whose life is not its own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def dispatch(self, exchange: Exchange) -> None:
        route = exchange.route
        if route is not None and route.measures:
            fields, query = exchange.fields, exchange.query
            if exchange.outward is not None:
                fields, query, _ = exchange.outward
            if any(measure.kind == JSON for measure in route.measures):  # or nobody could read it
                fields = [*without(fields, {b"accept-encoding"}), *IDENTITY]
            exchange.outward = Outward(fields, query, Meter(route.measures))
        self._pool.dispatch(exchange)

    def sweep(self, now: float) -> None:
        """The pool's own."""

    def reload_certificates(self) -> None:
        """The pool's own."""

    def close(self) -> None:
        """The pool's own."""
