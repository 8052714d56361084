"""Local shares: what a gateway may spend while its store is away, whatever happened to it before."""

from __future__ import annotations

import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Down, DownMode, Limit, Over, Period
from gateway.quota.local.shares import LocalShares, part_of

from .conftest import HOUR, NOON, Books, Open, limit, line, spend_all

HITS = limit(1000)


def test_a_gateway_spends_its_part_of_the_share_and_no_more(open_shares: Open) -> None:
    shares = open_shares(HITS)
    assert spend_all(shares, HITS) == 25
    assert not shares.take([line(HITS)])


def test_each_counter_has_its_share_in_each_window(open_shares: Open) -> None:
    shares = open_shares(HITS)
    assert spend_all(shares, HITS, scope="mobile") == 25
    assert spend_all(shares, HITS, scope="web") == 25
    assert spend_all(shares, HITS, start=NOON + HOUR, end=NOON + 2 * HOUR) == 25


def test_a_request_is_let_in_only_if_all_its_limits_have_something_left(open_shares: Open) -> None:
    """Nothing is taken from one when the other refuses."""
    wide, narrow = limit(1000), limit(400, period=Period.DAY)
    shares = open_shares(wide, narrow)
    both = [line(wide), line(narrow, end=NOON + 12 * HOUR)]
    assert sum(shares.take(both) for _ in range(20)) == 10
    assert spend_all(shares, wide) == 15


def test_a_cost_counts_whole(open_shares: Open) -> None:
    shares = open_shares(HITS)
    assert [shares.take([line(HITS, cost)]) for cost in (26, 20, 6, 5, 1)] == [False, True, False, True, False]


def test_who_has_no_limit_that_refuses_needs_no_share(open_shares: Open) -> None:
    assert open_shares().take([])


# --- windows without a share


def test_a_window_that_began_before_the_account_was_kept_has_no_share(open_shares: Open) -> None:
    shares = open_shares(HITS, now=NOON)
    assert not shares.take([line(HITS)])
    assert shares.take([line(HITS, start=NOON + HOUR, end=NOON + 2 * HOUR)])


def test_a_limit_that_the_configuration_does_not_have_has_no_share(open_shares: Open) -> None:
    assert not open_shares(HITS).take([line(limit(1000, metric="writes"))])


def test_the_account_is_kept_over_restarts(open_shares: Open) -> None:
    assert open_shares(HITS).take([line(HITS, 20)])
    again = open_shares(HITS, now=NOON + 60)
    assert [again.take([line(HITS, 6)]), again.take([line(HITS, 5)])] == [False, True]


def test_after_a_start_of_the_machine_the_open_windows_have_no_share(open_shares: Open) -> None:
    assert open_shares(HITS).take([line(HITS)])
    again = open_shares(HITS, boot="another", now=NOON + 60)
    assert not again.take([line(HITS)])
    assert spend_all(again, HITS, start=NOON + HOUR, end=NOON + 2 * HOUR) == 25


@pytest.mark.parametrize("lost", ["record.json", "0.cells", "*"])
def test_what_was_lost_is_not_spent_again(lost: str, open_shares: Open, tmp_path: Path) -> None:
    open_shares(HITS).take([line(HITS)])
    for path in (tmp_path / "local").glob(lost):
        path.unlink()
    assert not open_shares(HITS, now=NOON + 60).take([line(HITS)])


@pytest.mark.parametrize("damage", [b"", b"{}", b'[1, "b00t", 1, {"x": [1]}]', b"\x00" * 300])
@pytest.mark.parametrize("name", ["record.json", "0.cells"])
def test_what_is_damaged_is_not_believed(damage: bytes, name: str, open_shares: Open, tmp_path: Path) -> None:
    open_shares(HITS).take([line(HITS)])
    (tmp_path / "local" / name).unlink()  # not written in place: the file is mapped
    (tmp_path / "local" / name).write_bytes(damage)
    again = open_shares(HITS, now=NOON + 60)
    assert not again.take([line(HITS)])
    assert spend_all(again, HITS, start=NOON + HOUR, end=NOON + 2 * HOUR) == 25


