"""`gateway reload` where there is nothing to talk to; with a gateway it is tested end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.processes import free_address

from .conftest import Run


def test_where_no_gateway_answers_it_says_so(gateway: Run, plans: Path) -> None:
    nobody = free_address()
    shown = gateway("reload", "plans", "--admin", nobody)
    assert shown.returncode == 1
    assert shown.stderr == f"gateway reload: no gateway answers at {nobody}: [Errno 111] Connection refused\n"


def test_the_admin_listener_is_the_one_of_the_plans(gateway: Run, plans: Path) -> None:
    nobody = free_address()
    (plans / "admin.yaml").write_text(f"gateway: {{admin: '{nobody}'}}")
    assert f"no gateway answers at {nobody}" in gateway("reload", "plans").stderr


def test_plans_with_problems_are_not_even_tried(gateway: Run, plans: Path) -> None:
    (plans / "bad.yaml").write_text("gateway: {workers: many}")
    shown = gateway("reload", "plans")
    assert shown.returncode == 1
    assert shown.stderr.startswith("plans/bad.yaml:1:20: gateway.workers: 'many' is not a number of processes")


@pytest.mark.parametrize("admin", ["8081", "localhost:", "localhost:http"])
def test_a_malformed_address_is_a_usage_error(gateway: Run, plans: Path, admin: str) -> None:
    shown = gateway("reload", "plans", "--admin", admin)
    assert shown.returncode == 2
    assert f"'{admin}' is not HOST:PORT" in shown.stderr
