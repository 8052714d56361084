"""`gateway validate`, `gateway schema`, and what `gateway run` does with plans that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run


@pytest.fixture
def broken(plans: Path) -> Path:
    """The plans with two mistakes."""
    file = plans / "gateway.yaml"
    file.write_text(file.read_text().replace("10/minute", "10/fortnight").replace("plans: [gold]", "plans: [golden]"))
    return plans


def test_valid_plans_are_summed_up(gateway: Run, plans: Path) -> None:
    shown = gateway("validate", "plans")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == "plans: valid (1 service, 2 plans, 1 application)\n"


def test_valid_plans_as_json(gateway: Run, plans: Path) -> None:
    shown = json.loads(gateway("validate", "plans", "-o", "json").stdout)
    assert shown == {"valid": True, "services": ["orders"], "plans": ["gold", "free"], "applications": ["mobile"]}


def test_every_problem_is_on_a_line_of_its_own(gateway: Run, broken: Path) -> None:
    shown = gateway("validate", "plans")
    assert (shown.returncode, shown.stdout) == (1, "")
    first, second, summary = shown.stderr.splitlines()
    assert first.startswith("plans/gateway.yaml:16:")
    assert "'fortnight' is not a period" in first
    assert second.startswith("plans/gateway.yaml:19:")
    assert "golden" in second
    assert summary == "plans: 2 problems"


def test_problems_as_json(gateway: Run, broken: Path) -> None:
    shown = gateway("validate", "plans", "-o", "json")
    assert shown.returncode == 1
    data = json.loads(shown.stdout)
    assert data["valid"] is False
    assert [(p["file"], p["line"]) for p in data["problems"]] == [
        ("plans/gateway.yaml", 16),
        ("plans/gateway.yaml", 19),
    ]


def test_broken_plans_are_not_run(gateway: Run, broken: Path) -> None:
    shown = gateway("run", "plans")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert ["fortnight" in line for line in shown.stderr.splitlines()] == [True, False]


@pytest.mark.parametrize("verb", ["run", "validate", "dev"])
def test_a_folder_that_is_not_there_is_a_usage_error(gateway: Run, verb: str) -> None:
    shown = gateway(verb, "nowhere")
    assert shown.returncode == 2
    assert "'nowhere' does not exist" in shown.stderr


def test_an_empty_folder_holds_no_plans(gateway: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shown = gateway("validate", "empty")
    assert shown.returncode == 1
    assert "the folder has no YAML file" in shown.stderr


def test_the_schema_describes_the_sections(gateway: Run) -> None:
    shown = gateway("schema")
    assert shown.returncode == 0
    schema = json.loads(shown.stdout)
    assert {"gateway", "identity", "alerts", "services", "plans", "accounts", "applications"} <= schema[
        "properties"
    ].keys()
