"""Pages of the gateway's own: an ASGI application answers in an upstream's place, by the same rules of HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rigs.proxy import Proxy, echo, proxy_before, read_answer, read_head
from rigs.waiting import until
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from gateway.errors import BadRequest
from gateway.model import Address, ClientTimeouts, Listener
from gateway.proxy import local
from gateway.proxy.pages import Page, Pages

GET = b"GET /.sso/%b HTTP/1.1\r\nHost: a\r\n\r\n"
HUGE = 8 << 20


async def told(request: Request) -> Response:
    """What the application saw of its request."""
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
            "client": request.client.host if request.client else None,
            "origin": request.state.origin,
            "id": request.state.request_id,
        }
    )


async def fails(_: Request) -> Response:
    raise RuntimeError("a secret of the program")


async def refuses(_: Request) -> Response:
    raise BadRequest("the form is not one", code="form_malformed")


async def streams(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"part %d " % number

    return StreamingResponse(parts())


async def breaks_off(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"it begins"
        raise RuntimeError("and goes no further")

    return StreamingResponse(parts())


async def huge(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(HUGE // 65536):
            huge_parts.append(65536)
            yield b"x" * 65536

    return StreamingResponse(parts())


huge_parts: list[int] = []


async def splits(_: Request) -> Response:
    return PlainTextResponse("no", headers={"x-evil": "a\r\nset-cookie: b"})


async def nothing(_: Request) -> Response:
    return Response(status_code=204)


class Slow:
    """A page that waits to be told to go on, and tells what became of it."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.seen: list[str] = []

    async def __call__(self, request: Request) -> Response:
        self.seen.append("begun")
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        self.seen.append("done")
        return PlainTextResponse("slow")


@asynccontextmanager
async def pages(slow: Slow | None = None, hosts: tuple[str, ...] = (), **settings: Any) -> AsyncIterator[Proxy]:
    routes = [
        Route("/.sso/told", told, methods=["GET", "POST"]),
        Route("/.sso/fails", fails),
        Route("/.sso/refuses", refuses),
        Route("/.sso/streams", streams),
        Route("/.sso/breaks-off", breaks_off),
        Route("/.sso/huge", huge),
        Route("/.sso/splits", splits),
        Route("/.sso/nothing", nothing),
        *([Route("/.sso/slow", slow.__call__)] if slow else []),
    ]
    page = Page("sso", Router(routes), path="/.sso", hosts=hosts, max_body=1000)
    async with proxy_before(echo, pages=Pages([page]), **settings) as proxy:
        yield proxy


