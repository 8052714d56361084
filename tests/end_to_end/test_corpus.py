"""A handful of the HTTP corpus through `gateway run`: the same bytes, the same outcome, with real credentials."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from corpus.http.notation import Case
from corpus.http.requests import CASES
from rigs.gateway import Gateway
from rigs.stage import Stage
from rigs.waiting import until
from rigs.wire import Recorder, connected

from gateway.identity.api_keys import create

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = create()
PLANS = f"""
services:
  any:
    upstream: {{targets: ["${{RECORDER}}"]}}
    accept: [{{api_key: {{header: X-Api-Key}}}}]
    rules: [ANY /: hits]
plans:
  gold: {{services: [any]}}
applications:
  mobile: {{plans: [gold], api_keys: ["{KEY.digest}"]}}
"""
SOME = [
    *("framing: a body of every byte", "framing: CL.TE although both agree", "framing: two lengths that agree"),
    *("framing: coding b'chunked, identity'", "framing: a length in Connection", "framing: Transfer_Encoding"),
    *("chunks: many chunks", "chunks: an identity in a trailer", "chunks: TERM.EXT: a bare LF in an extension's value"),
    *("chunks: a flood of trailers", "lines: an empty line before the request", "lines: two spaces before the target"),
    *(
        "lines: version b'RTSP/1.0'",
        "lines: bare LFs throughout",
        "fields: X-SUBJECT of a client",
        "fields: a folded value",
    ),
    *(
        "fields: X.Plan of a client",
        "hosts: two Hosts",
        "hosts: absolute-form",
        "hops: h2c on a POST with a length",
    ),
    *(
        "hops: Expect and chunks",
        "hops: Connection: close",
        "sequences: length then chunks",
        "sequences: a request after close",
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recorder() -> AsyncIterator[tuple[Recorder, int]]:
    recorder = Recorder()
    server = await asyncio.start_server(recorder, "127.0.0.1", 0)
    async with server:
        yield recorder, server.sockets[0].getsockname()[1]
        await until(lambda: not recorder.rests)
        await asyncio.sleep(0.01)  # the loop lets go of its handles


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(
    stage: Stage, recorder: tuple[Recorder, int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("corpus")
    async with stage.gateway(folder, PLANS, RECORDER=f"http://127.0.0.1:{recorder[1]}") as gateway:
        yield gateway


def presenting(key: bytes, data: bytes) -> bytes:
    """The requests of `data`, each with the key behind its Host."""
    return data.replace(b"Host: a\r\n", b"Host: a\r\nX-Api-Key: %b\r\n" % key)


def without(key: bytes, seen: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(request.replace(b"x-api-key: %b\r\n" % key, b"") for request in seen)


@pytest.mark.parametrize("case", [CASES[name] for name in SOME], ids=SOME)
async def test_the_running_gateway_does_the_same(gateway: Gateway, recorder: tuple[Recorder, int], case: Case) -> None:
    service, _ = recorder
    service.forget()
    host, _, port = gateway.listen.rpartition(":")
    async with connected(socket.create_connection((host, int(port)))) as client:
        await client.send(presenting(KEY.key.encode(), case.sent), 0)
        for _ in case.seen:
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        if case.status is not None:
            assert (await client.answer()).startswith(b"HTTP/1.1 %d " % case.status)
        if case.ends:
            assert await client.rest() == b""
    await until(lambda: len(service.requests) >= len(case.seen))
    assert without(KEY.key.encode(), service.seen()) == case.seen
