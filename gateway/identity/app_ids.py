"""3scale's app id and keys: the id is public and names the application; one of its keys proves it, where it has any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from hashlib import sha256
from typing import NamedTuple

from gateway.identity.api_keys import Held, digest_of, identity_of
from gateway.identity.bounds import bounds_of
from gateway.identity.credentials import Ask, reader
from gateway.identity.floods import Floods
from gateway.identity.refusals import Invalid
from gateway.identity.revocations import Marks
from gateway.identity.verifier import Answer, Item, Presented
from gateway.model import AppId, Application, Identity


class App(NamedTuple):
    """An application by its id. `keys` by digest; empty: its id is enough."""

    identity: Identity
    keys: Mapping[bytes, Held]


class AppIds:
    """Which application an id names."""

    def __init__(self, applications: Iterable[Application], marks: Marks) -> None:
        """Raises ValueError for a digest that is none, or an id of two applications."""
        self._apps: dict[bytes, App] = {}
        for application in applications:
            if application.app_id is not None:
                self._add(application, application.app_id.encode(), marks)

    def find(self, app_id: bytes) -> App | None:
        return self._apps.get(app_id)

    def _add(self, application: Application, app_id: bytes, marks: Marks) -> None:
        if app_id in self._apps:
            raise ValueError(f"application {application.name}: its app_id is another's too")
        keys = {}
        for key in application.app_keys:
            digest = digest_of(key)
            if digest is None:
                raise ValueError(
                    f"application {application.name}: an app key's digest is not sha256: and 64 hex digits"
                )
            keys[digest] = Held(
                identity_of(application, "app_id", f"app_key:{key.shown}"), key.digest, bounds_of(key, marks)
            )
        self._apps[app_id] = App(identity_of(application, "app_id"), keys)


class AppIdVerifier:
    """An id in its place, with a key in another."""

    def __init__(
        self,
        places: AppId,
        apps: AppIds,
        floods: Floods,
        clock: Callable[[], float],
        uses: MutableMapping[str, float],
    ) -> None:
        """`uses` learns when a key was used last, by its digest."""
        self._item = Item("app_id", places)
        self._read_id, self._read_key = reader(places.id), reader(places.key)
        self._apps = apps
        self._floods = floods
        self._clock = clock
        self._uses = uses

    def present(self, ask: Ask) -> Presented | None:
        app_id, key = self._read_id(ask) or None, self._read_key(ask) or None
        if app_id is None:
            if key is not None:
                raise Invalid("credentials_missing", "the application's id is required beside its key")
            return None
        app = self._apps.find(app_id)
        if app is None:
            self._floods.check(ask.peer)
            raise Invalid("app_id_invalid", "the application's id is not valid")
        return Presented(self._item, self._proven(app, key, ask) if app.keys else app.identity)

    def verify(self, presented: Presented, _ask: Ask, _done: Callable[[Answer], None]) -> Identity | None:
        return presented.identity

    def _proven(self, app: App, key: bytes | None, ask: Ask) -> Identity:
        if key is None:
            raise Invalid("credentials_missing", "the application's key is required beside its id")
        held = app.keys.get(sha256(key).digest())
        if held is None:
            self._floods.check(ask.peer)
            raise Invalid("app_key_invalid", "the application's key is not valid")
        now = self._clock()
        for check in held.bounds:
            check(ask, now)
        self._uses[held.digest] = now
        return held.identity
