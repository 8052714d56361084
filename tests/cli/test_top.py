"""What `gateway top` makes of two looks; with a gateway it is tested end to end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rigs.processes import free_address

from gateway.cli.top import Line, Sample, ranked, rates_of, screen

from .conftest import Run


def row(scope: str, spent: int, limit: int = 100, metric: str = "hits", **fields: Any) -> dict[str, Any]:
    window = {"start": "2026-07-01T00:00:00Z", "end": "2026-08-01T00:00:00Z"}
    told = {"scope": scope, "plan": "gold", "metric": metric, "period": "month", "per": "application", "spent": spent}
    more = {"limit": limit, "percent": spent * 100 // limit if limit else None, "refuses": True, "window": window}
    return {**told, **more, "resets_at": window["end"], **fields}


def sample(at: float, *usage: dict[str, Any], **decisions: int) -> Sample:
    return Sample(at, list(usage), Counter(decisions))


def test_who_uses_most_comes_first_then_who_has_least_left() -> None:
    before = sample(10, row("a", 50), row("b", 10), row("c", 90))
    lines = ranked(before, sample(12, row("a", 50), row("b", 30), row("c", 90), row("d", 4)))
    assert [(line.scope, line.rate) for line in lines] == [("b", 10.0), ("d", 2.0), ("c", 0.0), ("a", 0.0)]


def test_the_scarcest_limit_is_the_one_that_refuses_soonest() -> None:
    rows = (row("a", 20), row("a", 9, 10, metric="writes"), row("a", 99, metric="reads", refuses=False))
    (line,) = ranked(sample(0, *rows), sample(1, *rows))
    assert line.scarcest["metric"] == "writes"


def test_a_limit_that_allows_nothing_is_full() -> None:
    (line,) = ranked(sample(0), sample(1, row("a", 5), row("a", 0, 0, metric="writes")))
    assert line.scarcest["metric"] == "writes"
    assert "  gold" not in screen([line], {})


def test_a_new_window_and_a_reset_are_no_use() -> None:
    july = {"start": "2026-07-01T00:00:00Z", "end": None}
    june = {"start": "2026-06-01T00:00:00Z", "end": None}
    (line,) = ranked(sample(0, row("a", 90, window=june)), sample(2, row("a", 4, window=july)))
    assert line.rate == 2.0
    (line,) = ranked(sample(0, row("a", 90)), sample(2, row("a", 4)))
    assert line.rate == 0.0


def test_refusals_are_told_by_their_reason() -> None:
    rates = rates_of(sample(0, ok=100, over_limit=5), sample(2, ok=300, over_limit=11, no_service=1, ledger_down=0))
    assert rates == {"ledger_down": 0.0, "no_service": 0.5, "ok": 100.0, "over_limit": 3.0}
    assert screen([], rates).splitlines()[0] == "requests 103.5/s   refused: no_service 0.5/s, over_limit 3.0/s"


def test_a_line_says_which_limit_it_is() -> None:
    shown = screen([Line("customers/café", 12.34, row("customers/café", 80))], {}).splitlines()
    assert shown[-1] == "customers/café     12.3  80 %     80    100  hits/month (gold)  2026-08-01T00:00:00Z"


def test_where_no_gateway_answers_it_says_so(gateway: Run, plans: Path) -> None:
    nobody = free_address()
    shown = gateway("top", "plans", "--admin", nobody, "--once")
    assert shown.returncode == 1
    assert shown.stderr.startswith(f"gateway top: no gateway answers at {nobody}: ")
