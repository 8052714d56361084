"""Every alert reaches the log and its plan's channels: retried, never repeated to who has it, given up after a day."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from gateway.alerts import delivery
from gateway.alerts.book import Book
from gateway.alerts.channels import Channel, LogChannel, NotDelivered
from gateway.alerts.delivery import Deliverer
from gateway.alerts.outbox import MemoryOutbox
from gateway.alerts.post import WebhookChannel
from gateway.alerts.shelf import MemoryShelf
from gateway.alerts.ways import Way
from gateway.model import Alert

LOG = logging.getLogger("gateway.alerts")

Make = Callable[..., Alert]


class Post:
    """A channel in memory. `failures` are raised first, one for each attempt; while `closed` is set, it hangs."""

    most = 1

    def __init__(self, name: str = "ops", *failures: Exception) -> None:
        self.name = name
        self.failures = list(failures)
        self.attempts: list[str] = []
        self.got: list[str] = []
        self.closed = asyncio.Event()
        self.closed.set()
        self.inside = self.most_inside = 0

    async def send(self, alerts: Sequence[Alert]) -> None:
        self.attempts += [alert.id for alert in alerts]
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await self.closed.wait()
        finally:
            self.inside -= 1
        if self.failures:
            raise self.failures.pop(0)
        self.got += [alert.id for alert in alerts]


class Station:
    """A deliverer at work over a memory outbox, with a clock that stands still."""

    def __init__(self, clock: Any, jitter: float = 1.0) -> None:
        self.clock = clock
        self.jitter = jitter
        self.outbox = MemoryOutbox()
        self.channels: dict[str, list[Channel]] = {"gold": [], "free": []}
        self.counts: Counter[str] = Counter()
        self.book = Book(MemoryShelf(), clock=clock, sleep=clock.sleep)
        self.way: Callable[[Channel], Way] = Way

    async def run(self) -> None:
        await Deliverer(
            self.outbox,
            lambda alert: [Way(LogChannel(LOG), always=True), *map(self.way, self.channels[alert.plan])],
            self.book,
            LOG,
            lambda state: self.counts.update([state]),
            clock=self.clock,
            sleep=self.clock.sleep,
            jitter=lambda: self.jitter,
        ).run()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    async def deliver(self, *alerts: Alert, expected: int | None = None) -> None:
        """Push alerts, and wait until all or so many are delivered or given up."""
        finished = self.finished + (len(alerts) if expected is None else expected)
        for alert in alerts:
            self.outbox.push(alert)
        await self.until(lambda: self.finished >= finished)

    @property
    def pauses(self) -> list[float]:
        """Between attempts; the other sleeps keep the outbox's entries."""
        return [pause for pause in self.clock.slept if pause != delivery.KEEP_EVERY]

    @property
    def finished(self) -> int:
        return self.counts["delivered"] + self.counts["failed"]


