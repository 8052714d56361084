"""What a process remembers of counters, to tell a store that has forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gateway.quota.calls import State
from gateway.quota.meters import Counter
from gateway.store.fence import Fence
from gateway.store.script import Command, Script

PUBLISH = Script("gateway.quota", "publish.lua")

MOST = 50_000  # counters, at some 300 bytes; the least recently asked go first
SOME = 50  # looked at in one go for having ended
ROWS = 100  # counters in one call
LATE = 600.0  # seconds after a window's end for which its usage and alerts may still have to be told
DELIVERED = 60.0  # seconds after which an alert has surely left the store


class Note(NamedTuple):
    """The last that was heard of a counter."""

    tag: str
    state: State
    drop: int | str
    end: float


class Raised(NamedTuple):
    """Bins of a counter that were raised lately, as far as this process knows; the tail of its row in consume.lua."""

    bins: frozenset[str]
    tail: tuple[str, str]
    at: float


NONE = Raised(frozenset(), ("", ""), 0.0)


class Memo:
    """By counter, the last that the store told of it."""

    def __init__(self) -> None:
        self._notes: dict[str, Note] = {}
        self._raised: dict[str, Raised] = {}

    def note(self, counters: Sequence[Counter], states: Sequence[State | None], now: float) -> None:
        """Take down what an answer says; `now` is the store's time."""
        notes = self._notes
        for counter, state in zip(counters, states, strict=True):
            if state is None:
                continue
            key, row, tail = counter.entry
            self._note_raised(key, state, notes.pop(key, None), tail, now)
            notes[key] = Note(counter.scope.tag, state, row[3], counter.end)
        while len(notes) > MOST:
            del notes[next(iter(notes))]

    def _note_raised(self, key: str, state: State, before: Note | None, tail: tuple[str, str], now: float) -> None:
        if before is not None and before.state.raised == state.raised:
            return
        new = bins_of(state.raised) - (bins_of(before.state.raised) if before is not None else NONE.bins)
        if new:
            self._raised[key] = Raised(self._raised.pop(key, NONE).bins | new, tail, now)

    def forget_ended(self, now: float) -> None:
        """Drop some whose window is long over, and alerts that were delivered surely; `now` is the store's time."""
        notes = self._notes
        while self._raised and next(iter(self._raised.values())).at < now - DELIVERED:
            del self._raised[next(iter(self._raised))]
        for _ in range(min(SOME, len(notes))):
            key = next(iter(notes))
            if notes[key].end > now - LATE:
                return
            del notes[key]

    def publications(self, concerns: Callable[[str], bool], fence: Fence, outbox: str, now: float) -> Iterator[Command]:
        """Calls of publish.lua, for the scopes whose tag concerns the node of `fence`."""
        by_tag: dict[str, list[tuple[str, Note]]] = {}
        for key, note in self._notes.items():
            if note.end > now - LATE and note.state.epoch not in (fence.epoch, *fence.intact) and concerns(note.tag):
                by_tag.setdefault(note.tag, []).append((key, note))
        for notes in by_tag.values():
            for start in range(0, len(notes), ROWS):
                some = notes[start : start + ROWS]
                rows = [argument for key, note in some for argument in self._row(key, note)]
                yield (len(some), *(key for key, _ in some), fence.key, fence.here, outbox, *rows)

    def _row(self, key: str, note: Note) -> tuple[str | int, ...]:
        """What was raised lately is told to be raised again: the alert may have been lost with the store."""
        state, raised = note.state, self._raised.get(key, NONE)
        known = bins_of(state.raised) - raised.bins
        units_of, about = raised.tail
        again = " ".join(bin_ for bin_ in units_of.split() if bin_.partition("=")[0] in raised.bins)
        units = (state.epoch, state.version, state.spent, state.held, state.topped)
        return (*units, ",".join(sorted(known)), note.drop, again, about)


def bins_of(raised: str) -> frozenset[str]:
    return frozenset(raised.split(",")) if raised else NONE.bins
