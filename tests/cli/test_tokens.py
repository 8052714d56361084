"""`gateway tokens` where there is nothing to talk to; with a gateway it is tested end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.processes import free_address

from .conftest import Run


def test_where_no_gateway_answers_it_says_so(gateway: Run, plans: Path) -> None:
    nobody = free_address()
    shown = gateway("tokens", "revoke", "plans", "--user", "a", "--admin", nobody)
    assert shown.returncode == 1
    assert shown.stderr == f"gateway tokens revoke: no gateway answers at {nobody}: [Errno 111] Connection refused\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("revoke", "plans"), "say what: one of --token --jti"),
        (("revoke", "plans", "--user", "a", "--realm"), "say what: one of --token --jti"),
        (("revoke", "plans", "--user", "a", "--for", "2w"), "'2w' is not a time such as 30m, 2h or 3d"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(gateway: Run, plans: Path, words: tuple[str, ...], why: str) -> None:
    shown = gateway("tokens", *words)
    assert shown.returncode == 2
    assert why in shown.stderr
