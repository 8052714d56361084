"""What the supervisor publishes: the workers' deltas added up, in Prometheus' and OpenMetrics' text formats."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway import __version__, build
from gateway.telemetry.metrics import BOUNDS, Delta

ALERT_STATES = ("raised", "delivered", "failed", "silenced", "acknowledged")
BACKLOG = {  # gauges of the alerts that wait, in the order of `Registry.backlog`
    "gateway_alerts_undelivered": "Alerts on their way.",
    "gateway_alerts_oldest_undelivered_seconds": "Time since the oldest of them was raised.",
    "gateway_alerts_dead": "Alerts that were given up and not yet sent again.",
}
WAITS = ("granted", "refused", "left", "full")
RELOADS = ("reloaded", "unchanged", "invalid", "restart_needed", "failed")
LES = (*map(str, BOUNDS), "+Inf")


class Total:
    """A histogram added up over workers: sum, and count of each bucket."""

    def __init__(self) -> None:
        self.sum = 0.0
        self.counts = [0] * len(LES)

    def add(self, total: float, counts: list[int]) -> None:
        """Add a worker's sum and counts."""
        self.sum += total
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, counts, strict=True)]

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds and cumulative counts, as the text formats want them."""
        so_far = 0.0
        return [(le, so_far := so_far + count) for le, count in zip(LES, self.counts, strict=True)]


class Registry(Collector):
    """Totals since the supervisor's start. Workers may come and go; their counts stay, their gauges leave with them."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._decisions: Counter[str] = Counter()
        self._gateway_seconds: dict[str, Total] = {}
        self._upstream_seconds: dict[str, Total] = {}
        self._ledger_calls = Counter({"ok": 0, "failed": 0})
        self._ledger_seconds = Total()
        self._down_admissions = Counter({"open": 0, "local": 0})
        self._shadow_refusals: Counter[tuple[str, str]] = Counter()
        self._provider_calls: Counter[tuple[str, str, str]] = Counter()
        self._provider_seconds: dict[str, Total] = {}
        self._waits = Counter(dict.fromkeys(WAITS, 0))
        self._waited_seconds = Total()
        self._alerts = Counter(dict.fromkeys(ALERT_STATES, 0))
        self._attempts: Counter[tuple[str, str]] = Counter()
        self.backlog: Sequence[float] = (0, 0.0, 0)  # of alerts: undelivered, age of the oldest, dead
        self._cpu_seconds = 0.0
        self._dropped = 0
        self._refused: Counter[str] = Counter()
        self._restarts = 0
        self._reloads = Counter(dict.fromkeys(RELOADS, 0))
        self._gauges: dict[str, Delta] = {}  # the latest of each worker
        self._collectors = CollectorRegistry()
        self._collectors.register(self)
        ProcessCollector(registry=self._collectors)

    def apply(self, worker: str, delta: Delta) -> None:
        """Add what a worker drained; its gauges replace its former ones."""
        for service, plan, status_class, reason, count in delta["requests"]:
            self._requests[service, plan, status_class] += count
            self._decisions[reason] += count
        for service, (total, counts) in delta["gateway_seconds"].items():
            self._gateway_seconds.setdefault(service, Total()).add(total, counts)
        for service, (total, counts) in delta["upstream_seconds"].items():
            self._upstream_seconds.setdefault(service, Total()).add(total, counts)
        self._ledger_calls.update(delta["ledger_calls"])
        self._ledger_seconds.add(*delta["ledger_seconds"])
        self._down_admissions.update(delta["down_admissions"])
        for provider, call, result, count in delta["provider_calls"]:
            self._provider_calls[provider, call, result] += count
        for call, (total, counts) in delta["provider_seconds"].items():
            self._provider_seconds.setdefault(call, Total()).add(total, counts)
        self._shadow_refusals.update({(plan, limit): n for plan, limit, n in delta["shadow_refusals"]})
        self._waits.update(delta["waits"])
        self._waited_seconds.add(*delta["waited_seconds"])
        self._cpu_seconds += delta["cpu_seconds"]
        self._dropped += delta["log_lines_dropped"]
        self._refused.update(delta["refused_connections"])
        self._gauges[worker] = delta

    def worker_gone(self, worker: str, *, restarted: bool) -> None:
        """A worker ended; `restarted` when it was not asked to and another takes its place."""
        self._gauges.pop(worker, None)
        self._restarts += restarted

    def count_alert(self, state: str) -> None:
        """Count an alert as `raised`, `delivered` (to every channel), `failed` (given up by one), or stopped."""
        self._alerts[state] += 1

    def count_attempt(self, channel: str, delivered: bool) -> None:
        """Count an attempt; all accounts' contacts of a channel together."""
        self._attempts[channel.partition("/")[0], "delivered" if delivered else "failed"] += 1

    def count_reload(self, outcome: str) -> None:
        """Count a reload by how it ended."""
        self._reloads[outcome] += 1

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, for a scraper's `Accept`."""
        try:
            encode, content_type = choose_encoder(accept)
        except (ValueError, TypeError):  # the client chose a version that is none
            encode, content_type = choose_encoder("")
        return encode(self._collectors), content_type

    def collect(self) -> Iterator[Metric]:
        """All families but the process's; `CollectorRegistry` calls it."""
        yield from self._traffic()
        yield from self._ledger()
        yield from self._providers()
        yield from self._turns()
        yield from self._delivery()
        yield from self._connections()
        yield from self._processes()

    def _traffic(self) -> Iterator[Metric]:
        yield counter(
            "gateway_requests_total",
            "Finished requests; status_class none: the client left before an answer.",
            ("service", "plan", "status_class"),
            self._requests,
        )
        decisions = {(reason,): count for reason, count in self._decisions.items()}
        yield counter(
            "gateway_decisions_total", "Requests by what was decided: ok, or why not.", ("reason",), decisions
        )
        yield histogram(
            "gateway_request_seconds",
            "Time of requests apart from the upstream's: the gateway's own, and the client's where it is slow.",
            self._gateway_seconds,
        )
        yield histogram("gateway_upstream_seconds", "Time of requests at the upstream.", self._upstream_seconds)

    def _ledger(self) -> Iterator[Metric]:
        text = "Calls to the store that counts usage."
        yield counter("gateway_ledger_calls_total", text, ("result",), self._ledger_calls)
        seconds = HistogramMetricFamily("gateway_ledger_call_seconds", "Time of calls to the store that counts usage.")
        seconds.add_metric([], self._ledger_seconds.buckets(), self._ledger_seconds.sum)
        yield seconds
        text = "Requests let in without the store, by what their plan's ledger_down says."
        yield counter("gateway_ledger_down_admissions_total", text, ("mode",), self._down_admissions)
        text = "Requests that a limit in shadow would have refused."
        yield counter("gateway_shadow_refusals_total", text, ("plan", "limit"), self._shadow_refusals)

    def _providers(self) -> Iterator[Metric]:
        text = "Calls to identity providers for keys, introspection and exchange, by how they ended."
        yield counter("gateway_provider_calls_total", text, ("provider", "call", "result"), self._provider_calls)
        text = "Time of calls to identity providers."
        yield histogram("gateway_provider_call_seconds", text, self._provider_seconds, "call")

    def _turns(self) -> Iterator[Metric]:
        text = "Requests over a limit that lets wait, by how the wait ended; full: there was no place to wait in."
        yield counter("gateway_waits_total", text, ("result",), self._waits)
        seconds = HistogramMetricFamily(
            "gateway_waited_seconds", "Time that requests waited for their turn at a limit."
        )
        seconds.add_metric([], self._waited_seconds.buckets(), self._waited_seconds.sum)
        yield seconds
        waiting = sum(gauges["waiting"] for gauges in self._gauges.values())
        yield GaugeMetricFamily("gateway_waiting_requests", "Requests that wait for their turn at a limit.", waiting)

    def _delivery(self) -> Iterator[Metric]:
        text = "Alerts raised, and how they ended: delivered to all channels, given up, or stopped by people."
        yield counter("gateway_alerts_total", text, ("state",), self._alerts)
        text = "Attempts to deliver alerts."
        yield counter("gateway_alert_attempts_total", text, ("channel", "result"), self._attempts)
        for (name, text), value in zip(BACKLOG.items(), self.backlog, strict=True):
            yield GaugeMetricFamily(name, text, value)

    def _connections(self) -> Iterator[Metric]:
        upstreams: Counter[tuple[str, ...]] = Counter()
        for gauges in self._gauges.values():
            for upstream, state, count in gauges["upstream_connections"]:
                upstreams[upstream, state] += count
        family = GaugeMetricFamily(
            "gateway_upstream_connections",
            "Connections to upstreams: all open, and idle.",
            labels=("upstream", "state"),
        )
        for labels, count in upstreams.items():
            family.add_metric(labels, count)
        yield family
        clients = sum(gauges["connections"] for gauges in self._gauges.values())
        yield GaugeMetricFamily("gateway_connections", "Connections of clients.", clients)
        tasks = sum(gauges["tasks"] for gauges in self._gauges.values())
        yield GaugeMetricFamily("gateway_tasks", "Tasks of the workers' event loops.", tasks)
        text = "Connections of clients that a limit refused or cut; unanswered ones are counted as refused too."
        yield counter("gateway_refused_connections_total", text, ("reason",), self._refused)

    def _processes(self) -> Iterator[Metric]:
        counters = {
            "gateway_worker_restarts_total": ("Workers that died and were replaced.", self._restarts),
            "gateway_workers_cpu_seconds_total": ("CPU time of all workers.", self._cpu_seconds),
            "gateway_access_log_dropped_total": ("Access log lines lost to an output slow or gone.", self._dropped),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value)
        reloads = {(outcome,): count for outcome, count in self._reloads.items()}
        yield counter("gateway_reloads_total", "Reloads of the configuration by outcome.", ("outcome",), reloads)
        yield GaugeMetricFamily("gateway_workers", "Workers that report.", len(self._gauges))
        resident = sum(gauges["resident_bytes"] for gauges in self._gauges.values())
        yield GaugeMetricFamily("gateway_workers_resident_memory_bytes", "Memory of all workers.", resident)
        labels = {"version": __version__, "build": build(), "python": platform.python_version()}
        yield InfoMetricFamily("gateway_build", "The running version.", labels)


def counter(name: str, text: str, labels: Sequence[str], values: Mapping[Any, int]) -> Metric:
    """A counter family with a sample for each key of `values`: a label's value, or a tuple of them."""
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric((key,) if isinstance(key, str) else key, value)
    return family


def histogram(name: str, text: str, values: dict[str, Total], label: str = "service") -> Metric:
    """A histogram family by one label."""
    family = HistogramMetricFamily(name, text, labels=(label,))
    for value, total in values.items():
        family.add_metric((value,), total.buckets(), total.sum)
    return family
