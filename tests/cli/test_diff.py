"""`gateway diff`: exit codes for scripts, text for people, JSON for machines, and the store where it is asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rigs.stores import Server, binary_of

from gateway.devkit.servers import listener, port_of
from gateway.quota.periods import Period, window

from .conftest import Run


@pytest.fixture
def next_plans(plans: Path, tmp_path: Path) -> Path:
    """A copy of the plans, to be edited."""
    return Path(shutil.copytree(plans, tmp_path / "next"))


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "gateway.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_plans_that_mean_the_same_are_0(gateway: Run, next_plans: Path) -> None:
    edit(next_plans, "version: 1", "# as before\nversion: 1")
    same = gateway("diff", "plans", "next")
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "plans and next mean the same\n")
    assert json.loads(gateway("diff", "plans", "next", "--json").stdout)["different"] is False


def test_paths_that_are_written_alike_are_the_same(gateway: Run, plans: Path, next_plans: Path) -> None:
    for folder in (plans, next_plans):
        edit(folder, "version: 1\n", "version: 1\ngateway: {data: data}\n")
    assert gateway("diff", "plans", "next").returncode == 0


def test_plans_that_differ_are_2_and_what_it_means_is_shown(gateway: Run, next_plans: Path) -> None:
    edit(next_plans, "100/minute", "60/minute, 5000/day")
    shown = gateway("diff", "plans", "next")
    assert (shown.returncode, shown.stderr) == (2, "")
    assert shown.stdout.splitlines() == [
        "plans",
        "  ~ gold  (of mobile)",
        "applications",
        "  ~ mobile",
        "      limit lowered: hits per minute: 100 → 60",
        "      limit added: hits per day: + 5000",
        "      starts at 0: hits per day (the limit is new)",
    ]


def test_machines_get_json(gateway: Run, next_plans: Path) -> None:
    edit(next_plans, "100/minute", "60/minute")
    told = json.loads(gateway("diff", "plans", "next", "-o", "json").stdout)
    (mobile,) = told["applications"]
    assert (mobile["name"], mobile["kind"]) == ("mobile", "changed")
    assert mobile["limits"] == [{"kind": "lowered", "limit": "hits per minute", "before": "100", "after": "60"}]
    assert told["different"] is True
    assert "over" not in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("plans",),
        ("plans", "nowhere"),
        ("plans", "plans", "--wrong"),
        ("a", "b", "c"),
        ("https://127.0.0.1:8081", "plans"),
        ("plans", "http://127.0.0.1"),
        ("plans", "http://127.0.0.1:8081/metrics"),
    ],
)
def test_wrong_usage_is_1_since_2_means_different(gateway: Run, plans: Path, arguments: tuple[str, ...]) -> None:
    assert gateway("diff", *arguments).returncode == 1


def test_a_gateway_that_does_not_answer_is_1(gateway: Run, plans: Path) -> None:
    with listener() as taken:
        url = f"http://127.0.0.1:{port_of(taken)}"
    failed = gateway("diff", "plans", url)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith(f"gateway diff: no gateway answers at {url[7:]}: ")


def test_plans_with_problems_are_1(gateway: Run, next_plans: Path) -> None:
    edit(next_plans, "10/minute", "10/fortnight")
    failed = gateway("diff", "plans", "next")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "next/gateway.yaml:16:" in failed.stderr


@pytest.mark.redis
def test_the_store_is_asked_who_is_over_a_limit_at_once(
    gateway: Run, plans: Path, next_plans: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(binary_of("valkey"), folder).start()
    try:
        for plan in (plans, next_plans):
            edit(plan, "version: 1\n", f'version: 1\ngateway: {{store: {{url: "{server.url}"}}}}\n')
            edit(plan, "100/minute", "100/month")
        month = int(window(Period.MONTH, "UTC", server.ask("TIME")[0]).start)
        server.ask("SET", f"gw:{{mobile}}:gold::hits:month:UTC:{month}", "80 5 0 7 3 80")
        edit(next_plans, "100/month", "70/month")
        shown = gateway("diff", "plans", "next", "--usage")
        assert shown.returncode == 2
        assert "over the new limit at once\n  mobile: 80 of 70 hits per month (gold; the limit was 100)" in shown.stdout
        edit(next_plans, "70/month", "81/month")
        assert gateway("diff", "plans", "next", "--usage").stdout.endswith("over the new limit at once\n  nobody\n")
        assert json.loads(gateway("diff", "plans", "next", "--usage", "--json").stdout)["over"] == []
    finally:
        server.close()
    away = gateway("diff", "plans", "next", "--usage")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("gateway: the store cannot be asked: ")
