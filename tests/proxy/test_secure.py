"""TLS towards clients: certificates by name, those of clients, versions, what is refused, and what files change."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from rigs.proxy import Proxy, answering, echo, proxy_before, read_answer
from rigs.tls import ANY, Files, ask, dialled, in_thread, talk

from gateway.errors import Unauthorized
from gateway.model import ClientLimits, ClientTimeouts, Listener
from gateway.proxy.greeting import Greeting
from gateway.proxy.tls import names_of

GET = b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


async def refused(proxy: Proxy, reason: str) -> None:
    """The connection was refused, its place is free, and nothing was served."""
    await until(lambda: proxy.server.refused_connections()[reason] == 1 and not proxy.server.connections)
    assert proxy.server.crowd.inside == 0
    assert proxy.records == []


def names_shown(port: int, client: ssl.SSLContext, name: str | None) -> list[str]:
    client.check_hostname = False
    with dialled(port, client, name) as sock:
        der = sock.getpeercert(binary_form=True)
    assert der is not None
    return (
        x509.load_der_x509_certificate(der)
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value.get_values_for_type(x509.DNSName)
    )


# --- what is spoken


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_requests_and_answers_pass(files: Files, version: ssl.TLSVersion) -> None:
    async with proxy_before(echo, listener=files.listener()) as proxy:
        answer = await in_thread(talk, proxy.port, files.client(most=version), GET)
        (record,) = await proxy.recorded()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nx-forwarded-proto: https\r\n" in answer
    assert b'\r\nforwarded: for=127.0.0.1;proto=https;host="a.example.com"\r\n' in answer
    assert (record.peer, record.certificate) == ("127.0.0.1", None)


async def test_many_requests_and_large_bodies_pass_on_one_connection(files: Files) -> None:
    body = bytes(range(256)) * 8192  # 2 MiB
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)

    def client() -> None:
        with dialled(proxy.port, files.client()) as sock:
            for _ in range(3):
                assert ask(sock, GET).startswith(b"HTTP/1.1 200 ")
                assert ask(sock, post + body).endswith(body)

    async with proxy_before(echo, listener=files.listener()) as proxy:
        await in_thread(client)
        assert len(proxy.records) == 6


async def test_requests_that_wait_in_one_record_are_all_served(files: Files) -> None:
    def client() -> bytes:
        with dialled(proxy.port, files.client()) as sock:
            sock.sendall(GET * 50)
            answers = b""
            while answers.count(b"HTTP/1.1 200 ") < 50 or not answers.endswith(b"ok"):
                answers += sock.recv(65536)
            return answers

    async with proxy_before(answering(OK), listener=files.listener()) as proxy:
        await in_thread(client)
        assert len(proxy.records) == 50


async def test_an_answer_that_ends_with_the_connection_ends_with_close_notify(files: Files) -> None:
    def client() -> bytes:
        with dialled(proxy.port, files.client()) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            data = b""
            while part := sock.recv(65536):  # raises SSLEOFError where the end is not said
                data += part
            return data

    async with proxy_before(answering(OK), listener=files.listener()) as proxy:
        assert (await in_thread(client)).endswith(b"ok")


async def test_a_refusal_arrives_though_the_client_still_sends(files: Files) -> None:
    def client() -> bytes:
        with dialled(proxy.port, files.client()) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 200_000)
            return sock.recv(65536)

    async with proxy_before(echo, listener=files.listener(), max_body=10) as proxy:
        assert (await in_thread(client)).startswith(b"HTTP/1.1 413 ")


async def test_only_http_1_1_is_agreed_on(files: Files) -> None:
    def client() -> tuple[str | None, str | None]:
        with dialled(proxy.port, files.client()) as sock:
            return sock.selected_alpn_protocol(), sock.version()

    async with proxy_before(echo, listener=files.listener()) as proxy:
        assert await in_thread(client) == ("http/1.1", "TLSv1.3")


async def test_older_versions_are_refused(files: Files) -> None:
    client = files.client()
    with pytest.warns(DeprecationWarning):
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    async with proxy_before(echo, listener=files.listener()) as proxy:
        with pytest.raises(ssl.SSLError):
            await in_thread(talk, proxy.port, client, GET)
        await refused(proxy, "handshake")


async def test_1_2_is_refused_where_1_3_is_asked_for(files: Files) -> None:
    async with proxy_before(echo, listener=files.listener(min_version="1.3")) as proxy:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await in_thread(talk, proxy.port, files.client(most=ssl.TLSVersion.TLSv1_2), GET)
        await refused(proxy, "handshake")
        assert (await in_thread(talk, proxy.port, files.client(), GET)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384"])
async def test_ciphers_without_forward_secrecy_or_aead_are_refused(files: Files, cipher: str) -> None:
    client = files.client(most=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(cipher)
    async with proxy_before(echo, listener=files.listener()) as proxy:
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await in_thread(talk, proxy.port, client, GET)
        await refused(proxy, "handshake")


# --- the certificate


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("a.example.com", "a.example.com"),
        ("B.Example.COM", "b.example.com"),
        ("c.example.com", "b.example.com"),
        ("x.tenants.example.com", "*.tenants.example.com"),
        ("special.tenants.example.com", "special.tenants.example.com"),
        ("x.y.tenants.example.com", "a.example.com"),
        ("tenants.example.com", "a.example.com"),
        ("elsewhere.org", "a.example.com"),
        (None, "a.example.com"),
    ],
)
async def test_the_name_that_is_asked_for_chooses_the_certificate(files: Files, asked: str | None, shown: str) -> None:
    names = [["a.example.com"], ["b.example.com", "c.example.com"]]
    names += [["*.tenants.example.com"], ["special.tenants.example.com", "a.example.com"]]
    listener = files.listener(*(files.certificate(*each) for each in names))
    async with proxy_before(echo, listener=listener) as proxy:
        assert shown in await in_thread(names_shown, proxy.port, files.client(), asked)


def test_only_the_alternative_names_count(files: Files) -> None:
    assert names_of(files.certificate("A.example.com", "b.example.com", "127.0.0.1").cert) == [
        "a.example.com",
        "b.example.com",
    ]


async def test_changed_files_are_taken_for_new_connections_and_old_ones_go_on(files: Files) -> None:
    certificate = files.certificate("a.example.com", "old.example.com", file="server")

    def client() -> None:
        with dialled(proxy.port, files.client()) as sock:
            assert ask(sock, GET).startswith(b"HTTP/1.1 200 ")
            files.certificate("a.example.com", "new.example.com", file="server")
            loop.call_soon_threadsafe(proxy.server._terms[0].reload_certificates)
            assert ask(sock, GET).startswith(b"HTTP/1.1 200 ")
            assert "new.example.com" in names_shown(proxy.port, files.client(), None)
            assert ask(sock, GET).startswith(b"HTTP/1.1 200 ")

    loop = asyncio.get_running_loop()
    async with proxy_before(echo, listener=files.listener(certificate)) as proxy:
        assert "old.example.com" in await in_thread(names_shown, proxy.port, files.client(), None)
        await in_thread(client)


async def test_an_unusable_change_keeps_the_last_good_certificate(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = files.certificate("a.example.com")
    async with proxy_before(echo, listener=files.listener(certificate)) as proxy:
        certificate.key.write_text("half a file")
        proxy.server._terms[0].reload_certificates()
        assert (await in_thread(talk, proxy.port, files.client(), GET)).startswith(b"HTTP/1.1 200 ")
    assert "the old ones stay" in caplog.text


async def test_certificates_change_under_traffic_and_no_request_notices(files: Files) -> None:
    certificate = files.certificate("a.example.com")

    def client() -> int:
        served = 0
        with dialled(proxy.port, files.client()) as kept:
            while not stop.is_set():
                assert ask(kept, GET).startswith(b"HTTP/1.1 200 ")
                assert talk(proxy.port, files.client(), GET).startswith(b"HTTP/1.1 200 ")
                served += 1
        return served

    stop = asyncio.Event()
    async with proxy_before(echo, listener=files.listener(certificate)) as proxy:
        clients = [asyncio.ensure_future(in_thread(client)) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0.05)
            files.certificate("a.example.com")
            proxy.server._terms[0].reload_certificates()
        stop.set()
        assert all(served > 0 for served in await asyncio.gather(*clients))
        assert proxy.server._terms[0]._tls.generation == 5


# --- clients' certificates


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("required", [True, False])
async def test_a_clients_certificate_is_there_for_the_gate(
    files: Files, version: ssl.TLSVersion, required: bool
) -> None:
    listener = files.listener(asks=True, client_required=required)
    async with proxy_before(echo, listener=listener) as proxy:
        client = files.client(files.clients, most=version)
        assert (await in_thread(talk, proxy.port, client, GET)).startswith(b"HTTP/1.1 200 ")
        der = proxy.gate.certificates.pop()
    assert der is not None
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == ["client@example.com"]


async def test_it_is_there_for_whichever_name_the_client_asked(files: Files) -> None:
    certificates = files.certificate("a.example.com"), files.certificate("b.example.com")
    async with proxy_before(echo, listener=files.listener(*certificates, asks=True)) as proxy:
        client = files.client(files.clients)
        assert (await in_thread(talk, proxy.port, client, GET, "b.example.com")).startswith(b"HTTP/1.1 200 ")
        assert proxy.gate.certificates.pop() is not None
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await in_thread(talk, proxy.port, files.client(), GET, "b.example.com")


async def test_who_has_none_is_refused_where_it_is_required(files: Files) -> None:
    async with proxy_before(echo, listener=files.listener(asks=True)) as proxy:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await in_thread(talk, proxy.port, files.client(), GET)
        await refused(proxy, "handshake")


async def test_who_has_none_is_served_where_it_is_optional(files: Files) -> None:
    async with proxy_before(echo, listener=files.listener(asks=True, client_required=False)) as proxy:
        assert (await in_thread(talk, proxy.port, files.client(), GET)).startswith(b"HTTP/1.1 200 ")
        assert proxy.gate.certificates == [None]


@pytest.mark.parametrize("required", [True, False])
async def test_one_of_another_ca_is_refused_also_where_none_would_do(files: Files, required: bool) -> None:
    async with proxy_before(echo, listener=files.listener(asks=True, client_required=required)) as proxy:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await in_thread(talk, proxy.port, files.client(trustme.CA()), GET)
        await refused(proxy, "handshake")


# --- what is no handshake


async def test_plain_http_is_told_that_this_port_is_for_https(files: Files) -> None:
    async with proxy_before(echo, listener=files.listener()) as proxy:
        answer = await proxy.talk(GET, until_close=True)
        (record,) = await proxy.recorded()
        await until(lambda: not proxy.server.connections)
        assert proxy.server.crowd.inside == 0
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"https_required"' in answer
    assert (record.status, record.reason, record.peer) == (400, "https_required", "127.0.0.1")
    assert proxy.received == []


@pytest.mark.parametrize("data", [b"\x00\x01", b"\x16\x03\x01\x00\x05junk!", b"\x16" * 1000, b"\r\n\r\n"])
async def test_what_is_neither_is_cut(files: Files, data: bytes) -> None:
    async with proxy_before(echo, listener=files.listener()) as proxy:
        reader, writer = await proxy.connect()
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            assert not (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP")
        await refused(proxy, "handshake")
        writer.close()


async def test_garbage_after_the_handshake_ends_the_connection(files: Files) -> None:
    def client() -> bytes:
        with dialled(proxy.port, files.client()) as sock, socket.socket(fileno=socket.dup(sock.fileno())) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            raw.settimeout(5)
            with contextlib.suppress(ConnectionError):
                while raw.recv(65536):
                    pass
            sock.detach()
        return b""

    async with proxy_before(echo, listener=files.listener()) as proxy:
        with contextlib.suppress(ssl.SSLError, OSError):
            await in_thread(client)
        await until(lambda: not proxy.server.connections)
        assert proxy.records == []


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
async def test_a_handshake_has_the_time_of_a_head(files: Files, sent: bytes) -> None:
    timeouts = ClientTimeouts(head=0.3)
    async with proxy_before(echo, listener=files.listener(), timeouts=timeouts) as proxy:
        reader, writer = await proxy.connect()
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        await refused(proxy, "handshake")
        writer.close()


async def test_one_that_trickles_gets_no_more_time(files: Files) -> None:
    timeouts = ClientTimeouts(head=0.5)
    async with proxy_before(echo, listener=files.listener(), timeouts=timeouts) as proxy:
        reader, writer = await proxy.connect()
        closed = asyncio.create_task(reader.read())
        for byte in b"\x16\x03\x01\x02\x00\x01" + b"\x00" * 500:
            if closed.done():
                break
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(closed, 5)
        await refused(proxy, "handshake")
        writer.close()


async def test_a_client_that_leaves_in_the_middle_frees_its_place(files: Files) -> None:
    async with proxy_before(echo, listener=files.listener()) as proxy:
        _, writer = await proxy.connect()
        writer.write(b"\x16\x03\x01")
        await until(lambda: proxy.server.crowd.inside == 1)
        writer.transport.abort()
        await until(lambda: not proxy.server.connections)
        assert proxy.server.crowd.inside == 0
        assert proxy.server.refused_connections()["handshake"] == 0


async def test_a_failed_handshake_is_no_line_in_the_log(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    async with proxy_before(echo, listener=files.listener()) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"\x16\x03\x01\x00\x05junk!")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await refused(proxy, "handshake")
        writer.close()
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


async def test_handshakes_count_as_connections_and_one_too_many_is_cut(files: Files) -> None:
    limits = ClientLimits(client_connections=1)
    async with proxy_before(echo, listener=files.listener(), limits=limits) as proxy:
        _, kept = await proxy.connect()  # says nothing
        await until(lambda: proxy.server.crowd.inside == 1)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await in_thread(talk, proxy.port, files.client(), GET)
        counts = proxy.server.refused_connections()
        assert (counts["client_connections"], counts["unanswered"]) == (1, 1)
        kept.close()
        await until(lambda: not proxy.server.connections)
        assert (proxy.server.crowd.inside, proxy.server.crowd.turned_away) == (0, 0)
        assert (await in_thread(talk, proxy.port, files.client(), GET)).startswith(b"HTTP/1.1 200 ")


async def test_a_stop_waits_for_no_handshake(files: Files) -> None:
    async with proxy_before(echo, listener=files.listener()) as proxy:
        _, writer = await proxy.connect()
        await until(lambda: len(proxy.server.connections) == 1)
        assert isinstance(next(iter(proxy.server.connections)), Greeting)
        async with asyncio.timeout(3):
            assert await proxy.server.drain(30) == 0
        writer.close()


# --- HSTS


async def test_all_answers_say_that_https_is_to_be_kept_to(files: Files) -> None:
    hsts, line = "max-age=60; includeSubDomains", b"\r\nstrict-transport-security: max-age=60; includeSubDomains\r\n"
    async with proxy_before(echo, listener=files.listener(hsts=hsts)) as proxy:
        assert line in await in_thread(talk, proxy.port, files.client(), GET)
        proxy.gate.refusal = Unauthorized("no")
        answer = await in_thread(talk, proxy.port, files.client(), GET)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert line in answer
        assert b"strict-transport" not in await proxy.talk(GET)  # not by http


# --- redirects


@pytest.mark.parametrize("port", [443, 8443])
async def test_who_comes_by_http_is_sent_to_https(port: int) -> None:
    async with proxy_before(echo, listener=Listener(address=ANY, redirect=port)) as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"POST /orders/%7e?q=%0d HTTP/1.1\r\nHost: A.example.com:8080\r\nContent-Length: 1\r\n\r\nx" + GET)
        first, second = await read_answer(reader), await read_answer(reader)
        writer.close()
        records = await proxy.recorded(2)
    place = b"a.example.com" if port == 443 else b"a.example.com:8443"
    assert first.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n")
    assert b"\r\nlocation: https://%b/orders/~?q=%%0d\r\n" % place in first
    assert b"\r\nlocation: https://%b/\r\n" % place in second
    assert [record.reason for record in records] == ["https_required", "https_required"]
    assert proxy.connections == 0


async def test_without_a_host_there_is_nowhere_to_send_to() -> None:
    async with proxy_before(echo, listener=Listener(address=ANY, redirect=443)) as proxy:
        answer = await proxy.talk(b"GET / HTTP/1.0\r\n\r\n", until_close=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"location" not in answer


async def test_who_came_by_https_to_a_trusted_proxy_is_not_sent_there_again() -> None:
    listener = Listener(address=ANY, redirect=443)
    async with proxy_before(echo, listener=listener, trusted=("127.0.0.1",)) as proxy:
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: %b\r\n\r\n"
        assert (await proxy.talk(head % b"https")).startswith(b"HTTP/1.1 200 ")
        assert (await proxy.talk(head % b"http")).startswith(b"HTTP/1.1 308 ")
