"""Requests in a row: each keeps to its own bytes, and what follows a doubt is not believed. RFC 9112 9.3.2."""

from itertools import permutations

from corpus.http.notation import ROOT, Case, accept, chunked, get, head, post, refuse, seen_chunked, seen_post

ROW = "RFC 9112 9.3.2: pipelining, in order"
LAST = "RFC 9112 9.6: nothing after close is a request"
DOUBT = "RFC 9112 6.3: an unrecoverable error ends the connection"
SMUGGLED = get(target=b"/smuggled")

KINDS = {  # what may stand in a row, and what the service sees of it
    "GET": (get(target=b"/g"), b"GET /g HTTP/1.1\r\n\r\n"),
    "HEAD": (head(b"HEAD /h HTTP/1.1", b"Host: h"), b"HEAD /h HTTP/1.1\r\n\r\n"),
    "length": (post(b"Content-Length: 3", body=b"a\r\n"), seen_post(b"a\r\n")),
    "chunks": (chunked(b"1\r\n0\r\n1\r\n\n\r\n0\r\nA: b\r\n\r\n"), seen_chunked(b"0\n")),
    "empty": (post(b"Content-Length: 0"), seen_post(b"")),
    "upgrade": (post(b"Connection: upgrade", b"Upgrade: x", b"Content-Length: 2", body=b"up"), seen_post(b"up")),
    "expect": (post(b"Expect: 100-continue", b"Content-Length: 2", body=b"ex"), seen_post(b"ex")),
    "1.0": (b"GET /o HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"GET /o HTTP/1.1\r\n\r\n"),
}


def row(*names: str) -> Case:
    sent, seen = zip(*(KINDS[name] for name in names), strict=True)
    return accept(" then ".join(names), b"".join(sent), *seen, rule=ROW)


CASES: list[Case] = [
    *(row(*pair) for pair in permutations(KINDS, 2)),
    *(row(*(name,) * 3) for name in KINDS),
    row(*KINDS, *KINDS),
    accept("empty lines between requests", get() + b"\r\n\r\n" + get() + b"\r\n", ROOT, ROOT, rule="RFC 9112 2.2"),
    accept(
        "an empty line after a body",
        post(b"Content-Length: 2", body=b"hi\r\n") + get(),
        seen_post(b"hi"),
        ROOT,
        rule="RFC 9112 2.2: old clients",
    ),
    accept(
        "an empty line after chunks", chunked(b"0\r\n\r\n\r\n") + get(), seen_chunked(b""), ROOT, rule="RFC 9112 2.2"
    ),
    accept("a request after close", get(b"Connection: close") + SMUGGLED, ROOT, ends=True, rule=LAST),
    accept("what is no HTTP after close", get(b"Connection: close") + b"\0\0\0", ROOT, ends=True, rule=LAST),
    accept("a request after HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n" + SMUGGLED, ROOT, ends=True, rule=LAST),
    accept(
        "a request after a body and close",
        post(b"Connection: close", b"Content-Length: 2", body=b"hi") + SMUGGLED,
        seen_post(b"hi"),
        ends=True,
        rule=LAST,
    ),
    accept(
        "a request after chunks and close",
        chunked(b"0\r\n\r\n", b"Connection: close") + SMUGGLED,
        seen_chunked(b""),
        ends=True,
        rule=LAST,
    ),
    accept("many small ones", get() * 40, *(ROOT,) * 40, rule=ROW),
    *(
        refuse(f"{doubt} behind a good one", get() + sent + SMUGGLED, ROOT, rule=DOUBT)
        for doubt, sent in {
            "no HTTP": b"\0\0\0\0",
            "a bad head": get(b"X : 1"),
            "a bad version": b"GET / HTTP/1.x\r\nHost: a\r\n\r\n",
            "two lengths": post(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"),
            "no Host": head(b"GET / HTTP/1.1"),
            "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "RTSP": b"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
            "a bare LF": b"\n" + get(),
        }.items()
    ),
    *(
        refuse(
            f"{doubt} behind chunks",
            chunked(b"2\r\nhi\r\n0\r\n\r\n") + sent + SMUGGLED,
            seen_chunked(b"hi"),
            rule=DOUBT,
        )
        for doubt, sent in {
            "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "RTSP": b"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
            "a bare CR": b"\r" + get(),
        }.items()
    ),
    *(
        refuse(
            f"{doubt} behind a length",
            post(b"Content-Length: 2", body=b"hi") + sent + SMUGGLED,
            seen_post(b"hi"),
            rule=DOUBT,
        )
        for doubt, sent in {
            "a body beyond its length": b"!!",
            "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "a bare LF": b"\n" + get(),
        }.items()
    ),
    refuse(
        "CL.0: a body where the length says none",
        post(b"Content-Length: 0", body=b"x=1&") + SMUGGLED,
        seen_post(b""),
        rule="Kettle 2022: CL.0",
    ),
    refuse("a bad chunk behind a good request", get() + chunked(b"2\r\nhi\r\nzz\r\n") + SMUGGLED, ROOT, rule=DOUBT),
]
