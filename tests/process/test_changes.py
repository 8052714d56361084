"""What counts as a change."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model import (
    Address,
    Application,
    ClientTls,
    Config,
    Limit,
    Listener,
    Period,
    Plan,
    Rule,
    Service,
    Store,
    Target,
    Upstream,
)
from gateway.process.changes import fingerprint, fixed_changes


@pytest.fixture
def config(tmp_path: Path) -> Config:
    ca = tmp_path / "ca.pem"
    ca.write_text("a certificate")
    upstream = Upstream(name="orders", targets=(Target(True, "orders", 443),), tls=ClientTls(ca=ca))
    rule = Rule(method="GET", pattern="/", usage={"hits": 1})
    limit = Limit(plan="gold", period=Period.DAY, value=5)
    return Config(
        data=tmp_path,
        services={"orders": Service(name="orders", upstream=upstream, accept=(), rules=(rule,))},
        plans={"gold": Plan(name="gold", services=("orders",), limits=(limit,))},
        applications={name: Application(name=name, plans=("gold",)) for name in ("web", "mobile")},
    )


def test_what_was_read_twice_is_the_same(config: Config) -> None:
    assert fingerprint(config) == fingerprint(pickle.loads(pickle.dumps(config)))


def test_a_changed_value_far_inside_is_a_change(config: Config) -> None:
    plan = config.plans["gold"]
    limits = (replace(plan.limits[0], value=6),)
    assert fingerprint(config) != fingerprint(replace(config, plans={"gold": replace(plan, limits=limits)}))


def test_so_is_the_order_of_applications_by_which_the_first_match_wins(config: Config) -> None:
    turned = dict(reversed(config.applications.items()))
    assert fingerprint(config) != fingerprint(replace(config, applications=turned))


def test_so_is_the_content_of_a_file_that_is_named(config: Config, tmp_path: Path) -> None:
    before = fingerprint(config)
    (tmp_path / "ca.pem").write_text("another certificate")
    assert fingerprint(config) != before


def test_what_a_process_has_from_its_start_is_named(config: Config) -> None:
    changed = replace(
        config,
        listen=(Listener(address=Address("::", 80)),),
        admin=Address("::", 81),
        workers=2,
        data=Path("/elsewhere"),
        store=Store(kind="url", url="redis://store"),
    )
    assert fixed_changes(config, changed) == [
        "gateway.listen", "gateway.admin", "gateway.workers", "gateway.data", "gateway.store",
    ]  # fmt: skip
    assert fixed_changes(config, replace(config, plans={})) == []
