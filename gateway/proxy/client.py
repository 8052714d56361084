"""A client's connection, the serving half: asks the gate, finds the upstream, answers in order.

Callbacks all the way: a request whose token is cached, whose units are in hand and whose upstream connection is
idle goes from one protocol to the other without a task or a future.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.errors import GatewayError, Unavailable, forget_way
from gateway.gate import Admission
from gateway.http import answers
from gateway.http.refusals import refusal_for, status_of
from gateway.proxy.arrival import Arrival
from gateway.proxy.clocks import LINGER
from gateway.proxy.crowd import RETRY_AFTER
from gateway.proxy.exchange import Exchange
from gateway.proxy.forwarding import VIA
from gateway.proxy.heads import answer_fields, request_head
from gateway.proxy.pages import RESERVED
from gateway.proxy.settling import settle
from gateway.proxy.terms import PLAIN, Terms

if TYPE_CHECKING:
    from gateway.proxy.backend import Backend
    from gateway.proxy.server import Server

MAX_BACKLOG = 64 * 1024  # bytes of a body that wait for an upstream connection before reading pauses
FAREWELL = 0.3  # seconds that an idle connection is read on at a stop: a request may just have been sent


class ClientConnection(Arrival):
    """Serves one exchange at a time."""

    __slots__ = ("_advancing", "_redirect", "_upstream_full")

    def __init__(self, server: Server, terms: Terms = PLAIN) -> None:
        super().__init__(server, terms)
        self._upstream_full = False
        self._advancing = False
        self._redirect = terms.redirect

    def __repr__(self) -> str:
        return f"<ClientConnection {self.peer} {self.current or 'idle'} +{len(self.queue)}>"

    # --- life

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.server.crowd.leave(self._client)
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
            if exchange.sent_at:
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
        server = self.server
        gate, exchange.pools = server.gate, server.backends
        try:
            if server.shedding:
                exchange.keep = False
                raise Unavailable("the gateway is short of memory", code="memory_exhausted", retry_after=RETRY_AFTER)
            page = server.pages.find(exchange.host, exchange.path) if exchange.path.startswith(RESERVED) else None
            exchange.route = route = gate.route(exchange) if page is None else page.route
            if self._redirect is not None:
                self.redirect(exchange, self._redirect)
            if exchange.length is not None or exchange.chunked:
                exchange.check_size()
            if page is not None:
                self._dispatch(exchange, page)
                return
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
        service, upstream = admission.route.service, admission.upstream
        if upstream is None:
            self._dispatch(exchange, exchange.pools[service])
        else:
            if admission.outcome is not None:
                exchange.reason = "degraded"
            self._dispatch(exchange, exchange.pools[service, upstream])

    def _dispatch(self, exchange: Exchange, backend: Backend) -> None:
        if exchange.expect and exchange.has_body and not exchange.complete and self.transport is not None:
            self.transport.write(answers.CONTINUE)
        backend.dispatch(exchange)

    def request_head(self, exchange: Exchange, host_field: bytes) -> bytes:
        assert exchange.admission is not None
        return request_head(exchange, exchange.admission, host_field)

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
        unread = self.write_paused and (exchange is None or exchange.complete)  # an upload may end before it is read
        held = bool(self.queue) or waiting or self._upstream_full or unread
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
        self.regulate()

    def resume_writing(self) -> None:
        self.write_paused = False
        exchange = self.current
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.resume()
        self.advance()

    # --- answers

    def page_fields(self, exchange: Exchange) -> bytes:
        """As `answer_fields`, for an answer of the gateway's own."""
        return self.answer_fields(exchange, b"")

    def answer_fields(self, exchange: Exchange, via: bytes = VIA) -> bytes:
        """Decides whether the connection goes on after this answer."""
        self._answers_left -= 1
        if self._answers_left <= 0 or not exchange.complete or self.server.draining:
            exchange.keep = False
        fields = answer_fields(exchange, via)
        return self._hsts + fields if self._hsts else fields

    def refuse(self, exchange: Exchange, error: GatewayError) -> None:
        """Answers instead of the service."""
        forget_way(error)
        if exchange is not self.current or self.transport is None:
            return
        exchange.backlog.clear()
        exchange.discard = True
        pending = exchange.has_body and not exchange.complete
        self._answers_left -= 1
        if self._answers_left <= 0 or self.server.draining or (pending and not exchange.discardable):
            exchange.keep = False
        exchange.error = error
        if exchange.route is not None:
            error.service = exchange.route.service
        refusal = refusal_for(error.service, error)
        exchange.status = status_of(error, refusal)
        exchange.reason = error.code
        exchange.answered = True
        close, head = not exchange.keep, exchange.method == b"HEAD"
        data = answers.problem(
            error, exchange.request_id, now=time.time(), close=close, head=head, more=self._hsts, refusal=refusal
        )
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
            exchange.client = None  # the gate, or a connection, may yet come with an answer

    def finished(self, exchange: Exchange) -> None:
        """The answer is on its way, whole: the next request's turn."""
        self._upstream_full = False
        self._answered += exchange.bytes_out
        self._record(exchange)
        self.current = None
        if self.transport is None:
            return
        if not exchange.keep:
            self._end(clean=exchange.complete and not self._excess)
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
        while self.queue and self.current is None and self.transport is not None and not self.write_paused:
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
        self._lingering = self.active = time.monotonic()
        try:
            self.transport.write_eof()
        except OSError:  # it was reset, which asyncio's loop has yet to hear
            self.transport.abort()
        self.regulate()

    def _record(self, exchange: Exchange) -> None:
        exchange.seconds = time.monotonic() - exchange.begun
        settle(exchange)
        self.server.record(exchange)

    # --- the stop

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered."""
        return self.current is not None or bool(self.queue) or self.incoming is not None

    def drain(self) -> None:
        """The server stops: an idle connection is ended, a request in flight is the last."""
        if not self.busy and not self._lingering and self.transport is not None:
            self._end(clean=False)
            self.active -= LINGER - FAREWELL
