"""`gateway usage`: what is spent, a back-up of it, and putting that back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.stores import Server, binary_of

from gateway.quota.periods import Period, window

from .conftest import Run

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(binary_of("valkey"), folder).start()
    yield server
    server.close()


@pytest.fixture
def served(plans: Path, server: Server) -> Server:
    """The store of the plans. `mobile` has used 80 of 100 this month, customers under the plan `free` something too."""
    limits = {"hits: [100/minute]": "hits: [100/month]", "hits: [10/minute]": "hits: [10/eternity]"}
    text = (plans / "gateway.yaml").read_text()
    for old, new in limits.items():
        text = text.replace(old, new)
    text += "  customers: {plans: [free], match: {roles: [customer]}, each: client}\n"
    text = text.replace("version: 1\n", f'version: 1\ngateway: {{store: {{url: "{server.url}"}}}}\n')
    text = text.replace("services:\n", PROVIDER + "services:\n", 1).replace(
        "accept:\n", "accept:\n      - jwt: sso\n", 1
    )
    (plans / "gateway.yaml").write_text(text)
    month = int(window(Period.MONTH, "UTC", server.ask("TIME")[0]).start)
    server.ask("SET", f"gw:{{mobile}}:gold::hits:month:UTC:{month}", "80 5 0 7 3 80")
    server.ask("SET", "gw:{customers/caf%C3%A9}:free::hits:eternity:UTC:0", "7 0 0 7 1 ")
    server.ask("SET", "gw:{customers/%1B%5B2J}:free::hits:eternity:UTC:0", "12 0 2 7 1 100")
    server.ask("SET", "gw:{mobile}:gold::hits:month:UTC:951868800", "55 0 0 7 3 ")  # March 2000
    return server


PROVIDER = "identity:\n  sso: {oidc: {issuer: https://sso.example.com, audience: gateway}}\n"


def test_usage_is_a_table(gateway: Run, served: Server) -> None:
    shown = gateway("usage", "show", "plans")
    assert (shown.returncode, shown.stderr) == (0, "")
    heads, *rows = [line.split() for line in shown.stdout.splitlines()]
    assert heads == ["application", "plan", "metric", "period", "limit", "spent", "resets", "at"]
    assert [row[:-1] for row in rows] == [
        ["customers/%1B%5B2J", "free", "hits", "eternity", "12", "12", "100", "%"],
        ["customers/café", "free", "hits", "eternity", "10", "7", "70", "%"],
        ["mobile", "gold", "hits", "month", "100", "80", "80", "%"],
    ]
    assert [row[-1] for row in rows[:2]] == ["never", "never"]


def test_usage_of_one_application_as_json(gateway: Run, served: Server) -> None:
    shown = json.loads(gateway("usage", "show", "plans", "customers", "-o", "json").stdout)
    assert {row["scope"] for row in shown} == {"customers/%1B%5B2J", "customers/café"}
    (mobile,) = json.loads(gateway("usage", "show", "plans", "mobile", "-o", "json").stdout)
    del mobile["resets_at"]
    assert mobile == {
        "scope": "mobile", "plan": "gold", "metric": "hits", "period": "month", "limit": 100, "spent": 80, "percent": 80
    }  # fmt: skip


def test_who_has_not_asked_yet_has_spent_nothing(gateway: Run, served: Server) -> None:
    served.ask("FLUSHALL")
    (row,) = json.loads(gateway("usage", "show", "plans", "-o", "json").stdout)
    assert (row["scope"], row["spent"], row["limit"]) == ("mobile", 0, 100)


def test_an_application_that_the_plans_do_not_have_is_a_usage_error(gateway: Run, served: Server) -> None:
    shown = gateway("usage", "show", "plans", "mobil")
    assert shown.returncode == 2
    assert "'mobil' is not an application of the plans" in shown.stderr


def test_a_back_up_is_put_back(gateway: Run, served: Server, tmp_path: Path) -> None:
    made = gateway("usage", "export", "plans", "--output", "usage.jsonl")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "4 counters exported\n")
    assert (tmp_path / "usage.jsonl").stat().st_mode & 0o777 == 0o600
    before = gateway("usage", "show", "plans").stdout
    served.ask("FLUSHALL")
    assert gateway("usage", "show", "plans").stdout != before
    done = gateway("usage", "import", "plans", "usage.jsonl")
    assert (done.returncode, done.stdout) == (0, "3 counters changed, 0 left as they are, 1 of ended windows\n")
    assert done.stderr.startswith("the store is new or may have lost data: 5.0 s for what gateways remember")
    assert gateway("usage", "show", "plans").stdout == before
    again = gateway("usage", "import", "plans", "usage.jsonl", "-o", "json")
    assert json.loads(again.stdout) == {"counters": 4, "changed": 0, "ended": 1}


def test_a_back_up_goes_through_pipes(gateway: Run, served: Server, tmp_path: Path) -> None:
    made = gateway("usage", "export", "plans")
    assert made.stdout.splitlines()[-1] == '{"end": 4}'
    assert gateway("usage", "import", "plans", "-", stdin=made.stdout).returncode == 0


def test_only_replacing_sets_a_counter_back(gateway: Run, served: Server) -> None:
    key = next(key for key in served.ask("KEYS", "gw:{mobile}*") if "951868800" not in key)
    gateway("usage", "export", "plans", "-o", "usage.jsonl")
    served.ask("SET", key, "90 5 0 7 4 80,90")
    assert gateway("usage", "import", "plans", "usage.jsonl").returncode == 0
    assert served.ask("GET", key) == "90 5 0 7 4 80,90"
    assert gateway("usage", "import", "plans", "usage.jsonl", "--replace").returncode == 0
    assert served.ask("GET", key).startswith("80 5 0 ")
    assert " 80,90 " in served.ask("GET", key)


def test_a_file_with_a_fault_changes_nothing(gateway: Run, served: Server, tmp_path: Path) -> None:
    gateway("usage", "export", "plans", "-o", "usage.jsonl")
    served.ask("FLUSHALL")
    file = tmp_path / "usage.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    refused = gateway("usage", "import", "plans", "usage.jsonl")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "gateway: usage.jsonl: line 6: the back-up is cut off here: its end is missing; nothing was changed\n"
    )
    assert served.ask("DBSIZE") == 0


def test_a_back_up_that_fails_leaves_no_file(gateway: Run, served: Server, tmp_path: Path) -> None:
    (tmp_path / "usage.jsonl").write_text("the one of yesterday")
    served.close()
    failed = gateway("usage", "export", "plans", "-o", "usage.jsonl")
    assert failed.returncode == 1
    assert failed.stderr.startswith("gateway: the store cannot be asked: ")
    assert (tmp_path / "usage.jsonl").read_text() == "the one of yesterday"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".usage")] == []


def test_usage_of_the_embedded_store_is_reached_while_no_gateway_runs(gateway: Run, plans: Path) -> None:
    assert "no gateway has run with this folder" in gateway("usage", "export", "plans").stderr
    lines = [
        {"usage": 1, "prefix": "gw", "time": "2026-07-01T09:30:00Z", "epochs": [7]},
        {"scope": "mobile", "plan": "gold", "service": None, "metric": "hits", "period": "eternity", "zone": "UTC",
         "start": "1970-01-01T00:00:00Z", "end": None, "spent": 5, "topped": 0, "raised": [], "epoch": 7, "version": 1},
        {"end": 1},
    ]  # fmt: skip
    (plans.parent / "usage.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert gateway("usage", "import", "plans", "usage.jsonl").stdout.startswith("1 counter changed")
    assert '"spent": 5' in gateway("usage", "export", "plans").stdout
    shutil.rmtree(plans / "data", ignore_errors=True)


def test_the_cost_of_a_month(gateway: Run, served: Server, plans: Path) -> None:
    text = (plans / "gateway.yaml").read_text()
    prices = "pricing: {currency: EUR, monthly: 5, metrics: {hits: [{upto: 50, price: 0}, {price: 0.25}]}}"
    (plans / "gateway.yaml").write_text(text.replace("hits: [100/month]}", f"hits: [100/month]}}\n    {prices}"))
    shown = gateway("usage", "cost", "plans")
    assert (shown.returncode, shown.stderr) == (0, "")
    _, *rows = [line.split() for line in shown.stdout.splitlines()]
    assert [[*row[:2], *row[3:]] for row in rows] == [
        ["mobile", "gold", "hits", "80", "7.5000", "EUR"],
        ["mobile", "gold", "monthly", "5.0000", "EUR"],
        ["mobile", "gold", "total", "12.5000", "EUR"],
    ]
    (bill,) = json.loads(gateway("usage", "cost", "plans", "mobile", "--month", "2000-03", "-o", "json").stdout)
    assert (bill["month"], bill["lines"][0]["units"], bill["total"]) == ("2000-03", 55, "6.2500")
    assert gateway("usage", "cost", "plans", "--month", "2026-13").returncode == 2


def test_the_usage_of_an_account(gateway: Run, served: Server, plans: Path) -> None:
    text = (plans / "gateway.yaml").read_text()
    (plans / "gateway.yaml").write_text(
        text.replace("  mobile:\n", "  mobile:\n    account: acme\n") + "accounts: {acme: {plans: [free]}}\n"
    )
    served.ask("SET", "gw:{account%3Aacme}:free::hits:eternity:UTC:0", "4 0 0 7 1 ")
    (row,) = json.loads(gateway("usage", "plans", "account:acme", "-o", "json").stdout)
    assert (row["scope"], row["limit"], row["spent"]) == ("account:acme", 10, 4)
    unknown = gateway("usage", "show", "plans", "account:nobody")
    assert (unknown.returncode, "no limit of the plans counts for" in unknown.stderr) == (2, True)