@contextlib.asynccontextmanager
async def working(station: Station) -> AsyncIterator[None]:
    task = asyncio.create_task(station.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def station(clock: Any) -> AsyncIterator[Station]:
    station = Station(clock)
    async with working(station):
        yield station


async def test_an_alert_goes_to_the_log_and_to_its_plans_channels(
    station: Station, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    ops, sales = Post("ops"), Post("sales")
    station.channels = {"gold": [ops], "free": [ops, sales]}
    await station.deliver(make_alert("a1", plan="gold"), make_alert("a2", plan="free"))
    assert (ops.got, sales.got) == (["a1", "a2"], ["a2"])
    assert [record.message for record in caplog.records] == ["hits per minute: 8/10 (80 %)"] * 2
    assert station.counts == {"raised": 2, "delivered": 2}


async def test_a_channel_that_fails_is_tried_again_after_longer_and_longer_pauses(
    station: Station, make_alert: Make
) -> None:
    ops = Post("ops", *(NotDelivered("answered 500") for _ in range(12)))
    station.channels["gold"] = [ops]
    station.outbox.push(make_alert())
    await station.clock.run_until(lambda: station.finished)
    assert station.pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert ops.got == ["a1"]
    assert station.counts == {"raised": 1, "delivered": 1}


async def test_pauses_are_jittered_so_that_gateways_do_not_knock_together(clock: Any, make_alert: Make) -> None:
    station = Station(clock, jitter=0.0)
    station.channels["gold"] = [Post("ops", *(NotDelivered("answered 500") for _ in range(3)))]
    async with working(station):
        station.outbox.push(make_alert())
        await clock.run_until(lambda: station.finished)
    assert station.pauses == [0.5, 1, 2]


async def test_after_a_day_an_alert_is_recorded_as_failed(
    station: Station, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    ops = Post("ops", *(NotDelivered("answered 503") for _ in range(1000)))
    station.channels["gold"] = [ops]
    station.outbox.push(make_alert())
    await station.clock.run_until(lambda: station.finished)
    assert 24 * 3600 < station.clock.now - make_alert().raised_at < 24.5 * 3600
    assert station.counts == {"raised": 1, "failed": 1}
    _, first, last = caplog.records
    assert first.message == "an alert will be sent again"
    assert (last.levelname, last.message) == ("ERROR", "an alert was not delivered and is given up")
    for record in (first, last):
        fields = record.__dict__
        assert (fields["alert"], fields["channel"], fields["reason"]) == ("a1", "ops", "answered 503")


async def test_an_alert_from_before_a_long_outage_is_tried_once(station: Station, make_alert: Make) -> None:
    ops = Post()
    station.channels["gold"] = [ops]
    await station.deliver(make_alert("late", raised_at=station.clock.now - 7 * 86_400))
    assert ops.got == ["late"]
    assert station.counts["delivered"] == 1


async def test_a_receiver_that_wants_no_more_is_not_asked_again(station: Station, make_alert: Make) -> None:
    ops, sales = Post("ops", NotDelivered("answered 410", final=True)), Post("sales")
    station.channels["gold"] = [ops, sales]
    await station.deliver(make_alert())
    assert (ops.attempts, ops.got, sales.got) == (["a1"], [], ["a1"])
    assert station.counts == {"raised": 1, "failed": 1}


async def test_who_has_an_alert_does_not_get_it_again_while_another_is_tried(
    station: Station, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    ops, sales = Post("ops", *(NotDelivered("answered 500") for _ in range(5))), Post("sales")
    station.channels["gold"] = [ops, sales]
    station.outbox.push(make_alert())
    await station.clock.run_until(lambda: station.finished)
    assert (len(ops.attempts), sales.attempts) == (6, ["a1"])
    assert [record.message for record in caplog.records].count("hits per minute: 8/10 (80 %)") == 1


async def test_an_alert_raised_again_after_a_loss_of_data_goes_to_nobody_who_has_it(
    station: Station, make_alert: Make
) -> None:
    ops, sales = Post("ops"), Post("sales", NotDelivered("answered 410", final=True))
    station.channels["gold"] = [ops, sales]
    await station.deliver(make_alert())
    station.outbox.push(make_alert())
    await station.until(lambda: sales.got)
    assert (ops.attempts, sales.attempts) == (["a1"], ["a1", "a1"])
    station.outbox.push(make_alert())
    await station.deliver(make_alert("a2"))
    assert (ops.attempts, sales.attempts) == (["a1", "a2"], ["a1", "a1", "a2"])
    assert station.counts["raised"] == 2


async def test_an_alert_that_is_in_the_outbox_twice_is_one_delivery(station: Station, make_alert: Make) -> None:
    ops = Post()
    ops.closed.clear()
    station.channels["gold"] = [ops]
    station.outbox.push(make_alert())
    station.outbox.push(make_alert())
    await station.until(lambda: ops.inside)
    ops.closed.set()
    await station.until(lambda: station.finished)
    assert ops.attempts == ["a1"]
    assert station.counts == {"raised": 1, "delivered": 1}


async def test_a_channel_that_fails_blocks_neither_other_alerts_nor_other_channels(
    station: Station, make_alert: Make
) -> None:
    dead, ops = Post("dead", *(NotDelivered("ConnectError") for _ in range(1000))), Post("ops")
    station.channels = {"gold": [dead, ops], "free": [ops]}
    for number in range(50):
        station.outbox.push(make_alert(f"stuck{number}"))
    await station.deliver(make_alert("a2", plan="free"))
    assert len(ops.got) == 51
    assert station.counts["delivered"] == 1


async def test_a_channel_that_hangs_is_asked_by_a_few_at_a_time(station: Station, make_alert: Make) -> None:
    slow, ops = Post("slow"), Post("ops")
    slow.closed.clear()
    station.channels = {"gold": [slow], "free": [ops]}
    for number in range(50):
        station.outbox.push(make_alert(f"stuck{number}"))
    await station.deliver(make_alert("a2", plan="free"))
    assert (slow.inside, ops.got) == (8, ["a2"])
    slow.closed.set()
    await station.until(lambda: station.finished == 51)
    assert (len(slow.got), slow.most_inside) == (50, 8)


async def test_a_fault_in_a_channel_is_a_failure_like_any_other(
    station: Station, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    ops = Post("ops", RuntimeError("a bug that prints https://hooks.example.com/secret"))
    station.channels["gold"] = [ops]
    station.outbox.push(make_alert())
    await station.clock.run_until(lambda: station.finished)
    assert ops.got == ["a1"]
    assert [record.__dict__["reason"] for record in caplog.records if "reason" in record.__dict__] == ["RuntimeError"]
    assert "secret" not in caplog.text


async def test_a_reload_changes_where_alerts_go(station: Station, make_alert: Make) -> None:
    old, new = Post("old"), Post("new")
    station.channels["gold"] = [old]
    await station.deliver(make_alert("a1"))
    station.channels["gold"] = [new]
    await station.deliver(make_alert("a2"))
    assert (old.got, new.got) == (["a1"], ["a2"])


async def test_the_number_of_alerts_in_delivery_is_bounded_and_the_oldest_gives_way(
    station: Station, make_alert: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "MOST_ACTIVE", 3)
    ops = Post("ops", *(NotDelivered("answered 500") for _ in range(5)))
    station.channels["gold"] = [ops]
    await station.deliver(*(make_alert(f"a{number}") for number in range(4)), expected=1)
    given_up = [record.__dict__["alert"] for record in caplog.records if record.levelname == "ERROR"]
    assert (given_up, station.counts["failed"]) == (["a0"], 1)
    await station.clock.run_until(lambda: station.finished == 4)
    assert sorted(ops.got) == ["a1", "a2", "a3"]


async def test_entries_are_kept_while_they_are_being_delivered(station: Station, make_alert: Make) -> None:
    kept: list[list[str]] = []

    async def keep(entry_ids: Any) -> None:
        kept.append([*entry_ids])

    station.outbox.keep = keep  # type: ignore[method-assign]
    ops = Post("ops", *(NotDelivered("answered 500") for _ in range(6)))
    station.channels["gold"] = [ops]
    station.outbox.push(make_alert())
    await station.clock.run_until(lambda: station.finished)
    await station.clock.advance(60)
    assert kept == [["1"], ["1"], ["1"], ["1"], [], [], [], []]


async def test_a_signed_webhook_arrives_after_two_failures(
    station: Station, hook: Any, client: Any, make_alert: Make
) -> None:
    station.channels["gold"] = [WebhookChannel("ops", hook.url, None, client, clock=station.clock)]
    hook.script = [500, "redirect"]
    station.outbox.push(make_alert())
    for attempt in (1, 2):
        await hook.wait_for(attempt)
        await station.until(lambda count=attempt: len(station.pauses) == count)
        await station.clock.advance(station.pauses[-1])
    await station.until(lambda: station.finished)
    assert (hook.ids, station.counts["delivered"]) == (["a1"] * 3, 1)
