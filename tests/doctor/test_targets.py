"""What is said of services' targets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from rigs.stores import free_port

from gateway.doctor.finding import Finding, Level
from gateway.doctor.targets import targets
from gateway.model import ClientTls, Config, Service, Target, Timeouts, Upstream


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = ca.issue_cert("gateway")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    return ca


@asynccontextmanager
async def listening(issued: trustme.LeafCert | None = None, clients_of: trustme.CA | None = None) -> AsyncIterator[int]:
    """A server that says nothing; its port."""
    context = None
    if issued is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        if clients_of is not None:
            clients_of.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def look(port: int, *, https: bool = False, tls: ClientTls = ClientTls(), services: int = 1) -> list[Finding]:  # noqa: B008 - frozen
    def service(name: str) -> Service:
        target = Target(https, "127.0.0.1", port)
        upstream = Upstream(name=name, targets=(target,), tls=tls, timeouts=Timeouts(connect=2))
        return Service(name=name, upstream=upstream, accept=(), rules=())

    return await targets(Config(services={name: service(name) for name in map(str, range(services))}))


async def test_a_target_that_answers_is_well_and_told_once() -> None:
    async with listening() as port:
        (found,) = await look(port, services=3)
    assert (found.level, found.about) == (Level.OK, f"target http://127.0.0.1:{port}")


async def test_a_target_that_is_away_is_a_problem() -> None:
    (found,) = await look(free_port().port)
    assert found.level is Level.PROBLEM
    assert found.text.startswith("no connection: ")


async def test_mutual_tls_is_tried_as_the_gateway_does_it(ca: trustme.CA, tmp_path: Path) -> None:
    ours = ClientTls(ca=tmp_path / "ca.pem", cert=tmp_path / "cert.pem", key=tmp_path / "key.pem", verify_name="orders")
    async with listening(ca.issue_cert("orders"), clients_of=ca) as port:
        (found,) = await look(port, https=True, tls=ours)
        assert found.level is Level.OK
        assert "its certificate is valid until" in found.text


async def test_a_target_that_wants_another_certificate_of_ours_is_a_problem(ca: trustme.CA, tmp_path: Path) -> None:
    """With TLS 1.3 it says so when the handshake is over for the client."""
    async with listening(ca.issue_cert("orders"), clients_of=trustme.CA()) as port:
        (found,) = await look(port, https=True, tls=ClientTls(ca=tmp_path / "ca.pem", verify_name="orders"))
        assert found.level is Level.PROBLEM
        assert found.text.startswith(("it refuses the gateway: ", "it closes the connection"))
        assert "tls.cert of the service 0" in found.text


async def test_a_target_that_is_somebody_else_is_a_problem(ca: trustme.CA, tmp_path: Path) -> None:
    async with listening(ca.issue_cert("stock")) as port:
        (found,) = await look(port, https=True, tls=ClientTls(ca=tmp_path / "ca.pem", verify_name="orders"))
    assert found.level is Level.PROBLEM
    assert "Hostname mismatch" in found.text


async def test_a_target_without_tls_is_a_problem_where_it_is_wanted(ca: trustme.CA, tmp_path: Path) -> None:
    async with listening() as port:
        (found,) = await look(port, https=True, tls=ClientTls(ca=tmp_path / "ca.pem"))
    assert found.level is Level.PROBLEM


async def test_a_targets_certificate_that_expires_soon_is_a_warning(ca: trustme.CA, tmp_path: Path) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    async with listening(ca.issue_cert("orders", not_after=soon)) as port:
        (found,) = await look(port, https=True, tls=ClientTls(ca=tmp_path / "ca.pem", verify_name="orders"))
    assert found.level is Level.WARNING