def body(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_a_page_sees_the_request_and_its_answer_is_framed_as_any_other() -> None:
    request = b"GET /.sso/told?a=1 HTTP/1.1\r\nHost: A:8080\r\nCookie: c=1\r\nAuthorization: Basic x\r\n\r\n"
    async with pages() as proxy:
        answer = await proxy.talk(request)
        (record,) = await proxy.recorded()
    seen = body(answer)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (seen["method"], seen["path"], seen["query"]) == ("GET", "/.sso/told", "a=1")
    assert seen["headers"] == {"host": "A:8080", "cookie": "c=1", "authorization": "Basic x"}
    assert (seen["client"], seen["origin"]) == ("127.0.0.1", "http://A:8080")
    assert b"\r\nx-request-id: %b\r\n" % seen["id"].encode() in answer
    assert b"\r\ndate: " in answer
    assert b"via:" not in answer
    assert (record.service, record.template, record.status, record.reason) == (".sso", "/.sso", 200, "ok")
    assert record.bytes_out == len(answer)
    assert record.upstream_seconds is None
    assert proxy.connections == 0  # no service was asked


@pytest.mark.parametrize("path", [b"/.ssox", b"/.s", b"/x/.sso/told", b"/sso/told"])
async def test_what_lies_beside_the_place_of_a_page_is_the_services(path: bytes) -> None:
    async with pages() as proxy:
        assert b"GET %b HTTP/1.1" % path in await proxy.talk(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)


async def test_a_page_of_some_hosts_is_on_no_other() -> None:
    async with pages(hosts=("a.example", "*.b.example")) as proxy:
        for host, is_page in ((b"A.example:1", True), (b"x.y.b.example", True), (b"b.example", False), (b"c", False)):
            answer = await proxy.talk(b"GET /.sso/nothing HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            assert answer.startswith(b"HTTP/1.1 204 ") is is_page, host


async def test_the_gate_is_not_asked_for_an_open_page() -> None:
    async with pages() as proxy:
        proxy.gate.refusal = BadRequest("no")
        assert (await proxy.talk(GET % b"nothing")).startswith(b"HTTP/1.1 204 ")


BODIES = {
    "a length": b"Content-Length: 11\r\n\r\nhello world",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_a_body_comes_whole_however_it_was_framed_and_the_connection_goes_on(name: str, pieces: int) -> None:
    data = b"POST /.sso/told HTTP/1.1\r\nHost: a\r\n" + BODIES[name] + GET % b"streams"
    async with pages() as proxy:
        reader, writer = await proxy.connect()
        for start in range(0, len(data), pieces):
            writer.write(data[start : start + pieces])
            await asyncio.sleep(0)
        assert body(await read_answer(reader))["body"] == "hello world"
        assert b"part 0 " in await read_answer(reader)
        writer.close()


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 1001\r\n\r\n" + b"x" * 1001, b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001],
)
async def test_a_body_is_bounded(framing: bytes) -> None:
    async with pages() as proxy:
        answer = await proxy.talk(b"POST /.sso/told HTTP/1.1\r\nHost: a\r\n" + framing)
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_waits_for_100_is_told_to_go_on() -> None:
    async with pages() as proxy:
        reader, writer = await proxy.connect()
        writer.write(b"POST /.sso/told HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert body(await read_answer(reader))["body"] == "hi"
        writer.close()


async def test_head_has_the_length_and_no_body_and_204_has_neither() -> None:
    async with pages() as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(b"HEAD /.sso/told HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"\r\ncontent-length: " in await read_answer(reader, head_only=True)
            writer.write(GET % b"nothing")
            assert b"content-length" not in await read_head(reader)
        writer.close()


async def test_pipelined_requests_are_answered_in_order_pages_and_services_alike() -> None:
    async with pages() as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET % b"streams" + b"GET /service HTTP/1.1\r\nHost: a\r\n\r\n" + GET % b"told")
        answers = [await read_answer(reader) for _ in range(3)]
        writer.close()
    assert answers[0].endswith(b"\r\n\r\n7\r\npart 0 \r\n7\r\npart 1 \r\n7\r\npart 2 \r\n0\r\n\r\n")
    assert b"GET /service" in answers[1]
    assert body(answers[2])["path"] == "/.sso/told"


async def test_an_answer_of_unknown_length_ends_with_the_connection_for_http_1_0() -> None:
    async with pages() as proxy:
        answer = await proxy.talk(b"GET /.sso/streams HTTP/1.0\r\nHost: a\r\n\r\n", until_close=True)
    assert answer.endswith(b"\r\nconnection: close\r\n\r\npart 0 part 1 part 2 ")
    assert b"chunked" not in answer


async def test_a_fault_is_a_problem_that_tells_nothing_and_the_connection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pages() as proxy:
        reader, writer = await proxy.connect()
        for _ in range(2):
            writer.write(GET % b"fails")
            answer = await read_answer(reader)
        writer.close()
        (record, _) = await proxy.recorded(2)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer
    assert body(answer)["code"] == "internal_error"
    assert b"secret" not in answer
    assert record.reason == "internal_error"
    assert "/.sso: the page failed" in caplog.text


async def test_what_a_page_refuses_is_a_problem_as_the_gates_refusals_are() -> None:
    async with pages() as proxy:
        answer = await proxy.talk(GET % b"refuses")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert body(answer)["code"] == "form_malformed"


async def test_an_answer_that_breaks_off_is_cut_so_that_the_client_sees_it(caplog: pytest.LogCaptureFixture) -> None:
    async with pages() as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET % b"breaks-off")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await read_answer(reader)
        (record,) = await proxy.recorded()
        writer.close()
    assert (record.status, record.reason) == (200, "internal_error")


async def test_a_field_that_would_split_the_answer_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with pages() as proxy:
        answer = await proxy.talk(GET % b"splits")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer


async def test_a_large_answer_waits_for_its_reader() -> None:
    huge_parts.clear()
    async with pages() as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET % b"huge")
        await read_head(reader)
        await until(lambda: bool(proxy.server.connections) and all(c.write_paused for c in proxy.server.connections))
        assert sum(huge_parts) < HUGE
        size = 0
        while size < HUGE:
            size += (await asyncio.wait_for(reader.read(1 << 20), 10)).count(b"x")
        writer.close()
        await proxy.recorded()
    assert sum(huge_parts) == size == HUGE


async def test_a_client_that_leaves_is_recorded_and_what_the_page_began_is_finished() -> None:
    slow = Slow()
    async with pages(slow) as proxy:
        _, writer = await proxy.connect()
        writer.write(GET % b"slow")
        await until(lambda: slow.seen == ["begun"])
        writer.close()
        (record,) = await proxy.recorded()
        slow.go_on.set()
        await until(lambda: slow.seen == ["begun", "done"])
    assert (record.status, record.reason) == (0, "client_abort")


async def test_a_page_that_never_ends_is_given_up_when_its_client_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "FAREWELL", 0.01)
    slow = Slow()
    async with pages(slow) as proxy:
        _, writer = await proxy.connect()
        writer.write(GET % b"slow")
        await until(lambda: slow.seen == ["begun"])
        writer.close()
        await until(lambda: slow.seen == ["begun", "cancelled"])


