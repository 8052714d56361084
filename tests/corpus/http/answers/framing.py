"""Where an answer's body ends, and answers that say so twice, wrongly, or not at all. RFC 9112 6.3."""

from corpus.http.notation import Answer, cuts, fails, passes, spends

HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"
OLD_KEPT = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
LENGTH = "RFC 9112 6.3: an invalid Content-Length in an answer: 502"
BOTH = "RFC 9112 6.3: both framings may be an attempt at response splitting"
CODING = "RFC 9112 6.1, 6.3: only chunked, last and once"
SHORT = "RFC 9112 8: an incomplete message must not look complete"
NONE = "RFC 9112 6.3: HEAD, 1xx, 204 and 304 have no body"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def ok(*fields: bytes, body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\n" % status + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def sized(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    return ok(*fields, b"content-length: %d" % len(body), body=body, status=status)


def chunks(body: bytes, *fields: bytes) -> bytes:
    """In one chunk."""
    return ok(
        *fields, b"transfer-encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else LAST
    )


CASES: list[Answer] = [
    # the truth
    passes("a length", ok(b"Content-Length: 2", body=b"ok"), sized(b"ok"), rule="RFC 9112 6.2"),
    passes("a length of zero", ok(b"Content-Length: 0"), sized(b""), rule="RFC 9112 6.2"),
    passes(
        "a length with zeros and whitespace",
        ok(b"Content-Length: \t002 ", body=b"ok"),
        sized(b"ok"),
        rule="RFC 9110 8.6",
    ),
    passes(
        "chunks",
        ok(b"Transfer-Encoding: chunked", body=b"1\r\no\r\n1\r\nk\r\n" + LAST),
        chunks(b"ok"),
        rule="RFC 9112 7.1",
    ),
    passes(
        "chunked in capitals",
        ok(b"TRANSFER-ENCODING: Chunked", body=b"2\r\nok\r\n" + LAST),
        chunks(b"ok"),
        rule="RFC 9112 7",
    ),
    passes(
        "chunks with extensions",
        ok(b"Transfer-Encoding: chunked", body=b"2;a=b\r\nok\r\n0;c\r\n\r\n"),
        chunks(b"ok"),
        rule="RFC 9112 7.1.1",
    ),
    passes(
        "trailers end here",
        ok(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        chunks(b"ok"),
        rule="RFC 9110 6.5.1",
    ),
    passes("a body that looks like an answer", sized(SECOND), sized(SECOND), rule="RFC 9112 6.2"),
    passes("chunks that look like an answer", chunks(SECOND), chunks(SECOND), rule="RFC 9112 7.1"),
    passes(
        "chunks for HTTP/1.0",
        ok(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n" + LAST),
        ok(b"connection: close", body=b"ok"),
        request=OLD,
        rule="RFC 9112 7.1: never to a 1.0 client",
    ),
    passes(
        "chunks for HTTP/1.0, kept alive",
        ok(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n" + LAST),
        ok(b"connection: close", body=b"ok"),
        request=OLD_KEPT,
        rule="RFC 9112 6.3: then only the end of the connection ends it",
    ),
    spends(
        "until the connection closes", ok(body=b"ok"), chunks(b"ok"), ending="close", rule="RFC 9112 6.3: the last case"
    ),
    spends(
        "until half of the connection closes",
        ok(body=b"ok"),
        chunks(b"ok"),
        ending="shut",
        rule="RFC 9112 6.3: the last case",
    ),
    spends("nothing until the connection closes", ok(), chunks(b""), ending="close", rule="RFC 9112 6.3"),
    spends(
        "HTTP/1.0 until the connection closes",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        chunks(b"ok"),
        ending="close",
        rule="RFC 9112 6.3",
    ),
    spends(
        "HTTP/1.0 with a length",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        sized(b"ok"),
        ending="close",
        rule="RFC 9112 9.3",
    ),
    passes(
        "HTTP/1.0, kept alive",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        sized(b"ok"),
        rule="RFC 9112 9.3",
    ),
    spends(
        "whole, then closed", ok(b"Content-Length: 2", body=b"ok"), sized(b"ok"), ending="close", rule="RFC 9112 9.6"
    ),
    spends(
        "whole, then reset", ok(b"Content-Length: 2", body=b"ok"), sized(b"ok"), ending="reset", rule="RFC 9112 9.6"
    ),
    # no body
    passes("HEAD with a length", ok(b"Content-Length: 6"), ok(b"content-length: 6"), request=HEAD, rule=NONE),
    passes("HEAD with chunked", ok(b"Transfer-Encoding: chunked"), ok(), request=HEAD, rule=NONE),
    spends(
        "HEAD without framing", ok(), ok(), request=HEAD, rule=NONE + "; the parser cannot tell, so it is not trusted"
    ),
    passes("204", ok(status=b"204 No Content"), ok(status=b"204 No Content"), rule=NONE),
    passes(
        "304", ok(b'ETag: "a"', status=b"304 Not Modified"), ok(b'etag: "a"', status=b"304 Not Modified"), rule=NONE
    ),
    passes(
        "304 with the length of what was not sent",
        ok(b"Content-Length: 6", status=b"304 Not Modified"),
        ok(b"content-length: 6", status=b"304 Not Modified"),
        rule="RFC 9110 8.6",
    ),
    spends(
        "304 with chunked",
        ok(b"Transfer-Encoding: chunked", status=b"304 Not Modified"),
        ok(status=b"304 Not Modified"),
        rule=NONE + "; RFC 9112 6.1",
    ),
    spends(
        "204 with a length",
        ok(b"Content-Length: 6", status=b"204 No Content"),
        ok(status=b"204 No Content"),
        rule="RFC 9110 8.6: none in 204",
    ),
    spends(
        "204 with chunked",
        ok(b"Transfer-Encoding: chunked", status=b"204 No Content"),
        ok(status=b"204 No Content"),
        rule="RFC 9112 6.1: none in 204",
    ),
    spends(
        "a body on HEAD", ok(b"Content-Length: 6", body=b"poison"), ok(b"content-length: 6"), request=HEAD, rule=NONE
    ),
    spends(
        "chunks on HEAD",
        ok(b"Transfer-Encoding: chunked", body=b"6\r\npoison\r\n" + LAST),
        ok(),
        request=HEAD,
        rule=NONE,
    ),
    spends(
        "an answer on HEAD's",
        ok(b"Content-Length: %d" % len(SECOND), body=SECOND),
        ok(b"content-length: 44"),
        request=HEAD,
        rule=NONE,
    ),
    spends("a body on 204", ok(body=b"poison", status=b"204 No Content"), ok(status=b"204 No Content"), rule=NONE),
    spends(
        "an answer on 204's",
        ok(b"Content-Length: 44", body=SECOND, status=b"204 No Content"),
        ok(status=b"204 No Content"),
        rule=NONE,
    ),
    spends(
        "a body on 304",
        ok(b"Content-Length: 6", body=b"poison", status=b"304 Not Modified"),
        ok(b"content-length: 6", status=b"304 Not Modified"),
        rule=NONE,
    ),
    # more than an answer
    spends("a second answer", sized(b"ok") + SECOND, sized(b"ok"), rule="RFC 9112 9.2: not what any request asked for"),
    spends("a second answer behind chunks", chunks(b"ok") + SECOND, chunks(b"ok"), rule="RFC 9112 9.2"),
    spends(
        "a second answer to HEAD",
        ok(b"Content-Length: 2") + SECOND,
        ok(b"content-length: 2"),
        request=HEAD,
        rule="RFC 9112 9.2",
    ),
    spends("half of a second answer", sized(b"ok") + SECOND[:9], sized(b"ok"), rule="RFC 9112 9.2"),
    spends(
        "one byte too many", sized(b"ok") + b"x", sized(b"ok"), rule="RFC 9112 9.2: do not process it as a new answer"
    ),
    spends("a NUL too many", sized(b"ok") + b"\0", sized(b"ok"), rule="RFC 9112 9.2"),
    spends("chunks behind a length", sized(b"ok") + LAST, sized(b"ok"), rule="RFC 9112 9.2"),
    spends(
        "a second answer, later",
        sized(b"ok"),
        sized(b"ok"),
        later=SECOND,
        rule="RFC 9112 9.2: unsolicited on an idle connection",
    ),
    spends("one byte, later", sized(b"ok"), sized(b"ok"), later=b"x", rule="RFC 9112 9.2"),
    spends(
        "an early answer to HEAD's next",
        ok(b"Content-Length: 6"),
        ok(b"content-length: 6"),
        request=HEAD,
        later=b"poison",
        rule=NONE,
    ),
    spends(
        "a 408 on an idle connection",
        sized(b"ok"),
        sized(b"ok"),
        later=b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
        rule="RFC 9110 15.5.9",
    ),
    # less
    cuts(
        "less than its length",
        ok(b"Content-Length: 9", body=b"ok"),
        ok(b"content-length: 9", body=b"ok"),
        ending="close",
        rule=SHORT,
    ),
    cuts(
        "less than its length, half closed",
        ok(b"Content-Length: 9", body=b"ok"),
        ok(b"content-length: 9", body=b"ok"),
        ending="shut",
        rule=SHORT,
    ),
    cuts(
        "less than its length, reset",
        ok(b"Content-Length: 9", body=b"ok"),
        ok(b"content-length: 9", body=b"ok"),
        ending="reset",
        rule=SHORT,
    ),
    cuts(
        "a length that never comes",
        ok(b"Content-Length: 9223372036854775808", body=b"ok"),
        ok(b"content-length: 9223372036854775808", body=b"ok"),
        ending="close",
        rule=SHORT,
    ),
    cuts("no body, though announced", ok(b"Content-Length: 9"), ok(b"content-length: 9"), ending="close", rule=SHORT),
    cuts(
        "no last chunk",
        ok(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n"),
        ok(b"transfer-encoding: chunked", body=b"2\r\nok\r\n"),
        ending="close",
        rule=SHORT,
    ),
    cuts(
        "half a chunk",
        ok(b"Transfer-Encoding: chunked", body=b"9\r\nok"),
        ok(b"transfer-encoding: chunked", body=b"2\r\nok\r\n"),
        ending="close",
        rule=SHORT,
    ),
    cuts(
        "no end of trailers",
        ok(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n"),
        ok(b"transfer-encoding: chunked", body=b"2\r\nok\r\n"),
        ending="close",
        rule=SHORT,
    ),
    cuts(
        "a reset in place of a close",
        ok(body=b"ok"),
        ok(b"transfer-encoding: chunked", body=b"2\r\nok\r\n"),
        ending="reset",
        rule=SHORT,
    ),
    fails("nothing", b"", ending="close", rule="RFC 9110 15.6.3"),
    fails("nothing, and a reset", b"", ending="reset", rule="RFC 9110 15.6.3"),
    fails("nothing, and half a close", b"", ending="shut", rule="RFC 9110 15.6.3"),
    fails("half a status line", b"HTTP/1.1 20", ending="close", rule=SHORT),
    fails("half a head", b"HTTP/1.1 200 OK\r\nContent-Len", ending="close", rule=SHORT),
    fails("a head without its last line", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", ending="close", rule=SHORT),
    fails("an interim answer alone", b"HTTP/1.1 100 Continue\r\n\r\n", ending="close", rule=SHORT),
    # twice, or wrongly
    fails("two lengths", ok(b"Content-Length: 2", b"Content-Length: 6", body=b"ok"), rule=LENGTH),
    fails("two lengths that agree", ok(b"Content-Length: 2", b"Content-Length: 2", body=b"ok"), rule=LENGTH),
    fails(
        "a length and chunks",
        ok(b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n" + LAST),
        rule=BOTH,
    ),
    fails(
        "chunks and a length",
        ok(b"Transfer-Encoding: chunked", b"Content-Length: 2", body=b"2\r\nok\r\n" + LAST),
        rule=BOTH,
    ),
    fails("a length and identity", ok(b"Content-Length: 2", b"Transfer-Encoding: identity", body=b"ok"), rule=BOTH),
    fails("both on HEAD", ok(b"Content-Length: 2", b"Transfer-Encoding: chunked"), request=HEAD, rule=BOTH),
    *(
        fails(f"length {value!r}", ok(b"Content-Length: " + value, body=b"ok"), rule=LENGTH)
        for value in (
            b"2, 2",
            b"2,2",
            b"-2",
            b"+2",
            b"0x2",
            b"2.0",
            b"2 2",
            b"2h",
            b"two",
            b"",
            b"18446744073709551618",
            b"99999999999999999999999",
            b"2\x0b",
            b'"2"',
        )
    ),
    *(
        fails(
            f"coding {value!r}",
            ok(b"Transfer-Encoding: " + value, body=b"2\r\nok\r\n" + LAST),
            rule=CODING,
            ending="close",
        )
        for value in (
            b"gzip, chunked",
            b"chunked, gzip",
            b"chunked, chunked",
            b"xchunked",
            b"identity",
            b"gzip",
            b"chunked;q=1",
            b'"chunked"',
            b"",
            b"\x0bchunked",
        )
    ),
    fails(
        "chunked twice",
        ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n" + LAST),
        rule=CODING,
    ),
    fails(
        "chunked in HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + LAST,
        rule="RFC 9112 6.1",
    ),
    *(
        cuts(
            f"chunk {sent!r}",
            ok(b"Transfer-Encoding: chunked", body=b"1\r\n!\r\n" + sent),
            ok(b"transfer-encoding: chunked", body=b"1\r\n!\r\n"),
            rule="RFC 9112 7.1",
        )
        for sent in (
            b"0x2\r\nok\r\n",
            b"+2\r\nok\r\n",
            b"-2\r\nok\r\n",
            b" 2\r\nok\r\n",
            b"2 \r\nok\r\n",
            b"2\nok\r\n",
            b"2\rok\r\n",
            b"\r\n",
            b"zz\r\n",
            b"fffffffffffffffff\r\nok\r\n",
            b"2;\nx\r\nok\r\n",
            b'2;a="\r\nok\r\n',
            b"0\n\n",
            b"0\r\n\n",
            b"0\r\nA : b\r\n\r\n",
            b"0\r\nContent-Length: 5\r\n\r\n",
            b"0\r\n A: b\r\n\r\n",
            b"0\r\nHTTP/1.1 200 OK\r\n\r\n",
        )
    ),
    *(
        cuts(
            f"chunk {sent!r}",
            ok(b"Transfer-Encoding: chunked", body=sent),
            ok(b"transfer-encoding: chunked", body=b"2\r\nok\r\n"),
            rule="RFC 9112 7.1",
        )
        for sent in (
            b"2\r\nokXX0\r\n\r\n",
            b"2\r\nok\n0\r\n\r\n",
            b"2\r\nok0\r\n\r\n",
            b"2\r\nokX\n0\r\n\r\n",
            b"2\r\nok\r\n\r\n0\r\n\r\n",
        )
    ),
]
