"""One request and its answer: what was parsed, what was decided, what was sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gateway.errors import ContentTooLarge, GatewayError, ServerOptions, forget_way
from gateway.gate import Admission, Turn
from gateway.http import head
from gateway.http.cookies import split
from gateway.http.fields import END_TO_END, Fields, Kind, listed, values, without
from gateway.http.path import normalise
from gateway.proxy.ids import Ids
from gateway.proxy.recorded import Recorded
from gateway.proxy.repeats import Repeat
from gateway.proxy.settling import settle_admission

if TYPE_CHECKING:
    from gateway.proxy.backend import Answering, Backend, Way
    from gateway.proxy.client import ClientConnection
    from gateway.proxy.forwarding import Forwarding

_ids: Final = Ids()

NONE: Mapping[Way, Backend] = {}
MAX_DISCARD = 64 * 1024  # bytes of a refused body that are read to keep the connection


class Exchange(Recorded):
    """Filled by the client's parser, served by one upstream connection, kept until the guest book has it.

    It is the gate's `Ask` and the telemetry's `Record`. A pipelined request has its own, so that nothing of one
    request is ever seen by another.
    """

    __slots__ = (
        "admission",
        "answered",
        "authorization",
        "backlog",
        "backlog_size",
        "begun",
        "bytes_in",
        "bytes_out",
        "chunked",
        "client",
        "complete",
        "discard",
        "error",
        "expect",
        "fields",
        "forwarding",
        "host",
        "host_field",
        "hosts",
        "ids",
        "keep",
        "length",
        "lines",
        "method",
        "outward",
        "own_cookies",
        "path",
        "peer",
        "pools",
        "query",
        "reason",
        "retried",
        "route",
        "seconds",
        "sent_at",
        "sent_id",
        "sent_trace",
        "special",
        "started",
        "status",
        "target",
        "turn",
        "upstream",
        "upstream_name",
        "upstream_seconds",
        "version",
    )

    def __init__(self, client: ClientConnection) -> None:
        self.client: ClientConnection | None = client  # None once it is gone
        self.started = time.time()
        self.begun = client.active  # monotonic: when its first bytes were read
        # the head; what a trusted proxy says may change peer and forwarding
        self.peer = client.peer
        self.forwarding = client.forwarding
        self.method = self.target = b""
        self.version = "1.1"
        self.host = self.host_field = self.path = self.query = b""
        self.fields: Fields = []
        self.lines = b""  # the fields for the service where they are known joined, else they are yet to be
        self.authorization: list[bytes] = []
        self.own_cookies: tuple[bytes, ...] = ()  # as NAME=VALUE: the gateway's, which no service sees
        self.hosts: list[bytes] = []
        self.special: list[tuple[Kind, bytes]] = []
        self.sent_id: bytes | None = None
        self.sent_trace: bytes | None = None
        self.keep = self.complete = False
        self.ids: tuple[bytes, bytes] | None = None
        self._kind = None
        # the body
        self.length: int | None = None
        self.chunked = self.expect = False
        self.discard = False  # refused: what still comes is read and dropped
        self.backlog: list[bytes] = []  # body that waits for an upstream connection
        self.backlog_size = 0
        # what became of it
        self.error = None  # what was answered instead of the service
        self.route = None
        self.admission = None
        self.outward = None  # for the service, where it is sent on otherwise than it came
        self.pools: Mapping[Way, Backend] = NONE  # of the configuration that it is served by
        self.turn: Turn | None = None
        self.upstream: Answering | None = None
        self.retried = self.answered = False  # answered: the answer's head is on its way
        self.reason = "ok"
        self.status = self.bytes_in = self.bytes_out = 0
        self.seconds = self.sent_at = 0.0  # monotonic; 0: nothing was sent to an upstream
        self.upstream_seconds: float | None = None
        self.upstream_name = None

    def __repr__(self) -> str:
        state = "answered" if self.answered else "sent" if self.sent_at else "admitted" if self.admission else "asked"
        return f"<Exchange {self.method.decode()} {self.path.decode()} {state} {self.status}>"

    # --- the head, as the parser finished it

    def read_head(self, method: bytes, version: str, keep: bool) -> None:
        """Judges the collected fields; raises what refuses them."""
        self.method = method
        self.version = version
        self.keep = keep
        if self.special:  # rare among GETs
            self._read_special()
        self.read_target()

    def read_target(self) -> None:
        """Judges method, target and Host together; raises what refuses them."""
        hosts = self.hosts
        self.host_field = hosts[0] if hosts else b""
        self.host, self.path, self.query = head.address(self.method, self.target, hosts, self.version)
        if self.path == b"*":
            self.error = ServerOptions("the gateway is here")

    def is_repeatable(self) -> bool:
        """Whether an equal head without a body would mean the same again."""
        plain = self.keep and self.version == "1.1" and self.error is None
        return plain and self.length is None and not self.chunked and not self.expect

    def as_repeat(self, block: bytes) -> Repeat:
        return Repeat(
            block,
            self.host,
            b"".join(self.fields),
            self.fields,
            self.hosts,
            self.authorization,
            self.own_cookies,
            self.sent_id,
            self.sent_trace,
        )

    def repeat(self, repeat: Repeat, forwarding: Forwarding, lines: bytes, method: bytes, target: bytes) -> None:
        """Takes the fields of an equal head, as `lines` for the service and with whose it is; raises BadRequest for the
        target, which is in origin-form."""
        self.method = method
        self.target = target
        self.path, self.query = normalise(target)
        self.keep = self.complete = True
        (
            _,
            self.host,
            _,
            self.fields,
            self.hosts,
            self.authorization,
            self.own_cookies,
            self.sent_id,
            self.sent_trace,
        ) = repeat
        self.lines = lines
        self.host_field = self.hosts[0]
        self.forwarding = forwarding
        self.peer = forwarding.address

    def head_size(self) -> int:
        """Bytes of the head, of fields that were dropped on sight aside."""
        return len(self.target) + sum(map(len, self.fields)) + sum(len(value) for _, value in self.special)

    def _read_special(self) -> None:
        codings: list[bytes] = []
        expectations: list[bytes] = []
        for kind, value in self.special:
            if kind is Kind.CONTENT_LENGTH:
                self.length = head.content_length(value, self.length)
            elif kind is Kind.TRANSFER_ENCODING:
                codings.append(value)
            elif kind is Kind.CONNECTION:
                self._remove_listed(value)
            elif kind is Kind.COOKIE:
                self._read_cookies(value)
            elif kind is Kind.REQUEST_ID:
                self.sent_id = head.request_id(value)
            elif kind is Kind.TRACEPARENT:
                self.sent_trace = head.trace_id(value)
            elif kind is Kind.EXPECT:
                expectations.append(value)
        if codings:
            self.chunked = head.chunked(codings, self.version, has_length=self.length is not None)
        if expectations:
            self.expect = head.expects_continue(expectations) and self.version == "1.1"

    def _read_cookies(self, value: bytes) -> None:
        own, rest = split(value)
        self.own_cookies += own
        if rest:
            self.fields += (b"cookie", b": ", rest, b"\r\n")

    def _remove_listed(self, connection: bytes) -> None:
        if connection.lower() not in (b"keep-alive", b"close"):
            names = listed(connection)
            self.keep = self.keep and b"close" not in names  # also beside keep-alive (RFC 9112 9.3)
            self.fields = without(self.fields, names - END_TO_END)

    def check_size(self) -> None:
        """Raises ContentTooLarge where the body is larger than its service takes, or says that it will be."""
        route = self.route
        if route is not None and (self.length or self.bytes_in) > route.service.max_body:
            raise ContentTooLarge(f"the body is larger than {route.service.max_body} bytes")

    @property
    def certificate(self) -> bytes | None:
        """The client's (the gate's `Ask`), as it showed it or as a trusted proxy tells; raises BadRequest."""
        client = self.client
        if client is None or client.told is None:
            return None if client is None else client.certificate
        name, read = client.told
        return read(values(self.fields, name))

    @property
    def gone(self) -> bool:
        """Whether the client is (the gate's `Ask`)."""
        return self.client is None

    @property
    def origin(self) -> bytes:
        """SCHEME://HOST[:PORT] as the client wrote it (the gate's `Ask`)."""
        return self.forwarding.origin(self.host_field)

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.length)

    @property
    def discardable(self) -> bool:
        """Whether a refused body is small enough to be read for the connection's sake."""
        return self.length is not None and self.length <= MAX_DISCARD and not self.expect

    def header(self, name: bytes) -> list[bytes]:
        """All values of a field that the client sent (the gate's `Ask`)."""
        return self.authorization if name == b"authorization" else values(self.fields, name)

    # --- ids

    def identify(self) -> tuple[bytes, bytes]:
        """The request id and the trace id: the client's where they are sound, else new ones (made once)."""
        if self.ids is None:
            trace = self.sent_trace or _ids.draw(32)
            self.ids = (self.sent_id or trace, trace)
        return self.ids

    @property
    def request_id(self) -> str:
        return self.identify()[0].decode()

    @property
    def trace_id(self) -> str:
        return self.identify()[1].decode()

    # --- the answers of those who were asked

    def decided(self, result: Admission | GatewayError) -> None:
        """The gate's late answer; nobody waits for it once the client is gone."""
        if self.client is not None:
            self.client.decided(self, result)
        elif isinstance(result, Admission):
            settle_admission(self, result)
        else:
            forget_way(result)
