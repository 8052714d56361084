"""What concerns the hop alone: Connection, Upgrade, Expect.

Davison 2019 ("Abusing HTTP hop-by-hop request headers"), Emslie 2020 ("h2c smuggling").
"""

from corpus.http.notation import ROOT, Case, accept, chunked, get, head, post, refuse, seen_chunked, seen_post

HOP = "RFC 9110 7.6.1: what Connection lists ends here"
STAYS = "RFC 9110 7.6.1: a field for all recipients must not be listed, and is not removed"
UPGRADE = "RFC 9110 7.8: a server may ignore Upgrade; the request is as any other"
EXPECT = "RFC 9110 10.1.1"
H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
WEBSOCKET = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
KEY = (b"sec-websocket-version: 13", b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def seen(*lines: bytes) -> bytes:
    return head(b"GET / HTTP/1.1", *lines)


CASES: list[Case] = [
    accept("Connection: close", get(b"Connection: close"), ROOT, ends=True, rule="RFC 9112 9.6"),
    accept("Connection: CLOSE among others", get(b"Connection: x, CLOSE ,y"), ROOT, ends=True, rule="RFC 9112 9.6"),
    accept(
        "close in a second line",
        get(b"Connection: keep-alive", b"Connection: close"),
        ROOT,
        ends=True,
        rule="RFC 9112 9.3",
    ),
    accept(
        "Connection: keep-alive", get(b"Connection: keep-alive", b"Keep-Alive: timeout=5"), ROOT, rule="RFC 9112 9.3"
    ),
    accept("an empty Connection", get(b"Connection:"), ROOT, rule="RFC 9110 5.6.1: empty elements"),
    accept("commas in Connection", get(b"Connection: ,, , x-hop,,", b"X-Hop: 1"), ROOT, rule="RFC 9110 5.6.1"),
    accept("what is listed", get(b"X-Hop: 1", b"X-End: 2", b"Connection: X-Hop"), seen(b"x-end: 2"), rule=HOP),
    accept("what is listed before it comes", get(b"Connection: x-hop", b"x-hop: 1", b"X-HOP: 2"), ROOT, rule=HOP),
    accept("what is listed in two lines", get(b"Connection: a", b"A: 1", b"B: 2", b"Connection: b"), ROOT, rule=HOP),
    accept(
        "a name that begins like a listed one", get(b"Connection: x", b"X-End: 2", b"X: 1"), seen(b"x-end: 2"), rule=HOP
    ),
    *(
        accept(
            f"{name} in Connection",
            get(name.encode() + b": v", b"Connection: close-not, " + name.encode()),
            seen(name.lower().encode() + b": v"),
            rule=STAYS,
        )
        for name in ("Authorization", "Cookie", "Cache-Control", "Content-Type")
    ),
    accept(
        "identities in Connection",
        get(b"Connection: x-application-id, x-plan, x-subject, x-forwarded-for, forwarded, x-request-id, traceparent"),
        ROOT,
        rule="the gateway's own fields come after the client's are gone",
    ),
    accept(
        "hop-by-hop fields nobody listed",
        get(
            b"Keep-Alive: 5",
            b"Proxy-Connection: keep-alive",
            b"Proxy-Authorization: Basic x",
            b"Proxy-Authenticate: x",
            b"TE: gzip",
            b"Trailer: x",
            b"Upgrade: x",
        ),
        ROOT,
        rule="RFC 9110 7.6.1, RFC 9112 C.2.2",
    ),
    # upgrades
    accept("h2c", get(*H2C), ROOT, rule=UPGRADE + "; h2c smuggling: Emslie 2020"),
    accept("h2c without Connection", get(b"Upgrade: h2c", b"HTTP2-Settings: x"), ROOT, rule=UPGRADE),
    accept(
        "h2c on a POST with a length",
        post(*H2C, b"Content-Length: 5", body=b"hello"),
        seen_post(b"hello"),
        rule=UPGRADE,
    ),
    accept("h2c on a POST in chunks", chunked(b"2\r\nhi\r\n0\r\n\r\n", *H2C), seen_chunked(b"hi"), rule=UPGRADE),
    accept(
        "a body that looks like a request, after Upgrade",
        post(*H2C, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        seen_post(SMUGGLED),
        rule=UPGRADE,
    ),
    accept(
        "chunks that look like a request, after Upgrade",
        chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED), *WEBSOCKET),
        seen_chunked(SMUGGLED, *KEY),
        rule=UPGRADE,
    ),
    accept("an empty body, after Upgrade", post(*H2C, b"Content-Length: 0"), seen_post(b""), rule=UPGRADE),
    accept(
        "upgrades, one after the other",
        post(*H2C, b"Content-Length: 2", body=b"hi") + get(*H2C) + chunked(b"0\r\n\r\n", *H2C),
        seen_post(b"hi"),
        ROOT,
        seen_chunked(b""),
        rule=UPGRADE,
    ),
    accept("a WebSocket where none is permitted", get(*WEBSOCKET), seen(*KEY), rule="RFC 6455 4.2; not supported yet"),
    accept(
        "a WebSocket of a wrong version (smuggling by a faked 101)",
        get(*WEBSOCKET[:2], b"Sec-WebSocket-Version: 777"),
        seen(b"sec-websocket-version: 777"),
        rule="0ang3el 2019: the tunnel that the service refused",
    ),
    accept("Upgrade and close", get(b"Connection: upgrade, close", b"Upgrade: x"), ROOT, ends=True, rule=UPGRADE),
    accept(
        "Upgrade in HTTP/1.0",
        b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ROOT,
        ends=True,
        rule="RFC 9110 7.8: ignored in 1.0",
    ),
    refuse("a bad chunk after Upgrade", chunked(b"zz\r\n", *H2C), rule="RFC 9112 7.1"),
    refuse(
        "both framings and Upgrade",
        post(*H2C, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        rule="RFC 9112 6.1",
    ),
    refuse(
        "what is no HTTP after Upgrade",
        get(*WEBSOCKET) + b"\x81\x85\x01\x02\x03\x04",
        seen(*KEY),
        rule="no protocol is switched: a frame is no request",
    ),
    # expectations
    accept(
        "Expect: 100-continue, the body at once",
        post(b"Expect: 100-continue", b"Content-Length: 2", body=b"hi"),
        seen_post(b"hi"),
        rule=EXPECT,
    ),
    accept(
        "Expect in capitals",
        post(b"EXPECT: 100-Continue", b"Content-Length: 2", body=b"hi"),
        seen_post(b"hi"),
        rule=EXPECT,
    ),
    accept(
        "Expect and chunks", chunked(b"2\r\nhi\r\n0\r\n\r\n", b"Expect: 100-continue"), seen_chunked(b"hi"), rule=EXPECT
    ),
    accept("Expect without a body", get(b"Expect: 100-continue"), ROOT, rule=EXPECT + ": nothing to wait for"),
    accept(
        "Expect with a body of none", post(b"Expect: 100-continue", b"Content-Length: 0"), seen_post(b""), rule=EXPECT
    ),
    accept(
        "Expect in HTTP/1.0",
        b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        seen_post(b"hi"),
        ends=True,
        rule=EXPECT + ": ignored in 1.0",
    ),
    accept(
        "a body that looks like a request, after Expect",
        post(b"Expect: 100-continue", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        seen_post(SMUGGLED),
        rule="0.CL by Expect: Kettle 2025",
    ),
    *(
        refuse(
            f"Expect {value!r}",
            post(b"Expect: " + value, b"Content-Length: 37", body=SMUGGLED),
            status=417,
            rule=EXPECT + "; 0.CL by Expect: Kettle 2025",
        )
        for value in (
            b"",
            b"y 100-continue",
            b"100-continue, x",
            b"100-continue;a",
            b"100-continues",
            b"200-ok",
            b"100 continue",
            b"x\t100-continue",
        )
    ),
    refuse(
        "Expect twice",
        post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 2", body=b"hi"),
        status=417,
        rule=EXPECT,
    ),
    refuse("a folded Expect", post(b"Expect:\r\n 100-continue", b"Content-Length: 2", body=b"hi"), rule="RFC 9112 5.2"),
]
