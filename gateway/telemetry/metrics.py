"""What a worker measures: plain integers on the hot path, drained as deltas that the supervisor adds up.

Labels are configured names and fixed reasons only, so that their number is bounded whatever clients send.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from resource import getpagesize
from typing import TypedDict

from gateway.telemetry.record import Record

# Upper bounds in seconds, inclusive; the last bucket (+Inf) has none.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MOST_SERIES = 10_000  # a guard against a label that is not as fixed as it should be
BATCH = 64  # requests that wait to be counted together: one after the other they cost half as much
KINDS = 4_096  # of requests, whose series are remembered
OTHER = "other"

Connections = Mapping[tuple[str, str], int]  # (upstream, "open" | "idle") → connections


class Delta(TypedDict):
    """What happened since the last drain, ready for JSON; `…s` that are gauges say how it is now."""

    requests: list[tuple[str, str, str, str, int]]  # service, plan, status class, reason, how many
    gateway_seconds: dict[str, tuple[float, list[int]]]  # service → sum, count of each bucket
    upstream_seconds: dict[str, tuple[float, list[int]]]
    ledger_calls: dict[str, int]  # "ok" | "failed" → how many
    ledger_seconds: tuple[float, list[int]]
    down_admissions: dict[str, int]  # "open" | "local" → requests let in without the store
    provider_calls: list[tuple[str, str, str, int]]  # identity provider, what for, result, how many
    provider_seconds: dict[str, tuple[float, list[int]]]  # what for → sum, count of each bucket
    shadow_refusals: list[tuple[str, str, int]]  # plan, limit in shadow, requests that it would have refused
    waits: dict[str, int]  # how they ended → requests that had to wait for their turn at a limit
    waited_seconds: tuple[float, list[int]]
    waiting: int  # gauge: requests that do now
    cpu_seconds: float
    log_lines_dropped: int
    refused_connections: dict[str, int]  # reason → how many
    connections: int  # gauge
    tasks: int  # gauge
    upstream_connections: list[tuple[str, str, int]]  # gauge: upstream, state, how many
    resident_bytes: int  # gauge


class Histogram:
    """Counts by bucket, and the sum."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def drain(self) -> tuple[float, list[int]]:
        """Sum and counts since the last drain."""
        drained = self.sum, self.counts
        self.sum, self.counts = 0.0, [0] * (len(BOUNDS) + 1)
        return drained


class Series:
    """The requests of one combination of labels."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Kind:
    """The requests that are alike in all but their times, since the counts were last settled."""

    __slots__ = ("count", "gateway", "series", "shadow", "upstream")

    def __init__(self, series: Series, shadow: tuple[str, str] | None, gateway: Histogram, upstream: Histogram) -> None:
        """`shadow`: a plan and its limit in shadow that would have refused them. The histograms are their service's."""
        self.count = 0
        self.series = series
        self.shadow = shadow
        self.gateway = gateway
        self.upstream = upstream


