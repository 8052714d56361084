"""What a service gets to see of a request: rebuilt from parsed parts, never relayed."""

import pytest
from rigs.proxy import echo, proxy_before, read_answer

from gateway.errors import Unauthorized
from gateway.gate import Ask
from gateway.model import Route


async def seen_by_service(request: bytes, **settings: object) -> bytes:
    async with proxy_before(echo, **settings) as proxy:
        answer = await proxy.talk(request)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    return answer.partition(b"\r\n\r\n")[2]


async def test_the_gateways_own_fields_are_added() -> None:
    seen = await seen_by_service(b"GET /orders?page=2 HTTP/1.1\r\nHost: API.example.com\r\nAccept: */*\r\n\r\n")
    lines = seen.split(b"\r\n")
    assert lines[0] == b"GET /orders?page=2 HTTP/1.1"
    assert b"accept: */*" in lines
    assert b"x-application-id: mobile" in lines
    assert b"x-plan: gold" in lines
    assert b"x-subject: s" in lines
    assert b"x-forwarded-for: 127.0.0.1" in lines
    assert b"x-forwarded-proto: http" in lines
    assert b"x-forwarded-host: API.example.com" in lines
    assert b'forwarded: for=127.0.0.1;proto=http;host="API.example.com"' in lines
    assert b"via: 1.1 gateway" in lines


@pytest.mark.parametrize(
    "name",
    [
        "X-Application-Id",
        "X-Plan",
        "x-SUBJECT",
        "X_Plan",
        "X-Forwarded-For",
        "X-Forwarded-User",
        "Forwarded",
        "X-Real-Ip",
    ],
)
async def test_a_clients_own_identity_and_forwarding_fields_are_removed(name: str) -> None:
    seen = await seen_by_service(b"GET / HTTP/1.1\r\nHost: a\r\n%b: forged\r\n\r\n" % name.encode())
    assert b"forged" not in seen


@pytest.mark.parametrize(
    "field", [b"TE: gzip", b"Keep-Alive: 5", b"Proxy-Authorization: Basic x", b"Trailer: x", b"Upgrade: h2c"]
)
async def test_hop_by_hop_fields_end_here(field: bytes) -> None:
    seen = await seen_by_service(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % field)
    assert b"\r\n%b:" % field.partition(b":")[0].lower() not in seen


async def test_connection_removes_what_it_lists_but_never_what_the_gateway_says() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Hop: 1\r\nX-Stay: 1\r\nConnection: x-hop, x-plan, close\r\n\r\n"
    seen = await seen_by_service(request)
    assert b"x-hop" not in seen
    assert b"x-stay: 1\r\n" in seen
    assert b"x-plan: gold\r\n" in seen


async def test_a_sound_request_id_and_trace_are_kept_and_answered() -> None:
    trace = b"0af7651916cd43dd8448eb211c80319c"
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc-1\r\nTraceparent: 00-%b-b7ad6b7169203331-01\r\n\r\n"
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(request % trace)
        records = await proxy.recorded()
    head, _, seen = answer.partition(b"\r\n\r\n")
    assert b"\r\nx-request-id: abc-1" in head
    assert b"x-request-id: abc-1\r\n" in seen
    assert b"traceparent: 00-%b-" % trace in seen
    assert b"b7ad6b7169203331" not in seen  # a new span for the new hop
    assert (records[0].request_id, records[0].trace_id) == ("abc-1", trace.decode())


