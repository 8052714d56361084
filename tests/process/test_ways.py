"""Which channels an alert goes to: the log, its plan's, and the contact of the account that it is about."""

from __future__ import annotations

import logging

import httpx2
import pytest

from gateway.destinations import Channel, Email, MailTls, Webhook
from gateway.model import Account, Alert, Application, Config, Plan
from gateway.process.ways import Ways

CUSTOMERS = Email(host="smtp.example.com", port=587, sender="gateway@example.com", tls=MailTls.STARTTLS)
CONFIG = Config(
    channels={
        "ops": Channel(name="ops", to=Webhook(url="https://ops.example.com")),
        "customers": Channel(name="customers", to=CUSTOMERS, batch=30.0),
    },
    plans={
        "gold": Plan(name="gold", services=("orders",), channels=("ops", "customers")),
        "free": Plan(name="free", services=("orders",)),
    },
    accounts={"acme": Account(name="acme", email="api@acme.example"), "silent": Account(name="silent")},
    applications={
        "mobile": Application(name="mobile", plans=("gold",), account="acme"),
        "web": Application(name="web", plans=("gold",), account="silent"),
        "own": Application(name="own", plans=("gold",)),
    },
)


@pytest.fixture
async def ways() -> Ways:
    async with httpx2.AsyncClient() as client:
        ways = Ways(client, logging.getLogger())
        ways.take(CONFIG)
        return ways


def names(ways: Ways, application: str, plan: str = "gold") -> list[str]:
    alert = Alert("a", application, plan, "hits", "day", 80, 10, 8, 0.0, 1.0, 0.0)
    return [way.name for way in ways.of(alert)]


@pytest.mark.parametrize(
    ("scope", "contact"),
    [
        ("mobile", ["customers/acme"]),
        ("mobile/shop-app", ["customers/acme"]),
        ("user:mobile/alice", ["customers/acme"]),
        ("address:mobile/192.0.2.1", ["customers/acme"]),
        ("account:acme", ["customers/acme"]),
        ("web", []),  # its account has no address
        ("own", []),  # it has no account
        ("account:silent", []),
        ("service:orders", []),
        ("user:own/acme", []),
    ],
)
async def test_an_alert_goes_to_the_contact_of_whom_it_is_about(ways: Ways, scope: str, contact: list[str]) -> None:
    assert names(ways, scope) == ["log", "ops", *contact]


async def test_a_plan_without_channels_or_that_is_gone_has_the_log(ways: Ways) -> None:
    assert names(ways, "mobile", "free") == names(ways, "mobile", "gone") == ["log"]


async def test_a_channel_is_found_by_name_and_a_contact_by_its_accounts(ways: Ways) -> None:
    assert (ways.named("ops").batch, ways.named("customers/acme").batch) == (0.0, 30.0)
    for name, why in (
        ("customers", "customers writes to accounts' contacts; name one, as customers/ACCOUNT"),
        ("customers/silent", "no channel is called customers/silent"),
        ("obs", "no channel is called obs"),
    ):
        with pytest.raises(KeyError) as caught:
            ways.named(name)
        assert caught.value.args == (why,)
