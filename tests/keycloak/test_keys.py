"""How Keycloak changes its signing keys: new beside old, then old passive, then gone."""

from __future__ import annotations

import pytest

from .demo import MOBILE_APP
from .realms import Admin, Realm

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(120, func_only=True)]


def published(realm: Realm) -> set[str]:
    return {key["kid"] for key in realm.jwks()["keys"] if key["use"] == "sig"}


def test_a_rotation(admin: Admin) -> None:
    realm = admin.create_realm("rotation", MOBILE_APP)
    old = realm.token("mobile-app").header["kid"]

    realm.add_key(priority=200)
    new = realm.token("mobile-app").header["kid"]
    assert new != old
    assert published(realm) == {old, new}

    realm.retire_key(old)
    assert published(realm) == {old, new}, "a passive key goes on verifying"

    realm.remove_key(old)
    assert published(realm) == {new}
