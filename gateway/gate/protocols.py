"""What the gate needs of the other rooms, and of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gateway.errors import GatewayError, StepUpNeeded
from gateway.gate.queue import Turn
from gateway.model import Charge, Identity, Limit, Outcome, Route, Service


class Ask(Protocol):
    """What the gate needs of a request. `host` in lower case without port; `path` normalised; `query` as sent."""

    method: bytes
    host: bytes
    path: bytes
    query: bytes
    peer: str  # the client's address
    own_cookies: tuple[bytes, ...]  # as NAME=VALUE: those that the gateway itself has set
    turn: Turn | None  # set by the gate where the request waits for one, or has waited

    @property
    def certificate(self) -> bytes | None:
        """The client's own, in DER, verified by the listener's CA; None where it showed none."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""

    @property
    def origin(self) -> bytes:
        """SCHEME://HOST[:PORT] as the client wrote it."""

    def header(self, name: bytes) -> list[bytes]:
        """All values of the field `name` (lower case), in order."""


StepUp = Callable[[Ask, Identity, StepUpNeeded], GatewayError | None]  # None: as the error says


class Router(Protocol):
    def route(self, method: bytes, host: bytes, path: bytes, query: bytes) -> Route:
        """The service and usage of a request; raises NotFound."""


class Passport(Protocol):
    def identify(self, service: Service, ask: Ask, done: Callable[[Identity | GatewayError], None]) -> Identity | None:
        """Who asks; None: `done` hears it later, exactly once. Raises Unauthorized, BadRequest or Unavailable."""

    def challenges(self, service: Service) -> tuple[str, ...]:
        """What those are offered who came without credentials where some are needed; empty: none is taken."""


Claim = Any  # a ledger's own handle: a scope and what one request of a kind costs its limits


class Ledger(Protocol):
    def claim(self, scope: str, charges: tuple[Charge, ...], *others: tuple[str, tuple[Charge, ...]]) -> Claim:
        """A handle for `consume`. `scope` names whose counters: a user's, an application's, an account's. A request
        may be charged to `others` too; the narrowest scope comes first."""

    def consume(self, claim: Claim, done: Callable[[Outcome], None]) -> Outcome | None:
        """Take a claim's costs from all its limits, or from none; None: `done` hears it later, exactly once."""


class Suspensions(Protocol):
    """Who went over a limit that suspends."""

    @property
    def known(self) -> bool:
        """Whether it was heard yet who is suspended."""

    def find(self, scope: str) -> bool:
        """Whether a scope is suspended."""

    def suspend(self, scope: str, limit: Limit) -> None:
        """It is, from now on."""


class NoSuspensions:
    """Of a gate whose plans suspend nobody."""

    known = True

    def find(self, scope: str) -> bool:
        return False

    def suspend(self, scope: str, limit: Limit) -> None:
        """Nobody will know of it."""


Permits = Callable[[bytes, bytes, bytes], bool]  # method, path, query
