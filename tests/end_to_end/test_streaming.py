"""Bodies of any size pass without being kept, and what a client gives up is given up behind the gateway too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.processes import proportional_bytes
from rigs.proxy import read_answer, read_head
from rigs.stage import ORDERS, Stage
from rigs.waiting import POLL, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

MIB = 1024 * 1024
MOST = 100 * 1000 * 1000  # bytes of memory: supervisor and worker together
GROWTH = 16 * 1000 * 1000  # of that, for what is on its way and what the system's allocator keeps
PART = bytes(256 * 1024)
PLANS = """
gateway: {limits: {body: 256MiB}}
plans:
  gold: {services: [orders]}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with stage.gateway(tmp_path_factory.mktemp("streaming"), ORDERS, PLANS) as gateway:
        yield gateway


class Memory:
    """The most that the gateway's processes have used together."""

    def __init__(self, gateway: Gateway) -> None:
        self._processes = gateway.processes()
        self.before = self.peak = proportional_bytes(self._processes)

    async def watch(self) -> None:
        while True:
            self.peak = max(self.peak, proportional_bytes(self._processes))
            await asyncio.sleep(POLL)

    def __str__(self) -> str:
        return f"{self.peak / 1e6:.1f} MB at most, {self.before / 1e6:.1f} MB before"


@asynccontextmanager
async def watched(gateway: Gateway) -> AsyncIterator[Memory]:
    memory = Memory(gateway)
    watching = asyncio.create_task(memory.watch())
    yield memory
    watching.cancel()


@pytest.mark.timeout(240)
async def test_a_download_of_a_gibibyte_takes_no_memory(
    stage: Stage, gateway: Gateway, record_property: Callable[[str, object], None]
) -> None:
    async with gateway.connected() as (reader, writer), watched(gateway) as memory:
        writer.write(gateway.head(stage.token(), f"/orders/blob/{1024 * MIB}"))
        head = await read_head(reader)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\ncontent-length: %d\r\n" % (1024 * MIB) in head
        received = 0
        while received < 1024 * MIB:
            received += len(await reader.read(MIB))
    print(f"\ndownload of 1 GiB: {memory}")
    record_property("peak_bytes", memory.peak)
    assert received == 1024 * MIB
    assert memory.peak < MOST
    assert memory.peak < memory.before + GROWTH


@pytest.mark.timeout(240)
async def test_an_upload_of_256_mebibytes_takes_no_memory(
    stage: Stage, gateway: Gateway, record_property: Callable[[str, object], None]
) -> None:
    size = 256 * MIB
    async with gateway.connected() as (reader, writer), watched(gateway) as memory:
        writer.write(gateway.head(stage.token(), "/orders/upload", f"Content-Length: {size}", method="POST"))
        for _ in range(size // len(PART)):
            writer.write(PART)
            await writer.drain()
        answer = await asyncio.wait_for(read_answer(reader), 60)
    print(f"\nupload of 256 MiB: {memory}")
    record_property("peak_bytes", memory.peak)
    assert b'"received":%d,' % size in answer
    assert memory.peak < MOST
    assert memory.peak < memory.before + GROWTH


async def test_a_client_that_does_not_read_fills_nothing_but_its_own_pipe(stage: Stage, gateway: Gateway) -> None:
    async with gateway.connected() as (_, writer), watched(gateway) as memory:
        writer.transport.pause_reading()
        writer.write(gateway.head(stage.token(), f"/orders/blob/{1024 * MIB}"))
        await until(lambda: in_use(gateway, 1))
        await asyncio.sleep(1)  # nothing is to happen, which only time can show
    print(f"\na client that does not read: {memory}")
    assert memory.peak < memory.before + GROWTH
    await until(lambda: in_use(gateway, 0))


async def test_a_client_that_leaves_in_the_middle_frees_the_services_connection(stage: Stage, gateway: Gateway) -> None:
    async with gateway.connected() as (reader, writer):
        writer.write(gateway.head(stage.token(), f"/orders/blob/{1024 * MIB}", "X-Request-Id: left"))
        await reader.readexactly(MIB)
        await until(lambda: in_use(gateway, 1))
    await until(lambda: in_use(gateway, 0))
    line = (await until(lambda: [line for line in gateway.access_log() if line["request_id"] == "left"]))[0]
    assert (line["status"], line["reason"]) == (200, "client_abort")
    assert MIB <= line["bytes_out"] < 1024 * MIB


async def in_use(gateway: Gateway, connections: int) -> bool:
    """Whether so many connections to the service carry a request."""
    series = (f'gateway_upstream_connections{{state="{state}",upstream="orders"}}' for state in ("open", "idle"))
    opened, idle = [await gateway.metric(name) for name in series]
    return opened - idle == connections
