"""What the plans want of clients, and what is to be done at the provider for it. Functions of their arguments alone.

A client that the gateway made, or was told to adopt, bears a mark among its attributes. Only such ones are changed;
of the others it is told how they differ. Who was disabled by hand is not enabled.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.errors import Forbidden
from gateway.gate.standing import require_standing
from gateway.model import Config, account_of

MANAGED, APPLICATION, STOPPED = "plangate.managed", "plangate.application", "plangate.stopped"
MAPPER = "oidc-audience-mapper"

Json = dict[str, Any]


class Wanted(NamedTuple):
    """A client that the plans name: whose, and whether its application is served; `why` not."""

    application: str
    live: bool
    why: str = ""


class What(StrEnum):
    CREATE = "create"
    ADOPT = "adopt"
    ENABLE = "enable"
    DISABLE = "disable"
    AUDIENCE = "audience"  # give it the mapper that puts the gateway into its tokens' `aud`
    DELETE = "delete"
    LEFT = "left"  # it differs, and is not the gateway's to change


class Action(NamedTuple):
    """What is to be done to a client, and why; `found` is how it is now."""

    what: What
    client_id: str
    application: str
    why: str
    found: Json | None = None


def wanted(config: Config, now: float, suspended: Container[str] = ()) -> dict[str, Wanted]:
    """By client id; `now` in Unix seconds. `suspended` are names of applications that the store says so of."""
    clients: dict[str, Wanted] = {}
    for application in config.applications.values():
        why = "the application is suspended" if application.name in suspended else ""
        try:
            require_standing(application, account_of(config, application), now)
        except Forbidden as error:
            why = error.detail
        clients |= dict.fromkeys(application.client_ids, Wanted(application.name, not why, why))
    return clients


def compare(
    want: Mapping[str, Wanted], found: Mapping[str, Json], audience: str, *, adopt: bool = False, prune: bool = False
) -> list[Action]:
    """`found` are the provider's clients by id. `adopt`: those that others made are the gateway's from now on. `prune`:
    its own of which the plans know nothing are deleted rather than disabled."""
    actions: list[Action] = []
    for client_id, wish in want.items():
        client = found.get(client_id)
        if client is not None:
            actions += _of_found(client_id, wish, client, audience, adopt=adopt)
        elif wish.live:
            actions.append(Action(What.CREATE, client_id, wish.application, "the provider has none"))
    for client_id, client in found.items():
        if client_id not in want and is_managed(client):
            actions += _of_orphan(client_id, client, prune=prune)
    return actions


def _of_found(client_id: str, wish: Wanted, client: Json, audience: str, *, adopt: bool) -> Iterator[Action]:
    def action(what: What, why: str) -> Action:
        return Action(what, client_id, wish.application, why, client)

    mine = is_managed(client)
    if not mine and adopt:
        yield action(What.ADOPT, "others made it")
        mine = True
    enabled = client.get("enabled") is not False
    if enabled and not wish.live:
        if mine:
            yield action(What.DISABLE, wish.why)
        else:
            yield action(What.LEFT, f"it is enabled, though {wish.why}; others made it, so only --adopt changes it")
    elif wish.live and not enabled:
        if mine and _attributes(client).get(STOPPED) == "true":
            yield action(What.ENABLE, "its application is served again")
        else:
            yield action(What.LEFT, "somebody disabled it")
    if mine and not has_audience(client, audience):
        yield action(What.AUDIENCE, f"its tokens would not be for {audience}")


def _of_orphan(client_id: str, client: Json, *, prune: bool) -> Iterator[Action]:
    application = str(_attributes(client).get(APPLICATION, ""))
    if prune:
        yield Action(What.DELETE, client_id, application, "the plans do not name it", client)
    elif client.get("enabled") is not False:
        yield Action(What.DISABLE, client_id, application, "the plans do not name it", client)


def not_enabled(action: Action) -> Action:
    """Where it is not known who is suspended, nobody is let in for it."""
    if action.what is not What.ENABLE:
        return action
    return action._replace(what=What.LEFT, why="whether its application is suspended in the store is not known")


def is_managed(client: Json) -> bool:
    return _attributes(client).get(MANAGED) == "true"


def has_audience(client: Json, audience: str) -> bool:
    """Whether a mapper of the client itself adds it; one of a client scope is not looked for."""
    mappers = client.get("protocolMappers") or []
    settings = [mapper.get("config") or {} for mapper in mappers if mapper.get("protocolMapper") == MAPPER]
    return any(
        audience in (config.get("included.custom.audience"), config.get("included.client.audience"))
        and config.get("access.token.claim") == "true"
        for config in settings
    )


def _attributes(client: Json) -> Json:
    found = client.get("attributes")
    return found if isinstance(found, dict) else {}


# --- what is sent


def new_client(action: Action, audience: str) -> Json:
    """A confidential client with a service account, and nothing that people sign in by."""
    return {
        "clientId": action.client_id,
        "name": action.application,
        "description": f"Made by the gateway for the application {action.application}.",
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "attributes": {MANAGED: "true", APPLICATION: action.application},
        "protocolMappers": [audience_mapper(audience)],
    }


def audience_mapper(audience: str) -> Json:
    return {
        "name": f"audience {audience}",
        "protocol": "openid-connect",
        "protocolMapper": MAPPER,
        "config": {
            "included.custom.audience": audience,
            "access.token.claim": "true",
            "introspection.token.claim": "true",
            "lightweight.claim": "true",
        },
    }


def changed(action: Action) -> Json:
    """The client as it should be; of what it was all else is kept."""
    assert action.found is not None
    marks = {MANAGED: "true", APPLICATION: action.application}
    more: Json = {}
    if action.what is What.ENABLE:
        more, marks = {"enabled": True}, {**marks, STOPPED: "false"}
    elif action.what is What.DISABLE:
        more, marks = {"enabled": False}, {**marks, STOPPED: "true"}
    return {**action.found, **more, "attributes": {**_attributes(action.found), **marks}}
