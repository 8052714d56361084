"""The demo services: only the gateway's certificate gets in, and what they answer then."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from gateway.devkit.certificates import Authority, Pair, client_context, server_context
from gateway.devkit.servers import CannotListen, listener, listener_near, port_of, serving
from gateway.devkit.services import orders_app, stock_app

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHO = {"X-Application-Id": "mobile", "X-Plan": "gold", "X-Subject": "alice"}
CALLER = {"application": "mobile", "plan": "gold", "subject": "alice"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def orders_url(certificates: Path) -> AsyncIterator[str]:
    tls = server_context(Pair.at(certificates, "orders"), certificates / "ca.pem")
    async with serving(orders_app(), listener(), tls) as url:
        yield url


def client_of(url: str, certificates: Path, pair: Pair | None) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, verify=client_context(certificates / "ca.pem", pair))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def orders(orders_url: str, certificates: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """The service, asked with the gateway's certificate."""
    async with client_of(orders_url, certificates, Pair.at(certificates, "gateway")) as client:
        yield client


async def refused(url: str, certificates: Path, pair: Pair | None) -> bool:
    """Whether the service ends the connection instead of answering."""
    async with client_of(url, certificates, pair) as client:
        try:
            await client.get("/orders")
        except httpx2.TransportError:
            return True
        return False


async def test_the_gateways_certificate_gets_in(orders_url: str, certificates: Path) -> None:
    assert not await refused(orders_url, certificates, Pair.at(certificates, "gateway"))


async def test_no_certificate_does_not_get_in(orders_url: str, certificates: Path) -> None:
    assert await refused(orders_url, certificates, None)


async def test_a_foreign_authoritys_certificate_does_not_get_in(
    orders_url: str, certificates: Path, tmp_path: Path
) -> None:
    assert await refused(orders_url, certificates, Authority().client("gateway").write(tmp_path, "foreign"))


async def test_a_servers_certificate_is_none_for_a_client(orders_url: str, certificates: Path) -> None:
    assert await refused(orders_url, certificates, Pair.at(certificates, "stock"))


async def test_an_expired_certificate_does_not_get_in(tmp_path: Path) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    tls = server_context(authority.server("orders").write(tmp_path, "orders"), tmp_path / "ca.pem")
    expired = authority.client("gateway", lifetime=timedelta(days=-1)).write(tmp_path, "expired")
    async with serving(orders_app(), listener(), tls) as url:
        assert await refused(url, tmp_path, expired)
        assert not await refused(url, tmp_path, authority.client("gateway").write(tmp_path, "gateway"))


async def test_tls_before_1_2_is_not_spoken(certificates: Path) -> None:
    tls = server_context(Pair.at(certificates, "orders"), certificates / "ca.pem")
    assert tls.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_orders_tell_who_asked(orders: httpx2.AsyncClient) -> None:
    answer = (await orders.get("/orders", headers=WHO)).json()
    assert [order["id"] for order in answer["orders"]] == ["1001", "1002", "1003"]
    assert answer["caller"] == CALLER


async def test_a_request_without_identity_headers_has_no_caller(orders: httpx2.AsyncClient) -> None:
    answer = (await orders.get("/orders/1001")).json()
    assert answer["order"]["item"] == "tea"
    assert answer["caller"] == {"application": None, "plan": None, "subject": None}


async def test_an_unknown_order_is_not_found(orders: httpx2.AsyncClient) -> None:
    answer = await orders.get("/orders/9")
    assert (answer.status_code, answer.json()) == (404, {"error": "no such order"})


async def test_a_posted_order_comes_back(orders: httpx2.AsyncClient) -> None:
    answer = await orders.post("/orders", json={"item": "jam"}, headers=WHO)
    assert (answer.status_code, answer.json()) == (201, {"order": {"item": "jam"}, "caller": CALLER})


@pytest.mark.parametrize("body", [b"{", b"\xff"])
async def test_a_posted_order_must_be_json(orders: httpx2.AsyncClient, body: bytes) -> None:
    assert (await orders.post("/orders", content=body)).status_code == 400


async def test_echo_shows_the_request_as_it_arrived(orders: httpx2.AsyncClient) -> None:
    headers = [("X-Twice", "1"), ("X-Twice", "2")]
    answer = (await orders.put("/orders/echo?a=%2F", headers=headers, content=b"hello")).json()
    assert (answer["method"], answer["path"], answer["query"], answer["body"]) == (
        "PUT",
        "/orders/echo",
        "a=%2F",
        "hello",
    )
    assert [value for name, value in answer["headers"] if name == "x-twice"] == ["1", "2"]


@pytest.mark.parametrize("size", [0, 1, 65_536, 200_001])
async def test_a_blob_has_the_size_asked_for(orders: httpx2.AsyncClient, size: int) -> None:
    answer = await orders.get(f"/orders/blob/{size}")
    assert answer.headers["content-length"] == str(size)
    assert len(answer.content) == size


async def test_an_upload_is_counted(orders: httpx2.AsyncClient) -> None:
    answer = await orders.post("/orders/upload", content=bytes(300_000))
    assert answer.json()["received"] == 300_000


async def test_a_slow_answer_tells_how_long_it_took(orders: httpx2.AsyncClient) -> None:
    assert (await orders.get("/orders/slow/0.01")).json()["waited"] == 0.01


async def test_stock_tells_the_quantity_and_who_asked() -> None:
    async with serving(stock_app(), listener()) as url, httpx2.AsyncClient(base_url=url) as stock:
        answer = await stock.get("/stock/tea", headers=WHO)
        assert answer.json() == {"sku": "tea", "quantity": 120, "caller": CALLER}
        assert (await stock.get("/stock/gold")).status_code == 404


async def test_a_taken_port_is_an_error_or_replaced_by_a_free_one() -> None:
    with listener() as taken:
        port = port_of(taken)
        with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            listener(port)
        with listener_near(port) as other:
            assert port_of(other) != port
    with listener_near(port) as free:
        assert port_of(free) == port


async def test_an_app_that_cannot_be_served_says_why() -> None:
    closed = listener()
    closed.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        async with serving(stock_app(), closed):
            pass
