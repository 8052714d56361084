"""Status lines and fields of services, interim answers, and answers that nobody asked for."""

from corpus.http.answers.framing import HEAD, OLD, ok, sized
from corpus.http.notation import Answer, fails, passes, spends

LINE = "RFC 9112 4: HTTP-version SP 3DIGIT SP [reason]"
FIELD = "RFC 9112 5: name, colon, value"
HOP = "RFC 9110 7.6.1"
INTERIM = "RFC 9110 15.2"
SWITCH = "RFC 9110 15.2.2: 101 only where the client asked, and it is not passed on"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"
GOOD = sized(b"ok")


def status(line: bytes) -> bytes:
    return line + b"\r\nContent-Length: 2\r\n\r\nok"


def field(line: bytes) -> bytes:
    return ok(line, b"Content-Length: 2", body=b"ok")


CASES: list[Answer] = [
    passes(
        "a reason that is the service's own",
        status(b"HTTP/1.1 200 All fine"),
        GOOD,
        rule="RFC 9112 4: a reason is to be ignored",
    ),
    passes("no reason", status(b"HTTP/1.1 200 "), GOOD, rule=LINE),
    passes("no reason, and no space", status(b"HTTP/1.1 200"), GOOD, rule="RFC 9112 4: many servers do so"),
    passes("a reason beyond ASCII", status(b"HTTP/1.1 200 \xc3\xa9\xff"), GOOD, rule="RFC 9112 4: obs-text"),
    passes(
        "a NUL in a reason", status(b"HTTP/1.1 200 O\0K"), GOOD, rule="RFC 9112 4: it is ignored, and not passed on"
    ),
    passes("a status nobody registered", status(b"HTTP/1.1 299 x"), sized(b"ok", status=b"299 "), rule="RFC 9110 15"),
    passes("599", status(b"HTTP/1.1 599 x"), sized(b"ok", status=b"599 "), rule="RFC 9110 15"),
    *(
        fails(f"status line {line!r}", status(line), rule=LINE)
        for line in (
            b"HTTP/1.1 99 x",
            b"HTTP/1.1 000 x",
            b"HTTP/1.1 099 x",
            b"HTTP/1.1 600 x",
            b"HTTP/1.1 999 x",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2x0 OK",
            b"HTTP/1.1 -200 OK",
            b"HTTP/1.1 +200 OK",
            b"HTTP/1.1 0x200 OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1 200OK",
            b"HTTP/1.1 200, OK",
            b"HTTP/1.1",
            b"HTTP/1.1 ",
            b"HTTP/1.1 OK",
            b" HTTP/1.1 200 OK",
            b"http/1.1 200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/2 200",
            b"HTTP/2.0 200 OK",
            b"HTTP/0.9 200 OK",
            b"HTTP/11 200 OK",
            b"HTTP/1.01 200 OK",
            b"HTTP/1.10 200 OK",
            b"HTTP 200 OK",
            b"RTSP/1.0 200 OK",
            b"ICE/1.0 200 OK",
            b"ICY 200 OK",
            b"SIP/2.0 200 OK",
            b"GET / HTTP/1.1",
            b"HTTP/1.1 200 O\rK",
            b"\xef\xbb\xbfHTTP/1.1 200 OK",
        )
    ),
    fails("a status line that ends by a bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", rule="RFC 9112 2.2"),
    fails(
        "bare LFs throughout",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        rule="RFC 9112 2.2: stricter than the RFC's MAY",
    ),
    fails("a bare LF before the status line", b"\n" + GOOD, rule="RFC 9112 2.1"),
    fails(
        "an empty line before the status line",
        b"\r\n" + GOOD,
        rule="RFC 9112 2.1: an answer starts with its status line",
    ),
    fails("HTTP/0.9: a page without a head", b"<html>poison</html>", ending="close", rule="RFC 9112 2.3"),
    fails("a TLS alert", b"\x15\x03\x01\0\2\2\x46", ending="close", rule=LINE),
    fails("another protocol's greeting", b"220 mail.example ESMTP\r\n", ending="close", rule=LINE),
    fails("HTTP/2's settings", b"\0\0\0\4\0\0\0\0\0", ending="close", rule="RFC 9113 3.4"),
    # fields
    passes("a field", field(b"X: 1"), sized(b"ok", b"x: 1"), rule=FIELD),
    passes(
        "fields of one name, in order",
        ok(b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 2", body=b"ok"),
        sized(b"ok", b"set-cookie: a=1", b"set-cookie: b=2"),
        rule="RFC 9110 5.3",
    ),
    passes("an empty value", field(b"X:"), sized(b"ok", b"x: "), rule="RFC 9110 5.5"),
    passes("whitespace around a value", field(b"X: \t1 \t"), sized(b"ok", b"x: 1"), rule="RFC 9110 5.5"),
    passes("bytes beyond ASCII", field(b"X: \xe9"), sized(b"ok", b"x: \xe9"), rule="RFC 9110 5.5"),
    passes(
        "a value of 16 KB", field(b"X: " + b"x" * 16_000), sized(b"ok", b"x: " + b"x" * 16_000), rule="docs/http.md"
    ),
    *(
        fails(f"field {line[:40]!r}", field(line), rule=FIELD)
        for line in (
            b"X : 1",
            b"X\t: 1",
            b" X: 1",
            b"\tX: 1",
            b"X Y: 1",
            b"X",
            b": 1",
            b":",
            b"X\0: 1",
            b"X: \0",
            b"X: \x01",
            b"X: \x0b",
            b"X: \x7f",
            b"X: a\rb",
            b"X: a\nb",
            b"X: a\n\rb",
            b"X\xe9: 1",
            b"X(: 1",
            b"X: 1\r\n 2",
            b"X: 1\r\n\t2",
            b"X:\r\n 1",
            b"HTTP/1.1 200 OK",
            b"X: " + b"x" * 100_000,
            b"x" * 100_000 + b": 1",
        )
    ),
    fails("fields without end", b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 30_000, rule="RFC 9110 5.4"),
    fails("a head that ends by a bare LF", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok", rule="RFC 9112 2.2"),
    fails("a bare CR ends a field", b"HTTP/1.1 200 OK\r\nContent-Length: 2\rX: 1\r\n\r\nok", rule="RFC 9112 2.2"),
    # the hop
    passes(
        "hop-by-hop fields end here",
        ok(
            b"Keep-Alive: timeout=5",
            b"Proxy-Authenticate: Basic",
            b"Upgrade: h2c",
            b"Trailer: x",
            b"Content-Length: 2",
            body=b"ok",
        ),
        GOOD,
        rule=HOP,
    ),
    passes(
        "what Connection lists",
        ok(b"Connection: x-hop, Keep-Alive", b"X-Hop: 1", b"X-End: 2", b"Content-Length: 2", body=b"ok"),
        sized(b"ok", b"x-end: 2"),
        rule=HOP,
    ),
    passes(
        "a length in Connection",
        ok(b"Connection: content-length", b"Content-Length: 2", body=b"ok"),
        GOOD,
        rule=HOP + ": framing is the gateway's own",
    ),
    passes(
        "chunked in Connection",
        ok(b"Connection: transfer-encoding", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        ok(b"transfer-encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        rule=HOP,
    ),
    spends(
        "Connection: close",
        ok(b"Connection: close", b"Content-Length: 2", body=b"ok"),
        GOOD,
        ending="close",
        rule="RFC 9112 9.6",
    ),
    spends(
        "Connection: close, and yet open",
        ok(b"Connection: CLOSE", b"Content-Length: 2", body=b"ok"),
        GOOD,
        rule="RFC 9112 9.6",
    ),
    spends(
        "close among others", ok(b"Connection: a, close,b", b"Content-Length: 2", body=b"ok"), GOOD, rule="RFC 9112 9.6"
    ),
    spends(
        "close and keep-alive",
        ok(b"Connection: keep-alive", b"Connection: close", b"Content-Length: 2", body=b"ok"),
        GOOD,
        rule="RFC 9112 9.3",
    ),
    spends(
        "an answer after close",
        ok(b"Connection: close", b"Content-Length: 2", body=b"ok") + sized(b"poison"),
        GOOD,
        rule="RFC 9112 9.6",
    ),
    passes(
        "the gateway's own fields",
        ok(
            b"X-Request-Id: forged", b"RateLimit: forged", b"RateLimit-Policy: forged", b"Content-Length: 2", body=b"ok"
        ),
        GOOD,
        rule="docs/http.md",
    ),
    passes(
        "an upgrade offered, with a body",
        ok(b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 2", body=b"ok"),
        GOOD,
        rule="RFC 9110 7.8: an offer is no switch",
    ),
    passes(
        "an upgrade offered, with chunks",
        ok(b"Connection: upgrade", b"Upgrade: h2c", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        ok(b"transfer-encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        rule="RFC 9110 7.8",
    ),
    passes(
        "426 asks for an upgrade",
        ok(b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 2", body=b"ok", status=b"426 Upgrade Required"),
        sized(b"ok", status=b"426 Upgrade Required"),
        rule="RFC 9110 15.5.22",
    ),
    # interim answers
    passes(
        "100 is not passed on",
        b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD,
        GOOD,
        rule=INTERIM + ".1: the gateway gave its own",
    ),
    passes(
        "early hints",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + GOOD,
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + GOOD,
        rule=INTERIM,
    ),
    passes(
        "some interim answers",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 5 + GOOD,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 5 + GOOD,
        rule=INTERIM,
    ),
    passes(
        "no interim answers for HTTP/1.0",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD,
        ok(b"content-length: 2", b"connection: close", body=b"ok"),
        request=OLD,
        rule=INTERIM,
    ),
    passes(
        "early hints for HEAD",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"Content-Length: 2"),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"content-length: 2"),
        request=HEAD,
        rule=INTERIM,
    ),
    fails("a flood of 100", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + GOOD, rule=INTERIM + ": not without end"),
    fails(
        "101, which nobody asked for",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\npoison",
        rule=SWITCH,
    ),
    fails(
        "101 to a WebSocket that is not permitted",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x01x",
        request=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        rule=SWITCH,
    ),
    fails("101 and an answer", b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + GOOD, rule=SWITCH),
    fails(
        "a length in an interim answer",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 6\r\n\r\n" + GOOD,
        rule="RFC 9110 8.6: none in 1xx",
    ),
    fails(
        "chunked in an interim answer",
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + GOOD,
        rule="RFC 9112 6.1: none in 1xx",
    ),
    fails("a body behind an interim answer", b"HTTP/1.1 100 Continue\r\n\r\npoison" + GOOD, rule=INTERIM),
    # before the request's end
    spends(
        "an answer before the request's end",
        ok(b"Content-Length: 2", body=b"ok", status=b"403 Forbidden"),
        ok(b"content-length: 2", b"connection: close", body=b"ok", status=b"403 Forbidden"),
        request=POST,
        rule="RFC 9112 9.5",
    ),
    spends(
        "an early answer, closed",
        ok(b"Content-Length: 2", b"Connection: close", body=b"ok", status=b"401 Unauthorized"),
        ok(b"content-length: 2", b"connection: close", body=b"ok", status=b"401 Unauthorized"),
        request=POST,
        ending="close",
        rule="RFC 9112 9.5",
    ),
    fails("an early reset", b"", request=POST, ending="reset", rule="RFC 9110 15.6.3; and nothing is sent twice"),
]
