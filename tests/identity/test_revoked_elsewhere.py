"""What was revoked at one gateway others refuse within a second, though they knew it as good: over a real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rigs.shared import marks
from rigs.stores import TcpServer, binary_of

from gateway.errors import Unauthorized
from gateway.identity.api_keys import create
from gateway.identity.passport import Passport
from gateway.identity.revocations import KEY, SESSION, named
from gateway.model import ApiKey, Application, Store
from gateway.store.store_marks import StoreMarks

pytestmark = pytest.mark.redis
KNOWN = 1.0  # seconds until every gateway knows
TRIES = 3  # a busy machine may be late once
NEW = create()
MOBILE = Application(name="mobile", plans=("gold",), api_keys=(ApiKey(NEW.digest),))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("redis")
    server = TcpServer(binary_of("redis"), folder).start()
    yield Store(kind="url", url=server.url)
    server.close()


Gateway = tuple[Passport, StoreMarks]


@asynccontextmanager
async def gateways(store: Store, opened: Callable[..., Any], count: int) -> AsyncIterator[list[Gateway]]:
    """Each with marks of its own, which it looks for as it does in earnest."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            known = await stack.enter_async_context(marks(store))
            looking = asyncio.create_task(known.run())
            stack.callback(looking.cancel)
            made.append((await stack.enter_async_context(opened(MOBILE, marks=known)), known))
        yield made


async def seconds_until_refused(passports: list[Passport], service: Any, asked: Any, code: str) -> float:
    """From now until none lets it in."""
    begun = time.monotonic()
    async with asyncio.timeout(30):
        while passports:
            try:
                passports[0].identify(service, asked, print)
            except Unauthorized as error:
                assert error.code == code
                passports = passports[1:]
            await asyncio.sleep(0.005)
    return time.monotonic() - begun


async def least(
    store: Store, opened: Any, kind: str, name: Callable[[int], str], ask: Callable[[int], Any], of: Any
) -> float:
    """The least time, of some tries, until all gateways refuse what each had let in before."""
    code = "api_key_revoked" if kind == KEY else "token_revoked"
    async with gateways(store, opened, 3) as running:
        passports, times = [passport for passport, _ in running], []
        for number in range(TRIES):
            for passport in passports:
                heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                found = passport.identify(of, ask(number), heard.set_result)
                assert found is not None or await heard
            await running[0][1].set(kind, name(number))
            times.append(await seconds_until_refused(passports, of, ask(number), code))
            if times[-1] < KNOWN:
                break
            await running[0][1].clear(kind, name(number))
            await asyncio.sleep(KNOWN)
    return min(times)


async def test_a_logged_out_session(store, opened, issuer, service, ask):
    def asked(number: int) -> Any:
        return ask.bearing(issuer.token(sid=f"s{number}"))

    def name(number: int) -> str:
        return named(issuer.issuer, f"s{number}")

    assert await least(store, opened, SESSION, name, asked, service({"jwt": "keycloak"})) < KNOWN


async def test_a_revoked_key(store, opened, service, ask):
    def asked(_: int) -> Any:
        return ask([(b"x-api-key", NEW.key.encode())])

    place = service({"api_key": ("header", "X-Api-Key")})
    assert await least(store, opened, KEY, lambda _: NEW.digest, asked, place) < KNOWN