class Metrics:
    """A worker's measurements. `watch` tells where the gauges are read when they are drained."""

    def __init__(self) -> None:
        self._waiting: list[Record] = []
        self._kinds: dict[Hashable, Kind] = {}
        self._series: dict[tuple[str | None, str | None, int, str], Series] = {}
        self._gateway: dict[str, Histogram] = {}
        self._upstream: dict[str, Histogram] = {}
        self._ledger = Histogram()
        self._ledger_calls = {"ok": 0, "failed": 0}
        self._down_admissions = {"open": 0, "local": 0}
        self._provider_calls: Counter[tuple[str, str, str]] = Counter()
        self._provider_seconds: dict[str, Histogram] = {}
        self._shadow_refusals: Counter[tuple[str, str]] = Counter()
        self._waits: Counter[str] = Counter()
        self._waited = Histogram()
        self._cpu = 0.0
        self._dropped = 0
        self._refused: Mapping[str, int] = {}
        self.watch()

    def watch(
        self,
        *,
        connections: Callable[[], int] = int,
        tasks: Callable[[], int] = int,
        upstream_connections: Callable[[], Connections] = dict,
        log_lines_dropped: Callable[[], int] = int,
        refused_connections: Callable[[], Mapping[str, int]] = dict,
        waiting: Callable[[], int] = int,
    ) -> None:
        """Read these at each drain: clients' connections, the loop's tasks, upstreams' connections, requests that wait
        for their turn; since the start, log lines lost, and connections refused by reason."""
        self._requests_waiting = waiting
        self._connections = connections
        self._tasks = tasks
        self._upstream_connections = upstream_connections
        self._log_lines_dropped = log_lines_dropped
        self._refused_connections = refused_connections

    def observe(self, record: Record) -> None:
        """Count a finished request; its time apart from the upstream's is the gateway's own."""
        self._waiting.append(record)
        if len(self._waiting) >= BATCH:
            self._count()

    def _count(self) -> None:
        kinds = self._kinds
        for record in self._waiting:
            kind = kinds.get(record.kind) or self._add(record)
            kind.count += 1
            seconds, upstream = record.seconds, record.upstream_seconds
            if upstream is not None:
                histogram = kind.upstream
                histogram.counts[bisect_left(BOUNDS, upstream)] += 1
                histogram.sum += upstream
                seconds -= upstream
            histogram = kind.gateway
            histogram.counts[bisect_left(BOUNDS, seconds)] += 1
            if seconds > 0.0:  # a sum must never fall
                histogram.sum += seconds
        self._waiting.clear()

    def ledger_call(self, seconds: float, ok: bool) -> None:
        """Count a call to the store."""
        self._ledger_calls["ok" if ok else "failed"] += 1
        self._ledger.observe(seconds)

    def provider_call(self, provider: str, call: str, result: str, seconds: float) -> None:
        """Count what an identity provider was asked."""
        self._provider_calls[provider, call, result] += 1
        self._provider_seconds.setdefault(call, Histogram()).observe(seconds)

    def down_admission(self, mode: str) -> None:
        """Count a request that was let in without the store, by `open` or `local`."""
        self._down_admissions[mode] += 1

    def wait_ended(self, how: str, seconds: float) -> None:
        """Count a request that had to wait for its turn at a limit."""
        self._waits[how] += 1
        self._waited.observe(seconds)

    def drain(self) -> Delta:
        """What happened since the last drain."""
        self._count()
        self._settle()
        cpu, dropped, refused = time.process_time(), self._log_lines_dropped(), self._refused_connections()
        delta = Delta(
            requests=self._drain_requests(),
            gateway_seconds=_drain(self._gateway),
            upstream_seconds=_drain(self._upstream),
            ledger_calls=self._ledger_calls,
            ledger_seconds=self._ledger.drain(),
            down_admissions=self._down_admissions,
            provider_calls=[(*labels, n) for labels, n in self._provider_calls.items()],
            provider_seconds=_drain(self._provider_seconds),
            shadow_refusals=[(plan, limit, n) for (plan, limit), n in self._shadow_refusals.items()],
            waits=dict(self._waits),
            waited_seconds=self._waited.drain(),
            waiting=self._requests_waiting(),
            cpu_seconds=cpu - self._cpu,
            log_lines_dropped=dropped - self._dropped,
            refused_connections={reason: n - self._refused.get(reason, 0) for reason, n in refused.items()},
            connections=self._connections(),
            tasks=self._tasks(),
            upstream_connections=[(name, state, n) for (name, state), n in self._upstream_connections().items()],
            resident_bytes=resident_bytes(),
        )
        self._ledger_calls = {"ok": 0, "failed": 0}
        self._down_admissions = {"open": 0, "local": 0}
        self._provider_calls.clear()
        self._shadow_refusals.clear()
        self._waits.clear()
        self._cpu, self._dropped, self._refused = cpu, dropped, refused
        return delta

    def _add(self, record: Record) -> Kind:
        if len(self._kinds) >= KINDS:
            self._settle()
            self._kinds.clear()
        key = (record.service, record.plan, record.status // 100, record.reason)
        if len(self._series) >= MOST_SERIES and key not in self._series:
            key = (OTHER, OTHER, key[2], OTHER)
        service = key[0] or ""
        shadow = record.shadow
        kind = self._kinds[record.kind] = Kind(
            self._series.setdefault(key, Series()),
            None if shadow is None else (record.plan or "", shadow),
            self._gateway.setdefault(service, Histogram()),
            self._upstream.setdefault(service, Histogram()),
        )
        return kind

    def _settle(self) -> None:
        for kind in self._kinds.values():
            if kind.count:
                kind.series.count += kind.count
                if kind.shadow is not None:
                    self._shadow_refusals[kind.shadow] += kind.count
                kind.count = 0

    def _drain_requests(self) -> list[tuple[str, str, str, str, int]]:
        drained = []
        for (service, plan, hundreds, reason), series in self._series.items():
            if series.count:
                drained.append((service or "", plan or "", status_class(hundreds), reason, series.count))
                series.count = 0
        return drained


def status_class(hundreds: int) -> str:
    """`2xx` and the like; `none` where the client left before an answer."""
    if hundreds == 0:
        return "none"
    return f"{hundreds}xx" if hundreds < 6 else OTHER


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()
    except OSError:
        return 0


def _drain(histograms: Mapping[str, Histogram]) -> dict[str, tuple[float, list[int]]]:
    return {service: histogram.drain() for service, histogram in histograms.items() if any(histogram.counts)}
