"""`/usage`: what is spent, adding to a limit, starting again at 0; who may ask, and what the log says of it."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rigs.stores import Server, binary_of

from gateway.admin.app import admin_app
from gateway.model import Account, Application, Config, Each, Limit, Per, Period, Plan, Store
from gateway.process.usage import UsageDesk

pytestmark = pytest.mark.redis

GOLD = Plan(
    name="gold",
    services=("orders",),
    limits=(
        Limit(plan="gold", period=Period.ETERNITY, value=100),
        Limit(plan="gold", service="orders", metric="writes", period=Period.MONTH, value=10),
        Limit(plan="gold", period=Period.DAY, per=Per.USER, value=5),
    ),
)
FREE = Plan(name="free", services=("orders",), limits=(Limit(plan="free", period=Period.ETERNITY, value=3),))
PLANS = Config(
    plans={"gold": GOLD, "free": FREE},
    accounts={"acme": Account(name="acme")},
    applications={
        "mobile": Application(name="mobile", plans=("gold",)),
        "customers": Application(name="customers", plans=("free",), each=Each.CLIENT),
    },
)

Ask = Callable[..., httpx2.AsyncClient]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(binary_of("valkey"), tmp_path_factory.mktemp("server")).start()
    yield server
    server.close()


@pytest.fixture
async def ask(gateway: Any, server: Server) -> AsyncIterator[Ask]:
    """Clients of the admin listener of a gateway that uses the server; `mobile` has used 80 of 100 hits."""
    server.ask("FLUSHALL")
    server.ask("SET", "gw:{mobile}:gold::hits:eternity:UTC:0", "80 5 0 1 3 80")
    server.ask("SET", "gw:{customers/caf%C3%A9}:free::hits:eternity:UTC:0", "3 0 0 1 1 ")
    async with AsyncExitStack() as stack:
        desk = UsageDesk()
        desk.start(stack, at(server.url))
        app = admin_app(gateway.ready, gateway.metrics, gateway.reload, desk)

        def client(address: str = "127.0.0.1") -> httpx2.AsyncClient:
            transport = httpx2.ASGITransport(app, client=(address, 1234))
            client = httpx2.AsyncClient(transport=transport, base_url="http://admin", trust_env=False)
            stack.push_async_callback(client.aclose)
            return client

        yield client


def at(url: str) -> Config:
    return replace(PLANS, store=Store(kind="url", url=url, fence=0.0))


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """What the audit has told, without what belongs to any record."""
    caplog.set_level(logging.INFO, "gateway.audit")
    usual = {*logging.makeLogRecord({}).__dict__, "message", "asctime"}

    def told() -> list[dict[str, Any]]:
        records = [record for record in caplog.records if record.name == "gateway.audit"]
        return [{name: value for name, value in vars(r).items() if name not in usual} for r in records]

    return told


async def test_the_usage_of_an_application(ask: Ask) -> None:
    answer = await ask().get("/usage", params={"application": "mobile"})
    assert answer.status_code == 200
    hits, writes = answer.json()["usage"]
    assert hits == {
        "scope": "mobile", "plan": "gold", "metric": "hits", "period": "eternity", "per": "application",
        "limit": 100, "spent": 80, "held": 5, "topped": 0, "remaining": 20, "percent": 80, "refuses": True,
        "window": {"start": "1970-01-01T00:00:00Z", "end": None}, "resets_at": None,
    }  # fmt: skip
    assert (writes["metric"], writes["spent"], writes["resets_at"]) == ("orders.writes", 0, writes["window"]["end"])


async def test_the_usage_of_everybody(ask: Ask) -> None:
    usage = (await ask().get("/usage")).json()["usage"]
    assert [(row["scope"], row["metric"], row["spent"]) for row in usage] == [
        ("customers/café", "hits", 3),
        ("mobile", "hits", 80),
        ("mobile", "orders.writes", 0),
    ]


@pytest.mark.parametrize("whose", ["customers", "customers/café"])
async def test_the_usage_of_an_application_s_clients(ask: Ask, whose: str) -> None:
    (row,) = (await ask().get("/usage", params={"application": whose})).json()["usage"]
    assert (row["scope"], row["spent"], row["limit"]) == ("customers/café", 3, 3)


async def test_a_limit_is_topped_up_and_the_log_says_who_did_it(ask: Ask, server: Server, audit: Any) -> None:
    order = {"application": "mobile", "plan": "gold", "limit": "hits/eternity", "units": 50, "by": "ann"}
    answer = await ask().post("/usage/topup", json=order)
    assert answer.status_code == 200
    (row,) = answer.json()["usage"]
    assert (row["limit"], row["topped"], row["spent"], row["percent"]) == (150, 50, 80, 53)
    assert row["before"] == {"spent": 80, "held": 5, "topped": 0}
    assert server.ask("GET", "gw:{mobile}:gold::hits:eternity:UTC:0").startswith("80 5 50 ")
    assert audit() == [
        {
            "action": "usage.topup", "by": "ann", "user": None, "peer": "127.0.0.1:1234",
            "application": "mobile", "plan": "gold",
            "limit": "hits/eternity", "before": {"spent": 80, "held": 5, "topped": 0},
            "after": {"spent": 80, "held": 5, "topped": 50},
        }
    ]  # fmt: skip


async def test_usage_starts_again_at_0(ask: Ask, server: Server, audit: Any) -> None:
    answer = await ask().post("/usage/reset", json={"application": "mobile"})
    assert [(row["metric"], row["spent"], row["before"]["spent"]) for row in answer.json()["usage"]] == [
        ("hits", 0, 80),
        ("orders.writes", 0, 0),
    ]
    assert server.ask("GET", "gw:{mobile}:gold::hits:eternity:UTC:0").startswith("0 5 0 ")
    assert [(line["action"], line["limit"], line["by"]) for line in audit()] == [
        ("usage.reset", "hits/eternity", None),
        ("usage.reset", "orders.writes/month", None),
    ]


async def test_a_user_has_counters_of_his_own(ask: Ask, server: Server) -> None:
    order = {"application": "user:mobile/ann", "units": 2}
    (row,) = (await ask().post("/usage/topup", json=order)).json()["usage"]
    assert (row["scope"], row["per"], row["limit"]) == ("user:mobile/ann", "user", 7)
    (key,) = server.ask("KEYS", "gw:{user%3Amobile/ann}:*")
    assert key.startswith("gw:{user%3Amobile/ann}:gold::hits:day:UTC:")


@pytest.mark.parametrize(
    ("order", "status", "code", "detail"),
    [
        ({"application": "mobil", "units": 1}, 404, "unknown", "'mobil' is not an application of the plans"),
        (
            {"application": "mobile", "units": 1},
            404,
            "unknown",
            "say which limit, and of which plan: hits/eternity of gold, orders.writes/month of gold",
        ),
        (
            {"application": "mobile", "limit": "hits/month", "units": 1},
            404,
            "unknown",
            "there is no limit 'hits/month' here, but hits/eternity of gold, orders.writes/month of gold",
        ),
        (
            {"application": "mobile/ann", "units": 1},
            404,
            "unknown",
            "clients of 'mobile' are counted together: name the application alone",
        ),
        (
            {"application": "customers", "units": 1},
            404,
            "unknown",
            "each client of 'customers' is counted: say which one, as customers/CLIENT",
        ),
        ({"application": "account:acme", "units": 1}, 404, "unknown", "no limit of the plans counts for 'acc"),
        (
            {"application": "mobile", "limit": "hits/eternity", "units": -1},
            409,
            "out_of_range",
            "0 were added; it can be 0 to 2^53",
        ),
        ({"application": "mobile"}, 400, "bad_request", "'units' is a whole number, not 0"),
        ({"application": "mobile", "units": 0}, 400, "bad_request", "'units' is a whole number, not 0"),
        ({"application": "mobile", "units": True}, 400, "bad_request", "'units' is a whole number"),
        ({"application": "mobile", "units": 1.5}, 400, "bad_request", "'units' is a whole number"),
        ({"application": "mobile", "units": 2**60}, 400, "bad_request", "'units' is a whole number"),
        ({"units": 1}, 400, "bad_request", "'application' is missing"),
        ({"application": 7, "units": 1}, 400, "bad_request", "'application' is text"),
        ({"application": "mobile", "unit": 1}, 400, "bad_request", "'unit' is not a member of it"),
        ([], 400, "bad_request", "the body is not a JSON object"),
    ],
)  # fmt: skip
async def test_an_order_that_cannot_be_done_says_what_would_be_right(
    ask: Ask, server: Server, order: Any, status: int, code: str, detail: str
) -> None:
    before = server.ask("GET", "gw:{mobile}:gold::hits:eternity:UTC:0")
    answer = await ask().post("/usage/topup", json=order)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(detail)
    assert server.ask("GET", "gw:{mobile}:gold::hits:eternity:UTC:0") == before


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff", b'{"application": "mobile"', b"[" * 9999, b" " * 20_000])
async def test_a_body_that_is_none_is_refused(ask: Ask, body: bytes) -> None:
    assert (await ask().post("/usage/reset", content=body)).status_code == 400


async def test_a_parameter_that_is_none_is_refused(ask: Ask) -> None:
    answer = await ask().get("/usage?app=mobile")
    assert (answer.status_code, answer.json()["detail"]) == (400, "there is no parameter 'app' (application)")


@pytest.mark.parametrize(("method", "path"), [("GET", "/usage"), ("POST", "/usage/topup"), ("POST", "/usage/reset")])
@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1"])
async def test_only_programs_on_this_machine_may_ask(
    ask: Ask, server: Server, method: str, path: str, address: str
) -> None:
    led = {"Origin": "http://evil.example"} if address == "127.0.0.1" else {}
    body = json.dumps({"application": "mobile", "units": 5, "limit": "hits/eternity"}).encode()
    answer = await ask(address).request(method, path, headers=led, content=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert server.ask("GET", "gw:{mobile}:gold::hits:eternity:UTC:0") == "80 5 0 1 3 80"


async def test_to_look_changes_nothing(ask: Ask) -> None:
    assert (await ask().get("/usage/topup")).status_code == 405
    assert (await ask().post("/usage")).status_code == 405


async def test_with_the_memory_store_it_says_why_not(gateway: Any, client: httpx2.AsyncClient) -> None:
    gateway.usage.start(AsyncExitStack(), replace(PLANS, store=Store(kind="memory")))
    answer = await client.get("/usage")
    assert (answer.status_code, answer.json()["code"]) == (501, "not_kept")
    assert answer.json()["detail"].startswith("with `store: memory` usage is in the worker alone")


async def test_a_store_that_is_away_is_503_and_the_log_says_that_it_failed(
    gateway: Any, tmp_path: Path, audit: Any
) -> None:
    server = Server(binary_of("valkey"), tmp_path).start()
    async with AsyncExitStack() as stack:
        desk = UsageDesk()
        desk.start(stack, at(server.url))
        server.close()
        app = admin_app(gateway.ready, gateway.metrics, gateway.reload, desk)
        transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1234))
        async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:
            for path in ("/usage", "/usage?application=mobile"):
                assert (await client.get(path)).json()["code"] == "store_down"
            answer = await client.post("/usage/reset", json={"application": "mobile", "by": "ann"})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_down")
    (line,) = audit()
    assert (line["action"], line["by"], line["limits"]) == (
        "usage.reset", "ann", ["hits/eternity of gold", "orders.writes/month of gold"],
    )  # fmt: skip
