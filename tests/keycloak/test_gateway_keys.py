"""Keycloak changes its keys, or is stuck, while the gateway runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .demo import MOBILE_APP
from .realms import Admin
from .server import Server
from .stage import Service, code, gateway_before

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_keys_are_changed_without_a_restart(admin: Admin, orders: Service, tmp_path: Path) -> None:
    realm = admin.create_realm("changing-keys", MOBILE_APP)
    first = realm.token("mobile-app")
    async with gateway_before(orders, realm, tmp_path) as gateway:
        assert (await gateway.get(first)).status_code == 200

        realm.add_key(priority=200)
        second = realm.token("mobile-app")
        assert second.header["kid"] != first.header["kid"]
        assert (await gateway.get(second)).status_code == 200, "an unknown key has the gateway ask for the set"
        assert (await gateway.get(first)).status_code == 200, "the old key is still published"

        realm.remove_key(first.header["kid"])
        realm.add_key(priority=300)
        third = realm.token("mobile-app")
        assert (await gateway.get(third)).status_code == 200
        assert code(await gateway.get(first)) == (401, "key_unknown"), "though it was let in before"
        assert (await gateway.get(second)).status_code == 200


async def test_a_keycloak_that_is_stuck_holds_up_nobody_whose_key_is_known(
    admin: Admin, keycloak: Server, orders: Service, tmp_path: Path
) -> None:
    realm = admin.create_realm("stuck", MOBILE_APP)
    seen, unseen = realm.token("mobile-app"), realm.token("mobile-app")
    async with gateway_before(orders, realm, tmp_path) as gateway:
        assert (await gateway.get(seen)).status_code == 200
        realm.add_key(priority=200)
        of_new_key = realm.token("mobile-app")

        with keycloak.paused():
            asked = asyncio.create_task(gateway.get(of_new_key))
            assert (await gateway.get(seen)).status_code == 200
            assert (await gateway.get(unseen)).status_code == 200, "its key is known, though it is not"
            assert not asked.done(), "who knows whether it is good? Keycloak alone"

        assert (await asked).status_code == 200
