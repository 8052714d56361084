"""The corpus of paths: whatever the spelling, no service that is asked reads a path which a rule refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from corpus.http.notation import get
from corpus.http.paths import ALLOWED, READERS, spellings
from rigs.proxy import service_at
from rigs.wire import Wire, wire

from gateway.errors import Forbidden
from gateway.gate import Ask
from gateway.model import Route, Rule
from gateway.routing.router import compile_router

pytestmark = pytest.mark.asyncio(loop_scope="module")
RULES = (
    Rule(method="ANY", pattern="/orders", usage={"hits": 1}),
    Rule(method="ANY", pattern="/orders/admin", usage={"admin": 1}),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Wire]:
    """Before a service that anyone may use, but not below /orders/admin."""
    router = compile_router([service_at(1, path="/orders", rules=RULES, metrics={"hits": None, "admin": None})])
    async with wire() as gateway:
        granted = gateway.proxy.gate.route

        def route(ask: Ask) -> Route:
            if "admin" in router.route(ask.method, ask.host, ask.path, ask.query).usage:
                raise Forbidden("the plan does not allow it", code="not_in_plan")
            return granted(ask)

        gateway.proxy.gate.route = route
        yield gateway


async def ask(gateway: Wire, target: bytes) -> tuple[int, bytes | None]:
    """The status, and the target that the service saw."""
    gateway.recorder.forget()
    async with gateway.client() as client:
        await client.send(get(target=target), 0)
        status = int((await client.answer()).split()[1])
    requests = gateway.recorder.requests
    return status, requests[0].target if requests else None


@pytest.mark.parametrize("targets", spellings().values(), ids=spellings())
async def test_no_spelling_reaches_what_a_rule_refuses(gateway: Wire, targets: tuple[bytes, ...]) -> None:
    for target in targets:
        status, seen = await ask(gateway, target)
        assert status in (200, 400, 403, 404)
        assert (status == 200) is (seen is not None)
        for read in READERS if seen is not None else ():
            assert read(seen.partition(b"?")[0])[:2] != [b"orders", b"admin"], (target, seen, read)


@pytest.mark.parametrize("target", ALLOWED, ids=bytes.decode)
async def test_what_is_allowed_passes_in_one_spelling(gateway: Wire, target: bytes) -> None:
    assert await ask(gateway, target) == (200, ALLOWED[target])


async def test_the_plain_spelling_is_refused_by_its_rule(gateway: Wire) -> None:
    assert await ask(gateway, b"/orders/admin") == (403, None)
