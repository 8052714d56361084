"""Mutual TLS with services: who is not who he should be gets no request, and certificates change under traffic."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from rigs.gateway import Gateway
from rigs.load import status_of
from rigs.proxy import read_answer
from rigs.stage import Stage
from rigs.waiting import until

from gateway.devkit.certificates import Authority, Issued, Pair, server_context

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [SERVICES]}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""


def service(name: str, target: str, **tls: str) -> str:
    lines = "".join(f"\n        {key}: {value}" for key, value in tls.items())
    return f"""
services:
  {name}:
    path: /{name}
    strip_path: true
    upstream:
      targets: ["{target}"]
      tls: {lines}
    accept: [{{jwt: keycloak}}]
    rules:
      - GET /{name}: hits
"""


def plans(*services: str) -> str:
    return PLANS.replace("SERVICES", ", ".join(services))


# --- who is not who he should be


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Each of its services is the one of orders, and is spoken to in a way that cannot work, but one."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "foreign.pem").write_bytes(Authority("another CA").pem)
    Authority("another CA").client("gateway").write(folder, "stranger")
    ours = {name: str(stage.certificates / file) for name, file in FILES.items()}
    name = {"verify_name": "orders.internal"}
    anonymous = {"ca": ours["ca"]}
    stranger = anonymous | {"cert": str(folder / "stranger.pem"), "key": str(folder / "stranger.key")}
    services = {
        "right": (stage.orders, ours | name),
        "misnamed": (stage.orders, ours | {"verify_name": "stock.internal"}),
        "foreign": (stage.orders, ours | name | {"ca": str(folder / "foreign.pem")}),
        "silent": (stage.orders, anonymous | name),
    }
    with guard(stage.certificates) as strict:
        services |= {"anonymous": (strict, anonymous | name), "stranger": (strict, stranger | name)}
        files = [service(name, target, **tls) for name, (target, tls) in services.items()]
        async with stage.gateway(folder, *files, plans(*services)) as gateway:
            yield gateway


@contextlib.contextmanager
def guard(certificates: Path) -> Iterator[str]:
    """A server that tells a client why it is turned away, as most do; asyncio's do not. Its URL."""
    tls = server_context(Pair.at(certificates, "orders"), certificates / "ca.pem")

    def turn_away() -> None:
        with contextlib.suppress(OSError):  # the end: the socket is shut down
            while True:
                client = tls.wrap_socket(sock.accept()[0], server_side=True, do_handshake_on_connect=False)
                with client:
                    with contextlib.suppress(ssl.SSLError):
                        client.do_handshake()
                    client.shutdown(socket.SHUT_WR)  # what the client has sent meanwhile must not reset the connection
                    while client.recv(1024):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=turn_away)
        thread.start()
        yield f"https://127.0.0.1:{sock.getsockname()[1]}"
        sock.shutdown(socket.SHUT_RDWR)
        thread.join()


FILES = {"ca": "ca.pem", "cert": "gateway.pem", "key": "gateway.key"}


async def test_with_the_right_name_and_certificates_the_service_answers(gateway: Gateway, stage: Stage) -> None:
    assert (await gateway.get("/right/orders", stage.token())).status_code == 200


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("misnamed", "upstream_unreachable", "Hostname mismatch, certificate is not valid for 'stock.internal'"),
        ("foreign", "upstream_unreachable", "certificate verify failed"),
        ("anonymous", "upstream_broken", "alert certificate required"),
        ("stranger", "upstream_broken", "alert unknown ca"),
        ("silent", "upstream_broken", "it may not accept the gateway's certificate"),
    ],
)
async def test_a_failed_handshake_is_a_502_and_the_log_says_why(
    gateway: Gateway, stage: Stage, name: str, code: str, why: str
) -> None:
    answer = await gateway.get(f"/{name}/orders", stage.token())
    assert (answer.status_code, answer.json()["code"]) == (502, code)
    assert "certificate" not in answer.text
    line = await gateway.said(why)
    assert (line["level"], line["logger"]) == ("warning", "gateway.upstream")
    assert "https://127.0.0.1:" in line["message"]


# --- certificates that change


