"""The memory's watermark: where it is found, when requests are refused, when they are taken again."""

import asyncio
from pathlib import Path
from resource import getpagesize

import pytest
from rigs.proxy import answering, proxy_before

from gateway.model import ClientLimits, ClientTimeouts, Memory
from gateway.proxy import memory as module
from gateway.proxy.memory import MemoryWatch, Relief

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1024 * 1024


class System:
    """As much of /proc and /sys as is looked at."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: object) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def v2(self, name: str, limit: object, used: int = 0, cache: int = 0) -> None:
        folder = f"sys/fs/cgroup/{name}"
        self.write(f"{folder}/memory.max", limit)
        self.write(f"{folder}/memory.current", used)
        self.write(f"{folder}/memory.stat", f"anon 1\ninactive_file {cache}\nactive_file 1")

    def v1(self, name: str, limit: int, used: int, cache: int) -> None:
        folder = f"sys/fs/cgroup/memory/{name}"
        self.write(f"{folder}/memory.limit_in_bytes", limit)
        self.write(f"{folder}/memory.usage_in_bytes", used)
        self.write(f"{folder}/memory.stat", f"cache 1\ninactive_file 7\ntotal_inactive_file {cache}")


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


@pytest.fixture(autouse=True)
def relieved(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """How often memory was given back."""
    calls: list[None] = []
    monkeypatch.setattr(module, "relieve", lambda: calls.append(None))
    return calls


def test_a_containers_share_without_what_the_kernel_can_drop(system: System) -> None:
    system.write("proc/self/cgroup", "0::/")
    system.v2("", 100 * MIB, used=95 * MIB, cache=10 * MIB)
    watch = MemoryWatch(Memory(percent=90), root=system.root)
    assert watch.mark == 90 * MIB
    assert not watch.is_high()
    system.v2("", 100 * MIB, used=95 * MIB, cache=4 * MIB)
    assert watch.is_high()


def test_requests_are_taken_again_only_well_below_the_mark(system: System) -> None:
    system.write("proc/self/cgroup", "0::/")
    system.v2("", 100 * MIB, used=90 * MIB)
    watch = MemoryWatch(Memory(percent=90), root=system.root)
    assert watch.is_high()
    system.v2("", 100 * MIB, used=87 * MIB)
    assert watch.is_high()
    system.v2("", 100 * MIB, used=85 * MIB)
    assert not watch.is_high()
    system.v2("", 100 * MIB, used=87 * MIB)
    assert not watch.is_high()


def test_the_tightest_of_the_groups_around_counts(system: System) -> None:
    system.write("proc/self/cgroup", "0::/pods/gateway")
    system.v2("pods/gateway", "max", used=60 * MIB)
    system.v2("pods", 50 * MIB, used=48 * MIB)
    system.v2("", 1000 * MIB)
    watch = MemoryWatch(Memory(), root=system.root)
    assert watch.mark == 45 * MIB
    assert watch.is_high()


@pytest.mark.parametrize("folder", ["docker/1f", ""], ids=["as named", "mounted at the group"])
def test_cgroup_v1(system: System, folder: str) -> None:
    system.write("proc/self/cgroup", "5:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n0::/docker/1f")
    system.v1(folder, 100 * MIB, used=99 * MIB, cache=5 * MIB)
    assert MemoryWatch(Memory(), root=system.root).is_high()


@pytest.mark.parametrize("limit", ["max", 9223372036854771712])
def test_without_a_limit_memory_is_never_high(system: System, limit: object) -> None:
    assert not MemoryWatch(Memory(), root=system.root).is_high()  # not even /proc
    system.write("proc/self/cgroup", "0::/")
    system.v2("", limit, used=100 * MIB)
    assert not MemoryWatch(Memory(), root=system.root).is_high()
    assert not MemoryWatch(None, root=system.root).is_high()


def test_a_size_is_of_the_worker_alone(system: System) -> None:
    page = module.getpagesize()
    watch = MemoryWatch(Memory(size=64 * MIB), root=system.root)
    assert not watch.is_high()  # the system does not tell
    system.write("proc/self/statm", f"99999 {64 * MIB // page - 1} 1 1 0 1 0")
    assert not watch.is_high()
    system.write("proc/self/statm", f"99999 {64 * MIB // page} 1 1 0 1 0")
    assert watch.is_high()


def test_memory_is_given_back_now_and_then_while_it_is_high(system: System, relieved: list[None]) -> None:
    now = [100.0]
    watch = MemoryWatch(Memory(size=1), root=system.root, clock=lambda: now[0])
    system.write("proc/self/statm", "1 100")
    for _ in range(25):
        assert watch.is_high()
        now[0] += 1.0
    assert len(relieved) == 3


async def test_requests_are_refused_while_memory_is_high_and_their_connections_end() -> None:
    high = True
    async with proxy_before(answering(OK)) as proxy:
        proxy.server.bound(ClientLimits(), ClientTimeouts(), lambda: high)
        while not proxy.server.shedding:  # it is looked at every second
            await asyncio.sleep(0.01)
        answer = await proxy.talk(GET, until_close=True)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 5\r\n" in answer
        assert b'"code":"memory_exhausted"' in answer
        (record,) = await proxy.recorded()
        assert (record.status, record.reason) == (503, "memory_exhausted")
        assert proxy.connections == 0
        high = False
        while proxy.server.shedding:
            await asyncio.sleep(0.01)
        assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 200 ")


def test_giving_back_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    module.relieve()


def test_memory_is_given_back_when_most_of_many_clients_have_gone() -> None:
    now, given = [100.0], []
    relief = Relief(lambda: given.append(now[0]), lambda: now[0])
    for clients in (150, 0, 1000, 501):  # never so many, or still half of them
        relief.look(clients)
    assert given == []
    relief.look(499)
    relief.look(0)  # the rest does not matter
    assert given == [100.0]


def test_memory_is_given_back_every_ten_seconds_at_most() -> None:
    now, given = [100.0], []
    relief = Relief(lambda: given.append(now[0]), lambda: now[0])
    for now[0] in range(100, 120):
        relief.look(1000 if now[0] % 2 else 0)
    assert given == [102, 112]


def test_free_pages_go_back_to_the_system() -> None:
    blocks = [bytes(64 * 1024) for _ in range(1000)]
    del blocks[:-1]  # the last one is above them: the C library keeps what is below
    before = resident()
    module.trim()
    assert resident() < before - 30 * MIB


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()
