"""The file of a back-up: what is written is read, and what is wrong with a file is told with its line."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Period
from gateway.quota.backup import (
    BackupError,
    Header,
    Saved,
    end_line,
    header_line,
    line,
    read,
    read_header,
    window_of,
)
from gateway.quota.periods import ZONED, window
from gateway.quota.restore import select
from gateway.store import keys
from gateway.store.keys import Counted

JULY = datetime.fromisoformat("2026-07-01T00:00:00Z").timestamp()
HEADER = Header("gw", JULY + 0.25, (1782898200000, 1782898300000))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Etc/GMT+5"])
WHOLE = st.integers(0, 2**53)


@st.composite
def counters(draw: st.DrawFn) -> Saved:
    """Any counter that a gateway could have."""
    period = draw(st.sampled_from(Period))
    zone = draw(ZONES) if period in ZONED else "UTC"
    here = window(period, zone, draw(st.integers(100_000_000, 4_000_000_000)))
    scope = draw(st.text(st.characters(), min_size=1, max_size=300))
    name = draw(st.from_regex(r"[a-z][a-z0-9_-]*", fullmatch=True))
    service = draw(st.sampled_from(["", "orders"]))
    counted = Counted(keys.tag(scope), name, service, "hits", period.value, zone, int(here.start))
    raised = tuple(draw(st.lists(st.integers(1, 1000), unique=True, max_size=4)))
    return Saved(counted, here, draw(WHOLE), draw(WHOLE), raised, draw(WHOLE), draw(WHOLE))


def file_of(*saved: Saved) -> list[bytes]:
    text = [header_line(HEADER), *map(line, saved), end_line(len(saved))]
    return [f"{one}\n".encode() for one in text]


@given(st.lists(counters(), max_size=5))
def test_what_is_written_is_read(saved: list[Saved]) -> None:
    lines = file_of(*saved)
    assert list(read(lines)) == saved
    assert read_header(lines[0]) == HEADER


@given(counters())
def test_a_counters_name_leads_to_its_key_and_back(saved: Saved) -> None:
    assert Counted.parse(saved.name.key("gw")) == saved.name
    assert window_of(saved.name) == saved.window


@given(st.lists(counters(), min_size=1, max_size=4), st.data())
def test_a_file_that_is_cut_anywhere_is_refused(saved: list[Saved], data: st.DataObject) -> None:
    whole = b"".join(file_of(*saved)).rstrip(b"\n")
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(BackupError, match=r"^line \d+: "):
        list(read(cut.splitlines(keepends=True)))


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_other_file_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(BackupError, match=r"^line 1: "):
        list(read(lines))


def saved(scope: str = "mobile", start: float = JULY, **fields: Any) -> Saved:
    """Of a limit per month."""
    name = Counted(keys.tag(scope), "gold", "", "hits", "month", "UTC", int(start))
    values = {"spent": 812, "topped": 0, "raised": (80,), "epoch": 1782898200000, "version": 77, **fields}
    return Saved(name, window(Period.MONTH, "UTC", start), **values)


def test_a_line_can_be_read_by_people() -> None:
    assert json.loads(line(saved("customers/shop-app"))) == {
        "scope": "customers/shop-app",
        "plan": "gold",
        "service": None,
        "metric": "hits",
        "period": "month",
        "zone": "UTC",
        "start": "2026-07-01T00:00:00Z",
        "end": "2026-08-01T00:00:00Z",
        "spent": 812,
        "topped": 0,
        "raised": [80],
        "epoch": 1782898200000,
        "version": 77,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spent": -1}, "spent: -1 is not a whole number from 0 to 2^53"),
        ({"spent": 1.5}, "spent: 1.5 is not a whole number"),
        ({"spent": True}, "spent: True is not a whole number"),
        ({"spent": 2**53 + 1}, "spent: 9007199254740993 is not a whole number"),
        ({"raised": "80"}, "raised: '80' is not a list"),
        ({"raised": ["80"]}, "raised: '80' is not a whole number"),
        ({"plan": 7}, "plan: 7 is not a name"),
        ({"scope": "a}:b"}, "scope: it is no hash tag"),
        ({"scope": ""}, "scope: '' is not a name"),
        ({"period": "fortnight"}, "no fortnight in the zone UTC begins at 2026-07-01T00:00:00Z"),
        ({"zone": "Mars/Olympus"}, "no month in the zone Mars/Olympus begins at"),
        ({"start": "2026-07-02T00:00:00Z"}, "no month in the zone UTC begins at 2026-07-02T00:00:00Z"),
        ({"start": "July"}, "start: 'July' is not a time such as"),
        ({"start": "2026-07-01T00:00:00"}, "is not a time such as"),
        ({"end": "2026-09-01T00:00:00Z"}, "end: this month ends 2026-08-01T00:00:00Z"),
        ({"end": None}, "end: this month ends 2026-08-01T00:00:00Z"),
        ({"held": 3}, "held: not a field of this format"),
    ],
)
def test_what_is_wrong_with_a_counter_is_told_with_its_line(change: dict[str, Any], message: str) -> None:
    lines = file_of(saved("a"), saved("b"))
    lines[2] = json.dumps({**json.loads(lines[2]), **change}).encode()
    with pytest.raises(BackupError, match=r"^line 3: ") as error:
        list(read(lines))
    assert message in str(error.value)


def test_what_is_missing_of_a_counter_is_told() -> None:
    lines = file_of(saved())
    lines[1] = b'{"scope": "mobile"}'
    with pytest.raises(BackupError, match=r"^line 2: end, epoch, metric, .*: missing"):
        list(read(lines))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: the file is empty"),
        ([b'{"end": 0}'], "line 1: this is no header of a back-up; make one with `gateway usage export`"),
        ([b'{"usage": 2}'], "line 1: the back-up is of format 2; this gateway reads 1"),
        ([b"\xff"], "line 1: it is not UTF-8"),
        ([b"[" * 60_000], "line 1: it is no line of a back-up"),
        ([b" " * 70_000], "line 1: it has more than 65536 bytes"),
        ([b"[]"], "line 1: it is no JSON object"),
        ([b'{"usage": 1,}'], "line 1: it is not JSON"),
        (file_of()[:1], "line 2: the back-up is cut off here: its end is missing"),
        ([*file_of()[:1], b'{"end": 3}'], "line 2: there are 0 counters, not 3"),
        (file_of() * 2, "line 3: something follows the end; a file holds one back-up"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(lines: list[bytes], message: str) -> None:
    with pytest.raises(BackupError) as error:
        list(read(lines))
    assert str(error.value).startswith(message)


def test_windows_that_have_ended_are_counted_and_left_out() -> None:
    august = datetime.fromisoformat("2026-08-01T00:00:00Z").timestamp()
    old, new = saved(), saved(start=august)
    assert select([old, new], august) == ({"mobile": [new]}, 1, 2)
    assert select([old, new], august - 0.001) == ({"mobile": [old, new]}, 0, 2)


def test_all_counters_of_a_scope_go_together() -> None:
    one, other, second = saved("a"), saved("b"), saved("a", JULY - 1000)
    assert select([one, other, second], 0.0).scopes == {"a": [one, second], "b": [other]}


def test_a_counter_that_is_there_twice_is_told_with_its_line() -> None:
    with pytest.raises(BackupError, match="line 4: this counter is there twice"):
        select([saved("a"), saved("b"), saved("a")], JULY)
