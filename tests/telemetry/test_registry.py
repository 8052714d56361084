"""What Prometheus reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from gateway import __version__
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.registry import Registry

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def deliver(metrics: Metrics, registry: Registry, worker: str = "1") -> None:
    """As it happens: through JSON."""
    registry.apply(worker, json.loads(json.dumps(metrics.drain())))


def samples(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, labels) → value."""
    text = registry.render()[0].decode()
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in parse(text) for s in family.samples}


def value(registry: Registry, name: str, **labels: str) -> float:
    return samples(registry)[name, tuple(sorted(labels.items()))]


@pytest.fixture
def busy(finished: Callable[..., Any]) -> Registry:
    """A registry after some traffic on two workers."""
    registry = Registry()
    for worker in ("1", "2"):
        metrics = Metrics()
        metrics.observe(finished(shadow="hits-day"))
        metrics.observe(finished(status=429, reason="over_limit", upstream_seconds=None, seconds=0.00005))
        metrics.ledger_call(0.0004, ok=True)
        metrics.down_admission("local")
        metrics.provider_call("keycloak", "exchange", "ok", 0.004)
        metrics.watch(
            connections=lambda: 5,
            upstream_connections=lambda: {("orders", "open"): 3, ("orders", "idle"): 2},
            log_lines_dropped=lambda: 4,
            refused_connections=lambda: {"connections": 7},
        )
        deliver(metrics, registry, worker)
    return registry


def test_workers_counts_are_added_up(busy: Registry) -> None:
    assert value(busy, "gateway_provider_calls_total", provider="keycloak", call="exchange", result="ok") == 2
    assert value(busy, "gateway_provider_call_seconds_count", call="exchange") == 2
    assert value(busy, "gateway_provider_call_seconds_bucket", call="exchange", le="0.005") == 2
    assert value(busy, "gateway_requests_total", service="orders", plan="gold", status_class="2xx") == 2
    assert value(busy, "gateway_requests_total", service="orders", plan="gold", status_class="4xx") == 2
    assert value(busy, "gateway_decisions_total", reason="ok") == 2
    assert value(busy, "gateway_decisions_total", reason="over_limit") == 2
    assert value(busy, "gateway_ledger_calls_total", result="ok") == 2
    assert value(busy, "gateway_ledger_calls_total", result="failed") == 0
    assert value(busy, "gateway_ledger_down_admissions_total", mode="local") == 2
    assert value(busy, "gateway_ledger_down_admissions_total", mode="open") == 0
    assert value(busy, "gateway_shadow_refusals_total", plan="gold", limit="hits-day") == 2
    assert value(busy, "gateway_access_log_dropped_total") == 8
    assert value(busy, "gateway_refused_connections_total", reason="connections") == 14


def test_histograms_are_cumulative(busy: Registry) -> None:
    assert value(busy, "gateway_request_seconds_bucket", service="orders", le="0.0001") == 2
    assert value(busy, "gateway_request_seconds_bucket", service="orders", le="0.001") == 2
    assert value(busy, "gateway_request_seconds_bucket", service="orders", le="0.0025") == 4
    assert value(busy, "gateway_request_seconds_bucket", service="orders", le="+Inf") == 4
    assert value(busy, "gateway_request_seconds_count", service="orders") == 4
    assert value(busy, "gateway_request_seconds_sum", service="orders") == pytest.approx(0.0031)
    assert value(busy, "gateway_upstream_seconds_count", service="orders") == 2
    assert value(busy, "gateway_ledger_call_seconds_count") == 2


def test_a_worker_that_ends_leaves_its_counts_and_takes_its_gauges(busy: Registry) -> None:
    assert value(busy, "gateway_connections") == 10
    assert value(busy, "gateway_upstream_connections", upstream="orders", state="idle") == 4
    memory = value(busy, "gateway_workers_resident_memory_bytes")
    busy.worker_gone("1", restarted=True)
    assert value(busy, "gateway_connections") == 5
    assert value(busy, "gateway_upstream_connections", upstream="orders", state="open") == 3
    assert value(busy, "gateway_workers_resident_memory_bytes") < memory
    assert value(busy, "gateway_workers") == 1
    assert value(busy, "gateway_decisions_total", reason="ok") == 2
    assert value(busy, "gateway_worker_restarts_total") == 1
    busy.worker_gone("2", restarted=False)
    assert value(busy, "gateway_worker_restarts_total") == 1


def test_alerts_are_counted_by_what_became_of_them() -> None:
    registry = Registry()
    registry.count_alert("raised")
    registry.count_alert("raised")
    registry.count_alert("delivered")
    states = {
        state: value(registry, "gateway_alerts_total", state=state) for state in ("raised", "delivered", "failed")
    }
    assert states == {"raised": 2, "delivered": 1, "failed": 0}


def test_what_may_be_alerted_on_is_there_before_anything_happened() -> None:
    names = {name for name, _ in samples(Registry())}
    assert names >= {
        "gateway_ledger_calls_total", "gateway_alerts_total", "gateway_worker_restarts_total", "gateway_connections",
        "gateway_access_log_dropped_total", "gateway_build_info", "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    }  # fmt: skip


def test_the_version_is_a_label(busy: Registry) -> None:
    [labels] = [dict(labels) for name, labels in samples(busy) if name == "gateway_build_info"]
    assert labels["version"] == __version__


def test_a_scraper_gets_the_format_that_it_accepts(busy: Registry) -> None:
    body, content_type = busy.render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(body.decode())} >= {"gateway_requests", "gateway_build"}
    body, content_type = busy.render("*/*")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("accept", ["", "text/plain;version=\x00", "application/openmetrics-text;version=x.y", ";,=,;"])
def test_an_accept_field_that_makes_no_sense_gets_the_plain_format(accept: str, busy: Registry) -> None:
    body, content_type = busy.render(accept)
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"gateway_requests_total" in body


def test_names_and_types_are_as_prometheus_wants_them(busy: Registry) -> None:
    for family in parse(busy.render()[0].decode()):
        if family.name.startswith("gateway_"):
            assert family.documentation.endswith("."), family.name
            assert family.type != "unknown", family.name
            assert not family.name.endswith(("_milliseconds", "_count", "_sum")), family.name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_promtool_has_nothing_to_say(busy: Registry) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=busy.render()[0], capture_output=True, timeout=20, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
