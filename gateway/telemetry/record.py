"""What the guest book needs to know of a finished request."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol


class Turn(Protocol):
    """A wait that has ended."""

    @property
    def seconds(self) -> float: ...


class Record(Protocol):
    """One request, after its last byte or its failure. It holds no query, header, key or token."""

    @property
    def kind(self) -> Hashable:
        """Equal for records that are alike in service, template, application, plan, subject, proof, status, reason,
        target, limits and ledger, and in what was charged unless that was measured."""

    def identify(self) -> tuple[bytes, bytes]:
        """The request id and the trace id."""

    @property
    def started(self) -> float:
        """Unix seconds."""

    @property
    def method(self) -> bytes: ...

    @property
    def host(self) -> bytes: ...

    @property
    def path(self) -> bytes:
        """Normalised, without the query."""

    @property
    def peer(self) -> str:
        """The client's address."""

    @property
    def service(self) -> str | None: ...

    @property
    def template(self) -> str | None:
        """The patterns that matched."""

    @property
    def application(self) -> str | None:
        """The scope that was counted."""

    @property
    def plan(self) -> str | None: ...

    @property
    def subject(self) -> str | None: ...

    @property
    def proof(self) -> str | None:
        """By what credentials, such as `jwt:keycloak` or `api_key:ci`."""

    @property
    def status(self) -> int:
        """0: the client left before an answer."""

    @property
    def reason(self) -> str:
        """ "ok", "degraded", a refusal's code, "client_abort" …: a fixed set, it labels a metric."""

    @property
    def turn(self) -> Turn | None:
        """What it waited for at a limit; None: it did not."""

    @property
    def bytes_in(self) -> int: ...

    @property
    def bytes_out(self) -> int: ...

    @property
    def seconds(self) -> float:
        """From the first byte to the last."""

    @property
    def upstream_seconds(self) -> float | None:
        """None: no upstream was asked."""

    @property
    def upstream_name(self) -> str | None:
        """The target."""

    @property
    def limit(self) -> str | None:
        """The limit that was told to the client."""

    @property
    def remaining(self) -> int | None: ...

    @property
    def shadow(self) -> str | None:
        """A limit in shadow that would have refused the request."""

    @property
    def charged(self) -> Mapping[str, int] | None:
        """Units of each metric; none where its answer is not charged. None: it was not let in."""

    @property
    def measured(self) -> bool:
        """Whether its answer said what is charged: then others of its kind are charged otherwise."""

    @property
    def ledger(self) -> str | None:
        """ "open" or "local": let in without the store, as the plan's ledger_down says."""
