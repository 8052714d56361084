"""Roles in Keycloak's tokens choose the plan, and its limit holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from .realms import Realm
from .stage import Service, code, gateway_before

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_a_customer_has_the_free_plan_and_its_limit(demo: Realm, orders: Service, tmp_path: Path) -> None:
    """Twice a year, counted for each client: another token of the same client changes nothing."""
    async with gateway_before(orders, demo, tmp_path) as gateway:
        answer = await gateway.get(demo.token("shop-app"))
        assert answer.status_code == 200
        assert answer.json()["caller"]["application"] == "customers"
        assert answer.json()["caller"]["plan"] == "free"
        assert (await gateway.get(demo.token("shop-app"))).status_code == 200

        over = await gateway.get(demo.token("shop-app"))
        assert code(over) == (429, "over_limit")
        assert over.json().items() >= {"plan": "free", "metric": "hits", "period": "year", "limit": 2}.items()
        assert int(over.headers["retry-after"]) > 0

        assert (await gateway.get(demo.token("kiosk-app"))).status_code == 200, "the role's other client has its own"
        assert (await gateway.get(demo.token("mobile-app"))).status_code == 200


@pytest.mark.redis
async def test_usage_in_redis_outlives_the_gateway(demo: Realm, orders: Service, redis: str, tmp_path: Path) -> None:
    store = f'{{url: "{redis}", timeout: 5s}}'
    async with gateway_before(orders, demo, tmp_path, store) as first:
        assert (await first.get(demo.token("shop-app"))).status_code == 200
    async with gateway_before(orders, demo, tmp_path, store) as second:
        assert (await second.get(demo.token("shop-app"))).status_code == 200
        assert (await second.get(demo.token("shop-app"))).status_code == 429


@pytest.mark.redis
async def test_two_gateways_share_one_limit_in_redis(demo: Realm, orders: Service, redis: str, tmp_path: Path) -> None:
    store = f'{{url: "{redis}", timeout: 5s}}'
    async with (
        gateway_before(orders, demo, tmp_path / "one", store) as one,
        gateway_before(orders, demo, tmp_path / "two", store) as two,
    ):
        answers = [(await gateway.get(demo.token("shop-app"))).status_code for gateway in (one, two, one, two)]
    assert answers == [200, 200, 429, 429]
