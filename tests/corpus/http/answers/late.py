"""What was thought of later: statuses without a body of their own, cookies, framing in disguise."""

from corpus.http.answers.framing import CODING, LENGTH, ok, sized
from corpus.http.notation import Answer, fails, passes

NAME = "RFC 9110 5.1: field-name = token"
POISON = b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


def disguised(line: bytes, rule: str) -> Answer:
    return fails(f"line {line!r}", ok(line, b"Content-Type: a/b", body=POISON), rule=rule)


CASES: list[Answer] = [
    passes(
        "two cookies stay two",
        ok(b"Set-Cookie: a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT", b"Set-Cookie: b=2", b"Content-Length: 0"),
        ok(b"set-cookie: a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT", b"set-cookie: b=2", b"content-length: 0"),
        rule="RFC 9110 5.3: Set-Cookie is never joined",
    ),
    passes(
        "two challenges stay two",
        ok(b"WWW-Authenticate: A", b"WWW-Authenticate: B", b"Content-Length: 0", status=b"401 Unauthorized"),
        ok(b"www-authenticate: A", b"www-authenticate: B", b"content-length: 0", status=b"401 Unauthorized"),
        rule="RFC 9110 5.3, 11.6.1",
    ),
    passes(
        "205",
        ok(b"Content-Length: 0", status=b"205 Reset Content"),
        sized(b"", status=b"205 Reset Content"),
        rule="RFC 9110 15.3.6",
    ),
    passes(
        "206",
        ok(b"Content-Range: bytes 0-1/9", b"Content-Length: 2", body=b"ok", status=b"206 Partial Content"),
        sized(b"ok", b"content-range: bytes 0-1/9", status=b"206 Partial Content"),
        rule="RFC 9110 15.3.7: the service's to divide",
    ),
    passes(
        "a body on 205",
        ok(b"Content-Length: 2", body=b"ok", status=b"205 Reset Content"),
        sized(b"ok", status=b"205 Reset Content"),
        rule="RFC 9110 15.3.6: a service must not, and the length says where it ends",
    ),
    passes(
        "417 behind 100",
        b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"Content-Length: 2", body=b"no", status=b"417 Expectation Failed"),
        sized(b"no", status=b"417 Expectation Failed"),
        rule="RFC 9110 15.2",
    ),
    passes(
        "a redirect is not followed",
        ok(b"Location: http://b/?a=%0d%0aSet-Cookie:%20c", b"Content-Length: 0", status=b"302 Found"),
        sized(b"", b"location: http://b/?a=%0d%0aSet-Cookie:%20c", status=b"302 Found"),
        rule="RFC 9110 15.4",
    ),
    passes(
        "what hops say of themselves",
        ok(b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Trailer: A", b"Content-Length: 2", body=b"ok"),
        sized(b"ok"),
        rule="RFC 9110 7.6.1",
    ),
    *(
        disguised(line, rule)
        for line, rule in {
            b"Transfer-Encoding\0: chunked": NAME,
            b"Transfer-Encoding\x0b: chunked": NAME,
            b"Transfer-Encoding\xa0: chunked": NAME,
            b":Transfer-Encoding: chunked": NAME,
            b"Transfer-Encoding; chunked": NAME,
            b"Transfer-Encoding chunked": NAME,
            b"Transfer-Encoding\r\n: chunked": NAME,
            b"Transfer-Encoding:: chunked": CODING,
            b"Transfer-Encoding: chunked\\": CODING,
            b"Transfer-Encoding: identity, chunked, identity": CODING,
            b"Transfer-Encoding: \x85chunked": CODING,
            b'X: "\r\nTransfer-Encoding: chunked"': CODING,
            b"Content-Length\0: 5": NAME,
            b"Content-Length\xa0: 5": NAME,
            b":Content-Length: 5": NAME,
            b"Content-Length; 5": NAME,
            b"Content-Length:: 5": LENGTH,
            b"Content-Length: 00_5": LENGTH,
            b"Content-Length: \xc2\xa05": LENGTH,
            b"Content-Length: 5\r\nContent-Length:": LENGTH,
        }.items()
    ),
]
