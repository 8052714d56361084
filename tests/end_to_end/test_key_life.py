"""The life of an API key, by the command: revoked, it is refused on every gateway of the store within a second."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.stage import ORDERS, Stage
from rigs.stores import Server, binary_of
from rigs.waiting import until

from gateway.identity.api_keys import create

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis]

CI, APP, LEAKED = create(), create(), create()
SERVICE = ORDERS.replace(
    "accept: [{jwt: keycloak}]",
    "accept: [{api_key: {header: X-Api-Key}}, {app_id: {header: App-Id}, app_key: {header: App-Key}}]",
)
PLANS = f"""
plans: {{gold: {{services: [orders]}}}}
applications:
  mobile:
    plans: [gold]
    api_keys: [{{key: "{CI.digest}", name: ci}}, "{LEAKED.digest}"]
    app_id: a1
    app_keys: [{{key: "{APP.digest}", name: app}}]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Gateway]]:
    """Two gateways on one Redis."""
    folder = tmp_path_factory.mktemp("keys")
    server = Server(binary_of("redis"), tmp_path_factory.mktemp("redis")).start()
    try:
        async with stage.gateways(2, folder, SERVICE, PLANS, STORE=server.url) as gateways:
            yield gateways
    finally:
        server.close()


async def codes(pair: list[Gateway], **credentials: str) -> list[str]:
    answers = [await gateway.get(**credentials) for gateway in pair]
    return ["" if answer.status_code == 200 else answer.json()["code"] for answer in answers]


async def keys(gateway: Gateway, verb: str, *arguments: str) -> tuple[str, str]:
    done = await gateway.command("keys", verb, str(gateway.plans), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


async def test_a_revoked_key_is_refused_everywhere_within_a_second(pair: list[Gateway]) -> None:
    first, second = pair
    times = []
    for _ in range(3):  # a busy machine may be late once
        await until(lambda: _serve(pair, key=CI.key))  # in a cache, if there were one
        await keys(first, "revoke", "ci", "-a", "mobile")
        done = time.monotonic()
        await until(lambda: _refused(pair, {"key": CI.key}))
        times.append(time.monotonic() - done)
        if times[-1] < 1.0:
            break
        await keys(second, "restore", "ci")
    assert min(times) < 1.0
    assert await codes(pair, key=LEAKED.key) == ["", ""]
    listed = json.loads((await keys(first, "ls", "-o", "json"))[0])
    assert {row["name"]: row["state"] for row in listed} == {"ci": "revoked", None: "valid", "app": "valid"}
    line = await first.said("key revoke")
    assert (line["action"], line["digest"]) == ("keys.revoke", CI.digest)


async def test_it_serves_again_when_it_is_restored(pair: list[Gateway]) -> None:
    _, second = pair
    await keys(second, "restore", CI.digest[:20])
    await until(lambda: _serve(pair, key=CI.key))


async def _serve(pair: list[Gateway], **credentials: str) -> bool:
    return await codes(pair, **credentials) == ["", ""]


async def test_a_leaked_key_is_revoked_by_itself(pair: list[Gateway], tmp_path: Path) -> None:
    first, _ = pair
    (tmp_path / "leaked").write_text(f"{LEAKED.key}\n")
    with (tmp_path / "leaked").open() as leaked:
        done = await first.command("keys", "revoke", str(first.plans), "-", stdin=leaked)
    assert done.returncode == 0, done.stderr
    assert LEAKED.key not in done.stdout + done.stderr
    await until(lambda: _refused(pair, {"key": LEAKED.key}))


async def test_a_rolled_key_goes_on_for_the_overlap_beside_the_new_one(pair: list[Gateway]) -> None:
    first, _ = pair
    both = {"App_Id": "a1", "App_Key": APP.key}
    new, lines = await keys(first, "roll", "app", "--overlap", "1s")
    assert "    app_keys:\n      - {key: " in lines
    assert new.startswith("gwk_")
    await until(lambda: _refused(pair, both))
    listed = json.loads((await keys(first, "ls", "-o", "json"))[0])
    assert next(row["state"] for row in listed if row["name"] == "app") == "revoked"


async def _refused(pair: list[Gateway], credentials: dict[str, str]) -> bool:
    return await codes(pair, **credentials) == ["api_key_revoked"] * 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nothing",), "no key of these plans is called 'nothing'"),
        (("sha256:12",), "no key of these plans"),
    ],
)
async def test_a_key_that_is_not_there(pair: list[Gateway], arguments: tuple[str, ...], told: str) -> None:
    first, _ = pair
    done = await first.command("keys", "revoke", str(first.plans), *arguments)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


async def test_any_gateway_tells_when_a_key_was_last_used(pair: list[Gateway]) -> None:
    """Though it was used on the other one."""
    first, second = pair
    assert (await first.get(App_Id="a1", App_Key=APP.key)).status_code == 401  # it does not count
    assert await first.get(key=CI.key)

    async def used() -> dict[str, str]:
        listed = json.loads((await keys(second, "ls", "-o", "json"))[0])
        return {row["name"]: row["last_used"] for row in listed if row["last_used"]}

    moment = datetime.fromisoformat((await until(used, seconds=20))["ci"])
    assert -20 < (moment - datetime.now(UTC)).total_seconds() / 60 <= 0
    assert "last used" in (await keys(second, "ls"))[0]