class Mirror:
    """A service that answers with the serial number of its client's certificate."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.folder = folder
        (folder / "ca.pem").write_bytes(self.authority.pem)
        server = self.authority.server("mirror").write(folder, "mirror")
        self.tls = server_context(server, folder / "ca.pem")
        self.url = ""
        self.connections: set[asyncio.StreamWriter] = set()
        self.replace(self.authority.client("gateway"))

    def replace(self, issued: Issued) -> None:
        """The gateway's own certificate."""
        issued.write(self.folder, "gateway")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        serial = writer.get_extra_info("peercert")["serialNumber"].encode()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(serial), serial))
        writer.close()
        self.connections.discard(writer)


@pytest_asyncio.fixture(loop_scope="session")
async def mirror(tmp_path: Path) -> AsyncIterator[Mirror]:
    mirror = Mirror(tmp_path)
    server = await asyncio.start_server(mirror.serve, "127.0.0.1", 0, ssl=mirror.tls)
    mirror.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield mirror
    server.close()
    await until(lambda: not mirror.connections)


class Traffic:
    """Requests without a pause on some connections: how they ended, and what they were answered last."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        self.statuses: Counter[int] = Counter()
        self.serials: dict[int, bytes] = {}
        self._gateway = gateway
        self._token = token
        self._ending = False

    async def client(self, number: int) -> None:
        async with self._gateway.connected() as (reader, writer):
            while not self._ending:
                writer.write(self._gateway.head(self._token, "/mirror"))
                answer = await read_answer(reader)
                self.statuses[status_of(answer)] += 1
                self.serials[number] = answer.rpartition(b"\r\n")[2]

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(self.client(number))
            yield
            self._ending = True

    async def seen(self) -> set[bytes]:
        """The serial numbers by which all clients are served, once these are the same."""
        await until(lambda: len(self.serials) == 4 and len(set(self.serials.values())) == 1)
        return set(self.serials.values())

    async def more(self, requests: int) -> None:
        """Wait for so many more answers."""
        enough = self.statuses.total() + requests
        await until(lambda: self.statuses.total() >= enough)


def files_of(mirror: Mirror) -> dict[str, str]:
    return {name: str(mirror.folder / file) for name, file in FILES.items()} | {"verify_name": "mirror.internal"}


async def test_a_new_certificate_is_shown_without_a_failed_request(
    stage: Stage, mirror: Mirror, tmp_path: Path
) -> None:
    behind = service("mirror", mirror.url, **files_of(mirror))
    async with stage.gateway(tmp_path, behind, plans("mirror")) as gateway:
        traffic = Traffic(gateway, stage.token())
        async with traffic.flowing():
            old = await traffic.seen()
            mirror.replace(mirror.authority.client("gateway"))
            await gateway.said("certificates reloaded")
            await until(lambda: not old & set(traffic.serials.values()))
            await traffic.more(50)
        assert set(traffic.statuses) == {200}


async def test_after_a_reload_the_new_certificate_is_shown(stage: Stage, mirror: Mirror, tmp_path: Path) -> None:
    """At once, though the plans are the same and the old connections were good."""
    behind = service("mirror", mirror.url, **files_of(mirror))
    async with stage.gateway(tmp_path, behind, plans("mirror")) as gateway:
        traffic = Traffic(gateway, stage.token())
        async with traffic.flowing():
            old = await traffic.seen()
            mirror.replace(mirror.authority.client("gateway"))
            assert (await gateway.reload()).json()["status"] == "reloaded"
            new = (await gateway.get("/mirror", stage.token())).content
            assert new not in old
            await traffic.more(50)
        assert set(traffic.statuses) == {200}


async def test_a_broken_certificate_leaves_the_old_one_in_use(stage: Stage, mirror: Mirror, tmp_path: Path) -> None:
    behind = service("mirror", mirror.url, **files_of(mirror))
    async with stage.gateway(tmp_path, behind, plans("mirror")) as gateway:
        traffic = Traffic(gateway, stage.token())
        async with traffic.flowing():
            old = await traffic.seen()
            mirror.replace(Issued(b"nonsense", b"nonsense"))
            await gateway.said("certificates changed but cannot be used, the old ones stay")
            for connection in set(mirror.connections):
                connection.close()  # so that new ones are made
            await traffic.more(50)
            assert await traffic.seen() == old
            mirror.replace(mirror.authority.client("gateway"))
            await gateway.said("certificates reloaded")
            await until(lambda: not old & set(traffic.serials.values()))
        assert set(traffic.statuses) == {200}