@pytest.mark.parametrize("sent", [b"a b", b"x" * 129, b'"', b"\xff"])
async def test_an_odd_request_id_is_replaced(sent: bytes) -> None:
    seen = await seen_by_service(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %b\r\n\r\n" % sent)
    assert b"x-request-id: %b\r\n" % sent not in seen
    assert seen.count(b"x-request-id: ") == 1


async def test_the_path_is_normalised_and_the_prefix_stripped_where_asked() -> None:
    request = b"GET /orders/./a/%7e/../b?q=%2f HTTP/1.1\r\nHost: a\r\n\r\n"
    assert (await seen_by_service(request)).startswith(b"GET /orders/a/b?q=%2f HTTP/1.1\r\n")
    stripped = await seen_by_service(request, path="/orders", strip_path=True)
    assert stripped.startswith(b"GET /a/b?q=%2f HTTP/1.1\r\n")
    root = await seen_by_service(b"GET /orders HTTP/1.1\r\nHost: a\r\n\r\n", path="/orders", strip_path=True)
    assert root.startswith(b"GET / HTTP/1.1\r\n")


async def test_an_absolute_target_is_taken_when_it_agrees_with_host() -> None:
    seen = await seen_by_service(b"GET http://a:80/x HTTP/1.1\r\nHost: a:80\r\n\r\n")
    assert seen.startswith(b"GET /x HTTP/1.1\r\n")


REFUSED = {
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "Host with user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "other authority": b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown scheme": b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "an empty Host": b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "asterisk": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    "coding before chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded field": b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_malformed_or_ambiguous_is_400_and_the_last_thing_read(name: str) -> None:
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(REFUSED[name] + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", until_close=True)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert b"\r\nconnection: close\r\n" in answer
    assert b"application/problem+json" in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in answer


@pytest.mark.parametrize(
    "head", [b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"]
)
async def test_methods_that_no_service_is_asked_with_are_405(head: bytes) -> None:
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(head, until_close=True)
    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nallow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n" in answer
    assert b'"code":"method_refused"' in answer


async def test_the_gateway_itself_is_asked_by_an_asterisk() -> None:
    """RFC 9110 9.3.7. No service hears of it, and the connection goes on."""
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = await read_answer(reader)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nallow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n" in answer
        writer.close()
        assert proxy.connections == 0
        assert [record.reason for record in await proxy.recorded(2)] == ["server_options"] * 2


async def test_another_version_of_http_is_505() -> None:
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", until_close=True)
    assert answer.startswith(b"HTTP/1.1 505 HTTP Version Not Supported\r\n")
    assert b'"code":"version_not_supported"' in answer


async def test_a_head_that_is_too_large_is_431() -> None:
    async with proxy_before(echo) as proxy:
        one = await proxy.talk(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000, until_close=True)
        many = await proxy.talk(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 101 + b"\r\n", until_close=True)
    assert one.startswith(b"HTTP/1.1 431 ")
    assert many.startswith(b"HTTP/1.1 431 ")


async def test_an_unknown_expectation_is_417() -> None:
    async with proxy_before(echo) as proxy:
        answer = await proxy.talk(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", until_close=True)
    assert answer.startswith(b"HTTP/1.1 417 ")


async def test_trailers_do_not_pass_and_do_not_leak_into_the_next_request() -> None:
    first = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Plan: evil\r\n\r\n"
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        writer.write(first + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        answers = await read_answer(reader) + await read_answer(reader)
        writer.close()
    assert b"evil" not in answers
    assert b"GET /next" in answers


@pytest.mark.parametrize(
    "body", [b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", b"Connection: close\r\n\r\n"]
)
async def test_nothing_behind_a_refusal_that_closes_is_served(body: bytes) -> None:
    """Though it came in the same read, and though the gate would let it in."""
    async with proxy_before(echo) as proxy:
        granted = proxy.gate.route

        def route(ask: Ask) -> Route:
            if ask.path == b"/refused":
                raise Unauthorized("no")
            return granted(ask)

        proxy.gate.route = route
        refused = b"POST /refused HTTP/1.1\r\nHost: a\r\n" + body
        answer = await proxy.talk(refused + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", until_close=True)
        assert proxy.connections == 0
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_the_gateways_own_cookies_do_not_reach_a_service_on_any_request_of_a_connection() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; __Host-plangate=secret; b=2\r\nCookie: plangate=other\r\n\r\n"
    async with proxy_before(echo) as proxy:
        reader, writer = await proxy.connect()
        for _ in range(3):
            writer.write(request)
            answer = await read_answer(reader)
            assert b"\r\ncookie: a=1; b=2\r\n" in answer
            assert b"plangate" not in answer
        writer.close()
        records = await proxy.recorded(3)
    assert {record.own_cookies for record in records} == {(b"__Host-plangate=secret", b"plangate=other")}
