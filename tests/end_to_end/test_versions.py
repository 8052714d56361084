"""Two versions of the gateway at once: as in an upgrade, one gateway after the other."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.gateway import Gateway
from rigs.load import lasting
from rigs.rush import Rush, service
from rigs.stage import Stage
from rigs.stores import Server, binary_of
from rigs.waiting import until

import gateway
from gateway.store.protocol import PROTOCOL

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis, pytest.mark.slow]

LIMIT = 3_000
SERVICE = """
services:
  orders:
    path: /orders
    upstream: {targets: ["${UPSTREAM}"]}
    accept: [{jwt: keycloak}]
    rules: [GET /orders: hits]
"""
PLANS = f"""
plans:
  gold: {{services: [orders], limits: {{hits: [{lasting(LIMIT)}]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""


class Version:
    """Another version of the gateway's code: a copy of this one, with other words in it."""

    def __init__(self, folder: Path) -> None:
        self.code = folder / "gateway"
        shutil.copytree(Path(gateway.__file__).parent, self.code, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}  # before this one, and the working folder
        self._change(self.code / "__init__.py", gateway.__version__, "9.9.9")

    def with_other_scripts(self) -> Version:
        """Of other digests, as after any change of them."""
        for script in self.code.rglob("*.lua"):
            script.write_text(script.read_text() + "-- of another version\n")
        return self

    def of_another_protocol(self) -> Version:
        self._change(self.code / "store" / "protocol.py", f'PROTOCOL = "{PROTOCOL}"', 'PROTOCOL = "9"')
        return self

    @staticmethod
    def _change(file: Path, old: str, new: str) -> None:
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(binary_of("redis"), tmp_path_factory.mktemp("redis")).start()
    yield server
    server.close()


async def version_of(gateway: Gateway) -> str:
    return (await gateway.metrics()).partition("gateway_build_info{")[2].partition("}")[0]


async def test_two_versions_of_one_protocol_let_in_exactly_the_limit(
    stage: Stage, store: Server, tmp_path: Path
) -> None:
    """Old ones go and new ones come under load; the store forgets all scripts meanwhile, again and again."""
    later = Version(tmp_path / "later").with_other_scripts()
    token = stage.token()
    async with service() as upstream:
        settings = {"STORE": store.url, "UPSTREAM": upstream}
        folders = [{"DATA": str(tmp_path / name)} for name in ("one", "two", "three")]
        versions = ({}, later.environment, later.environment)
        old, new, newest = (
            stage.gateway(tmp_path, SERVICE, PLANS, start=False, **settings, **folder, **version)
            for folder, version in zip(folders, versions, strict=True)
        )
        async with old as old, new as new, newest as newest:
            await asyncio.gather(old.start(), new.start())
            assert 'version="9.9.9"' in await version_of(new)
            assert 'version="9.9.9"' not in await version_of(old)
            async with Rush([old, new], token, rate=600) as rush:
                for _ in range(10):
                    await asyncio.sleep(0.1)
                    store.ask("SCRIPT", "FLUSH")
            assert await old.stop() == 0  # what it had in hand goes back
            await newest.start()
            rest = await Rush([new, newest], token, LIMIT, rate=2_000).end()
            both = set(rush.statuses) | set(rest.statuses)
            print(rush.told("two versions", LIMIT), rest.told("after the upgrade", LIMIT))
            assert both <= {200, 429}
            assert 0 < rush.admitted < LIMIT
            assert rush.admitted + rest.admitted == LIMIT


async def test_a_version_of_another_protocol_does_not_start_beside_others(
    stage: Stage, store: Server, tmp_path: Path
) -> None:
    later = Version(tmp_path / "later").of_another_protocol()
    settings = {"STORE": store.url, "UPSTREAM": "http://127.0.0.1:1"}
    async with (
        stage.gateway(tmp_path, SERVICE, PLANS, **settings) as old,
        stage.gateway(tmp_path, SERVICE, PLANS, start=False, **settings, **later.environment) as new,
    ):
        await new.launch()
        assert await new.ended() == 1
        assert f"are kept in protocol {PROTOCOL}, by another version of the gateway; this one counts in" in new.told()
        doctor = await new.command("doctor", str(new.plans))
        assert f"are kept in protocol {PROTOCOL}" in doctor.stdout
        assert await old.is_ready()


async def test_a_gateway_whose_store_was_taken_over_counts_no_more(stage: Stage, store: Server, tmp_path: Path) -> None:
    """Somebody emptied the store, and another version was there first: 503 until that is mended."""
    token = stage.token()
    async with (
        service() as upstream,
        stage.gateway(tmp_path, SERVICE, PLANS, STORE=store.url, STORE_TIMEOUT="50ms", UPSTREAM=upstream) as gateway,
    ):
        await until(lambda: is_let_in(gateway, token))
        store.ask("FLUSHALL")
        store.ask("SET", "gw:protocol", "9")
        await until(lambda: is_refused(gateway, token))
        assert await gateway.missing() == ["store: it does not answer"]  # and which protocol, at the next full look
        await gateway.said("PROTOCOL the store is kept in protocol 9, this gateway counts in")
        store.ask("DEL", "gw:protocol")
        await until(lambda: is_let_in(gateway, token))


async def is_let_in(gateway: Gateway, token: str) -> bool:
    return (await gateway.get(token=token)).status_code == 200


async def is_refused(gateway: Gateway, token: str) -> bool:
    answer = await gateway.get(token=token)
    assert answer.status_code in (200, 503)
    return answer.status_code == 503 and await gateway.missing() != []
