"""What clients, services and operators see of one request: every status of the contract, through the real thing."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.load import noon_zone
from rigs.processes import free_address
from rigs.stage import Stage

from gateway.identity.api_keys import create

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY, SUSPENDED = create(), create()
TLS = """
        ca: "${CERTS}/ca.pem"
        cert: "${CERTS}/gateway.pem"
        key: "${CERTS}/gateway.key"
        verify_name: orders.internal
"""
PLANS = f"""
identity:
  absent: {{oidc: {{issuer: "http://${{NOBODY}}/realms/demo", audience: gateway}}}}
services:
  orders:
    path: /orders
    upstream:
      targets: ["${{ORDERS}}"]
      tls: {TLS}
    accept: [{{jwt: keycloak}}, {{api_key: {{header: X-Api-Key}}}}, {{api_key: {{query: key}}}}]
    metrics: {{reports: {{parent: hits}}}}
    rules:
      - GET /orders: hits
      - POST /orders: hits
      - DELETE /orders: hits
      - GET /orders/1002: reports
  impatient:
    path: /impatient
    strip_path: true
    upstream:
      targets: ["${{ORDERS}}"]
      tls: {TLS}
      timeouts: {{response: 200ms}}
    accept: [{{jwt: keycloak}}]
    rules:
      - GET /impatient: hits
  gone:
    path: /gone
    upstream: {{targets: ["http://${{NOBODY}}"]}}
    accept: [{{jwt: keycloak}}]
    rules:
      - GET /gone: hits
  locked:
    path: /locked
    upstream: {{targets: ["http://${{NOBODY}}"]}}
    accept: [{{jwt: absent}}]
    rules:
      - GET /locked: hits