async def test_a_page_that_takes_too_long_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "TIMEOUTS", local.TIMEOUTS.__class__(response=0.05))
    slow = Slow()
    async with pages(slow) as proxy:
        answer = await proxy.talk(GET % b"slow")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert body(answer)["code"] == "page_timeout"
    assert slow.seen == ["begun", "cancelled"]


async def test_a_body_that_stalls_is_408() -> None:
    async with pages(timeouts=ClientTimeouts(body=0.1)) as proxy:
        answer = await proxy.talk(b"POST /.sso/told HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_stop_waits_for_a_page_under_way() -> None:
    slow = Slow()
    async with pages(slow) as proxy:
        reader, writer = await proxy.connect()
        writer.write(GET % b"slow")
        await until(lambda: slow.seen == ["begun"])
        drained = asyncio.create_task(proxy.server.drain(5, grace=0))
        await asyncio.sleep(0.05)
        assert not drained.done()
        slow.go_on.set()
        assert b"\r\nconnection: close\r\n" in await read_answer(reader)
        writer.close()
        assert await drained == 0


async def test_a_listener_that_only_redirects_shows_no_page() -> None:
    listener = Listener(address=Address("127.0.0.1", 0), redirect=443)
    async with pages(listener=listener) as proxy:
        answer = await proxy.talk(GET % b"told")
    assert answer.startswith(b"HTTP/1.1 308 ")
    assert b"\r\nlocation: https://a/.sso/told\r\n" in answer


async def test_a_trusted_proxy_says_which_origin_the_client_used() -> None:
    request = (
        b"GET /.sso/told HTTP/1.1\r\nHost: inner\r\nForwarded: for=203.0.113.9;proto=https;host=shop.example\r\n\r\n"
    )
    async with pages(trusted=("127.0.0.0/8",)) as proxy:
        seen = body(await proxy.talk(request))
    assert (seen["client"], seen["origin"]) == ("203.0.113.9", "https://shop.example")


def test_an_open_page_has_a_reserved_path() -> None:
    async def app(*_: Any) -> None:
        return None

    with pytest.raises(ValueError, match="begins with"):
        Pages([Page("sso", app, path="/sso")])


async def test_a_checked_page_gets_the_admission() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        admission = scope["state"]["admission"]
        await JSONResponse({"application": admission.subscription.scope})(scope, receive, send)

    page = Page("usage", app, path="/usage")
    async with proxy_before(echo, pages=Pages(checked=[page])) as proxy:
        proxy.gate.route = lambda ask: page.route  # as a router would
        answer = await proxy.talk(b"GET /usage HTTP/1.1\r\nHost: a\r\n\r\n")
        (record,) = await proxy.recorded()
    assert body(answer) == {"application": "mobile"}
    assert (record.service, record.application) == (".usage", "mobile")
