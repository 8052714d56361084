"""A difference as values: what changed, before and after. Everything is text, ready to be shown; no secret is in it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What became of something."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RAISED = "raised"  # a limit
    LOWERED = "lowered"


class Change(NamedTuple):
    """A value. None: it was, or is, not there. Both None: a secret, of which only the change is told."""

    what: str
    before: str | None
    after: str | None


class Item(NamedTuple):
    """A service, provider, channel, account or plan. `for_` are the applications that it matters to."""

    section: str
    name: str
    kind: Kind
    changes: tuple[Change, ...] = ()
    for_: tuple[str, ...] = ()


class LimitChange(NamedTuple):
    """A limit of an application, such as `hits per month`."""

    kind: Kind
    limit: str
    before: str | None
    after: str | None


class Fresh(NamedTuple):
    """A counter that starts at 0, and why: what is in the store counts for it no more."""

    limit: str
    why: str


class Effect(NamedTuple):
    """What becomes of an application. `gained` and `lost` are endpoints."""

    kind: Kind
    changes: tuple[Change, ...] = ()
    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    limits: tuple[LimitChange, ...] = ()
    fresh: tuple[Fresh, ...] = ()


class Over(NamedTuple):
    """Who is over a new limit at once. `before` is what the limit was; `resets_at` in Unix seconds, None for never."""

    scope: str
    plan: str
    limit: str
    spent: int
    before: int | None
    after: int
    resets_at: float | None


class Difference(NamedTuple):
    """All of it. `gateway` are the process's own settings; `restart`: those of them that a reload does not take."""

    gateway: tuple[Change, ...] = ()
    restart: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    applications: tuple[tuple[str, Effect], ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(self)
