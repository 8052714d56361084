"""Who will have used a limit up before its window ends is told once, by whichever gateway looks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rigs.stores import Server, binary_of

from gateway.alerts.outbox import MemoryOutbox
from gateway.alerts.wording import event_of
from gateway.config import load
from gateway.model import Config, Period, Store
from gateway.process.forecasts import Forecasts
from gateway.quota.periods import window
from gateway.store.memory_records import MemoryRecords
from gateway.store.topology import topology

PLANS = """
services:
  orders:
    path: /orders
    upstream: {targets: ["http://127.0.0.1:9000"]}
    accept: [{jwt: keycloak}]
    rules: [GET /orders: hits]
identity:
  keycloak: {oidc: {issuer: https://sso.example.com/realms/demo, audience: gateway}}
plans:
  gold: {services: [orders], limits: {hits: [10000/year, 100/hour]}, alerts: {forecast: true}}
  free: {services: [orders], limits: {hits: [10000/year]}}
applications:
  fast: {plans: [gold], client_ids: [a]}
  slow: {plans: [gold], client_ids: [b]}
  full: {plans: [gold], client_ids: [c]}
  more: {plans: [gold], client_ids: [d], limits: {hits: [20000/year]}}
  other: {plans: [free], client_ids: [e]}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    server = Server(binary_of("valkey"), tmp_path / "server").start()
    yield server
    server.close()


@pytest.fixture
def config(tmp_path: Path, server: Server) -> Config:
    (tmp_path / "plans.yaml").write_text(PLANS)
    return replace(load(tmp_path), store=Store(kind="url", url=server.url))


async def test_it_is_told_once_for_a_window_and_limit(server: Server, config: Config) -> None:
    now = time.time()
    year = window(Period.YEAR, "UTC", now)
    assert year.end is not None
    part = (now - year.start) / (year.end - year.start)
    if part < 0.1:
        pytest.skip("too early in the year to say")
    rate = int(10_000 * part)  # that uses all up when the year ends
    for name, plan, spent in (
        ("fast", "gold", min(rate + 500, 9_999)),
        ("slow", "gold", max(1, rate - 500)),
        ("full", "gold", 10_000),
        ("more", "gold", min(rate + 500, 9_999)),
        ("other", "free", min(rate + 500, 9_999)),
    ):
        server.ask("SET", f"gw:{{{name}}}:{plan}::hits:year:UTC:{int(year.start)}", f"{spent} 0 0 1 1 ")
    servers, records, outbox = topology(config.store), MemoryRecords(time.time), MemoryOutbox()
    try:
        forecasts = Forecasts(servers, records, outbox)
        assert await forecasts.look() == 0  # of no plans
        forecasts.take(config)
        assert await forecasts.look() == 1
        again = Forecasts(servers, records, outbox)
        again.take(config)
        assert await again.look() == 0
    finally:
        await servers.close()
    ((_, alert, _),) = await outbox.read(10, 0.0)
    event = event_of(alert)
    assert (event["type"], alert.application, alert.value) == ("usage.forecast", "fast", 10_000)
    assert alert.id.endswith("-forecast")
    assert event["data"]["window"]["start"] < event["data"]["forecast"] < event["data"]["window"]["end"]
    assert "at this rate all is used by" in event["data"]["text"]
