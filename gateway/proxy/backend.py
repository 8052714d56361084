"""What the serving half asks of the gate, and of who answers: a service's pool, or a page of the gateway's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gateway.errors import GatewayError
from gateway.gate import Admission
from gateway.model import Route, Service, Timeouts

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange

Way = Service | tuple[Service, str]  # to the default upstream of a service, or to another by name


class Admitting(Protocol):
    """Decides who is let in: the gate."""

    def route(self, ask: Exchange) -> Route:
        """Which service, and what the request uses; raises NotFound and BadRequest."""

    def admit(self, ask: Exchange, route: Route, done: Callable[[Admission | GatewayError], None]) -> Admission | None:
        """At once, or None and `done` hears it later, exactly once; raises GatewayError."""


class Backend(Protocol):
    """Answers the requests of one service."""

    def dispatch(self, exchange: Exchange) -> None:
        """Takes an admitted request; what there is of its body waits in `exchange.backlog`."""

    def sweep(self, now: float) -> None:
        """Lets go of what was idle too long; `now` is monotonic."""

    def reload_certificates(self) -> None:
        """Takes changed files."""

    def close(self) -> None:
        """Keeps nothing; what is under way is finished."""


class Writable(Protocol):
    """Where the rest of a body goes."""

    def write(self, data: bytes) -> None:
        """A part of the body, framed as the request is."""


class Answering(Protocol):
    """Answers one exchange, as its `upstream`."""

    active: float  # when a byte moved last; monotonic

    @property
    def transport(self) -> Writable | None:
        """None: it takes no body (any more)."""

    @property
    def timeouts(self) -> Timeouts: ...

    def drop(self) -> None:
        """The client is gone: so is the answer."""

    def pause(self) -> None:
        """The client takes no more."""

    def resume(self) -> None: ...

    def timed_out(self) -> None:
        """The answer is overdue, or stalls."""
