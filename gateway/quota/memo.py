"""What a process remembers of counters, to tell a store that has forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gateway.quota.calls import State
from gateway.quota.scopes import Counter
from gateway.store.fence import Fence
from gateway.store.script import Command

MOST = 50_000  # counters, at some 300 bytes; the least recently asked go first
SOME = 50  # looked at in one go for having ended
ROWS = 100  # counters in one call


class Note(NamedTuple):
    """The last that was heard of a counter."""

    tag: str
    state: State
    drop: int | str
    end: float


class Memo:
    """By counter, the last that the store told of it."""

    def __init__(self) -> None:
        self._notes: dict[str, Note] = {}

    def note(self, counters: Sequence[Counter], states: Sequence[State | None]) -> None:
        """Take down what an answer says."""
        notes = self._notes
        for counter, state in zip(counters, states, strict=True):
            if state is None:
                continue
            key, row, _ = counter.entry
            notes.pop(key, None)
            notes[key] = Note(counter.scope.tag, state, row[3], counter.end)
        while len(notes) > MOST:
            del notes[next(iter(notes))]

    def forget_ended(self, now: float) -> None:
        """Drop some whose window is over; `now` is the store's time."""
        notes = self._notes
        for _ in range(min(SOME, len(notes))):
            key = next(iter(notes))
            if notes[key].end > now:
                return
            del notes[key]

    def publications(self, concerns: Callable[[str], bool], fence: Fence, now: float) -> Iterator[Command]:
        """Calls of publish.lua, for the scopes whose tag concerns the node of `fence`."""
        by_tag: dict[str, list[tuple[str, Note]]] = {}
        for key, note in self._notes.items():
            if note.end > now and note.state.epoch not in (fence.epoch, *fence.intact) and concerns(note.tag):
                by_tag.setdefault(note.tag, []).append((key, note))
        for notes in by_tag.values():
            for start in range(0, len(notes), ROWS):
                yield _call(notes[start : start + ROWS], fence)


def _call(notes: Sequence[tuple[str, Note]], fence: Fence) -> Command:
    rows: list[str | int] = []
    for _, note in notes:
        state = note.state
        rows += (state.epoch, state.version, state.spent, state.held, state.topped, state.raised, note.drop)
    return (len(notes), *(key for key, _ in notes), fence.key, fence.here, *rows)


