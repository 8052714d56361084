"""Interleaved rounds over a stage that stays: each contestant is started, checked, loaded and stopped in turn."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import redis

from rig.contestants import Contestant
from rig.material import BODY, render, write_certificates, write_token
from rig.processes import GATEWAY_CORE, REST_CORE, cpu, free_port, memory, prefer, running, wrk

TARGET = "/api/v1/items?page=2"
START = 15.0  # seconds that a contestant gets until it answers
Row = dict[str, float]


class Stage(NamedTuple):
    """What runs behind the contestants, all through."""

    folder: Path
    values: Mapping[str, str]
    token: str
    redis: int  # process id


def measure(contestants: Sequence[Contestant], runs: int, seconds: int) -> dict[str, list[Row]]:
    """Every round's figures, by name."""
    results: dict[str, list[Row]] = {}
    with stage() as behind:
        for _ in range(runs):
            for contestant in contestants:
                row = _round(contestant, behind, seconds)
                results.setdefault(contestant.name, []).append(row)
                print(f"{contestant.name:12}{row['us']:8.1f} µs{row['rate']:10,.0f}/s", file=sys.stderr)
    return results


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """The upstream, the identity provider and Redis on the other core, and a folder with everything."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-benchmark-")))
        ports = {name: str(free_port()) for name in ("upstream_port", "provider_port", "redis_port")}
        issuer = f"http://127.0.0.1:{ports['provider_port']}/realms/bench"
        write_certificates(folder)
        token, published = write_token(folder, issuer)
        values = {"folder": str(folder), "issuer": issuer, **ports}
        render("upstream.conf", folder / "upstream.conf", {**values, **published, "body": BODY})
        nginx = ["nginx", "-p", str(folder), "-c", str(folder / "upstream.conf")]
        stack.enter_context(running(nginx, REST_CORE, folder / "upstream.out"))
        store = [
            "redis-server",
            "--port",
            ports["redis_port"],
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(folder),
        ]
        yield Stage(folder, values, token, stack.enter_context(running(store, REST_CORE, folder / "redis.out")))


def _round(contestant: Contestant, behind: Stage, seconds: int) -> Row:
    port, admin = free_port(), free_port()
    values = {**behind.values, "port": str(port), "admin_port": str(admin)}
    command = contestant.prepare(behind.folder, values)
    log = behind.folder / f"{contestant.name}.out"
    url = f"http://127.0.0.1:{port}{TARGET}"
    with running(command, GATEWAY_CORE, log) as process, _counted(contestant, values["redis_port"]):
        ready(contestant.name, url, behind.token, log)
        if contestant.verifies and _get(url, "none")[0] != 401:
            raise SystemExit(f"{contestant.name} lets a request without a valid token pass")
        prefer(process)
        wrk(url, behind.token, 1)
        own, stores = cpu(process), cpu(behind.redis)
        load = wrk(url, behind.token, seconds)
        own, stores = cpu(process) - own, cpu(behind.redis) - stores
        spent = {"us": own / load.requests * 1e6, "redis_us": stores / load.requests * 1e6}
        return {**spent, **load._asdict(), "rss": memory(process)}


@contextlib.contextmanager
def _counted(contestant: Contestant, port: str) -> Iterator[None]:
    """Nobody is measured who does not count."""
    with redis.Redis(port=int(port)) as store:
        store.flushall()
        yield
        if contestant.counts and not store.dbsize():
            raise SystemExit(f"{contestant.name} left no counter in Redis")


def ready(name: str, url: str, token: str, log: Path) -> None:
    """Waits for the first right answer."""
    deadline = time.monotonic() + START
    while (answer := _get(url, token)) != (200, len(BODY)):
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} does not answer ({answer}):\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _get(url: str, token: str) -> tuple[int, int]:
    """(status, length of the body); status 0 where there is no answer."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=2) as response:
            return response.status, len(response.read())
    except urllib.error.HTTPError as error:
        return error.code, 0
    except OSError:
        return 0, 0
