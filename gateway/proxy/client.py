"""A client's connection, the serving half: asks the gate, finds the upstream, answers in order.

Callbacks all the way: a request whose token is cached, whose units are in hand and whose upstream connection is
idle goes from one protocol to the other without a task or a future.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

from gateway.errors import GatewayError, RequestTimeout
from gateway.gate import Admission
from gateway.http import answers
from gateway.proxy.exchange import Exchange
from gateway.proxy.heads import Forwarding, answer_fields, request_head
from gateway.proxy.reader import RequestReader

if TYPE_CHECKING:
    from gateway.proxy.server import Server

MAX_BACKLOG = 64 * 1024  # bytes of a body that wait for an upstream connection before reading pauses
MAX_DISCARD = 64 * 1024  # bytes of a refused body that are read to keep the connection
FAREWELL = 0.3  # seconds that an idle connection is read on at a stop: a request may just have been sent
LINGER = 2.0  # seconds to read on after a last answer, so that a reset does not take it back (RFC 9112 9.6)


class ClientConnection(RequestReader):
    """Serves one exchange at a time."""

    __slots__ = ("_advancing", "_forwarding", "_held", "_lingering", "_upstream_full", "write_paused")

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.write_paused = False
        self._upstream_full = False
        self._held = False  # reading is paused
        self._lingering = False
        self._advancing = False
        self._forwarding = Forwarding("")

    def __repr__(self) -> str:
        return f"<ClientConnection {self.peer} {self.current or 'idle'} +{len(self.queue)}>"

    # --- life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no asyncio class
        peer = self.transport.get_extra_info("peername")
        self.peer = peer[0] if peer else "unix"
        self._forwarding = Forwarding(self.peer)
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.transport = None
        self._stopped = True
        self.queue.clear()
        exchange, self.current = self.current, None
        if exchange is not None:
            self._leave(exchange, "client_abort")
        self.release()

    def abort(self, exchange: Exchange, reason: str) -> None:
        """Cuts an answer that cannot be completed, so that the client sees it is not whole."""
        self.current = None
        self._leave(exchange, reason)
        if self.transport is not None:
            self.transport.abort()

    def _leave(self, exchange: Exchange, reason: str) -> None:
        """The exchange ends without its whole answer."""
        exchange.client = None
        upstream, exchange.upstream = exchange.upstream, None
        if upstream is not None:
            exchange.upstream_seconds = time.monotonic() - exchange.sent_at
            upstream.drop()
        if not exchange.answered:
            exchange.status = 0
        exchange.reason = reason
        self._record(exchange)

    # --- a request's way

    def new_exchange(self) -> Exchange:
        return Exchange(self)

    def begin(self, exchange: Exchange) -> None:
        self.current = exchange
        if exchange.error is not None:
            self.refuse(exchange, exchange.error)
            return
        gate, exchange.pools = self.server.gate, self.server.pools
        try:
            exchange.route = route = gate.route(exchange)
            admission = gate.admit(exchange, route, exchange.decided)
            if admission is not None:
                self._admitted(exchange, admission)
        except GatewayError as error:
            self.refuse(exchange, error)

    def decided(self, exchange: Exchange, result: Admission | GatewayError) -> None:
        """The gate's late answer."""
        if isinstance(result, GatewayError):
            self.refuse(exchange, result)
        else:
            self._admitted(exchange, result)

    def _admitted(self, exchange: Exchange, admission: Admission) -> None:
        exchange.admission = admission
        if exchange.expect and not exchange.complete and self.transport is not None:
            self.transport.write(answers.CONTINUE)
        exchange.pools[admission.route.service].dispatch(exchange)

    def request_head(self, exchange: Exchange, host_field: bytes) -> bytes:
        assert exchange.admission is not None
        return request_head(exchange, exchange.admission, host_field, self._forwarding)

    def pass_on(self, exchange: Exchange, data: bytes) -> None:
        upstream = exchange.upstream
        if upstream is not None and upstream.transport is not None:
            upstream.active = self.active
            upstream.transport.write(data)
        else:
            exchange.backlog.append(data)
            exchange.backlog_size += len(data)
            if exchange.backlog_size > MAX_BACKLOG:
                self.regulate()

    def sent(self, exchange: Exchange) -> None:
        """The body's waiting part is on its way."""
        exchange.backlog.clear()
        exchange.backlog_size = 0
        self.regulate()

    # --- back-pressure

    def hold(self, *, upstream_full: bool) -> None:
        """The upstream takes no more, or takes again."""
        self._upstream_full = upstream_full
        self.regulate()

    def regulate(self) -> None:
        exchange = self.current
        waiting = exchange is not None and exchange.upstream is None and exchange.backlog_size > MAX_BACKLOG
        held = bool(self.queue) or waiting or self._upstream_full
        if held is self._held or self.transport is None:
            return
        self._held = held
        if held:
            self.transport.pause_reading()
        else:
            self.active = time.monotonic()
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.write_paused = True
        exchange = self.current
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.pause()

    def resume_writing(self) -> None:
        self.write_paused = False
        exchange = self.current
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.resume()

    # --- answers

    def answer_fields(self, exchange: Exchange) -> bytes:
        """Decides whether the connection goes on after this answer."""
        if not exchange.complete or self.server.draining:
            exchange.keep = False
        return answer_fields(exchange)

    def refuse(self, exchange: Exchange, error: GatewayError) -> None:
        """Answers instead of the service."""
        if exchange is not self.current or self.transport is None:
            return
        exchange.backlog.clear()
        exchange.discard = True
        pending = exchange.has_body and not exchange.complete
        if self.server.draining or (pending and not discardable(exchange)):
            exchange.keep = False
        exchange.error = error
        exchange.status = error.status
        exchange.reason = error.code
        exchange.answered = True
        close, head = not exchange.keep, exchange.method == b"HEAD"
        data = answers.problem(error, exchange.request_id, now=time.time(), close=close, head=head)
        exchange.bytes_out += len(data)
        self.transport.write(data)
        self.finished(exchange)

    def break_off(self, exchange: Exchange, error: GatewayError) -> None:
        upstream, exchange.upstream = exchange.upstream, None
        if upstream is not None:
            upstream.drop()
        exchange.keep = False
        if exchange.answered:
            self.abort(exchange, error.code)
        else:
            self.refuse(exchange, error)

    def finished(self, exchange: Exchange) -> None:
        """The answer is on its way, whole: the next request's turn."""
        self._upstream_full = False
        self._record(exchange)
        self.current = None
        if self.transport is None:
            return
        if not exchange.keep:
            self._end(clean=exchange.complete)
            return
        if self.queue:
            self.advance()
        elif self._held:
            self.regulate()

    def advance(self) -> None:
        """A loop: a thousand refusals must not recurse."""
        if self._advancing:
            return
        self._advancing = True
        while self.queue and self.current is None and self.transport is not None:
            self.begin(self.queue.popleft())
        self._advancing = False
        self.regulate()

    def _end(self, *, clean: bool) -> None:
        """No request after this one. What the client still sends is read for a moment unless it has ended."""
        self._stopped = True
        self.queue.clear()
        assert self.transport is not None
        if clean or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._lingering = True
        self.active = time.monotonic()
        self.transport.write_eof()
        self.regulate()

    def _record(self, exchange: Exchange) -> None:
        exchange.seconds = time.monotonic() - exchange.begun
        self.server.record(exchange)

    # --- clocks, called by the server's sweep

    def sweep(self, now: float) -> None:
        """Ends what takes too long; `now` is monotonic."""
        limits = self.server.timeouts
        if self._lingering:
            if now - self.active > LINGER and self.transport is not None:
                self.transport.abort()
        elif self.current is not None:
            self._sweep_exchange(self.current, now)
        elif self.head_since:
            if now - self.head_since > limits.head:
                self.fault(RequestTimeout("the request's head took too long"))
        elif now - self.active > (limits.body if self.incoming is not None else limits.keep_alive):
            self.close()

    def _sweep_exchange(self, exchange: Exchange, now: float) -> None:
        upstream = exchange.upstream
        if upstream is None:
            return  # the ledger, the provider and connecting have clocks of their own
        timeouts = upstream.timeouts
        if exchange.complete and not exchange.answered:
            if now - upstream.active > timeouts.response:
                upstream.timed_out()
        elif now - max(upstream.active, self.active) > timeouts.idle:
            if exchange.answered or self._upstream_full:
                upstream.timed_out()
            else:
                self.break_off(exchange, RequestTimeout("the request's body took too long"))

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered."""
        return self.current is not None or bool(self.queue) or self.incoming is not None

    def drain(self) -> None:
        """The server stops: an idle connection is ended, a request in flight is the last."""
        if not self.busy and not self._lingering and self.transport is not None:
            self._end(clean=False)
            self.active -= LINGER - FAREWELL


def discardable(exchange: Exchange) -> bool:
    """A refused body that is small enough to be read for the connection's sake."""
    return exchange.length is not None and exchange.length <= MAX_DISCARD and not exchange.expect
