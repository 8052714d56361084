"""API keys as credentials, each in its place."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping

from gateway.identity.api_keys import ApiKeys, mistyped
from gateway.identity.credentials import Ask, reader
from gateway.identity.floods import Floods
from gateway.identity.refusals import Invalid
from gateway.identity.verifier import Answer, Item, Presented
from gateway.model import Identity, KeyPlace


class KeyVerifier:
    """Keys in one place. A look-up is all that a key needs, so it is known, or refused, on sight."""

    def __init__(
        self,
        place: KeyPlace,
        keys: ApiKeys,
        floods: Floods,
        clock: Callable[[], float],
        uses: MutableMapping[str, float],
    ) -> None:
        """`uses` learns when a key was used last, by its digest."""
        self._item = Item("api_key", place)
        self._read = reader(place)
        self._keys = keys
        self._floods = floods
        self._clock = clock
        self._uses = uses

    def present(self, ask: Ask) -> Presented | None:
        key = self._read(ask)
        if key is None:
            return None
        held = self._keys.find(key)
        if held is None:
            self._floods.check(ask.peer)
            detail = "the API key is mistyped or cut off" if mistyped(key) else "the API key is not valid"
            raise Invalid("api_key_invalid", detail)
        now = self._clock()
        for check in held.bounds:
            check(ask, now)
        self._uses[held.digest] = now
        return Presented(self._item, held.identity)

    def verify(self, presented: Presented, _ask: Ask, _done: Callable[[Answer], None]) -> Identity | None:
        return presented.identity
