"""A client's connection, the timed half: what may take how long. The server's sweep looks; no request has a timer.

Whoever moves bytes is given time for them, whoever does not loses it (slow loris, in heads, bodies and answers).
"""

from __future__ import annotations

import fcntl
import select
import termios
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from gateway.errors import RequestTimeout
from gateway.proxy.exchange import Exchange
from gateway.proxy.rereader import Rereader

if TYPE_CHECKING:
    from gateway.proxy.server import Server

LINGER = 2.0  # seconds of silence to read on after a last answer, so that a reset does not take it back
LINGER_MOST = 10.0  # seconds for that in all (RFC 9112 9.6)


class Patience:
    """Seconds left to `of`, never more than `most`. Every `rate` bytes give one back; where that is 0, any byte all."""

    __slots__ = ("left", "of", "seen", "then")

    def __init__(self, of: object, now: float, seen: int, most: float) -> None:
        """`seen` bytes so far; `now` is monotonic."""
        self.of = of
        self.then = now
        self.seen = seen
        self.left = most

    def ends(self, now: float, seen: int, rate: int, most: float) -> bool:
        gained = (seen - self.seen) / rate if rate else most * (seen > self.seen)
        self.left = min(most, self.left - (now - self.then) + gained)
        self.then, self.seen = now, seen
        return self.left <= 0.0

    def rest(self, now: float) -> None:
        """Time passed that was not the client's."""
        self.then = now


class TimedReader(Rereader):
    """`sweep` is called a few times a second."""

    __slots__ = ("_answered", "_answers_left", "_born", "_held", "_lingering", "_receiving", "_sending")

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._answered = 0  # bytes of the answers before the current one
        self._answers_left = server.limits.requests
        self._born = self.active
        self._held = False  # reading is paused
        self._lingering = 0.0  # since when; monotonic
        self._receiving: Patience | None = None  # with the body that comes
        self._sending: Patience | None = None  # with the answer that is taken

    @abstractmethod
    def abort(self, exchange: Exchange, reason: str) -> None:
        """Cuts an answer that cannot be completed."""

    def release(self) -> None:
        super().release()
        self._receiving = self._sending = None  # they hold what holds this

    def sweep(self, now: float) -> None:
        """Ends what takes too long; `now` is monotonic."""
        transport = self.transport
        if transport is None:
            return
        if now - self._born > self.server.timeouts.connection_age:
            self._answers_left = 0  # the next one is the last
        unsent = transport.get_write_buffer_size()
        if not unsent:
            self._sending = None
        elif self._takes_too_slowly(now, unsent + in_kernel(transport)):
            self._cut()
            return
        if self._held and is_reset(transport):
            transport.abort()
        elif self._lingering:
            if now - self.active > LINGER or now - self._lingering > LINGER_MOST:
                transport.abort()
        elif self.current is not None:
            self._sweep_exchange(self.current, now)
        else:
            self._sweep_idle(now)

    def _sweep_idle(self, now: float) -> None:
        """Nothing is being served, though a head may be read, or the rest of a refused body."""
        timeouts = self.server.timeouts
        if self.head_since:
            if now - self.head_since > timeouts.head:
                self.fault(RequestTimeout("the request's head took too long"))
        elif self.incoming is not None:
            if self._gives_too_slowly(self.incoming, now):
                self.close()
        elif now - self.active > timeouts.keep_alive:
            self.close()

    def _sweep_exchange(self, exchange: Exchange, now: float) -> None:
        upstream, turn = exchange.upstream, exchange.turn
        waits = turn is not None and turn.done is not None  # for that there is a clock of its own
        if not exchange.complete and not self._held and not waits:
            if self._gives_too_slowly(exchange, now):
                self.break_off(exchange, RequestTimeout("the request's body came too slowly", code="body_too_slow"))
            return
        if self._receiving is not None:
            self._receiving.rest(now)
        if upstream is None or self.write_paused:
            return  # the gate and connecting have clocks of their own, and so has the client that does not read
        timeouts = upstream.timeouts
        patience = timeouts.response if exchange.complete and not exchange.answered else timeouts.idle
        if now - upstream.active > patience:
            upstream.timed_out()

    def _gives_too_slowly(self, exchange: Exchange, now: float) -> bool:
        """Whether a body stalls, or trickles."""
        most, seen = self.server.timeouts.body, exchange.bytes_in
        patience = self._receiving
        if patience is None or patience.of is not exchange:
            self._receiving = Patience(exchange, now, seen, most)
            return False
        return patience.ends(now, seen, self.server.limits.min_rate, most)

    def _takes_too_slowly(self, now: float, unsent: int) -> bool:
        """Whether what was written stays, or is read by trickles."""
        exchange, most = self.current, self.server.timeouts.write
        taken = self._answered + (0 if exchange is None else exchange.bytes_out) - unsent
        patience = self._sending
        if patience is None:
            self._sending = Patience(self, now, taken, most)
            return False
        return patience.ends(now, taken, self.server.limits.min_rate, most)

    def _cut(self) -> None:
        self.server.slow_readers += 1
        if self.current is not None:
            self.abort(self.current, "client_too_slow")
        elif self.transport is not None:
            self.transport.abort()


def is_reset(transport: Any) -> bool:
    """Whether the peer has reset the connection: a transport that neither reads nor writes does not hear of it."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))


def in_kernel(transport: Any) -> int:
    """Bytes that the kernel holds until the peer has taken them; 0 where it does not tell."""
    try:
        told = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, AttributeError):
        return 0
    return int.from_bytes(told, "little")
