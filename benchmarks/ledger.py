"""What counting costs: `python benchmarks/ledger.py`, beside a script that is asked once for each request.

Needs redis-server, or takes the bundled Valkey, as with `--valkey`.
"""

import argparse
import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from gateway.model import Charge, Limit, Outcome, Period, Store, Verdict
from gateway.quota.store import StoreLedger
from gateway.store.embedded import server_binary
from gateway.store.topology import topology

PERIODS = (Period.MINUTE, Period.HOUR, Period.DAY, Period.MONTH)
AT_ONCE = 64  # requests
CHUNK = 2_000  # applications at a time
IDLE = 12.0  # seconds after which a ledger has nothing of an application any more, and the store no last call

EACH = """
local times = redis.call('TIME')
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') + 1 > tonumber(ARGV[1]) then return 0 end
end
for i, key in ipairs(KEYS) do
  redis.call('INCRBY', key, 1)
  redis.call('EXPIRE', key, 86400)
end
return 1
"""


@asynccontextmanager
async def server(bundled: bool = False) -> AsyncIterator[str]:
    """The URL of a server of our own, which keeps nothing."""
    binary = (None if bundled else shutil.which("redis-server")) or server_binary()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        command = [binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                while not Path(path).is_socket() or not accepts(path):
                    await asyncio.sleep(0.01)
                yield f"unix://{path}"
            finally:
                process.kill()


def accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def charges(limits: int, value: int) -> tuple[Charge, ...]:
    return tuple(
        Charge(Limit(plan="gold", period=period, value=value, bins=(80, 100)), 1) for period in PERIODS[:limits]
    )


class Cost:
    """What the server has spent since this was made."""

    def __init__(self, redis: "Redis[bytes]") -> None:
        self._redis = redis
        self._before = self._now()

    def _now(self) -> tuple[float, int, int]:
        info = self._redis.info("everything")
        used = info["used_cpu_user"] + info["used_cpu_sys"]
        moved = info["total_net_input_bytes"] + info["total_net_output_bytes"]
        scripts = info.get("cmdstat_evalsha", {"calls": 0})["calls"]
        return used, moved, scripts

    def per(self, requests: int) -> tuple[float, float, float]:
        """Microseconds, bytes and script calls for one of so many requests."""
        used, moved, scripts = (now - before for now, before in zip(self._now(), self._before, strict=True))
        return used / requests * 1e6, moved / requests, scripts / requests


async def many(ask: Callable[[], Awaitable[object]], requests: int) -> float:
    """CPU seconds of this process for so many requests, some at once."""

    async def some(number: int) -> None:
        for _ in range(number):
            await ask()

    started = time.process_time()
    await asyncio.gather(*(some(requests // AT_ONCE) for _ in range(AT_ONCE)))
    return time.process_time() - started


async def leased(url: str, limits: int, requests: int) -> Sequence[float]:
    servers = topology(Store(kind="url", url=url))
    ledger = StoreLedger(servers, prefix=f"leased{limits}", fence=0.0, timeout=1.0)
    await ledger.start()
    claim = ledger.claim("mobile", charges(limits, 10**12))
    turns = 0

    async def ask() -> None:
        nonlocal turns
        later: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if ledger.consume(claim, later.set_result) is None:
            await later
        turns += 1
        if turns % AT_ONCE == 0:
            await asyncio.sleep(0)

    await many(ask, requests // 4)
    cost = Cost(Redis.from_url(url))
    used = await many(ask, requests)
    figures = cost.per(requests)
    await ledger.close()
    await servers.close()
    return used / requests * 1e6, *figures


async def asked_each(url: str, limits: int, requests: int) -> Sequence[float]:
    redis: AsyncRedis = AsyncRedis.from_url(url, max_connections=AT_ONCE)
    script = redis.register_script(EACH)
    keys = [f"each:{{mobile}}:{period}" for period in PERIODS[:limits]]

    async def ask() -> None:
        await script(keys=keys, args=[10**12])

    await many(ask, requests // 4)
    cost = Cost(Redis.from_url(url))
    used = await many(ask, requests)
    figures = cost.per(requests)
    await redis.aclose()
    return used / requests * 1e6, *figures


def in_hand(ledger: StoreLedger, claim: object, requests: int) -> float:
    """Microseconds for a decision that asks nobody."""
    consume = ledger.consume

    def unheard(outcome: Outcome) -> None:
        """Nobody waits."""

    started = time.process_time()
    for _ in range(requests):
        consume(claim, unheard)  # type: ignore[arg-type]
    return (time.process_time() - started) / requests * 1e6


async def decisions(url: str, limits: int) -> float:
    """The best of some rounds, with units in hand."""
    servers = topology(Store(kind="url", url=url))
    ledger = StoreLedger(servers, prefix=f"hand{limits}", fence=0.0, timeout=1.0)
    await ledger.start()
    claim = ledger.claim("mobile", charges(limits, 10**12))
    for meter, _ in claim.firm:  # as after a lease, but large enough for a round
        meter.at(ledger.clock.earliest())
    later: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    if ledger.consume(claim, later.set_result) is None:
        await later
    for meter, _ in claim.firm:
        meter.counter.hand, meter.counter.low = 10**9, 0
    best = min(in_hand(ledger, claim, 20_000) for _ in range(10))
    for meter, _ in claim.firm:
        meter.counter.hand = 0
    await ledger.close()
    await servers.close()
    return best


async def memory(url: str, applications: int) -> tuple[float, float]:
    """Bytes of a counter in the store, and microseconds of CPU here for an application's first request.

    When the applications have been idle for a moment, so that the store has forgotten their last calls.
    """
    redis = Redis.from_url(url)
    redis.flushall()
    servers = topology(Store(kind="url", url=url))
    ledger = StoreLedger(servers, fence=0.0, timeout=600.0)
    await ledger.start()
    before = redis.info("memory")["used_memory"]
    wanted = charges(len(PERIODS), 1_000)

    async def first(name: str) -> None:
        later: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        outcome = ledger.consume(ledger.claim(name, wanted), later.set_result) or await later
        assert outcome.verdict is Verdict.GRANTED

    started = time.process_time()
    for start in range(0, applications, CHUNK):
        await asyncio.gather(*(first(f"application-{number:07}") for number in range(start, start + CHUNK)))
    used = time.process_time() - started
    await asyncio.sleep(IDLE)
    print(f"  {redis.dbsize():,} keys, of which {applications * len(PERIODS):,} are counters")
    grown: int = redis.info("memory")["used_memory"] - before
    await ledger.close()
    await servers.close()
    return grown / applications / len(PERIODS), used / applications * 1e6


def about(url: str) -> str:
    """Which server it is, and what it takes memory from: of that depends what a counter costs."""
    info = Redis.from_url(url).info()
    name = info.get("server_name", "redis")
    return f"{name} {info.get(f'{name}_version', info['redis_version'])}, {info['mem_allocator']}"


async def main(requests: int, applications: int, bundled: bool) -> None:
    async with server(bundled) as url:
        print(about(url))
        print("a decision with units in hand, µs of CPU:")
        for limits in (1, 2, 4):
            print(f"  {limits} limits  {await decisions(url, limits):6.2f}")
        print("a request, with what the store has to do with it:")
        print(f"{'':22}{'µs here':>9}{'µs store':>10}{'bytes':>9}{'calls':>9}")
        for limits in (1, 4):
            for name, run in (("leased", leased), ("asked each time", asked_each)):
                figures = await run(url, limits, requests)
                print(f"  {limits} limits {name:12}" + "{:9.2f}{:10.3f}{:9.1f}{:9.4f}".format(*figures))
        size, first = await memory(url, applications)
        print(f"{applications:,} applications with {len(PERIODS)} limits: {size:.0f} bytes a counter in the store")
        print(f"  an application's first request: {first:.0f} µs of CPU here")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--applications", type=int, default=1_000_000)
    parser.add_argument("--valkey", action="store_true", help="measure the bundled Valkey")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.requests, arguments.applications, arguments.valkey))
