"""Whose connection and request it is behind trusted proxies, by PROXY headers and by fields; and nobody else's word."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from rigs.proxy import Proxy, echo, proxy_before, read_answer
from rigs.tls import ANY, Files, in_thread, talk

from gateway.http.proxy_protocol import SIGNATURE
from gateway.model import ClientLimits, ClientTimeouts, Listener

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PROXIED = Listener(address=ANY, proxy_protocol=True)
LINE = b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 443\r\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
V6 = SIGNATURE + b"\x21\x21\x00\x24" + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(20)
SENT = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Host: api.example.com\r\nX-Forwarded-Port: 99\r\nX-Real-IP: 198.51.100.1\r\n"
    b"X-Forwarded-Client-Cert: Subject=cn\r\nX-Client-Cert: MIIB\r\nSSL-Client-Verify: SUCCESS\r\n"
    b"X_Forwarded_For: 1.1.1.1\r\n\r\n"
)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


# --- fields


async def test_a_trusted_proxy_says_who_the_client_is() -> None:
    async with proxy_before(echo, trusted=("127.0.0.0/8",)) as proxy:
        answer = await proxy.talk(SENT)
        (record,) = await proxy.recorded()
    assert record.peer == "203.0.113.7"
    assert b"\r\nx-forwarded-for: 203.0.113.7, 127.0.0.1\r\n" in answer
    assert b"\r\nx-forwarded-proto: https\r\n" in answer
    assert b"\r\nx-forwarded-host: api.example.com\r\n" in answer
    assert b'\r\nforwarded: for=203.0.113.7;proto=https;host="api.example.com", for=127.0.0.1\r\n' in answer
    assert b"\r\nx-forwarded-client-cert: Subject=cn\r\nx-client-cert: MIIB\r\nssl-client-verify: SUCCESS\r\n" in answer
    for forged in (b"198.51.100.1", b"1.1.1.1", b"x-forwarded-port", b"x-real-ip"):
        assert forged not in answer


CERTIFIED = b"GET / HTTP/1.1\r\nHost: a\r\nClient-Cert: :MIIB:\r\n\r\n"
PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_trusted_proxy_tells_of_its_clients_certificate() -> None:
    async with proxy_before(echo, trusted=("127.0.0.0/8",), told="client_cert") as proxy:
        assert b"\r\nclient-cert: :MIIB:\r\n" in await proxy.talk(CERTIFIED)
        await proxy.talk(PLAIN)
        answer = await proxy.talk(CERTIFIED.replace(b":MIIB:", b"MIIB"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"client_certificate_malformed"' in answer
        assert proxy.gate.certificates == [b"0\x82\x01", None]


@pytest.mark.parametrize(("trusted", "told"), [("10.0.0.0/8", "client_cert"), ("127.0.0.0/8", None)])
async def test_nobody_else_does(trusted: str, told: str | None) -> None:
    async with proxy_before(echo, trusted=(trusted,), told=told) as proxy:
        answer = await proxy.talk(CERTIFIED)
        assert (b"client-cert" in answer) == (told is None)
        assert proxy.gate.certificates == [None]


async def test_of_anybody_else_nothing_of_it_is_believed_or_passed_on() -> None:
    async with proxy_before(echo, trusted=("10.0.0.0/8",)) as proxy:
        answer = await proxy.talk(SENT)
        (record,) = await proxy.recorded()
    assert record.peer == "127.0.0.1"
    assert b"\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n" in answer
    assert b'\r\nforwarded: for=127.0.0.1;proto=http;host="a"\r\nx-forwarded-host: a\r\n' in answer
    for forged in (b"203.0.113.7", b"198.51.100.1", b"1.1.1.1", b"api.example.com", b"cert", b"ssl-client"):
        assert forged not in answer


@pytest.mark.parametrize(
    "field",
    [b"Client-Cert", b"Client-Cert-Chain", b"X-SSL-Client-Cert", b"X.Client.Cert", b"X-Amzn-Mtls-Clientcert",
     b"X-ARR-ClientCert", b"X-Tls-Client-Auth-Cert", b"X-Client-Verify", b"Ssl-Client-S-Dn"],
)  # fmt: skip
async def test_nobody_says_by_a_field_that_a_certificate_was_shown(field: bytes) -> None:
    async with proxy_before(echo) as proxy:
        assert b"forged" not in await proxy.talk(b"GET / HTTP/1.1\r\nHost: a\r\n%b: forged\r\n\r\n" % field)


async def test_each_request_of_a_proxys_connection_has_its_own_client() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %b\r\n\r\n"
    async with proxy_before(echo, trusted=("127.0.0.1",)) as proxy:
        reader, writer = await proxy.connect()
        clients = [b"203.0.113.7", b"203.0.113.7", b"203.0.113.8", b"203.0.113.7", b"203.0.113.7", b"203.0.113.7"]
        for client in clients:
            writer.write(head % client)
            assert b"\r\nx-forwarded-for: %b, 127.0.0.1\r\n" % client in await read_answer(reader)
        writer.write(GET)
        assert b"\r\nx-forwarded-for: 127.0.0.1\r\n" in await read_answer(reader)
        writer.close()
        records = await proxy.recorded(7)
    assert [record.peer.encode() for record in records] == [*clients, b"127.0.0.1"]


async def test_pipelined_requests_keep_theirs() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=%b\r\n\r\n"
    async with proxy_before(echo, trusted=("127.0.0.1",)) as proxy:
        reader, writer = await proxy.connect()
        writer.write(head % b"203.0.113.7" + head % b"203.0.113.8" + GET)
        for client in (b"203.0.113.7, 127.0.0.1", b"203.0.113.8, 127.0.0.1", b"127.0.0.1"):
            assert b"\r\nx-forwarded-for: %b\r\n" % client in await read_answer(reader)
        writer.close()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (b"X-Forwarded-For: me", b"forwarded_malformed"),
        (b'Forwarded: for="', b"forwarded_malformed"),
        (b"Forwarded: for=203.0.113.7\r\nX-Forwarded-For: 203.0.113.8", b"forwarded_ambiguous"),
    ],
)
async def test_where_it_cannot_be_told_the_request_is_refused(fields: bytes, code: bytes) -> None:
    async with proxy_before(echo, trusted=("127.0.0.1",)) as proxy:
        answer = await proxy.talk(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % fields, until_close=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"%b"' % code in answer


async def test_a_trusted_proxy_may_have_more_connections_than_one_client() -> None:
    limits = ClientLimits(client_connections=1)
    async with proxy_before(echo, trusted=("127.0.0.1",), limits=limits) as proxy:
        connections = [await proxy.connect() for _ in range(5)]
        for reader, writer in connections:
            writer.write(GET)
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=("127.0.0.2", 0))
        _, second = await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=("127.0.0.2", 0))
        await until(lambda: proxy.server.refused_connections()["client_connections"] == 1)
        writer.close()
        second.close()


# --- PROXY headers


@pytest.mark.parametrize(
    ("header", "client"),
    [(LINE, "203.0.113.7"), (V6, "2001:db8::7"), (LOCAL, "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")],
)
@pytest.mark.parametrize("size", [0, 1, 7])
async def test_the_header_tells_whose_connection_it_is(header: bytes, client: str, size: int) -> None:
    async with proxy_before(echo, listener=PROXIED, trusted=("127.0.0.1",)) as proxy:
        reader, writer = await proxy.connect()
        data = header + GET
        for start in range(0, len(data), size or len(data)):
            writer.write(data[start : start + (size or len(data))])
            await asyncio.sleep(0.001 if size else 0)
        answers = [await read_answer(reader)]
        writer.write(GET)
        answers.append(await read_answer(reader))
        records = await proxy.recorded(2)
        writer.close()
    assert [record.peer for record in records] == [client, client]
    for answer in answers:
        assert b"\r\nx-forwarded-for: %b\r\n" % client.encode() in answer


async def test_the_fields_of_a_client_behind_it_are_not_believed() -> None:
    async with proxy_before(echo, listener=PROXIED, trusted=("127.0.0.1",)) as proxy:
        answer = await proxy.talk(LINE + SENT)
    assert b"\r\nx-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: http\r\n" in answer


async def test_those_of_another_trusted_proxy_behind_it_are() -> None:
    async with proxy_before(echo, listener=PROXIED, trusted=("127.0.0.1", "203.0.113.0/28")) as proxy:
        answer = await proxy.talk(LINE + b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
    assert b"\r\nx-forwarded-for: 198.51.100.1, 203.0.113.7\r\n" in answer


async def closed_unheard(proxy: Proxy, data: bytes) -> None:
    reader, writer = await proxy.connect()
    writer.write(data)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await until(lambda: not proxy.server.connections)
    assert proxy.server.refused_connections()["proxy_protocol"] == 1
    assert (proxy.records, proxy.connections, proxy.server.crowd.inside) == ([], 0, 0)


async def test_who_is_no_trusted_proxy_is_not_even_heard() -> None:
    async with proxy_before(echo, listener=PROXIED, trusted=("10.0.0.0/8",)) as proxy:
        await closed_unheard(proxy, LINE + GET)


@pytest.mark.parametrize(
    "data",
    [GET, LINE.lower() + GET, LINE.replace(b"\r\n", b"\n") + GET, LINE.replace(b"7", b"777") + GET,
     b"PROXY " + b"x" * 200, SIGNATURE + b"\x21\x12\x00\x00", SIGNATURE + b"\x21\x11\xff\xff", b"\x16\x03\x01"],
)  # fmt: skip
async def test_a_malformed_header_ends_the_connection(data: bytes) -> None:
    async with proxy_before(echo, listener=PROXIED, trusted=("127.0.0.1",)) as proxy:
        await closed_unheard(proxy, data)


@pytest.mark.parametrize("data", [b"", b"PROXY TCP4 203.0.113.7", SIGNATURE + b"\x21\x11\x00\x0c"])
async def test_the_header_has_the_time_of_a_head(data: bytes) -> None:
    timeouts = ClientTimeouts(head=0.3)
    async with proxy_before(echo, listener=PROXIED, trusted=("127.0.0.1",), timeouts=timeouts) as proxy:
        await closed_unheard(proxy, data)


async def test_the_client_that_it_names_counts_for_its_connections() -> None:
    limits = ClientLimits(client_connections=1)
    async with proxy_before(echo, listener=PROXIED, trusted=("127.0.0.1",), limits=limits) as proxy:
        reader, first = await proxy.connect()
        first.write(LINE + GET)
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
        assert await proxy.talk(V6 + GET)
        reader, second = await proxy.connect()
        second.write(LINE + GET)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        assert proxy.server.refused_connections()["client_connections"] == 1
        first.close()
        second.close()
        await until(lambda: not proxy.server.connections)
        assert (proxy.server.crowd.inside, proxy.server.crowd.turned_away) == (0, 0)


async def test_it_comes_before_the_handshake(tmp_path: Path) -> None:
    files = Files(tmp_path)
    tls = files.listener().tls
    listener = Listener(address=ANY, tls=tls, proxy_protocol=True)
    async with proxy_before(echo, listener=listener, trusted=("127.0.0.1",)) as proxy:
        answer = await in_thread(talk, proxy.port, files.client(), GET, "a.example.com", LINE)
        assert b"\r\nx-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\n" in answer
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await in_thread(talk, proxy.port, files.client(), GET)