DOUBLE = Down(mode=DownMode.LOCAL, share=Fraction(2, 10), gateways=4)
FEWER = Down(mode=DownMode.LOCAL, share=Fraction(1, 10), gateways=2)


@pytest.mark.parametrize("edited", [limit(2000), limit(1000, down=DOUBLE), limit(1000, down=FEWER)])
def test_an_edited_limit_has_a_share_from_its_next_window_on(edited: Limit, open_shares: Open) -> None:
    """Before the edit the store may have handed out what is kept back now. Other limits are not concerned."""
    other = limit(1000, metric="writes")
    open_shares(HITS, other)
    again = open_shares(edited, other, now=NOON + 60)
    assert not again.take([line(edited)])
    assert again.take([line(other)])
    assert spend_all(again, edited, start=NOON + HOUR, end=NOON + 2 * HOUR) == edited.local


@pytest.mark.parametrize("between", [[], [limit(1000, down=Down())], [limit(1000, over=Over.ALLOW)]])
def test_a_limit_that_kept_nothing_back_meanwhile_begins_anew(between: list[Limit], open_shares: Open) -> None:
    open_shares(HITS)
    open_shares(*between, now=NOON + 60)
    assert not open_shares(HITS, now=NOON + 120).take([line(HITS)])


def test_a_time_that_runs_backwards_opens_no_window_again(open_shares: Open) -> None:
    """Cells of windows that are over are reused; what was in them is not forgotten to have been there."""
    second = limit(1000, period=Period.SECOND)
    shares = open_shares(second)
    cells = shares._own
    assert cells is not None
    for number in range(len(cells._free)):
        assert shares.take([line(second, 25, start=NOON + number, end=NOON + number + 1)])
    assert shares.take([line(second, start=NOON + number + 1, end=NOON + number + 2)])
    assert not shares.take([line(second, start=NOON, end=NOON + 1)])
    assert not open_shares(second, now=NOON).take([line(second, start=NOON, end=NOON + 1)])


# --- workers


@given(local=st.integers(0, 200), workers=st.integers(1, 40))
def test_workers_divide_the_gateways_part_without_a_rest(local: int, workers: int) -> None:
    parts = [part_of(local, worker, workers) for worker in range(workers)]
    assert sum(parts) == local
    assert max(parts) - min(parts) <= 1


def test_each_worker_spends_its_own_part(open_shares: Open) -> None:
    four = [open_shares(HITS, worker=worker, workers=4) for worker in range(4)]
    assert [spend_all(shares, HITS) for shares in four] == [7, 6, 6, 6]


def test_a_worker_that_is_started_again_goes_on(open_shares: Open) -> None:
    open_shares(HITS, worker=0, workers=2)
    assert open_shares(HITS, worker=1, workers=2).take([line(HITS, 12)])
    assert not open_shares(HITS, worker=1, workers=2, now=NOON + 60).take([line(HITS)])


@pytest.mark.parametrize("others", [1, 3])
def test_with_another_number_of_workers_the_open_windows_have_no_share(others: int, open_shares: Open) -> None:
    """Nor when the number is the old one again."""
    for worker in range(2):
        open_shares(HITS, worker=worker, workers=2).close()
    other = open_shares(HITS, worker=0, workers=others, now=NOON + 60)
    assert not other.take([line(HITS)])
    other.close()
    assert not open_shares(HITS, worker=1, workers=2, now=NOON + 120).take([line(HITS)])


def test_what_workers_spent_that_are_no_more_is_reported(open_shares: Open) -> None:
    for worker in range(4):
        shares = open_shares(HITS, worker=worker, workers=4)
        shares.take([line(HITS, worker + 1)])
        shares.close()
    books = Books()
    for worker in range(2):
        books.hear(open_shares(HITS, worker=worker, workers=2, now=NOON + 60))
    assert books.spent == {line(HITS).key: 1 + 2 + 3 + 4}


