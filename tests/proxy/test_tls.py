"""Mutual TLS towards services: names verified, certificates reloaded when their files change."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from rigs.proxy import echo, proxy_before

from gateway.model import ClientTls, Target
from gateway.proxy.tls import reloaded_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Certificates:
    """A CA, the service's context that demands a client certificate of it, and the gateway's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.write_gateway(self.ca)

    def write_gateway(self, ca: trustme.CA) -> None:
        issued = ca.issue_cert("gateway.internal")
        issued.private_key_pem.write_to_path(self.folder / "gateway.key")
        issued.cert_chain_pems[0].write_to_path(self.folder / "gateway.pem")

    def service(
        self, name: str = "orders.internal", *, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name).configure_cert(context)
        self.ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = most
        return context

    def gateway(self, name: str | None = "orders.internal") -> ClientTls:
        files = {"ca": self.folder / "ca.pem", "cert": self.folder / "gateway.pem", "key": self.folder / "gateway.key"}
        return ClientTls(**files, verify_name=name)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def before_tls(service: ssl.SSLContext, tls: ClientTls) -> object:
    return proxy_before(echo, ssl=service, tls=tls)


async def status(service: ssl.SSLContext, tls: ClientTls) -> bytes:
    async with before_tls(service, tls) as proxy:
        return (await proxy.talk(GET))[9:12]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_service_gets_the_gateways_certificate(certificates: Certificates, version: ssl.TLSVersion) -> None:
    assert await status(certificates.service(most=version), certificates.gateway()) == b"200"


async def test_a_certificate_for_another_name_is_refused(certificates: Certificates) -> None:
    assert await status(certificates.service("stock.internal"), certificates.gateway()) == b"502"


async def test_without_verify_name_the_targets_host_must_be_in_the_certificate(certificates: Certificates) -> None:
    assert await status(certificates.service("127.0.0.1"), certificates.gateway(None)) == b"200"
    assert await status(certificates.service(), certificates.gateway(None)) == b"502"


async def test_a_certificate_of_another_ca_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert await status(certificates.service(), certificates.gateway()) == b"502"


@pytest.mark.parametrize("goodbye", [True, False])
async def test_an_answer_that_ends_with_its_connection_is_whole_only_where_tls_is_ended(
    certificates: Certificates, goodbye: bool
) -> None:
    """RFC 9112 9.8: else anybody on the way could cut it short unseen."""
    seen = asyncio.Event()

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await seen.wait()
        writer.close() if goodbye else writer.transport.abort()

    async with proxy_before(service, ssl=certificates.service(), tls=certificates.gateway()) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET)
        await reader.readuntil(b"all of it\r\n")
        seen.set()
        if goodbye:
            assert await reader.readexactly(5) == b"0\r\n\r\n"
        else:
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_service_that_does_not_know_the_gateways_certificate_is_502(certificates: Certificates) -> None:
    certificates.write_gateway(trustme.CA())
    assert await status(certificates.service(), certificates.gateway()) == b"502"


async def test_changed_files_are_taken_and_old_connections_retired(certificates: Certificates) -> None:
    async with before_tls(certificates.service(), certificates.gateway()) as proxy:
        assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 200 ")
        assert proxy.pool.counts() == (1, 1)
        certificates.write_gateway(certificates.ca)
        proxy.pool.reload_certificates()
        assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 200 ")
        assert proxy.connections == 2


async def test_an_unusable_change_keeps_the_last_good_certificate(
    certificates: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with before_tls(certificates.service(), certificates.gateway()) as proxy:
        (tmp_path / "gateway.pem").write_text("half a file")
        proxy.pool.reload_certificates()
        assert (await proxy.talk(GET)).startswith(b"HTTP/1.1 200 ")
    assert "the old ones stay" in caplog.text


def test_a_kubernetes_style_symlink_swap_is_seen(certificates: Certificates, tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        for name in ("ca.pem", "gateway.pem", "gateway.key"):
            (tmp_path / version / name).write_bytes((tmp_path / name).read_bytes())
    data = tmp_path / "..data"
    data.symlink_to("v1")
    context = reloaded_client(ClientTls(ca=data / "ca.pem", cert=data / "gateway.pem", key=data / "gateway.key"))
    assert not context.refresh()
    (tmp_path / "new").symlink_to("v2")
    (tmp_path / "new").replace(data)
    assert context.refresh()
    assert context.generation == 1


def test_target_names() -> None:
    assert str(Target(True, "::1", 8443)) == "https://[::1]:8443"
