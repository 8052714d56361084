"""The parts of a passport: a verifier for each kind of credential, and what several of them prove together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Protocol

from gateway.errors import GatewayError, SignInNeeded
from gateway.identity.credentials import Ask
from gateway.identity.refusals import Invalid
from gateway.model import Accept, AppId, Identity, KeyPlace

Kind = Literal["jwt", "api_key", "app_id", "certificate", "sign_in"]
Answer = Identity | Invalid | GatewayError

PAIRS = 20_000  # combinations of credentials remembered


class Item(NamedTuple):
    """What an `accept` line names: a provider, or a key's place."""

    kind: Kind
    name: str | KeyPlace | AppId


SESSION = Item("sign_in", "")  # whose provider shows only when it is looked at


class Presented(NamedTuple):
    """A credential that a request has. `identity` is what it is known to prove already, `secret` what is to be verified
    where it is not."""

    item: Item
    identity: Identity | None
    secret: Any = None


class Verifier(Protocol):
    """One kind of credential, at one service."""

    def present(self, ask: Ask) -> Presented | None:
        """What the request has of it, and nothing that costs much; None: nothing. Raises Invalid for what can be told
        at a glance to be unreadable, ambiguous or unknown, TooMany where it is not looked at."""

    def verify(self, presented: Presented, ask: Ask, done: Callable[[Answer], None]) -> Identity | None:
        """Who it proves; None: `done` hears it later, once. Raises Invalid or GatewayError."""


class Sessions(Verifier, Protocol):
    """Sessions at one service."""

    def recall(self, ask: Ask) -> Identity | None:
        """Who asks, where that can be told at a glance; None: it must be looked at as anything else."""


class SignOn(Protocol):
    """Single sign-on for people, as the passport knows it."""

    def verifier(self, providers: tuple[str, ...]) -> Sessions:
        """Of sessions of these providers."""

    def way_in(self, ask: Ask) -> SignInNeeded | None:
        """Where a person can sign in for what was asked; None: no person asks."""


def items_of(line: Accept) -> frozenset[Item]:
    """What a line asks for, all together."""
    items = []
    if line.jwt is not None:
        items.append(Item("jwt", line.jwt))
    if line.api_key is not None:
        items.append(Item("api_key", line.api_key))
    if line.certificate is not None:
        items.append(Item("certificate", line.certificate))
    if line.app_id is not None:
        items.append(Item("app_id", line.app_id))
    if line.sign_in:
        items.append(SESSION)
    return frozenset(items)


def lines_of(accept: Iterable[Accept]) -> tuple[frozenset[Item], ...]:
    """Those that ask for credentials; raises ValueError for one that asks for none, as it would let anyone in."""
    lines = tuple(items_of(line) for line in accept if line.anonymous is None)
    if frozenset() in lines:
        raise ValueError("an accept line names no credential")
    return lines


class Pairs:
    """Joins what two credentials prove: one object for each pair, because the gate remembers by object."""

    def __init__(self) -> None:
        self._known: dict[tuple[Identity, Identity], Identity] = {}

    def join(self, first: Identity | None, second: Identity) -> Identity:
        """The second's subject and claims stand; raises Invalid where they name two applications."""
        if first is None or first is second:
            return second
        pair = (first, second)
        both = self._known.get(pair)
        if both is None:
            both = _joined(first, second)
            if len(self._known) >= PAIRS:
                del self._known[next(iter(self._known))]
            self._known[pair] = both
        return both


def _joined(first: Identity, second: Identity) -> Identity:
    applications = {identity.application for identity in (first, second)} - {None}
    if len(applications) > 1:
        raise Invalid("credentials_differ", "the credentials belong to different applications")
    proof = tuple(dict.fromkeys(second.proof + first.proof))
    return replace(second, application=next(iter(applications), None), proof=proof)
