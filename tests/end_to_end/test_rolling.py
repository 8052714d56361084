"""A gateway gives way to another one on the same address, and no client notices."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.gateway import Gateway
from rigs.load import Load, status_of
from rigs.proxy import read_answer
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import until

from gateway.model import Address
from gateway.process.listeners import bind

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [LIMIT/eternity]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    """What a service manager keeps open."""
    (sock,) = bind(Address("127.0.0.1", 0))
    with sock:
        yield sock


@pytest.mark.slow
@pytest.mark.redis
async def test_one_gateway_after_the_other_serves_and_no_request_is_lost(
    stage: Stage, redis: Server, sock: socket.socket, tmp_path: Path
) -> None:
    """As in a rolling update: the next one is ready before the last one goes. Usage is in a store for both."""
    plans = PLANS.replace("LIMIT", "1000000000")
    settings = {"STORE": redis.url, "WORKERS": "2"}
    async with (
        stage.gateway(tmp_path, ORDERS, plans, start=False, **settings) as one,
        stage.gateway(tmp_path, ORDERS, plans, start=False, **settings) as two,
    ):
        for gateway in (one, two):
            gateway.inherit(sock)
        await one.start()
        await until(lambda: serves(one, stage))
        async with Load(one, stage.token()).flowing() as load:
            for old, new in ((one, two), (two, one)):
                await load.more(300)
                await new.start()
                await load.more(300)
                assert await old.stop() == 0
            await load.more(300)
        assert load.lost == []
        assert set(load.statuses) == {200}


async def serves(gateway: Gateway, stage: Stage) -> bool:
    """A store that is new is waited for."""
    return (await gateway.get(token=stage.token())).status_code == 200


async def test_who_connects_during_a_restart_waits_for_the_next_one(
    stage: Stage, sock: socket.socket, tmp_path: Path
) -> None:
    async with stage.gateway(tmp_path, ORDERS, PLANS.replace("LIMIT", "5"), start=False) as gateway:
        gateway.inherit(sock)
        await gateway.start()
        assert await gateway.stop() == 0
        async with gateway.connected() as (reader, writer):
            writer.write(gateway.head(stage.token()))
            await gateway.start()
            assert status_of(await read_answer(reader)) == 200


async def test_a_service_manager_is_told_how_it_is(stage: Stage, tmp_path: Path) -> None:
    address = str(tmp_path / "manager")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(address)
        async with stage.gateway(tmp_path, ORDERS, PLANS.replace("LIMIT", "5"), NOTIFY_SOCKET=address) as gateway:
            assert manager.recv(100) == b"READY=1"
            await gateway.reload()
            assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(100) == b"READY=1"
            await gateway.stop()
            assert manager.recv(100) == b"STOPPING=1"
