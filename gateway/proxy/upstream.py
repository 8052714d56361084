"""A connection to a service: sends one request at a time and streams its answer to the client.

What goes to the client is rebuilt from parsed fields, and a connection is used again only after an answer whose
end was certain.
"""

from __future__ import annotations

import asyncio
import logging
import select
import ssl
import time
from typing import TYPE_CHECKING, cast

import httptools

from gateway.errors import BadGateway, GatewayTimeout
from gateway.http.head import IDEMPOTENT
from gateway.model import Timeouts
from gateway.proxy.answer import LESSONS, MAX_HEAD, AnswerError, AnswerReader
from gateway.proxy.cut_short import CutShortError

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.pool import Endpoint, Pool

log = logging.getLogger("gateway.upstream")

FRESH = 1.0  # seconds idle within which a peer is trusted not to be closing


class UpstreamConnection(AnswerReader):
    """Idle while `exchange` is None."""

    __slots__ = ("_pool", "_unread", "active", "endpoint", "generation", "idle_since", "transport", "used")

    def __init__(self, pool: Pool, endpoint: Endpoint, generation: int) -> None:
        super().__init__()
        self._pool = pool
        self.endpoint = endpoint
        self.generation = generation
        self.transport: asyncio.Transport | None = None
        self._unread = select.poll()
        self.idle_since = self.active = time.monotonic()
        self.used = False  # has answered before: the peer may close it at any moment

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self.endpoint.name} {self.exchange or 'idle'}>"

    # --- life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no asyncio class
        self.endpoint.open += 1
        self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def connection_lost(self, exc: Exception | None) -> None:
        self.endpoint.open -= 1
        self.transport = None
        exchange = self.exchange
        if exchange is None:
            if self in self.endpoint.idle:
                self.endpoint.idle.remove(self)
        elif self._body_until_close and exc is None and not self._done:
            self._end_by_close(exchange)
        elif exc is None or isinstance(exc, CutShortError):
            self._failed(exchange, self._why_closed())
        elif isinstance(exc, ssl.SSLError):  # such as an alert
            self._failed(exchange, f"{self._why_closed()} ({exc})")
        else:
            self._failed(exchange, str(exc))
        del self._parser  # a cycle, and the garbage collector looks rarely

    def _why_closed(self) -> str:
        """A guess where the peer said nothing: with TLS 1.3 a client's certificate is judged after the handshake."""
        if self.endpoint.target.tls and not self.used and self._head_bytes == 0:
            return "closed right after the TLS handshake: it may not accept the gateway's certificate"
        return "closed before the answer was complete"

    def reusable(self, idempotent: bool) -> bool:
        """After long idleness the peer may be closing right now: not for a request that must not be repeated."""
        if self.transport is None or self.transport.is_closing() or self.generation != self._pool.generation:
            return False
        if self._unread.poll(0):  # what was not asked for, or a goodbye, that the loop has yet to deliver
            return False
        return idempotent or time.monotonic() - self.idle_since < FRESH

    @property
    def timeouts(self) -> Timeouts:
        return self._pool.timeouts

    def pause(self) -> None:
        """The client takes no more."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None:
            self.active = time.monotonic()
            self.transport.resume_reading()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def drop(self) -> None:
        """The client is gone: so is the answer."""
        self.exchange = None
        if self.transport is not None:
            self.transport.abort()

    # --- the request

    def send(self, exchange: Exchange) -> None:
        """Sends the head and what there is of the body; the client's connection writes the rest to `transport`."""
        client = exchange.client
        assert self.transport is not None and client is not None
        self.exchange = exchange
        exchange.upstream = self
        exchange.upstream_name = self.endpoint.name
        self.active = exchange.sent_at = time.monotonic()
        outward = exchange.outward
        if outward is not None and outward.meter is not None:
            self._measure(outward.meter)
        head = client.request_head(exchange, self.endpoint.host_field)
        if exchange.backlog:
            self.transport.write(b"".join((head, *exchange.backlog)))
            client.sent(exchange)
        else:
            self.transport.write(head)
        if client.write_paused:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        exchange = self.exchange
        if exchange is not None and exchange.client is not None:
            exchange.client.hold(upstream_full=True)

    def resume_writing(self) -> None:
        exchange = self.exchange
        if exchange is not None and exchange.client is not None:
            exchange.client.hold(upstream_full=False)

    # --- the answer

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # nobody asked
            self._keep = False
            self.close()
            return
        self.active = time.monotonic()
        first = self._in_head and not self._head_bytes
        fresh = first and exchange.method != b"HEAD"
        if fresh and self._repeats(data, exchange):
            self._flush(exchange)
            self._finish(exchange)
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            if first and not data.startswith(b"H"):  # the parser would skip line ends, and take RTSP and Icecast
                raise AnswerError("it does not start with HTTP's status line")
            self._parser.feed_data(data)
            if self._in_head and self._head_bytes > MAX_HEAD:
                raise AnswerError("its head is too large")
            if not self._out and not self._in_head:
                self._count_barren(len(data))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, AnswerError) as error:
            self._keep = False
            if not self._done:
                self._failed(exchange, reason_of(error))
                return
        if fresh and self._done and self._lessons < LESSONS:
            self._learn(data)
        self._flush(exchange)
        if self._done:
            self._finish(exchange)

    def _count_barren(self, size: int) -> None:
        """Chunks' sizes, extensions and trailers are bounded where nothing comes of them."""
        self._barren += size
        if self._barren > MAX_HEAD:
            raise AnswerError("its chunks or trailers are too large")

    def _flush(self, exchange: Exchange) -> None:
        out = self._out
        if out:
            client = exchange.client
            assert client is not None and client.transport is not None
            data = b"".join(out)
            out.clear()
            exchange.bytes_out += len(data)
            exchange.answered = exchange.status != 0
            client.transport.write(data)

    def _finish(self, exchange: Exchange) -> None:
        self.exchange = exchange.upstream = None
        exchange.upstream_seconds = self.active - exchange.sent_at
        if self._keep and exchange.complete:
            self.used = True
            if self._done:  # else nothing of it was parsed
                if self._spent:
                    self._renew()
                self._reset()
            if self.transport is not None:
                self.transport.resume_reading()
            self._pool.release(self)
        else:
            self.close()
        if exchange.client is not None:
            exchange.client.finished(exchange)

    def _end_by_close(self, exchange: Exchange) -> None:
        """The answer ends with the connection (RFC 9112 6.3, the last case)."""
        self._done, self._keep = True, False
        if exchange.outward is not None and exchange.outward.meter is not None:
            exchange.outward.meter.end()
        if exchange.version == "1.1":
            self._out.append(b"0\r\n\r\n")
        self._flush(exchange)
        self._finish(exchange)

    def _failed(self, exchange: Exchange, why: str) -> None:
        """No answer, or none that can be completed."""
        self.exchange = exchange.upstream = None
        self._out.clear()
        if self.transport is not None:
            self.transport.abort()
        client = exchange.client
        if client is None:
            return
        if exchange.answered:
            log.warning("%s: answer cut short: %s", self.endpoint.name, why)
            client.abort(exchange, "upstream_broken")
        elif self.used and not exchange.retried and self._head_bytes == 0 and repeatable(exchange):
            exchange.retried = True  # the peer closed an idle connection as we took it
            self._pool.connect(exchange, self.endpoint)
        else:
            log.warning("%s: no answer: %s", self.endpoint.name, why)
            client.refuse(exchange, BadGateway("the upstream broke its answer", code="upstream_broken"))

    def timed_out(self) -> None:
        """Called by the sweep when the answer is overdue or stalls."""
        exchange = self.exchange
        if exchange is None or exchange.client is None:
            return
        self.drop()
        exchange.upstream = None
        if exchange.answered:
            exchange.client.abort(exchange, "upstream_timeout")
        else:
            exchange.client.refuse(exchange, GatewayTimeout("the upstream did not answer in time"))


def repeatable(exchange: Exchange) -> bool:
    """May be sent again: idempotent, and nothing of a body was passed on."""
    return exchange.method in IDEMPOTENT and not exchange.has_body


def reason_of(error: Exception) -> str:
    """A parser's error, or the one raised inside its callbacks."""
    cause = error.__context__ or error
    if not isinstance(cause, AnswerError | httptools.HttpParserError):
        log.error("callback failed", exc_info=cause)
    return str(cause)
