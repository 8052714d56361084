"""`gateway explain` beside a gateway: what it tells is what the gateway decides, and nothing is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.stage import ORDERS, Stage
from rigs.stores import Server, binary_of
from rigs.waiting import until

from gateway.config import load
from gateway.explain.ask import read
from gateway.explain.place import explaining
from gateway.explain.step import Step, Verdict
from gateway.identity.api_keys import create

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.redis]

KEY, REVOKED = create(), create()
SERVICE = ORDERS.replace(
    "accept: [{jwt: keycloak}]", "accept: [{jwt: keycloak}, {api_key: {header: X-Api-Key}}]"
).replace(
    "- POST /orders: hits", "- {POST /orders: hits, require: {roles: [clerk]}}\n    charge: {except_status: [5xx]}"
)
PLANS = f"""
plans:
  gold: {{services: [orders], allow: {{orders: [GET /orders, POST /orders]}}, limits: {{hits: [2/eternity]}}}}
  free: {{services: [orders], allow: {{orders: [GET /orders/open]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app], api_keys: ["{KEY.digest}", "{REVOKED.digest}"]}}
  shop: {{plans: [free], client_ids: [shop-app]}}
  former: {{plans: [gold], client_ids: [late-app], state: suspended}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    server = Server(binary_of("redis"), tmp_path_factory.mktemp("redis")).start()
    try:
        async with stage.gateway(tmp_path_factory.mktemp("explain"), SERVICE, PLANS, STORE=server.url) as gateway:
            done = await gateway.command("keys", "revoke", str(gateway.plans), REVOKED.digest)
            assert done.returncode == 0, done.stderr
            yield gateway
    finally:
        server.close()


async def explained(gateway: Gateway, token: str | None, request: str | None = None, *headers: str) -> dict[str, Step]:
    """The steps by what they are about, as the command tells them."""
    fields = list(headers) + ([] if token is None else [f"Authorization: Bearer {token}"])
    config = load(gateway.plans, gateway.environment)
    async with explaining(config) as (explainer, notes):
        assert notes == []
        ask = None if request is None else read(request, "localhost", fields, "127.0.0.1")
        steps = explainer.token((token or "").encode()) if ask is None else explainer.request(ask)
        return {step.about: step async for step in steps}


async def test_a_good_token_is_told_step_by_step(gateway: Gateway, stage: Stage) -> None:
    token = stage.token(sub="alice")
    done = await gateway.command("explain", str(gateway.plans), token)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split(": ")[0].split() for line in done.stdout.splitlines()]
    assert [about for _, *about in told] == [
        ["form"], ["provider"], ["issuer"], ["binding"], ["type"], ["times"], ["audience"], ["names"], ["signature"],
        ["identity"], ["application"], ["standing"], ["service", "orders"],
    ]  # fmt: skip
    assert {verdict for verdict, *_ in told} == {"ok"}
    assert "ok       application: mobile, by client id mobile-app" in done.stdout


async def test_all_that_is_wrong_with_a_token_is_told_at_once(gateway: Gateway, stage: Stage) -> None:
    token = stage.token(aud="other", lifespan=-600, sub=None)
    steps = await explained(gateway, token[:-4] + "AAAA")
    codes = {about: step.code for about, step in steps.items() if step.verdict is Verdict.REFUSED}
    assert codes == {
        "times": "token_expired", "audience": "audience_wrong", "names": "subject_missing",
        "signature": "signature_invalid",
    }  # fmt: skip
    assert "a mapper of type Audience" in steps["audience"].text
    assert "aud is 'other'" in steps["audience"].text


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", ""])
async def test_what_is_no_token(gateway: Gateway, token: str) -> None:
    steps = await explained(gateway, token)
    assert steps["form"].code == "token_malformed"


async def test_a_token_of_a_stranger(gateway: Gateway, stage: Stage) -> None:
    steps = await explained(gateway, stage.token(iss="https://evil.example"))
    assert steps["issuer"].code == "issuer_wrong"
    assert stage.provider.issuer in steps["issuer"].text


async def test_what_is_spent_is_told_and_nothing_is_counted(gateway: Gateway, stage: Stage) -> None:
    token = stage.token()
    request = (token, "GET /orders")
    steps = await explained(gateway, *request)
    assert steps["route"].text == "service orders; rules /orders; it uses 1 hits, and nothing where it is answered 5xx"
    assert steps["limit hits/eternity"].text == "0 of 2 spent by mobile for ever; this request costs 1"
    for _ in range(2):
        assert (await gateway.get("/orders", token=token)).status_code == 200

    async def is_told() -> bool:
        step = (await explained(gateway, *request))["limit hits/eternity"]
        return step.text.startswith("2 of 2 spent by mobile for ever") and step.code == "over_limit"

    await until(is_told)
    assert (await gateway.get("/orders", token=token)).status_code == 429


@pytest.mark.parametrize(
    ("client", "request_", "about", "code"),
    [
        ("mobile-app", "GET /nothing", "route", "no_service"),
        ("mobile-app", "DELETE /orders", "route", "no_rule"),
        ("mobile-app", "POST /orders", "condition", "role_missing"),
        ("shop-app", "GET /orders/1", "endpoint", "not_in_plan"),
        ("late-app", "GET /orders", "standing", "application_suspended"),
        ("guest-app", "GET /orders", "application", "no_application"),
    ],
)
async def test_who_is_refused_is_told_where_and_why_as_the_gateway_does(
    gateway: Gateway, stage: Stage, client: str, request_: str, about: str, code: str
) -> None:
    token = stage.token(client)
    steps = await explained(gateway, token, request_)
    assert [step.about for step in steps.values() if step.verdict is Verdict.REFUSED] == [about]
    assert steps[about].code == code
    method, path = request_.split()
    assert (await gateway.request(method, path, token)).json()["code"] == code


async def test_who_was_suspended_by_hand_is_told(gateway: Gateway, stage: Stage) -> None:
    done = await gateway.command("usage", "suspend", str(gateway.plans), "shop")
    assert done.returncode == 0, done.stderr
    steps = await explained(gateway, stage.token("shop-app"), "GET /orders/open")
    assert steps["standing"].code == "application_suspended"


async def test_keys_and_revocations_are_looked_at(gateway: Gateway) -> None:
    def asked(key: str) -> tuple[str | None, str, str]:
        return None, "GET /orders", f"X-Api-Key: {key}"

    steps = await explained(gateway, *asked(KEY.key))
    assert steps["application"].text == "mobile, by its credential"
    assert steps["accept[1]"].text == "api_key header X-Api-Key"
    assert (await explained(gateway, *asked(REVOKED.key)))["identity"].code == "api_key_revoked"
    assert (await explained(gateway, *asked("gwk_x")))["identity"].code == "api_key_invalid"
    assert (await explained(gateway, None, "GET /orders"))["identity"].code == "credentials_missing"
