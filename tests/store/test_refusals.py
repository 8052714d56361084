"""What is wrong with the way to a store, and what cures it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rigs.sentinels import SentinelRig
from rigs.stores import TcpServer, Tls, binary_of

from gateway.model import Store
from gateway.store import StoreAway, StoreError
from gateway.store.topology import topology
from gateway.store.vetting import Vetting

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def tls(folder: Path) -> Tls:
    return Tls(folder / "ours")


@pytest.fixture(scope="module")
def other(folder: Path) -> Tls:
    return Tls(folder / "other")


@pytest.fixture(scope="module")
def encrypted(tls: Tls, folder: Path) -> Iterator[TcpServer]:
    """A server with TLS, which lets in who has no certificate."""
    server = TcpServer(binary_of("redis"), folder / "encrypted", tls=tls.options())
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def mutual(tls: Tls, folder: Path) -> Iterator[TcpServer]:
    """A server with mutual TLS."""
    server = TcpServer(binary_of("redis"), folder / "mutual", tls=tls.options(mutual=True))
    server.start()
    yield server
    server.close()


async def refused(store: Store) -> str:
    """Why a store is not used; it does not come to be by waiting."""
    servers = topology(store)
    try:
        with pytest.raises(StoreError) as error:
            await Vetting(servers, store).look()
    finally:
        await servers.close()
    assert not isinstance(error.value, StoreAway)
    assert "hunter2" not in str(error.value)
    return str(error.value)


def at(server: TcpServer, **changes: Any) -> Store:
    return Store(**{"kind": "url", "url": server.url, **changes})


async def test_with_the_right_files_all_is_well(mutual: TcpServer, tls: Tls) -> None:
    store = at(mutual, ca=tls.ca, cert=tls.cert, key=tls.key)
    assert await Vetting(topology(store), store).look()


async def test_a_private_ca_that_is_not_told(encrypted: TcpServer) -> None:
    assert await refused(at(encrypted)) == (
        f"the store cannot be asked: Error 1 connecting to {encrypted.address}. [SSL: CERTIFICATE_VERIFY_FAILED] "
        "certificate verify failed: self-signed certificate in certificate chain; "
        "set store.ca to the certificates of the CA that signed its certificate"
    )


async def test_another_ca(encrypted: TcpServer, other: Tls) -> None:
    assert "; set store.ca to the certificates of the CA" in await refused(at(encrypted, ca=other.ca))


async def test_another_name(encrypted: TcpServer, tls: Tls) -> None:
    named = encrypted.url.replace("127.0.0.1", "localhost")
    assert "; use a name that is in its certificate" in await refused(at(encrypted, url=named, ca=tls.ca))


async def test_no_certificate_of_ours_or_one_that_it_does_not_trust(
    mutual: TcpServer, tls: Tls, other: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    """The server's alert may get lost when it closes the connection; then it is a guess."""
    for files in ({}, {"cert": other.cert, "key": other.key}):
        store = at(mutual, ca=tls.ca, **files)
        caplog.clear()
        try:
            assert not await Vetting(topology(store), store).look()
        except StoreError as error:
            assert str(error).endswith("; set store.cert and store.key to a certificate that it trusts")
        else:
            assert "does it ask for a certificate, store.cert?" in caplog.text


async def test_no_tls_where_tls_is_spoken(encrypted: TcpServer, caplog: pytest.LogCaptureFixture) -> None:
    store = at(encrypted, url=encrypted.url.replace("rediss", "redis"))
    assert not await Vetting(topology(store), store).look()
    assert "(does it speak TLS there? Then write rediss:// or tls: true)" in caplog.text


async def test_tls_where_none_is_spoken(server: TcpServer, tls: Tls, caplog: pytest.LogCaptureFixture) -> None:
    store = at(server, url=server.url.replace("redis", "rediss"), ca=tls.ca, timeout=0.01)
    assert not await Vetting(topology(store), store).look()
    assert "(does it speak TLS there, and does it ask for a certificate, store.cert?)" in caplog.text


async def test_passwords(server: TcpServer) -> None:
    server.ask("ACL", "SETUSER", "default", "off")
    cure = "; set store.password, and store.username for a user of its ACL"
    for access in ({}, {"password": "hunter2"}, {"username": "nobody", "password": "hunter2"}):
        assert (await refused(at(server, **access))).endswith(cure)


async def test_passwords_of_sentinels(watched: SentinelRig) -> None:
    for sentinel in watched.sentinels:
        sentinel.ask("ACL", "SETUSER", "other", "on", ">secret", "+@all")
    try:
        store = watched.store(sentinel_username="other", sentinel_password="hunter2")
        assert (await refused(store)).endswith(
            "; set store.sentinel_password, and store.sentinel_username for a user of its ACL"
        )
    finally:
        for sentinel in watched.sentinels:
            sentinel.ask("ACL", "DELUSER", "other")
