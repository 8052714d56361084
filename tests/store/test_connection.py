"""Connections: TLS with a private CA, passwords, sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as Refused
from rigs.stores import TcpServer, Tls, binary_of

from gateway.model import Store
from gateway.store.connection import connect, tls_context

pytestmark = pytest.mark.redis

PASSWORD = "correct horse"


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path / "tls")


@pytest.fixture
def encrypted(tls: Tls, tmp_path: Path) -> Iterator[TcpServer]:
    """A redis-server with TLS and a password."""
    options = ("--requirepass", PASSWORD)
    server = TcpServer(binary_of("redis"), tmp_path / "server", *options, tls=tls.options())
    server.start()
    yield server
    server.close()


async def test_tls_with_a_private_ca_and_a_password(encrypted: TcpServer, tls: Tls) -> None:
    async with connect(Store(kind="url", url=encrypted.url, ca=tls.ca, password=PASSWORD)) as redis:
        assert await redis.ping()


async def test_a_server_that_the_ca_did_not_sign_is_refused(encrypted: TcpServer, tmp_path: Path) -> None:
    for ca in (Tls(tmp_path / "other").ca, None):
        async with connect(Store(kind="url", url=encrypted.url, ca=ca, password=PASSWORD)) as redis:
            with pytest.raises(Refused, match="certificate verify failed"):
                await redis.ping()


async def test_a_server_of_another_name_is_refused(encrypted: TcpServer, tls: Tls) -> None:
    url = encrypted.url.replace("127.0.0.1", "localhost")
    async with connect(Store(kind="url", url=url, ca=tls.ca, password=PASSWORD)) as redis:
        with pytest.raises(Refused, match=r"certificate verify failed.*mismatch"):
            await redis.ping()


def test_with_a_private_ca_no_other_is_trusted(tls: Tls) -> None:
    assert len(tls_context(Store(ca=tls.ca)).get_ca_certs()) == 1


async def test_the_password_is_not_shown(tmp_path: Path) -> None:
    store = Store(kind="url", url=f"unix://{tmp_path}/s", password=PASSWORD)
    assert PASSWORD not in repr(store)
    async with connect(store) as redis:
        assert PASSWORD not in repr(redis)


@pytest.mark.parametrize("url", [None, "http://store", "store:6379"])
def test_what_is_no_store_is_refused(url: str | None) -> None:
    with pytest.raises(ValueError, match=r"URL|no URL"):
        connect(Store(kind="url", url=url))


def test_a_missing_ca_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"missing\.pem"):
        connect(Store(kind="url", url="rediss://store", ca=tmp_path / "missing.pem"))