# --- a folder that cannot be used


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.quota.local.shares.RETRY", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_successor_goes_on_when_its_predecessor_has_ended(
    open_shares: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While one gateway takes over from another on the same folder."""
    old = open_shares(HITS)
    new = LocalShares(tmp_path / "local", [HITS], worker=0, workers=1, now=NOON + 60, boot="b00t")
    assert [old.take([line(HITS, 10)]), new.take([line(HITS)]), new.take([line(HITS)])] == [True, False, False]
    old.close()
    assert spend_all(new, HITS) == 15
    new.close()
    assert [record.message for record in caplog.records] == [
        "what is spent of local shares cannot be kept, so that none is: "
        f"another process uses {tmp_path / 'local' / '0.cells'}",
        "what is spent of local shares can be kept again",
    ]


@pytest.mark.usefixtures("impatient")
def test_no_account_begins_while_others_go_by_the_old_one(open_shares: Open) -> None:
    """They would spend by its parts."""
    first, second = (open_shares(HITS, worker=worker, workers=2) for worker in range(2))
    first.close()
    alone = open_shares(HITS, worker=0, workers=1, now=NOON + 60)
    following = {"start": NOON + HOUR, "end": NOON + 2 * HOUR}
    assert second.take([line(HITS, 12, **following)])
    assert not alone.take([line(HITS, **following)])
    second.close()
    assert spend_all(alone, HITS, start=NOON + 2 * HOUR, end=NOON + 3 * HOUR) == 25


def test_a_folder_that_cannot_be_used_gives_no_share_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").write_text("a file")
    shares = LocalShares(tmp_path / "data" / "local", [HITS], worker=0, workers=1, now=NOON - 1)
    assert not shares.take([line(HITS)])
    assert list(shares.reports()) == []
    assert "what is spent of local shares cannot be kept" in caplog.text


def test_without_local_plans_nothing_is_written(tmp_path: Path) -> None:
    shares = LocalShares(tmp_path / "local", [limit(10, down=Down())], worker=0, workers=1, now=NOON - 1)
    assert list(shares.reports()) == []
    assert list(tmp_path.iterdir()) == []


# --- a real end

RULES = """
from fractions import Fraction
from gateway.model import Down, DownMode, Limit, Period
from gateway.quota.local.shares import Line

down = Down(mode=DownMode.LOCAL, share=Fraction(1, 2), gateways=1)
limits = [Limit(plan="gold", metric=metric, period=Period.DAY, value=VALUE, down=down) for metric in ("hits", "writes")]
lines = [Line(limit, limit.metric, 1.0, 86401.0, 1, "mobile", {"key": limit.metric}) for limit in limits]
"""
CHILD = """
import os, sys
from pathlib import Path
from gateway.quota.local.shares import LocalShares, part_of

shares = LocalShares(Path(sys.argv[1]), limits, worker=0, workers=1, now=0.0)
while shares.take(lines):
    os.write(1, b".")
"""


def let_in(folder: Path, value: int, killed_after: int) -> int:
    """Requests that a process of its own let in before it was killed, or had no more to spend."""
    program = RULES.replace("VALUE", str(value)) + CHILD
    with subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout is not None
        seen = 0
        while seen < killed_after and (more := len(child.stdout.read(min(65_536, killed_after - seen)))):
            seen += more
        if more:
            child.send_signal(signal.SIGKILL)
        return seen + len(child.stdout.read())


def test_a_killed_process_has_noted_every_request_that_it_let_in(tmp_path: Path) -> None:
    """Counts of one, two and three bytes; at each kill one request may have been noted in part."""
    rules: dict[str, Any] = {}
    exec(RULES.replace("VALUE", str(10**9)), rules)  # what the children run too
    requests, books = 0, Books()
    for kills, killed_after in enumerate((1, 300, 70_000), 1):
        requests += let_in(tmp_path, 10**9, killed_after)
        shares = LocalShares(tmp_path, rules["limits"], worker=0, workers=1, now=0.0)
        books.hear(shares)
        shares.close()
        assert [0 <= books.spent[metric] - requests <= kills for metric in ("hits", "writes")] == [True, True]


def test_one_that_follows_a_killed_process_spends_the_rest(tmp_path: Path) -> None:
    requests = sum(let_in(tmp_path, 2000, killed_after) for killed_after in (100, 200, 10_000))
    assert 998 <= requests <= 1000  # of half the limit, less what was noted at the moment of a kill
