"""`gateway doctor`: what is around a gateway, looked at before users do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run

pytestmark = pytest.mark.redis


def of_memory(plans: Path, store: str = "memory") -> None:
    """Plans that keep nothing."""
    file = plans / "gateway.yaml"
    file.write_text(file.read_text().replace("version: 1\n", f"version: 1\ngateway: {{store: {store}}}\n"))


def test_a_warning_is_told_and_is_no_failure(gateway: Run, plans: Path) -> None:
    of_memory(plans)
    shown = gateway("doctor", "plans")
    assert shown.returncode == 0
    assert shown.stdout.startswith("warning  store: memory: a restart of the gateway forgets all usage")
    assert shown.stderr == "plans: 1 warning\n"


def test_a_problem_is_told_with_what_to_change_and_is_a_failure(gateway: Run, plans: Path) -> None:
    of_memory(plans, "{url: 'unix:///nowhere/valkey.sock'}")
    shown = gateway("doctor", "plans")
    assert shown.returncode == 1
    assert shown.stdout.startswith("problem  store: the store cannot be asked: ")
    assert shown.stderr == "plans: 1 problem\n"


def test_findings_as_json(gateway: Run, plans: Path) -> None:
    of_memory(plans)
    (found,) = json.loads(gateway("doctor", "plans", "-o", "json").stdout)
    assert found.keys() == {"level", "about", "text"}
    assert found["level"] == "warning"


def test_an_embedded_store_before_the_first_start_is_well(gateway: Run, plans: Path) -> None:
    shown = gateway("doctor", "plans")
    assert (shown.returncode, shown.stderr) == (0, "plans: all is well\n")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["ok", "ok"]


def test_targets_are_connected_to_where_it_is_asked_for(gateway: Run, plans: Path) -> None:
    of_memory(plans)
    file = plans / "gateway.yaml"
    file.write_text(file.read_text().replace("127.0.0.1:9001", "127.0.0.1:1"))
    assert gateway("doctor", "plans").returncode == 0
    shown = gateway("doctor", "plans", "--targets")
    assert shown.returncode == 1
    assert shown.stdout.splitlines()[-1].startswith("problem  target http://127.0.0.1:1: no connection: ")


def test_broken_plans_are_told_as_validate_does(gateway: Run, plans: Path) -> None:
    (plans / "gateway.yaml").write_text("version: 1\nservices: 3\n")
    shown = gateway("doctor", "plans")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("plans/gateway.yaml:2:")
