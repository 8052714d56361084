"""`gateway alerts` where there is nothing to talk to; with a gateway it is tested end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.processes import free_address

from .conftest import Run


@pytest.mark.parametrize(
    "words", [("ls",), ("show", "a1"), ("ack", "a1"), ("retry", "--all"), ("silence",), ("test", "ops")]
)
def test_where_no_gateway_answers_it_says_so(gateway: Run, plans: Path, words: tuple[str, ...]) -> None:
    nobody = free_address()
    shown = gateway("alerts", words[0], "plans", *words[1:], "--admin", nobody)
    assert shown.returncode == 1
    assert shown.stderr == f"gateway alerts: no gateway answers at {nobody}: [Errno 111] Connection refused\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("ls", "plans", "--state", "dead"), "'dead' is not a state"),
        (("retry", "plans"), "name an alert, or say --all"),
        (("retry", "plans", "a1", "--all"), "name an alert, or say --all"),
        (("silence", "plans", "-a", "mobile"), "say how long, as --for 2h"),
        (("silence", "plans", "--for", "2w"), "'2w' is not a time such as 30m, 2h or 3d"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(gateway: Run, plans: Path, words: tuple[str, ...], why: str) -> None:
    shown = gateway("alerts", *words)
    assert shown.returncode == 2
    assert why in shown.stderr


@pytest.mark.parametrize("verb", ["ls", "show", "ack", "silence", "test", "retry"])
def test_each_verb_has_help(gateway: Run, verb: str) -> None:
    shown = gateway("alerts", verb, "--help")
    assert (shown.returncode, "Usage: gateway alerts" in shown.stdout) == (0, True)
