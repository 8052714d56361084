"""What people see of alerts and do with them, in memory and in a store: dead letters, silences, acknowledgements."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from gateway.alerts import book as books
from gateway.alerts.book import Book
from gateway.alerts.channels import Channel, LogChannel, NotDelivered
from gateway.alerts.delivery import Deliverer
from gateway.alerts.desk import Desk, Unfit, Unknown, Wanted
from gateway.alerts.outbox import MemoryOutbox, Outbox
from gateway.alerts.records import Silence
from gateway.alerts.shelf import AWAY, MemoryShelf, StoreShelf
from gateway.alerts.store_outbox import StoreOutbox
from gateway.alerts.ways import Way
from gateway.destinations import Quiet
from gateway.model import Alert
from gateway.model import Store as StoreSettings
from gateway.store.lines import Lines
from gateway.store.topology import topology

LOG = logging.getLogger("gateway.alerts")

Make = Callable[..., Alert]


class Post:
    """A channel. While it is `shut` it refuses; for good where `final`."""

    most = 1

    def __init__(self, name: str = "ops") -> None:
        self.name = name
        self.shut = False
        self.final = True
        self.got: list[str] = []

    async def send(self, alerts: Sequence[Alert]) -> None:
        if self.shut:
            raise NotDelivered("answered 410", final=self.final)
        self.got += [alert.id for alert in alerts]


class Office:
    """A gateway's delivery with its desk."""

    def __init__(self, outbox: Outbox, shelf: Any, clock: Any) -> None:
        self.outbox = outbox
        self.clock = clock
        self.ops = Post()
        self.channels: list[Channel] = [LogChannel(LOG), self.ops]
        self.quiet: Quiet | None = None
        self.counts: Counter[str] = Counter()
        self.attempts: Counter[tuple[str, bool]] = Counter()
        self.book = Book(shelf, clock=clock, sleep=clock.sleep, away=AWAY)
        self.deliverer = Deliverer(
            outbox,
            lambda alert: [self._way(channel) for channel in self.channels],
            self.book,
            LOG,
            lambda state: self.counts.update([state]),
            count_attempt=lambda channel, delivered: self.attempts.update([(channel, delivered)]),
            clock=clock,
            sleep=clock.sleep,
            jitter=lambda: 1.0,
        )
        self.desk = Desk(self.book, outbox, self._named, lambda: self.deliverer.undelivered, clock)

    def _way(self, channel: Channel) -> Way:
        return Way(channel, always=True) if channel.name == "log" else Way(channel, quiet=self.quiet)

    def _named(self, name: str) -> Way:
        for channel in self.channels:
            if channel.name == name:
                return self._way(channel)
        raise KeyError(f"no channel is called {name}")

    async def raise_alert(self, alert: Alert) -> None:
        if isinstance(self.outbox, MemoryOutbox):
            self.outbox.push(alert)
        else:
            await raised(self.outbox, alert)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    async def ended(self, count: int) -> None:
        """So many alerts have, and what became of them is written down."""
        await self.until(lambda: sum(self.counts.values()) - self.counts["raised"] >= count)
        await self.until(lambda: not self.deliverer.undelivered)
        await asyncio.sleep(0.05)

    async def states(self) -> dict[str, str]:
        return {alert["id"]: alert["state"] for alert in await self.desk.listed()}


async def raised(outbox: Any, alert: Alert) -> None:
    import json

    await outbox._redis.xadd(outbox._stream, {"alert": json.dumps(alert._asdict())})


@contextlib.asynccontextmanager
async def working(office: Office) -> AsyncIterator[Office]:
    task = asyncio.create_task(office.deliverer.run())
    try:
        yield office
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(params=["memory", "store"])
async def office(request: pytest.FixtureRequest, clock: Any) -> AsyncIterator[Office]:
    if request.param == "memory":
        async with working(Office(MemoryOutbox(), MemoryShelf(), clock)) as office:
            yield office
        return
    store = request.getfixturevalue("store")
    where = StoreSettings(kind="url", url=f"unix://{store.socket}")
    servers = topology(where)
    lines = Lines(servers, where, 5.0)
    shelf = StoreShelf(lines, "gw")
    async with store.client() as redis:
        async with working(Office(StoreOutbox(redis, "gw", "here"), shelf, clock)) as office:
            yield office
        await lines.close()
    await servers.close()


async def test_a_delivered_alert_is_listed_with_its_channels(office: Office, make_alert: Make) -> None:
    await office.raise_alert(make_alert())
    await office.ended(1)
    [told] = await office.desk.listed()
    assert told["state"] == "delivered"
    assert {name: (found["state"], found["attempts"]) for name, found in told["channels"].items()} == {
        "log": ("delivered", 1),
        "ops": ("delivered", 1),
    }
    assert told == await office.desk.show("a1")
    assert office.attempts == {("log", True): 1, ("ops", True): 1}


