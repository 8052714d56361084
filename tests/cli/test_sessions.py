"""`gateway sessions` where there is nothing to talk to, and before an admin listener of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.processes import free_address

from .conftest import Run


def test_where_no_gateway_answers_it_says_so(gateway: Run, plans: Path) -> None:
    nobody = free_address()
    shown = gateway("sessions", "ls", "plans", "--admin", nobody)
    assert shown.returncode == 1
    assert shown.stderr == f"gateway sessions ls: no gateway answers at {nobody}: [Errno 111] Connection refused\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("end", "plans"), "say which: an ID, or --subject"),
        (("end", "plans", "abc", "--subject", "a"), "say which: an ID, or --subject"),
        (("end", "plans", "abc", "--provider", "keycloak"), "--provider is for --subject"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(gateway: Run, plans: Path, words: tuple[str, ...], why: str) -> None:
    shown = gateway("sessions", *words)
    assert shown.returncode == 2
    assert why in shown.stderr
