"""Connections: TLS with a private CA, passwords, sockets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import trustme
from redis.exceptions import ConnectionError as Refused

from gateway.model import Store
from gateway.store.connection import connect
from gateway.store.pipe import Pipe

pytestmark = pytest.mark.redis

PASSWORD = "correct horse"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_port(ca: trustme.CA, tmp_path: Path) -> Iterator[int]:
    """A redis-server with TLS up to 1.2 and a password."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    cert = ca.issue_cert("127.0.0.1")
    cert.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    cert.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    port = free_port()
    options = {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(tmp_path / "cert.pem"),
        "tls-key-file": str(tmp_path / "key.pem"),
        "tls-auth-clients": "no",
        "requirepass": PASSWORD,
        "save": "",
        "dir": str(tmp_path),
    }
    command = [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        yield port
        server.kill()


async def test_tls_with_a_private_ca_and_a_password(tls_port: int, ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    store = Store(kind="url", url=f"rediss://127.0.0.1:{tls_port}", ca=tmp_path / "ca.pem", password=PASSWORD)
    async with connect(store) as redis:
        assert await redis.ping()
        pipe = Pipe(redis)
        await pipe.open(5.0)
        assert len(await pipe.exchange([("TIME",), ("TIME",)], 5.0)) == 2
        await pipe.close()


async def test_a_server_that_the_ca_did_not_sign_is_refused(tls_port: int, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    for ca in (tmp_path / "other.pem", None):
        store = Store(kind="url", url=f"rediss://127.0.0.1:{tls_port}", ca=ca, password=PASSWORD)
        async with connect(store) as redis:
            with pytest.raises(Refused, match="certificate verify failed"):
                await redis.ping()


async def test_a_server_of_another_name_is_refused(tls_port: int, ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    store = Store(kind="url", url=f"rediss://localhost:{tls_port}", ca=tmp_path / "ca.pem", password=PASSWORD)
    async with connect(store) as redis:
        with pytest.raises(Refused, match=r"certificate verify failed.*mismatch"):
            await redis.ping()


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