async def test_a_dead_letter_is_seen_and_sent_again_to_whom_it_missed(
    office: Office, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    office.ops.shut = True
    await office.raise_alert(make_alert())
    await office.ended(1)
    assert office.book.dead == 1
    told = await office.desk.show("a1")
    assert (told["state"], told["channels"]["ops"]["reason"]) == ("failed", "answered 410")
    office.ops.shut = False
    await office.desk.retry("a1")
    await office.ended(2)
    assert (office.ops.got, await office.states(), office.book.dead) == (["a1"], {"a1": "delivered"}, 0)
    assert [record.message for record in caplog.records].count("hits per minute: 8/10 (80 %)") == 1
    assert office.counts == {"raised": 1, "failed": 1, "delivered": 1}


async def test_all_dead_letters_are_sent_again_at_once(office: Office, make_alert: Make) -> None:
    office.ops.shut = True
    for number in range(5):
        await office.raise_alert(make_alert(f"a{number}"))
    await office.ended(5)
    office.ops.shut = False
    assert len(await office.desk.retry_dead()) == 5
    await office.ended(10)
    assert sorted(office.ops.got) == [f"a{number}" for number in range(5)]
    assert await office.desk.retry_dead() == []


async def test_a_dead_letter_that_fails_again_is_one_still(office: Office, make_alert: Make) -> None:
    office.ops.shut = True
    await office.raise_alert(make_alert())
    await office.ended(1)
    await office.desk.retry("a1")
    await office.ended(2)
    assert (await office.states(), office.book.dead) == ({"a1": "failed"}, 1)


async def test_what_is_silenced_is_in_the_log_alone(
    office: Office, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    await office.desk.silence(Wanted(3600, application="mobile", comment="load test"))
    await office.raise_alert(make_alert("a1", application="user:mobile/alice"))
    await office.raise_alert(make_alert("a2", application="other"))
    await office.ended(2)
    assert office.ops.got == ["a2"]
    assert await office.states() == {"a1": "silenced", "a2": "delivered"}
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2
    assert office.counts == {"raised": 2, "silenced": 1, "delivered": 1}


async def test_a_silence_ends_by_itself_or_by_hand(office: Office, make_alert: Make) -> None:
    first = await office.desk.silence(Wanted(60, plan="gold"))
    second = await office.desk.silence(Wanted(3600, metric="hits"))
    assert {silence["id"] for silence in await office.desk.silences()} == {first["id"], second["id"]}
    await office.clock.advance(61)
    assert [silence["id"] for silence in await office.desk.silences()] == [second["id"]]
    await office.desk.unsilence(second["id"])
    await office.raise_alert(make_alert())
    await office.ended(1)
    assert office.ops.got == ["a1"]
    with pytest.raises(Unknown, match=f"no silence is called {second['id']}"):
        await office.desk.unsilence(second["id"])


async def test_a_silence_of_everything_is_refused(office: Office) -> None:
    with pytest.raises(Unfit, match="names no application, plan or metric"):
        await office.desk.silence(Wanted(60, comment="please"))


async def test_an_acknowledged_alert_is_not_tried_any_more(office: Office, make_alert: Make) -> None:
    office.ops.shut, office.ops.final = True, False
    await office.raise_alert(make_alert())
    await office.until(lambda: office.attempts["ops", False])
    told = await office.desk.acknowledge("a1", "alice")
    assert (told["state"], told["by"]) == ("acknowledged", "alice")
    office.ops.shut = False
    await office.clock.run_until(lambda: office.counts["acknowledged"])
    await office.ended(1)
    assert (office.ops.got, office.counts["acknowledged"]) == ([], 1)
    assert await office.states() == {"a1": "acknowledged"}


async def test_an_acknowledged_dead_letter_is_none_any_more_and_may_be_sent_all_the_same(
    office: Office, make_alert: Make
) -> None:
    office.ops.shut = True
    await office.raise_alert(make_alert())
    await office.ended(1)
    await office.desk.acknowledge("a1", "alice")
    assert office.book.dead == 0
    office.ops.shut = False
    await office.desk.retry("a1")
    await office.ended(2)
    assert (office.ops.got, await office.states()) == (["a1"], {"a1": "delivered"})


async def test_what_all_channels_have_is_neither_acknowledged_nor_sent_again(office: Office, make_alert: Make) -> None:
    await office.raise_alert(make_alert())
    await office.ended(1)
    for verb in (office.desk.retry("a1"), office.desk.acknowledge("a1", "alice")):
        with pytest.raises(Unfit, match="every channel has it already"):
            await verb
    for verb in (office.desk.retry("a9"), office.desk.acknowledge("a9", "alice"), office.desk.show("a9")):
        with pytest.raises(Unknown, match="no alert is called a9"):
            await verb


async def test_alerts_of_quiet_hours_wait_until_they_end(office: Office, make_alert: Make) -> None:
    second = int(office.clock.now) % 86_400
    office.quiet = Quiet(start=(second - 3600) // 60 * 60, end=(second + 3600) // 60 * 60)
    await office.raise_alert(make_alert())
    await office.until(lambda: [record for record in office.deliverer.undelivered if len(record.channels) == 2])
    await asyncio.sleep(0.05)
    told = await office.desk.show("a1")
    assert (told["state"], told["channels"]["ops"]["reason"]) == ("waiting", "quiet hours")
    with pytest.raises(Unfit, match="on its way already"):
        await office.desk.retry("a1")
    await office.clock.advance(3500)
    assert office.ops.got == []
    await office.clock.advance(101)
    await office.ended(1)
    assert office.ops.got == ["a1"]


async def test_a_channel_that_is_gone_leaves_a_dead_letter(office: Office, make_alert: Make) -> None:
    office.ops.shut, office.ops.final = True, False
    await office.raise_alert(make_alert())
    await office.until(lambda: office.attempts["ops", False])
    office.channels = office.channels[:1]
    await office.clock.run_until(lambda: office.counts["failed"])
    await office.ended(1)
    told = await office.desk.show("a1")
    assert told["channels"]["ops"]["reason"] == "no such channel of the plan any more"


async def test_a_list_is_of_one_state_or_application(office: Office, make_alert: Make) -> None:
    office.ops.shut = True
    await office.raise_alert(make_alert("a1"))
    await office.ended(1)
    office.ops.shut = False
    await office.raise_alert(make_alert("a2", application="other", raised_at=office.clock.now + 1))
    await office.ended(2)
    assert [alert["id"] for alert in await office.desk.listed()] == ["a2", "a1"]
    assert [alert["id"] for alert in await office.desk.listed(state="failed")] == ["a1"]
    assert [alert["id"] for alert in await office.desk.listed(application="other")] == ["a2"]


async def test_a_channel_is_tried_with_what_says_that_it_is_a_test(office: Office) -> None:
    assert await office.desk.test("ops") == {"channel": "ops", "delivered": True}
    assert office.ops.got[0].startswith("test-")
    office.ops.shut = True
    assert await office.desk.test("ops") == {"channel": "ops", "delivered": False, "reason": "answered 410"}
    with pytest.raises(Unknown, match="no channel is called obs"):
        await office.desk.test("obs")
    assert await office.desk.listed() == []


async def test_the_book_is_bounded_and_forgets_the_oldest(
    office: Office, make_alert: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "MOST", 10)
    for number in range(12):
        await office.raise_alert(make_alert(f"a{number:02}", raised_at=office.clock.now + number))
        await office.ended(number + 1)
        await office.clock.advance(1)
    kept = [alert["id"] for alert in await office.desk.listed()]
    assert kept == [f"a{number:02}" for number in range(11, 1, -1)]


async def test_while_the_store_is_away_alerts_are_delivered_and_dead_letters_wait(
    store: Any, clock: Any, make_alert: Make
) -> None:
    where = StoreSettings(kind="url", url=f"unix://{store.socket}")
    servers = topology(where)
    lines = Lines(servers, where, 1.0)
    shelf = StoreShelf(lines, "gw")
    async with working(Office(MemoryOutbox(), shelf, clock)) as office:
        await office.desk.silence(Wanted(3600, application="quiet"))
        store.kill()
        for name, application in (("a1", "mobile"), ("a2", "quiet")):
            await office.raise_alert(make_alert(name, application=application))
        await office.ended(2)
        assert (office.ops.got, office.counts["silenced"]) == (["a1"], 1)  # what was known holds
        office.ops.shut = True
        await office.raise_alert(make_alert("a3"))
        await office.until(lambda: office.counts["failed"])
        store.start()
        await office.clock.run_until(lambda: office.book.dead)
        assert (await office.states())["a3"] == "failed"
        with pytest.raises(Unknown):
            await office.desk.show("a1")
    await lines.close()
    await servers.close()


async def test_a_store_that_hangs_holds_up_no_delivery(clock: Any, make_alert: Make) -> None:
    gone = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.transport.abort()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as silent:
        where = StoreSettings(kind="url", url=f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
        servers = topology(where)
        lines = Lines(servers, where, 0.1)
        shelf = StoreShelf(lines, "gw")
        async with working(Office(MemoryOutbox(), shelf, clock)) as office:
            for number in range(200):
                await office.raise_alert(make_alert(f"a{number}"))
            await office.until(lambda: len(office.ops.got) == 200)
        await lines.close()
        gone.set()
        await asyncio.sleep(0.01)
    await servers.close()


def test_silences_of_several_things_need_all_of_them(make_alert: Make, clock: Any) -> None:
    silence = Silence("s", clock.now + 1, application="mobile", plan="gold", metric="hits")
    assert silence.matches(make_alert(), clock.now)
    assert not silence.matches(make_alert(), clock.now + 1)
    for other in ({"application": "mobile2"}, {"plan": "free"}, {"metric": "writes"}):
        assert not silence.matches(make_alert(**other), clock.now)
