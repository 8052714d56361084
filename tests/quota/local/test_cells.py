"""The file of cells: room for so many counters, and reports that the store hears once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model import Period
from gateway.quota.local.cells import CELLS, FILE_SIZE, LINES, TEXTS_AT
from gateway.quota.local.shares import LocalShares

from .conftest import HOUR, NOON, Books, Open, limit, line, spend_all

HITS = limit(1000)
SECOND = limit(1000, period=Period.SECOND)


def fill(shares: LocalShares, cells: int = CELLS, *, start: float = NOON) -> None:
    """Spend a unit of so many counters of one window."""
    for number in range(cells):
        assert shares.take([line(SECOND, scope=f"app-{number}", start=start, end=start + 1)])


# --- room


def test_its_room_on_the_disk_is_taken_at_the_start(open_shares: Open, tmp_path: Path) -> None:
    """A disk that is full later would kill the worker at a write."""
    open_shares(HITS)
    assert (tmp_path / "local" / "0.cells").stat().st_blocks * 512 >= FILE_SIZE


def test_what_has_no_cell_has_no_share(open_shares: Open, caplog: pytest.LogCaptureFixture) -> None:
    shares = open_shares(HITS, SECOND)
    fill(shares)
    assert not shares.take([line(HITS)])
    assert not shares.take([line(HITS)])
    assert [record.message for record in caplog.records] == [
        f"requests are refused that a local share might let in: all {CELLS} cells are in use"
    ]
    assert shares.take([line(SECOND, scope="app-0", end=NOON + 1)])  # as before


def test_cells_of_windows_that_are_over_are_used_again(open_shares: Open, caplog: pytest.LogCaptureFixture) -> None:
    shares = open_shares(HITS, SECOND)
    assert shares.take([line(HITS, 5)])
    fill(shares, CELLS - 1)
    Books().hear(shares)
    fill(shares, CELLS - 1, start=NOON + 1)
    assert spend_all(shares, HITS) == 20
    assert caplog.records == []


def test_what_is_reported_makes_room_before_what_is_not(open_shares: Open, caplog: pytest.LogCaptureFixture) -> None:
    shares, books = open_shares(SECOND), Books()
    fill(shares, 1)
    books.hear(shares)
    fill(shares, CELLS - 1, start=NOON + 1)
    fill(shares, 1, start=NOON + 2)
    assert caplog.records == []
    fill(shares, 2, start=NOON + 3)
    told = f"{CELLS} units of {CELLS} windows that are over will not be reported: no cell is free"
    assert [record.message for record in caplog.records if "reported" in record.message] == [told]


def test_what_a_report_is_under_way_for_stays(open_shares: Open) -> None:
    shares, books = open_shares(SECOND), Books()
    fill(shares, CELLS)
    under_way = list(shares.reports())
    assert not shares.take([line(SECOND, start=NOON + 1, end=NOON + 2)])
    for report in under_way:
        report.done()
    assert books.hear(shares) == 0


def test_a_counter_whose_name_is_too_long_has_no_share(open_shares: Open, caplog: pytest.LogCaptureFixture) -> None:
    shares = open_shares(HITS)
    assert not shares.take([line(HITS, scope="x" * 2048)])
    assert "what names a counter is too long" in caplog.text
    assert shares.take([line(HITS, scope="x" * 500)])


def test_a_cell_that_a_machines_crash_has_torn_is_free(open_shares: Open, tmp_path: Path) -> None:
    open_shares(HITS).take([line(HITS, 3)])
    with (tmp_path / "local" / "0.cells").open("r+b") as file:
        file.seek(TEXTS_AT + 5)
        file.write(b"\xff\xff")
    again = open_shares(HITS, boot="another", now=NOON + 60)
    assert list(again.reports()) == []
    assert spend_all(again, HITS, start=NOON + HOUR, end=NOON + 2 * HOUR) == 25


# --- reports


def test_what_was_spent_is_reported_once(open_shares: Open) -> None:
    shares, books = open_shares(HITS), Books()
    shares.take([line(HITS, 3)])
    assert [books.hear(shares), books.hear(shares)] == [1, 0]
    shares.take([line(HITS, 4)])
    assert books.hear(shares) == 1
    assert books.spent == {line(HITS).key: 7}


def test_a_report_whose_answer_was_lost_is_made_again_alone(open_shares: Open) -> None:
    """What is spent meanwhile goes with the next."""
    shares, books = open_shares(HITS), Books()
    shares.take([line(HITS, 3)])
    books.hear(shares, answers=False)
    shares.take([line(HITS, 4)])
    [again] = shares.reports()
    assert (again.number, again.scope, again.lines) == (1, "mobile", ((line(HITS).note, 3),))
    assert [books.hear(shares), books.hear(shares), books.hear(shares)] == [1, 1, 0]
    assert books.spent == {line(HITS).key: 7}


def test_also_after_a_restart(open_shares: Open) -> None:
    books, shares = Books(), open_shares(HITS)
    shares.take([line(HITS, 3)])
    books.hear(shares, answers=False)
    shares.take([line(HITS, 4)])
    again = open_shares(HITS, now=NOON + 60)
    assert [books.hear(again), books.hear(again), books.hear(again)] == [1, 1, 0]
    assert books.spent == {line(HITS).key: 7}


def test_an_answer_that_comes_after_the_end_changes_nothing(open_shares: Open) -> None:
    """The next process tells it again, and the store knows the number."""
    books, shares = Books(), open_shares(HITS)
    shares.take([line(HITS, 3)])
    [report] = shares.reports()
    books.hear(shares, answers=False)
    again = open_shares(HITS, now=NOON + 60)
    report.done()
    assert [books.hear(again), books.hear(again)] == [1, 0]
    assert books.spent == {line(HITS).key: 3}


def test_scopes_are_reported_apart_and_large_ones_in_parts(open_shares: Open) -> None:
    shares, books = open_shares(SECOND), Books()
    for number in range(LINES + 1):
        shares.take([line(SECOND, start=NOON + number, end=NOON + number + 1)])
    shares.take([line(SECOND, scope="web", end=NOON + 1)])
    assert sorted((report.scope, len(report.lines)) for report in shares.reports()) == [("mobile", LINES), ("web", 1)]
    assert [books.hear(shares), books.hear(shares), books.hear(shares)] == [2, 1, 0]
    assert books.spent.total() == LINES + 2


def test_a_full_file_is_told_again_at_the_next_outage(open_shares: Open, caplog: pytest.LogCaptureFixture) -> None:
    shares = open_shares(HITS, SECOND)
    fill(shares)
    for _ in range(2):
        assert not shares.take([line(HITS)])
        Books().hear(shares)
    assert len(caplog.records) == 2


def test_reports_of_another_start_of_the_machine_are_another_reporters(open_shares: Open) -> None:
    """Numbers may have been lost with the machine."""
    names = set()
    for boot in ("b00t", "b00t", "another"):
        shares = open_shares(HITS, boot=boot)
        shares.take([line(HITS)])
        names |= {report.reporter for report in shares.reports()}
    assert len(names) == 2
