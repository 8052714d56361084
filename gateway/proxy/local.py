"""A page of the gateway's own: an exchange is given to an ASGI application in the worker, in an upstream's place.

To the client's connection a call is an upstream like any other: it takes the body, heeds back-pressure, and its answer
is framed, logged and counted as a service's is. The application starts once the body is whole, so it must be small.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from gateway.errors import GatewayError, Unavailable
from gateway.http.answers import STATUS_LINES, date
from gateway.http.fields import RESPONSE_KINDS, Fields, Kind
from gateway.model import Timeouts
from gateway.proxy.exchange import Exchange

log = logging.getLogger("gateway.pages")

Event = MutableMapping[str, Any]
App = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]]

TIMEOUTS = Timeouts(response=30.0, idle=30.0)
FAREWELL = 10.0  # seconds that a page may work on when its client has gone: what it began should be finished
LAST_CHUNK = b"0\r\n\r\n"
ASGI = {"version": "3.0", "spec_version": "2.4"}

_name = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_value = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch


class PageFailed(Exception):
    """The application broke ASGI, or HTTP."""


class LocalCall:
    """One exchange as the application sees it: an `Answering`."""

    __slots__ = (
        "_app", "_body", "_calls", "_chunked", "_exchange", "_fields", "_gone", "_left", "_task", "_told", "_writable",
        "active",
    )  # fmt: skip

    def __init__(self, app: App, exchange: Exchange, calls: set[asyncio.Task[None]]) -> None:
        """`calls` holds what runs: a loop forgets tasks that nobody else knows."""
        self._app = app
        self._exchange = exchange
        self._body = bytearray()
        self._told = False  # the application has the body
        self._fields: Fields | None = None  # None: no answer has begun
        self._left = 0  # bytes of the answer's body that are announced and yet to come
        self._chunked = False
        self._writable: asyncio.Event | None = None  # set while the client takes more; made when it first does not
        self._gone = asyncio.Event()
        self.active = time.monotonic()
        self._calls = calls
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<LocalCall {self._exchange} {'running' if self._task else 'reading'}>"

    # --- what the client's connection sees of it

    @property
    def transport(self) -> LocalCall:
        return self

    @property
    def timeouts(self) -> Timeouts:
        return TIMEOUTS

    def begin(self) -> None:
        """Takes what there is of the body."""
        exchange = self._exchange
        client = exchange.client
        assert client is not None
        exchange.upstream = self
        for data in exchange.backlog:
            self.write(data)
        client.sent(exchange)
        if not exchange.has_body:
            self._start()

    def write(self, data: bytes) -> None:
        if not self._exchange.chunked:
            self._body += data
            whole = len(self._body) == self._exchange.length
        else:
            whole = data == LAST_CHUNK
            if not whole:
                self._body += memoryview(data)[
                    data.index(b"\n") + 1 : -2
                ]  # one chunk each time, as the reader framed it
        if whole:
            self._start()

    def drop(self) -> None:
        self._gone.set()
        if self._writable is not None:
            self._writable.set()
        if self._task is not None:
            asyncio.get_running_loop().call_later(FAREWELL, self._task.cancel)

    def pause(self) -> None:
        if self._writable is None:
            self._writable = asyncio.Event()
        self._writable.clear()

    def resume(self) -> None:
        self.active = time.monotonic()
        if self._writable is not None:
            self._writable.set()

    def timed_out(self) -> None:
        assert self._task is not None
        self._task.cancel()
        log.warning("%s: no answer in time", self._exchange.template)
        self._failed(Unavailable("the page took too long", code="page_timeout"))

    # --- the application

    def _start(self) -> None:
        self.active = time.monotonic()
        self._task = task = asyncio.get_running_loop().create_task(self._run())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _run(self) -> None:
        try:
            await self._app(scope_of(self._exchange), self._receive, self._send)
            if self._exchange.upstream is self:
                raise PageFailed("it ended without a whole answer")
        except GatewayError as error:
            self._failed(error)
        except Exception:  # whatever a page raises: the request must be answered
            if not self._gone.is_set():
                log.exception("%s: the page failed", self._exchange.template)
            self._failed(GatewayError("the gateway could not answer"))

    def _failed(self, error: GatewayError) -> None:
        exchange = self._exchange
        client = exchange.client
        if exchange.upstream is not self or client is None:
            return
        exchange.upstream = None
        if exchange.answered:
            client.abort(exchange, error.code)
        else:
            client.refuse(exchange, error)

    async def _receive(self) -> Event:
        if not self._told:
            self._told = True
            return {"type": "http.request", "body": bytes(self._body), "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Event) -> None:
        if self._exchange.upstream is not self:
            raise OSError("the client has gone") if self._gone.is_set() else PageFailed("more came after its end")
        if event["type"] == "http.response.start" and self._fields is None:
            self._read_head(event)
        elif event["type"] == "http.response.body" and self._fields is not None:
            await self._pass(bytes(event.get("body", b"")), last=not event.get("more_body", False))
        else:
            raise PageFailed(f"{event['type']} was not expected")

    # --- the answer

    def _read_head(self, event: Event) -> None:
        """The head waits for the first part of the body, which may tell its length."""
        fields: Fields = []
        length: int | None = None
        for name, value in event.get("headers", ()):
            if not _name(name) or not _value(value):
                raise PageFailed("a header field is malformed")
            kind = RESPONSE_KINDS[name.lower()]
            if kind in (Kind.PASS, Kind.SET_COOKIE):
                fields += (name.lower(), b": ", value, b"\r\n")
            elif kind is Kind.CONTENT_LENGTH:
                length = int(value)
        self._exchange.status = event["status"]
        self._fields = fields
        self._left = -1 if length is None else length

    async def _pass(self, data: bytes, *, last: bool) -> None:
        exchange = self._exchange
        client = exchange.client
        assert client is not None and client.transport is not None
        out = [] if exchange.answered else self._head(len(data) if last else None)
        if exchange.method != b"HEAD" and exchange.status not in (204, 304):
            out += self._framed(data, last=last)
        self.active = time.monotonic()
        exchange.answered = True
        exchange.bytes_out += sum(map(len, out))
        client.transport.write(b"".join(out))
        if last:
            exchange.upstream = None
            client.finished(exchange)
        elif client.write_paused:
            self.pause()
            assert self._writable is not None
            await self._writable.wait()

    def _head(self, length: int | None) -> list[bytes]:
        """The head's lines. `length` is the body's where it is at hand whole."""
        exchange = self._exchange
        client = exchange.client
        assert client is not None and self._fields is not None
        if self._left < 0 and length is not None:
            self._left = length
        self._chunked = self._left < 0 and exchange.version == "1.1"
        if self._left < 0 and not self._chunked:
            exchange.keep = False  # HTTP/1.0 reads until the connection closes
        out = [STATUS_LINES[exchange.status], *self._fields]
        if exchange.status not in (204, 304):
            out.append(b"transfer-encoding: chunked\r\n" if self._chunked else b"")
            out.append(b"content-length: %d\r\n" % self._left if self._left >= 0 else b"")
        return [*out, b"date: %b\r\n" % date(time.time()), client.page_fields(exchange)]

    def _framed(self, data: bytes, *, last: bool) -> list[bytes]:
        if self._chunked:
            chunk = [b"%x\r\n" % len(data), data, b"\r\n"] if data else []
            return [*chunk, LAST_CHUNK] if last else chunk
        if self._left >= 0:
            self._left -= len(data)
            if self._left < 0 or (last and self._left):
                raise PageFailed("its length is not what it announced")
        return [data]


def scope_of(exchange: Exchange) -> Event:
    """The ASGI scope. Its state tells what the gateway knows: `request_id`, the `origin` that the client used, the
    `admission` (None: an open page), the client's `certificate` in DER, and the gateway's `own_cookies`."""
    fields = exchange.fields
    headers = [(b"host", exchange.host_field)]
    headers += [(fields[at], fields[at + 2]) for at in range(0, len(fields), 4)]
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": exchange.version,
        "method": exchange.method.decode(),
        "scheme": exchange.forwarding.scheme.decode(),
        "path": unquote(exchange.path.decode()),
        "raw_path": exchange.path,
        "query_string": exchange.query,
        "root_path": "",
        "headers": headers,
        "client": (exchange.peer, 0),
        "server": None,
        "state": {
            "request_id": exchange.request_id,
            "origin": exchange.origin.decode(),
            "admission": exchange.admission,
            "certificate": exchange.certificate,
            "own_cookies": exchange.own_cookies,
        },
    }
