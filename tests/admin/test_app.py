"""The pages of the admin listener."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gateway import __version__
from gateway.admin import app as module
from gateway.admin.app import admin_app
from gateway.process.reload import Outcome, Reloaded


async def test_a_process_that_answers_is_alive_whatever_is_missing(gateway: Any, client: httpx2.AsyncClient) -> None:
    gateway.missing = ["ledger"]
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_gateway_that_lacks_nothing_is_ready(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_what_a_restart_would_cost_is_told_beside(gateway: Any, client: httpx2.AsyncClient) -> None:
    gateway.warnings = ["store: a restart costs all usage"]
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "warnings": ["store: a restart costs all usage"]}


async def test_one_that_is_not_ready_tells_what_is_missing(gateway: Any, client: httpx2.AsyncClient) -> None:
    gateway.missing = ["draining", "ledger: the store is away"]
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "missing": ["draining", "ledger: the store is away"]}


async def test_a_check_that_fails_is_not_ready_and_tells_no_secret(gateway: Any, client: httpx2.AsyncClient) -> None:
    gateway.broken = True
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["the readiness check failed: RuntimeError"]


async def test_a_check_that_hangs_is_not_ready(
    gateway: Any, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    gateway.hang = True
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["the readiness check took more than 0.05 s"]


async def test_a_scraper_gets_what_it_accepts(gateway: Any, client: httpx2.AsyncClient) -> None:
    answer = await client.get("/metrics", headers=[("Accept", "application/openmetrics-text"), ("Accept", "*/*")])
    assert answer.content == b"gateway_connections 1.0\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert gateway.accepted == ["application/openmetrics-text,*/*"]


async def test_the_index_names_the_pages(client: httpx2.AsyncClient) -> None:
    index = (await client.get("/")).json()
    assert (index["name"], index["version"]) == ("gateway", __version__)
    for path in index["pages"]:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics"])
async def test_head_is_get_without_a_body(path: str, client: httpx2.AsyncClient) -> None:
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_another_method_is_405(method: str, client: httpx2.AsyncClient) -> None:
    answer = await client.request(method, "/healthz")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank", "title": "Method Not Allowed", "status": 405, "code": "method_not_allowed",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/nothing", "/healthz/", "/readyz/x", "/%2e%2e/healthz"])
async def test_an_unknown_page_is_404(path: str, client: httpx2.AsyncClient) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


async def test_a_fault_of_ours_is_a_500_that_tells_no_secret(gateway: Any, client: httpx2.AsyncClient) -> None:
    gateway.broken = True
    answer = await client.get("/metrics")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_server_error"
    assert "hunter2" not in answer.text
    assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/nothing"])
async def test_nothing_is_cached_and_the_server_does_not_name_itself(path: str, client: httpx2.AsyncClient) -> None:
    answer = await client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


# --- reload


async def test_a_reload_that_went_well_is_200(gateway: Any, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/reload")
    assert (answer.status_code, answer.json()) == (200, {"status": "unchanged", "detail": "nothing has changed"})
    assert gateway.reloads == 1


@pytest.mark.parametrize(
    ("outcome", "status"), [(Outcome.INVALID, 422), (Outcome.RESTART_NEEDED, 409), (Outcome.FAILED, 503)]
)
async def test_one_that_did_not_says_why(
    gateway: Any, client: httpx2.AsyncClient, outcome: Outcome, status: int
) -> None:
    problem = {"file": "plans/a.yaml", "line": 7, "column": 17, "path": "plans.gold", "message": "is text", "text": "…"}
    gateway.reloaded = Reloaded(outcome, "the configuration stays as it was", (problem,))
    answer = await client.post("/reload")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["code"], told["detail"]) == (outcome, "the configuration stays as it was")
    assert told["problems"] == [problem]


@pytest.mark.parametrize("field", ["Origin", "Sec-Fetch-Site", "Referer"])
async def test_a_browser_cannot_be_led_to_reload(gateway: Any, client: httpx2.AsyncClient, field: str) -> None:
    answer = await client.post("/reload", headers={field: "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert gateway.reloads == 0


@pytest.mark.parametrize(
    ("address", "may"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("192.168.0.1", False)],
)
async def test_only_this_machine_may_reload(gateway: Any, address: str, may: bool) -> None:
    app = admin_app(gateway.ready, gateway.metrics, gateway.reload, gateway.usage)
    transport = httpx2.ASGITransport(app, client=(address, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:
        assert (await client.post("/reload")).status_code == (200 if may else 403)


async def test_to_look_is_not_to_reload(gateway: Any, client: httpx2.AsyncClient) -> None:
    assert (await client.get("/reload")).status_code == 405
    assert gateway.reloads == 0
