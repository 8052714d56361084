"""The data of a server on paper: keys, values and expiry.

Values are bytes (strings), and dicts, sets and lists of entries for the other types.
"""

from __future__ import annotations

from copy import copy
from math import inf
from typing import Any

from .lua import Failure

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"

Entry = tuple[bytes, list[bytes]]  # of a stream: id, fields and values
State = tuple[Any, float]  # a value and when it expires, in milliseconds


class Scores(dict[bytes, float]):
    """A sorted set."""


class Stream(list[Entry]):
    """Entries, and the last id ever given."""

    last = (0, 0)


class Keyspace:
    """Keys of one server. `now` is its clock in milliseconds; a command sees it standing still."""

    def __init__(self) -> None:
        self.now = 0
        self.touched: set[bytes] = set()  # keys that were written or deleted, for replicas and for the disk
        self._values: dict[bytes, Any] = {}
        self._expiries: dict[bytes, float] = {}

    def state(self, key: bytes) -> State | None:
        """A copy of what is there, for `put`."""
        value = self.find(key)
        if value is None:
            return None
        kept = copy(value)
        if isinstance(value, Stream):
            kept.last = value.last
        return kept, self._expiries.get(key, inf)

    def put(self, key: bytes, state: State | None) -> None:
        """Set a key to what `state` gave elsewhere."""
        self._values.pop(key, None)
        self._expiries.pop(key, None)
        if state is not None:
            self._values[key] = copy(state[0])
            if isinstance(state[0], Stream):
                self._values[key].last = state[0].last
            if state[1] < inf:
                self._expiries[key] = state[1]

    def names(self) -> list[bytes]:
        return [key for key in list(self._values) if self.find(key) is not None]

    def find(self, key: bytes) -> Any:
        """The value of a key that has not expired."""
        if self._expiries.get(key, inf) <= self.now:
            self.drop(key)
        return self._values.get(key)

    def typed(self, key: bytes, kind: type[Any]) -> Any:
        """The value, which must be of a kind; an empty one if there is none."""
        value = self.find(key)
        if value is None:
            return kind()
        if type(value) is not kind:
            raise Failure(WRONGTYPE)
        return value

    def store(self, key: bytes, value: Any) -> None:
        """Keep a value, or forget the key where the value is empty (a string or a stream may be)."""
        if value or isinstance(value, bytes | Stream):
            self._values[key] = value
            self.touched.add(key)
        else:
            self.drop(key)

    def expire_at(self, key: bytes, when: float) -> None:
        """In milliseconds; `inf` is never."""
        self.touched.add(key)
        if when <= self.now:
            self.drop(key)
        elif when == inf:
            self._expiries.pop(key, None)
        else:
            self._expiries[key] = when

    def expiry(self, key: bytes) -> float:
        return self._expiries.get(key, inf)

    def drop(self, key: bytes) -> bool:
        self._expiries.pop(key, None)
        self.touched.add(key)
        return self._values.pop(key, None) is not None
