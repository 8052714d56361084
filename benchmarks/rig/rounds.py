"""Interleaved rounds over a stage that stays: each contestant is started, checked, loaded and stopped in turn."""

from __future__ import annotations

import contextlib
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import redis

from rig.contestants import Contestant
from rig.material import BODY, LARGE, Mint, render, write_certificates
from rig.processes import GATEWAY_CORE, REST_CORE, cpu, free_port, memory, prefer, running, wrk

TARGET = "/api/v1/items?page=2"
START = 60.0  # seconds that a contestant gets until it answers
Row = dict[str, float]


class UnmeasuredError(Exception):
    """A program does not do what is to be measured; the text says which, and how."""


class Stage(NamedTuple):
    """What runs behind the contestants, all through."""

    folder: Path
    values: Mapping[str, str]
    mint: Mint
    redis: int  # process id

    @property
    def token(self) -> str:
        """The first application's."""
        return self.mint.token()


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """The upstream, the identity provider and Redis on the other core, and a folder with everything."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-benchmark-")))
        ports = {name: str(free_port()) for name in ("upstream_port", "plain_port", "provider_port", "redis_port")}
        issuer = f"http://127.0.0.1:{ports['provider_port']}/realms/bench"
        write_certificates(folder)
        mint = Mint(folder, issuer)
        values = {"folder": str(folder), "issuer": issuer, **ports, **mint.published}
        folder.chmod(0o711)  # for a service's processes that run as nobody
        (folder / "large").write_bytes(b"x" * LARGE)
        render("upstream.conf", folder / "upstream.conf", {**values, "body": BODY})
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
        yield Stage(folder, values, mint, stack.enter_context(running(store, REST_CORE, folder / "redis.out")))


def patient(behind: Stage) -> str:
    """A store that is waited for: where times are not measured, a busy machine must not look like one that is away."""
    return f'{{url: "redis://127.0.0.1:{behind.values["redis_port"]}", timeout: 2s}}'


class Served(NamedTuple):
    """A contestant that answers."""

    process: int
    host: str
    port: int
    admin: int
    url: str
    field: str  # where it gets the token


@contextlib.contextmanager
def serving(contestant: Contestant, behind: Stage, core: int | None = GATEWAY_CORE, **values: str) -> Iterator[Served]:
    """Starts a contestant, sees that it does what its level says, and stops it. `values` go into its files; `core`
    None: on all of them.
    """
    port, admin = free_port(), free_port()
    words = {**behind.values, **values, "port": str(port), "admin_port": str(admin)}
    command = contestant.prepare(behind.folder, words, contestant.level)
    log = behind.folder / "contestant.out"
    url = f"http://127.0.0.1:{port}{TARGET}"
    with redis.Redis(port=int(words["redis_port"])) as store:
        store.flushall()
        with running(command, core, log) as process:
            ready(contestant.name, url, behind.token, log, contestant.field)
            if contestant.checks and _get(url, "none")[0] != 401:
                raise UnmeasuredError(f"{contestant.name} lets a request without a valid token pass")
            prefer(process)
            yield Served(process, "127.0.0.1", port, admin, url, contestant.field)
        if contestant.counts and not store.dbsize():
            raise UnmeasuredError(f"{contestant.name} left no counter in Redis")


def loaded(served: Served, behind: Stage, seconds: int, **load: object) -> Row:
    """What a contestant costs under wrk: CPU time in µs of all its processes for one request, and what wrk saw."""
    token = behind.token
    wrk(served.url, token, 1, field=served.field, **load)
    own, stores = cpu(served.process), cpu(behind.redis)
    seen = wrk(served.url, token, seconds, field=served.field, **load)
    own, stores = cpu(served.process) - own, cpu(behind.redis) - stores
    if not seen.requests or seen.failed > seen.requests // 1000:
        raise UnmeasuredError(f"{seen.failed} of {seen.requests} requests failed: {served.url}")
    spent = {"us": own / seen.requests * 1e6, "redis_us": stores / seen.requests * 1e6}
    return {**spent, **seen._asdict(), "rss": memory(served.process)}


def ready(name: str, url: str, token: str, log: Path, field: str = "Authorization") -> None:
    """Waits for the first right answer."""
    deadline = time.monotonic() + START
    while (answer := _get(url, token, field)) != (200, len(BODY)):
        if time.monotonic() > deadline:
            raise UnmeasuredError(f"{name} does not answer ({answer}):\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _get(url: str, token: str, field: str = "Authorization") -> tuple[int, int]:
    """(status, length of the body); status 0 where there is no answer."""
    request = urllib.request.Request(url, headers={field: f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=2) as response:
            return response.status, len(response.read())
    except urllib.error.HTTPError as error:
        return error.code, 0
    except OSError:
        return 0, 0