plans:
  gold:
    services: [orders, impatient, gone]
    allow: {{orders: [GET /orders, POST /orders]}}
    limits: {{orders.hits: [100000/eternity], reports: [0/day]}}
  free:
    services: [orders]
    limits: {{hits: [{{limit: 3/day, time_zone: {noon_zone()}}}]}}
  trial:
    services: [orders]
    limits: {{hits: [1/eternity]}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
  scanner: {{plans: [gold], api_keys: ["{KEY.digest}"]}}
  former: {{plans: [gold], api_keys: ["{SUSPENDED.digest}"], state: suspended}}
  late: {{plans: [trial], client_ids: [late-app]}}
  customers: {{plans: [free], match: {{roles: [customer]}}, each: client}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("contract")
    async with stage.gateway(folder, PLANS, start=False, STORE="embedded", NOBODY=free_address()) as gateway:
        yield await gateway.start(missing="identity absent: ")


def problem(answer: httpx2.Response) -> dict[str, Any]:
    """The members of an error, which is of the one form that errors have."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    members: dict[str, Any] = answer.json()
    assert members["type"] == "about:blank"
    assert members["title"] and members["detail"]
    assert members["status"] == answer.status_code
    assert members["request_id"] == answer.headers["x-request-id"]
    return members


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    members = problem(answer)
    assert set(members) == {"type", "title", "status", "detail", "code", "request_id"}
    return answer.status_code, members["code"]


# --- let in


async def test_the_service_hears_who_asks(gateway: Gateway, stage: Stage) -> None:
    answer = await gateway.get("/orders/1001", stage.token(sub="alice"))
    assert answer.status_code == 200
    assert answer.json()["caller"] == {"application": "mobile", "plan": "gold", "subject": "alice"}


async def test_what_a_client_says_of_itself_never_reaches_the_service(gateway: Gateway, stage: Stage) -> None:
    lies = {"X_Application_Id": "customers", "X_Plan": "platinum", "X_Subject": "root", "X_Forwarded_For": "10.0.0.1"}
    answer = await gateway.get("/orders/echo", stage.token(sub="alice"), **lies, Forwarded="for=10.0.0.1")
    headers = answer.json()["headers"]
    told = {name: [value for field, value in headers if field == name] for name, _ in headers}
    assert told["x-application-id"] == ["mobile"]
    assert told["x-plan"] == ["gold"]
    assert told["x-subject"] == ["alice"]
    assert told["x-forwarded-for"] == ["127.0.0.1"]
    assert told["forwarded"] == [f'for=127.0.0.1;proto=http;host="{gateway.listen}"']
    assert "10.0.0.1" not in answer.text


async def test_a_request_keeps_its_id_and_trace(gateway: Gateway, stage: Stage) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {"X_Request_Id": "order-77", "Traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    answer = await gateway.get("/orders/echo", stage.token(), **sent)
    assert answer.headers["x-request-id"] == "order-77"
    headers = dict(answer.json()["headers"])
    assert headers["x-request-id"] == "order-77"
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", headers["traceparent"])


async def test_an_answer_tells_what_is_left(gateway: Gateway, stage: Stage) -> None:
    token = stage.token("tea-shop")
    answers = [await gateway.get(token=token) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"hits-day";q=3;w=86400'}
    left = [re.fullmatch(r'"hits-day";r=(\d);t=(\d+)', answer.headers["ratelimit"]) for answer in answers]
    assert [found and found[1] for found in left] == ["2", "1"]
    assert left[0] is not None
    assert 0 < int(left[0][2]) <= 86_400


async def test_a_services_own_error_passes_as_it_is(gateway: Gateway, stage: Stage) -> None:
    answer = await gateway.get("/orders/4711", stage.token())
    assert (answer.status_code, answer.json()) == (404, {"error": "no such order"})
    assert answer.headers["content-type"] == "application/json"


async def test_a_key_opens_too(gateway: Gateway) -> None:
    answer = await gateway.get(key=KEY.key)
    assert answer.json()["caller"] == {"application": "scanner", "plan": "gold", "subject": "application:scanner"}


# --- 400


@pytest.mark.parametrize("target", ["/orders/..%2f..%2fadmin", "/orders/%00"])
async def test_400_for_a_path_that_could_be_read_in_two_ways(gateway: Gateway, target: str) -> None:
    assert refusal(await gateway.get(target)) == (400, "bad_request")


# --- 401


async def test_401_without_credentials_tells_what_to_bring(gateway: Gateway) -> None:
    answer = await gateway.get()
    assert refusal(answer) == (401, "credentials_missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="orders"'


async def test_401_for_an_expired_token(gateway: Gateway, stage: Stage) -> None:
    answer = await gateway.get(token=stage.token(lifespan=-60))
    assert refusal(answer) == (401, "token_expired")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="orders", error="invalid_token"')


async def test_401_for_a_token_that_is_none(gateway: Gateway) -> None:
    answer = await gateway.get(token="not-a-token-at-all")
    assert refusal(answer) == (401, "token_malformed")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_401_for_a_token_whose_signature_was_changed(gateway: Gateway, stage: Stage) -> None:
    head, _, signature = stage.token().rpartition(".")
    assert refusal(await gateway.get(token=f"{head}.{signature[::-1]}"))[0] == 401


async def test_401_for_a_token_for_somebody_else(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.get(token=stage.token(aud="billing"))) == (401, "audience_wrong")


async def test_401_for_a_token_of_another_issuer(gateway: Gateway, stage: Stage) -> None:
    answer = await gateway.get(token=stage.token(iss="http://127.0.0.1:1/realms/demo"))
    assert refusal(answer) == (401, "issuer_wrong")


async def test_401_for_a_key_of_nobody(gateway: Gateway) -> None:
    assert refusal(await gateway.get(key=create().key)) == (401, "api_key_invalid")


async def test_401_for_a_bad_key_even_beside_a_good_token(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.get(token=stage.token(), key=create().key)) == (401, "api_key_invalid")


# --- 403


async def test_403_for_a_client_of_no_application(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.get(token=stage.token("guest-app"))) == (403, "no_application")


async def test_403_for_a_suspended_application(gateway: Gateway) -> None:
    assert refusal(await gateway.get(key=SUSPENDED.key)) == (403, "application_suspended")


async def test_403_for_a_service_outside_the_applications_plans(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.get("/gone", stage.token("shop-app"))) == (403, "no_plan")


async def test_403_for_an_endpoint_outside_the_plan(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.request("DELETE", "/orders/1001", stage.token())) == (403, "not_in_plan")


async def test_403_for_a_limit_of_nothing(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.get("/orders/1002", stage.token())) == (403, "not_in_plan")


async def test_403_for_credentials_of_two_applications(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.get(token=stage.token(), key=KEY.key)) == (403, "credentials_differ")


# --- 404


@pytest.mark.parametrize("path", ["/", "/invoices", "/ordersystem"])
async def test_404_where_no_service_is(gateway: Gateway, stage: Stage, path: str) -> None:
    assert refusal(await gateway.get(path, stage.token())) == (404, "no_service")


async def test_404_where_the_service_has_no_rule(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.request("PATCH", "/orders/1001", stage.token())) == (404, "no_rule")


# --- 429


async def test_429_tells_which_limit_and_when_to_come_back(gateway: Gateway, stage: Stage) -> None:
    token = stage.token("shop-app")
    while (answer := await gateway.get(token=token)).status_code == 200:
        assert answer.headers["ratelimit"]
    members = problem(answer)
    assert (answer.status_code, members["code"]) == (429, "over_limit")
    told = {name: members[name] for name in ("application", "plan", "metric", "period", "limit")}
    assert told == {
        "application": "customers/shop-app",
        "plan": "free",
        "metric": "hits",
        "period": "day",
        "limit": 3,
    }
    seconds = int(answer.headers["retry-after"])
    assert datetime.fromisoformat(members["resets_at"]).timestamp() == pytest.approx(time.time() + seconds, abs=5)
    assert answer.headers["ratelimit-policy"] == '"hits-day";q=3;w=86400'
    assert re.fullmatch(r'"hits-day";r=0;t=\d+', answer.headers["ratelimit"])


async def test_429_of_a_limit_that_never_resets_gives_no_hope(gateway: Gateway, stage: Stage) -> None:
    token = stage.token("late-app")
    await gateway.get(token=token)
    answer = await gateway.get(token=token)
    assert (answer.status_code, problem(answer)["resets_at"]) == (429, None)
    assert "retry-after" not in answer.headers
    assert answer.headers["ratelimit-policy"] == '"hits-eternity";q=1'
    assert answer.headers["ratelimit"] == '"hits-eternity";r=0'


async def test_what_is_refused_is_not_counted(gateway: Gateway, stage: Stage) -> None:
    """Neither a bad key nor an endpoint outside the plan takes from the limit."""

    async def left() -> int:
        found = re.search(r"r=(\d+)", (await gateway.get(token=stage.token())).headers["ratelimit"])
        assert found is not None
        return int(found[1])

    before = await left()
    assert (await gateway.get(token=stage.token(), key=create().key)).status_code == 401
    assert (await gateway.request("DELETE", "/orders/1001", stage.token())).status_code == 403
    assert await left() == before - 1


# --- 502, 503, 504


async def test_502_where_the_service_cannot_be_reached(gateway: Gateway, stage: Stage) -> None:
    assert refusal(await gateway.get("/gone", stage.token())) == (502, "upstream_unreachable")


async def test_504_where_the_service_does_not_answer_in_time(gateway: Gateway, stage: Stage) -> None:
    answer = await gateway.get("/impatient/orders/slow/9", stage.token())
    assert refusal(answer) == (504, "upstream_timeout")


async def test_503_where_the_providers_keys_cannot_be_had(gateway: Gateway, stage: Stage) -> None:
    answer = await gateway.get("/locked", stage.token(iss=f"http://{gateway.environment['NOBODY']}/realms/demo"))
    assert refusal(answer) == (503, "identity_unavailable")
    assert int(answer.headers["retry-after"]) > 0


# --- what operators see


async def test_a_line_for_each_request_says_what_became_of_it(gateway: Gateway, stage: Stage) -> None:
    line = await gateway.logged(await gateway.get("/orders/1001", stage.token(sub="alice"), X_Request_Id="order-78"))
    told = {"request_id": "order-78", "client": "127.0.0.1", "method": "GET", "host": "127.0.0.1"}
    told |= {"path": "/orders/1001", "service": "orders", "route": "/orders", "application": "mobile", "plan": "gold"}
    told |= {"subject": "alice", "status": 200, "reason": "ok", "upstream": stage.orders}
    told |= {"limit": "orders.hits-eternity"}
    assert {name: line[name] for name in told} == told
    assert 0 < line["upstream_ms"] < line["ms"]


@pytest.mark.parametrize(
    ("path", "client", "status", "reason"),
    [
        ("/orders", None, 401, "credentials_missing"),
        ("/orders", "guest-app", 403, "no_application"),
        ("/orders/1002", "mobile-app", 403, "not_in_plan"),
        ("/invoices", "mobile-app", 404, "no_service"),
        ("/gone", "mobile-app", 502, "upstream_unreachable"),
        ("/impatient/orders/slow/9", "mobile-app", 504, "upstream_timeout"),
    ],
)
async def test_the_log_tells_why_a_request_was_refused(
    gateway: Gateway, stage: Stage, path: str, client: str | None, status: int, reason: str
) -> None:
    line = await gateway.logged(await gateway.get(path, client and stage.token(client)))
    assert (line["status"], line["reason"]) == (status, reason)


async def test_the_log_of_a_429_names_application_and_limit(gateway: Gateway, stage: Stage) -> None:
    token = stage.token("late-app")
    await gateway.get(token=token)
    line = await gateway.logged(await gateway.get(token=token))
    told = (line["status"], line["reason"], line["application"], line["plan"], line["limit"], line["remaining"])
    assert told == (429, "over_limit", "late", "trial", "hits-eternity", 0)


async def test_metrics_count_by_service_plan_and_reason(gateway: Gateway, stage: Stage) -> None:
    series = 'gateway_requests_total{plan="gold",service="orders",status_class="2xx"}'
    reason = 'gateway_decisions_total{reason="no_rule"}'
    before = await gateway.metric(series), await gateway.metric(reason)
    await gateway.get(token=stage.token())
    await gateway.request("PATCH", "/orders", stage.token())
    assert (await gateway.metric(series), await gateway.metric(reason)) == (before[0] + 1, before[1] + 1)


CANARIES = {
    "token": "canary-token.eyJjYW5hcnkiOiJ0b2tlbiJ9.canary-signature",
    "key": "canary-key",
    "query": "canary-query",
    "query key": "canary-query-key",
    "cookie": "canary-cookie",
    "basic": "Y2FuYXJ5OmJhc2lj",
}


async def test_no_secret_is_told_anywhere(gateway: Gateway, stage: Stage) -> None:
    """Not on stdout, stderr or /metrics, nor in an error: no token, key, cookie or query string."""
    asked = "?card=canary-query"
    token = stage.token()
    answers = [
        await gateway.get(f"/orders{asked}", token, Cookie=f"id={CANARIES['cookie']}"),
        await gateway.get(f"/orders{asked}", CANARIES["token"]),
        await gateway.get(f"/orders{asked}", key=CANARIES["key"]),
        await gateway.get(f"/orders?key={CANARIES['query key']}"),
        await gateway.get("/orders", Authorization=f"Basic {CANARIES['basic']}"),
        await gateway.get(f"/orders/1002{asked}", token),
        await gateway.get(f"/invoices{asked}", token),
        await gateway.get(f"/gone{asked}", token),
        await gateway.get(f"/impatient/orders/slow/9{asked}", token),
        await gateway.get(f"/orders/..%2f{asked}", token),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 401, 401, 401, 403, 404, 502, 504, 400]
    for answer in answers:
        await gateway.logged(answer)
    places = [gateway.told(), await gateway.metrics(), *(answer.text for answer in answers)]
    secrets = [*CANARIES.values(), token, token.rpartition(".")[2], KEY.key]
    assert [(secret, place) for place in places for secret in secrets if secret in place] == []
