"""What an edit of the plans does, and to whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load
from gateway.diff.compare import compare
from gateway.diff.difference import Change, Difference, Effect, Fresh, Item, Kind, LimitChange
from gateway.diff.text import document, text
from gateway.process.declared import portable

from .conftest import KEY, PLANS, Edited


def test_plans_that_mean_the_same_do_not_differ(edited: Edited) -> None:
    reformatted = ("hits: [100/minute, 5000/month]", "hits: [{limit: 100/minute}, {limit: 5000/month, over: reject}]")
    difference = compare(*edited(reformatted, ("version: 1", "# a comment\nversion: 1")))
    assert difference == Difference()
    assert not difference


def test_a_raised_limit_concerns_all_who_have_the_plan_and_keeps_its_counters(edited: Edited) -> None:
    difference = compare(*edited(("100/minute", "200/minute"), ("5000/month", "4000/month")))
    effect = Effect(
        Kind.CHANGED,
        limits=(
            LimitChange(Kind.RAISED, "hits per minute", "100", "200"),
            LimitChange(Kind.LOWERED, "hits per month", "5000", "4000"),
        ),
    )
    assert difference.applications == (("mobile", effect), ("web", effect), ("staff", effect))
    assert difference.items == (Item("plans", "gold", Kind.CHANGED, (), ("mobile", "web", "staff")),)


@pytest.mark.parametrize(
    ("new", "limits", "fresh"),
    [
        (
            "hits: [100/minute]",
            (LimitChange(Kind.REMOVED, "hits per month", "5000", None),),
            (),
        ),
        (
            "hits: [100/minute, 5000/month, 9/second]",
            (LimitChange(Kind.ADDED, "hits per second", None, "9"),),
            (Fresh("hits per second", "the limit is new"),),
        ),
        (
            "hits: [100/minute, {limit: 5000/month, time_zone: Europe/Berlin}]",
            (),
            (Fresh("hits per month", "time zone Europe/Berlin, was UTC"),),
        ),
        (
            "hits: [100/minute, 60000/year]",
            (LimitChange(Kind.CHANGED, "hits", "5000 per month", "60000 per year"),),
            (Fresh("hits per year", "period year, was month"),),
        ),
        (
            "hits: [100/minute]\n      writes: [5000/month]",
            (
                LimitChange(Kind.ADDED, "writes per month", None, "5000"),
                LimitChange(Kind.REMOVED, "hits per month", "5000", None),
            ),
            (Fresh("writes per month", "the limit is new"),),
        ),
        (
            "hits: [100/minute, {limit: 5000/month, over: allow}]",
            (LimitChange(Kind.CHANGED, "hits per month, over", "reject", "allow"),),
            (),
        ),
        (
            "hits: [100/minute, {limit: 5000/month, over: {wait: 2s}}]",
            (
                LimitChange(Kind.CHANGED, "hits per month, over", "reject", "wait"),
                LimitChange(Kind.CHANGED, "hits per month, wait", "0", "2"),
                LimitChange(Kind.CHANGED, "hits per month, places", "0", "100"),
            ),
            (),
        ),
        (
            "hits: [100/minute, {limit: 5000/month, per: user}]",
            (),
            (Fresh("hits per month and user", "per user, was application"),),
        ),
        (
            "hits: [{limit: 100/minute, time_zone: Europe/Berlin}, 5000/month]",  # minutes are the same everywhere
            (),
            (),
        ),
    ],
)
def test_which_limits_change_and_which_counters_start_anew(
    edited: Edited, new: str, limits: tuple[LimitChange, ...], fresh: tuple[Fresh, ...]
) -> None:
    before, after = edited(("{hits: [100/minute, 5000/month]}", f"\n      {new}"))
    effects = dict(compare(before, after).applications)
    if limits or fresh:
        assert effects["mobile"][4:] == (limits, fresh)
    else:
        assert effects == {}


def test_another_plan_means_other_endpoints_limits_and_counters(edited: Edited) -> None:
    difference = compare(*edited(("mobile: {plans: [gold]", "mobile: {plans: [free]")))
    assert difference.applications == (
        (
            "mobile",
            Effect(
                Kind.CHANGED,
                (Change("plans", "gold", "free"),),
                lost=("orders: POST /orders",),
                limits=(
                    LimitChange(Kind.LOWERED, "hits per minute", "100", "10"),
                    LimitChange(Kind.REMOVED, "hits per month", "5000", None),
                ),
                fresh=(Fresh("hits per minute", "plan free, was gold"),),
            ),
        ),
    )


def test_a_plan_with_another_name_has_other_counters(edited: Edited) -> None:
    difference = compare(*edited(("  gold:", "  premium:"), ("[gold]", "[premium]")))
    assert dict(difference.applications)["web"].fresh == (
        Fresh("hits per minute", "plan premium, was gold"),
        Fresh("hits per month", "plan premium, was gold"),
    )
    assert [(item.name, item.kind) for item in difference.items] == [("gold", Kind.REMOVED), ("premium", Kind.ADDED)]


def test_who_is_counted_is_part_of_a_counter(edited: Edited) -> None:
    effect = dict(
        compare(*edited(("match: {roles: [staff]}, each: user", "match: {roles: [staff]}, each: client"))).applications
    )
    assert effect["staff"].changes == (Change("each", "user", "client"),)
    assert effect["staff"].fresh[0] == Fresh("hits per minute", "it counts each client, was each user")


@pytest.mark.parametrize(
    ("allow", "gained", "lost"),
    [
        ("[GET /orders, POST /orders]", ("orders: POST /orders",), ()),
        ("[GET /orders/open]", (), ("orders: GET /orders",)),  # what is open was so before
        ("[ANY /orders]", ("orders: POST /orders",), ()),
        ("[GET /]", (), ()),  # it has rules for /orders only
        ('["GET /orders/{id}"]', (), ("orders: GET /orders",)),
        ("[POST /orders]", ("orders: POST /orders",), ("orders: GET /orders",)),
    ],
)
def test_endpoints_are_gained_and_lost(
    edited: Edited, allow: str, gained: tuple[str, ...], lost: tuple[str, ...]
) -> None:
    effect = dict(compare(*edited(("[GET /orders]", allow))).applications).get("scanner", Effect(Kind.CHANGED))
    assert (effect.gained, effect.lost) == (gained, lost)


def test_credentials_and_states_are_told_by_application(edited: Edited) -> None:
    difference = compare(
        *edited(
            ("client_ids: [mobile-app]", "client_ids: [mobile-ios, mobile-app], state: suspended"),
            (KEY, "sha256:" + 64 * "b"),
        )
    )
    effects = dict(difference.applications)
    assert effects["mobile"].changes == (Change("state", "live", "suspended"), Change("client_ids", None, "mobile-ios"))
    assert effects["scanner"].changes == (
        Change("api_keys", "sha256:aaaaaaaa…", None),
        Change("api_keys", None, "sha256:bbbbbbbb…"),
    )


def test_a_key_that_is_bounded_is_told_with_its_bounds(edited: Edited) -> None:
    bounded = f"{{key: {KEY}, name: ci, expires: 2026-12-31, addresses: 10.0.0.0/8}}"
    effects = dict(compare(*edited((f'"{KEY}"', bounded))).applications)
    assert effects["scanner"].changes == (
        Change("api_keys", "sha256:aaaaaaaa…", None),
        Change("api_keys", None, "ci (sha256:aaaaaaaa…) until 2026-12-31T00:00:00Z for 10.0.0.0/8"),
    )


def test_applications_come_and_go(edited: Edited) -> None:
    difference = compare(*edited(("  web:", "  tv:")))
    effects = dict(difference.applications)
    assert effects["web"] == Effect(
        Kind.REMOVED, (Change("plans", "gold", None),), lost=("orders: GET /orders", "orders: POST /orders")
    )
    assert effects["tv"].kind is Kind.ADDED
    assert effects["tv"].limits[0] == LimitChange(Kind.ADDED, "hits per minute", None, "100")


def test_a_service_that_changes_concerns_all_who_may_call_it(edited: Edited) -> None:
    rules = ("      - POST /orders: writes", "      - POST /orders: {writes: 2}\n      - GET /ord: hits")
    difference = compare(*edited(("http://127.0.0.1:9001", "https://orders.internal"), rules))
    (item,) = difference.items
    assert item == Item(
        "services",
        "orders",
        Kind.CHANGED,
        (
            Change("upstream.targets", "http://127.0.0.1:9001", "https://orders.internal:443"),
            Change("rules: POST /orders", "1 writes", "2 writes"),
            Change("rules: GET /ord", None, "1 hits"),
        ),
        ("mobile", "web", "scanner", "staff", "guests"),
    )


def test_answers_that_are_not_charged_any_more(edited: Edited) -> None:
    free = ("    rules:\n", "    charge: {except_status: [5xx, 404]}\n    rules:\n")
    (item,) = compare(*edited(free)).items
    assert item.changes == (Change("charge.except_status", None, "5xx, 404"),)


def test_a_cost_that_the_answer_says(edited: Edited) -> None:
    measured = ("      - POST /orders: writes", "      - POST /orders: {writes: {header: X-Cost, reserve: 5}}")
    (item,) = compare(*edited(measured)).items
    assert item.changes == (Change("rules: POST /orders", "1 writes", "writes by header X-Cost (reserve 5)"),)


def test_a_rule_that_is_there_twice_counts_twice(edited: Edited) -> None:
    twice = ("      - POST /orders: writes", "      - POST /orders: writes\n      - POST /orders: hits")
    (item,) = compare(*edited(twice)).items
    assert item.changes == (Change("rules: POST /orders", "1 writes", "1 writes; 1 hits"),)


def test_the_order_of_rules_counts_where_one_ends_the_search(edited: Edited) -> None:
    rules = "      - GET /orders: hits\n      - POST /orders: writes"
    last = "      - {POST /orders: writes, last: true}\n"
    (item,) = compare(*edited((rules, f"{last}      - GET /orders: hits"))).items
    assert item.changes == (Change("rules: POST /orders", "1 writes", "1 writes, last"),)
    before, _ = edited()
    _, after = edited((rules, f"{last}      - GET /orders: hits"))
    _, moved = edited((rules, f"      - GET /orders: hits\n{last.rstrip()}"))
    (item,) = compare(moved, after).items
    assert item.changes == (
        Change("order of rules", "GET /orders, then POST /orders", "POST /orders, then GET /orders"),
    )
    assert compare(before, moved)


def test_a_secret_is_told_to_have_changed_and_not_shown(edited: Edited) -> None:
    difference = compare(*edited(("whsec_MDEy", "whsec_MzEy")))
    ((change,),) = [item.changes for item in difference.items]
    assert (change.before, change.after) == (None, None)
    for shown in (text(difference, None), str(document(difference, None))):
        assert "whsec" not in shown
    assert "secret: changed (secret)" in text(difference, None)


def test_another_store_means_that_everything_starts_anew(edited: Edited) -> None:
    difference = compare(*edited(("version: 1", "version: 1\ngateway: {store: {url: redis://r:6379, prefix: gw2}}")))
    assert {change.what for change in difference.gateway} == {"store.kind", "store.url", "store.prefix"}
    assert difference.restart == ("gateway.store",)
    assert difference.notes[0].startswith("counters are elsewhere")


def test_the_order_in_which_clients_are_looked_for_is_part_of_the_plans(edited: Edited) -> None:
    staff, guests = PLANS.splitlines()[-2:]
    difference = compare(*edited((f"{staff}\n{guests}", f"{guests}\n{staff}")))
    assert difference.notes == ("clients are looked for by `match` in another order: guests, staff",)


def test_certificates_are_compared_by_what_is_in_them(tmp_path: Path) -> None:
    """Each folder has its own, at another place."""
    import trustme

    configs, one = [], trustme.CA()
    for name, ca in (("a", one), ("b", one), ("c", trustme.CA())):
        folder = tmp_path / name
        folder.mkdir()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        tls = 'upstream: {tls: {ca: ca.pem}, targets: ["https://127.0.0.1:9001"]}'
        (folder / "plans.yaml").write_text(PLANS.replace('upstream: {targets: ["http://127.0.0.1:9001"]}', tls))
        configs.append(portable(load(folder)))
    a, b, c = configs
    assert not compare(a, b)
    ((change,),) = [item.changes for item in compare(a, c).items]
    assert change.what == "upstream.tls.ca"


def test_people_read_those_who_change_alike_together(edited: Edited) -> None:
    difference = compare(*edited(("100/minute", "50/minute"), ("client_ids: [scanner]", "client_ids: [scanner-2]")))
    assert text(difference, None).splitlines() == [
        "plans",
        "  ~ gold  (of mobile, web, staff)",
        "applications",
        "  ~ mobile, web, staff",
        "      limit lowered: hits per minute: 100 → 50",
        "  ~ scanner",
        "      client_ids: - scanner",
        "      client_ids: + scanner-2",
    ]
