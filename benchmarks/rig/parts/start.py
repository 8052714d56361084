"""How long a start takes, and what a reload of 1,000 services does to the requests beside it."""

from __future__ import annotations

import asyncio
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rig.contestants import plangate
from rig.options import Options, say
from rig.paced import Latencies, paced
from rig.processes import free_port, prefer, running
from rig.rounds import Stage, UnmeasuredError, serving
from rig.tables import Table, number

SERVICES = 1000
ONE = """  many-{n}:
    hosts: [many-{n}.example.com]
    upstream: {{targets: ['http://127.0.0.1:9']}}
    accept: [{{jwt: bench}}]
    rules:
"""
RATE = 300  # requests a second beside the reload


def measure(stage: Stage, options: Options) -> Iterator[Table]:
    rows = []
    for one in options.those(("plangate", "shared")):
        starts = [_start(stage, 0) for _ in range(max(3, options.runs))]
        many = [_start(stage, SERVICES) for _ in range(max(1, options.runs // 2))]
        rows.append(["start to the first answer, 1 service, both cores", f"{number(statistics.median(starts), 2)} s"])
        rows.append(
            [
                f"start to the first answer, {SERVICES:,} services of 20 rules, both cores",
                f"{number(statistics.median(many), 2)} s",
            ]
        )
        with serving(one, stage) as served:
            prefer(served.process)
            _write_services(stage.folder / "plans", SERVICES)
            quiet = asyncio.run(_paced(served.port, stage.token, 2.0, None))
            seen = asyncio.run(_paced(served.port, stage.token, 12.0, served.admin))
        _write_services(stage.folder / "plans", 0)
        for name, row in (("before", quiet), (f"while {SERVICES:,} services are loaded", seen)):
            times = f"{row.p50:.1f} / {row.p99:.1f} / {row.worst:.1f} ms, {row.failed} failed"
            rows.append([f"{RATE} requests/s {name}: p50 / p99 / worst", times])
            say(f"{name}: {times}")
    yield Table("start", ["", ""], rows)


def _start(stage: Stage, services: int) -> float:
    """Seconds until a worker answers on the traffic port. The request has no token: no provider is waited for."""
    port, admin = free_port(), free_port()
    folder = stage.folder / "start"
    folder.mkdir(exist_ok=True)
    values = {**stage.values, "port": str(port), "admin_port": str(admin), "folder": str(stage.folder)}
    command = plangate(stage.folder, values, "shared")
    _write_services(stage.folder / "plans", services)
    begun = time.perf_counter()
    with running(command, None, stage.folder / "start.out"):  # its programs start beside each other
        while not _answers(port):
            if time.perf_counter() - begun > 60:
                raise UnmeasuredError((stage.folder / "start.out").read_text()[-2000:])
            time.sleep(0.01)
        seconds = time.perf_counter() - begun
    _write_services(stage.folder / "plans", 0)
    say(f"started with {services:,} services more in {seconds:.2f} s")
    return seconds


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/items", timeout=1)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _write_services(plans: Path, count: int) -> None:
    """Services of 20 rules beside the one that is measured; none takes the file away."""
    path = plans / "many.yaml"
    path.unlink(missing_ok=True)
    if not count:
        return
    rules = "".join(f"      - GET /things/{n}: hits\n" for n in range(20))
    text = "services:\n" + "".join(ONE.format(n=n) + rules for n in range(count))
    names = ", ".join(f"many-{n}" for n in range(count))
    path.write_text(text + f"plans:\n  many: {{services: [{names}], limits: {{hits: [1000/minute]}}}}\n")


async def _paced(port: int, token: str, seconds: float, admin: int | None) -> Latencies:
    head = f"GET /api/v1/items HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    load = asyncio.create_task(paced("127.0.0.1", port, head, rate=RATE, seconds=seconds))
    if admin is not None:
        await asyncio.sleep(1.0)
        request = urllib.request.Request(f"http://127.0.0.1:{admin}/reload", method="POST")
        answer = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=60).read())
        say(f"reload: {answer[:100]!r}")
    return await load
