"""Does at the provider what the plans want: each action by itself, so that one that fails holds up no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple, Protocol

from gateway.clients.compare import Action, Json, What, audience_mapper, changed, new_client
from gateway.clients.keycloak import Away, Refused


class Clients(Protocol):
    async def create(self, client: Json) -> str | None: ...

    async def update(self, client: Json) -> None: ...

    async def add_mapper(self, client: Json, mapper: Json) -> None: ...

    async def delete(self, client: Json) -> None: ...


class Done(NamedTuple):
    """An action that was tried: the secret of a client that was made, or why it failed."""

    action: Action
    secret: str | None = None
    failure: str | None = None


async def sync(clients: Clients, actions: Iterable[Action], audience: str) -> AsyncIterator[Done]:
    """What came of each; what is not the gateway's to change is left out."""
    latest: dict[str, Json] = {}
    for action in actions:
        if action.what is not What.LEFT:
            newest = action._replace(found=latest.get(action.client_id, action.found))
            done = await _tried(clients, newest, audience)
            if done.failure is None and action.what in (What.ADOPT, What.ENABLE, What.DISABLE):
                latest[action.client_id] = changed(newest)
            yield done._replace(action=action)


async def _tried(clients: Clients, action: Action, audience: str) -> Done:
    try:
        return Done(action, secret=await _do(clients, action, audience))
    except (Refused, Away) as error:
        return Done(action, failure=str(error))


async def _do(clients: Clients, action: Action, audience: str) -> str | None:
    if action.what is What.CREATE:
        return await clients.create(new_client(action, audience))
    assert action.found is not None
    if action.what is What.AUDIENCE:
        await clients.add_mapper(action.found, audience_mapper(audience))
    elif action.what is What.DELETE:
        await clients.delete(action.found)
    else:
        await clients.update(changed(action))
    return None
