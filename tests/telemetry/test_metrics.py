"""What a worker measures, and the deltas that it hands over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry import metrics as module
from gateway.telemetry.metrics import BOUNDS, Metrics


def buckets(histogram: tuple[float, list[int]]) -> dict[float, int]:
    """Bound → count, without the empty ones."""
    return {bound: count for bound, count in zip((*BOUNDS, float("inf")), histogram[1], strict=True) if count}


def test_requests_are_counted_by_service_plan_class_and_reason(finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    for status in (200, 201, 200):
        metrics.observe(finished(status=status))
    metrics.observe(finished(status=429, reason="over_limit"))
    metrics.observe(finished(service=None, plan=None, status=404, reason="no_service"))
    assert sorted(metrics.drain()["requests"]) == [
        ("", "", "4xx", "no_service", 1),
        ("orders", "gold", "2xx", "ok", 3),
        ("orders", "gold", "4xx", "over_limit", 1),
    ]


@pytest.mark.parametrize(
    ("status", "status_class"), [(0, "none"), (101, "1xx"), (304, "3xx"), (599, "5xx"), (600, "other"), (999, "other")]
)
def test_the_class_of_a_status(status: int, status_class: str, finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    metrics.observe(finished(status=status))
    assert metrics.drain()["requests"] == [("orders", "gold", status_class, "ok", 1)]


def test_the_upstreams_time_is_not_the_gateways(finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    metrics.observe(finished(seconds=0.0304, upstream_seconds=0.03))
    delta = metrics.drain()
    assert buckets(delta["gateway_seconds"]["orders"]) == {0.0005: 1}
    assert delta["gateway_seconds"]["orders"][0] == pytest.approx(0.0004)
    assert buckets(delta["upstream_seconds"]["orders"]) == {0.05: 1}
    assert delta["upstream_seconds"]["orders"][0] == pytest.approx(0.03)


def test_a_request_that_asked_no_upstream_has_no_upstream_time(finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    metrics.observe(finished(upstream_seconds=None, seconds=20.0))
    delta = metrics.drain()
    assert delta["upstream_seconds"] == {}
    assert buckets(delta["gateway_seconds"]["orders"]) == {float("inf"): 1}


def test_refused_connections_are_told_as_differences() -> None:
    refused = {"connections": 0, "slow_reader": 2}
    metrics = Metrics()
    metrics.watch(refused_connections=lambda: dict(refused))
    assert metrics.drain()["refused_connections"] == {"connections": 0, "slow_reader": 2}
    refused["connections"] = 5
    assert metrics.drain()["refused_connections"] == {"connections": 5, "slow_reader": 0}


def test_a_clock_that_disagrees_with_itself_never_lowers_a_sum(finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    metrics.observe(finished(seconds=0.01, upstream_seconds=0.02))
    delta = metrics.drain()
    assert delta["gateway_seconds"]["orders"][0] == 0.0
    assert buckets(delta["gateway_seconds"]["orders"]) == {0.0001: 1}


@given(seconds=st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_each_observation_is_in_the_first_bucket_that_holds_it(
    finished: Callable[..., Any], seconds: list[float]
) -> None:
    metrics = Metrics()
    for one in seconds:
        metrics.observe(finished(seconds=one, upstream_seconds=None))
    expected: dict[float, int] = {}
    for one in seconds:
        bound = next((bound for bound in BOUNDS if one <= bound), float("inf"))
        expected[bound] = expected.get(bound, 0) + 1
    assert buckets(metrics.drain()["gateway_seconds"]["orders"]) == expected


def test_calls_to_the_store_are_counted_and_timed() -> None:
    metrics = Metrics()
    metrics.ledger_call(0.0004, ok=True)
    metrics.ledger_call(0.05, ok=False)
    delta = metrics.drain()
    assert delta["ledger_calls"] == {"ok": 1, "failed": 1}
    assert buckets(delta["ledger_seconds"]) == {0.0005: 1, 0.05: 1}


def test_requests_let_in_without_the_store_are_counted_by_mode() -> None:
    metrics = Metrics()
    for mode in ("local", "open", "local"):
        metrics.down_admission(mode)
    assert metrics.drain()["down_admissions"] == {"open": 1, "local": 2}
    assert metrics.drain()["down_admissions"] == {"open": 0, "local": 0}


def test_what_limits_in_shadow_would_have_refused_is_counted(finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    for plan, shadow in (("gold", "hits-day"), ("gold", None), ("free", "hits-day"), ("gold", "hits-day")):
        metrics.observe(finished(plan=plan, shadow=shadow))
    assert sorted(metrics.drain()["shadow_refusals"]) == [("free", "hits-day", 1), ("gold", "hits-day", 2)]
    assert metrics.drain()["shadow_refusals"] == []


def test_gauges_are_read_when_they_are_drained_and_lost_lines_are_told_once() -> None:
    metrics = Metrics()
    idle, lost = 2, 5
    metrics.watch(
        connections=lambda: 7,
        upstream_connections=lambda: {("orders", "open"): 3, ("orders", "idle"): idle},
        log_lines_dropped=lambda: lost,
    )
    assert metrics.drain()["log_lines_dropped"] == 5
    idle, lost = 1, 6
    delta = metrics.drain()
    assert delta["connections"] == 7
    assert delta["upstream_connections"] == [("orders", "open", 3), ("orders", "idle", 1)]
    assert delta["log_lines_dropped"] == 1


def test_a_drain_takes_what_it_tells(finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    metrics.observe(finished())
    metrics.ledger_call(0.001, ok=True)
    first = metrics.drain()
    second = metrics.drain()
    assert first["requests"] and first["gateway_seconds"] and first["upstream_seconds"] and first["cpu_seconds"] > 0
    assert (second["requests"], second["gateway_seconds"], second["upstream_seconds"]) == ([], {}, {})
    assert second["ledger_calls"] == {"ok": 0, "failed": 0}
    assert sum(second["ledger_seconds"][1]) == 0
    assert first["resident_bytes"] > 1_000_000
    metrics.observe(finished())
    assert metrics.drain()["requests"] == first["requests"]


def test_a_delta_is_json(finished: Callable[..., Any]) -> None:
    metrics = Metrics()
    metrics.observe(finished())
    metrics.watch(upstream_connections=lambda: {("orders", "open"): 1})
    delta = metrics.drain()
    requests = json.loads(json.dumps(delta))["requests"]
    assert requests == [["orders", "gold", "2xx", "ok", 1]]


def test_labels_that_are_not_as_fixed_as_they_should_be_cannot_fill_the_memory(
    finished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SERIES", 3)
    metrics = Metrics()
    for number in range(100):
        metrics.observe(finished(reason=f"invented_{number}"))
    requests = metrics.drain()["requests"]
    assert len(requests) == 4
    assert requests[-1] == ("other", "other", "2xx", "other", 97)
