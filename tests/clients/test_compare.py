"""What is to be done at the provider for the clients that the plans name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.clients.compare import (
    APPLICATION,
    MANAGED,
    STOPPED,
    What,
    audience_mapper,
    changed,
    compare,
    new_client,
    not_enabled,
    wanted,
)
from gateway.clients.suspended import suspended_in_store
from gateway.model import Account, AccountState, Application, Config, State, Store
from gateway.quota.suspensions import SUSPENDED
from gateway.store.marks import Row
from gateway.store.marks_file import save
from gateway.store.store_marks import Seen

MAPPED = {"protocolMappers": [audience_mapper("gateway")]}
MINE = {"attributes": {MANAGED: "true", APPLICATION: "mobile"}}
STOPPED_BY_US = {"attributes": {MANAGED: "true", APPLICATION: "mobile", STOPPED: "true"}}


def plans(**more: Any) -> Config:
    application = Application(name="mobile", plans=(), client_ids=("mobile-app",), **more)
    return Config(
        applications={"mobile": application}, accounts={"acme": Account(name="acme", state=AccountState.DISABLED)}
    )


def to_do(config: Config, client: dict[str, Any] | None = None, **options: bool) -> list[tuple[str, str]]:
    found = {} if client is None else {client.get("clientId", "mobile-app"): {"clientId": "mobile-app", **client}}
    actions = compare(wanted(config, 0.0), found, "gateway", **options)
    return [(action.what.value, action.why) for action in actions]


@pytest.mark.parametrize(
    ("client", "options", "does"),
    [
        (None, {}, ["create"]),
        ({**MAPPED, **MINE, "enabled": True}, {}, []),
        ({**MINE, "enabled": True}, {}, ["audience"]),
        ({**MAPPED, **STOPPED_BY_US, "enabled": False}, {}, ["enable"]),
        ({**MAPPED, **MINE, "enabled": False}, {}, ["left"]),
        ({"enabled": True}, {}, []),  # its audience may come from a client scope
        ({"enabled": False}, {}, ["left"]),
        ({"enabled": True}, {"adopt": True}, ["adopt", "audience"]),
        ({**MAPPED, "enabled": True}, {"adopt": True}, ["adopt"]),
        ({**MAPPED, **MINE, "clientId": "gone-app", "enabled": True}, {}, ["create", "disable"]),
        ({**MAPPED, **MINE, "clientId": "gone-app", "enabled": False}, {}, ["create"]),
        ({**MAPPED, **MINE, "clientId": "gone-app", "enabled": False}, {"prune": True}, ["create", "delete"]),
        ({"clientId": "gone-app", "enabled": True}, {"prune": True, "adopt": True}, ["create"]),  # not ours
    ],
)
def test_what_is_done_for_an_application_that_is_served(client, options, does):
    assert [what for what, _ in to_do(plans(), client, **options)] == does


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"state": State.SUSPENDED}, "the application is suspended"),
        ({"state": State.PENDING}, "the application is pending"),
        ({"account": "acme"}, "the account is disabled"),
    ],
)
def test_the_client_of_one_that_is_not_served_is_disabled(more, why):
    assert to_do(plans(**more)) == []
    assert to_do(plans(**more), {**MAPPED, **MINE, "enabled": True}) == [("disable", why)]
    assert to_do(plans(**more), {**MAPPED, **STOPPED_BY_US, "enabled": False}) == []
    assert [what for what, _ in to_do(plans(**more), {"enabled": True})] == ["left"]
    assert [what for what, _ in to_do(plans(**more), {**MAPPED, "enabled": True}, adopt=True)] == ["adopt", "disable"]


def test_an_application_may_be_suspended_in_the_store():
    found = {"mobile-app": {**MAPPED, **MINE, "enabled": True}}
    (action,) = compare(wanted(plans(), 0.0, {"mobile"}), found, "gateway")
    assert (action.what, action.why) == (What.DISABLE, "the application is suspended")


def test_nobody_is_enabled_while_it_is_not_known_who_is_suspended():
    found = {"mobile-app": {**MAPPED, **STOPPED_BY_US, "enabled": False}}
    (action,) = compare(wanted(plans(), 0.0), found, "gateway")
    assert (action.what, not_enabled(action).what) == (What.ENABLE, What.LEFT)


async def test_what_a_gateway_without_store_has_saved_is_known(tmp_path):
    row = Row(SUSPENDED, "mobile", 1, "by hand", None)
    save(tmp_path, Seen(), [row, row._replace(name="mobile/alice"), row._replace(name="others")])
    config = replace(plans(), store=Store(kind="memory"), data=tmp_path)
    assert await suspended_in_store(config) == {"mobile"}


def test_a_client_is_changed_in_nothing_else():
    found = {
        **MINE,
        "id": "1",
        "enabled": True,
        "redirectUris": ["https://x"],
        "attributes": {"a": "b", **MINE["attributes"]},
    }
    (disable,) = compare(wanted(plans(state=State.SUSPENDED), 0.0), {"mobile-app": {**found, **MAPPED}}, "gateway")
    assert changed(disable) == {
        **found,
        **MAPPED,
        "enabled": False,
        "attributes": {"a": "b", MANAGED: "true", APPLICATION: "mobile", STOPPED: "true"},
    }


def test_a_new_client_is_confidential_and_signs_nobody_in():
    (create,) = compare(wanted(plans(), 0.0), {}, "gateway")
    made = new_client(create, "gateway")
    assert create.what is What.CREATE
    assert (made["publicClient"], made["standardFlowEnabled"], made["directAccessGrantsEnabled"]) == (
        False,
        False,
        False,
    )
    assert made["attributes"] == {MANAGED: "true", APPLICATION: "mobile"}


@pytest.mark.parametrize(
    "client", [{"protocolMappers": None}, {"attributes": None}, {"attributes": []}, {"protocolMappers": [{}]}]
)
def test_what_a_provider_leaves_out_is_not_there(client):
    assert to_do(plans(), {"enabled": True, **client}) == []
