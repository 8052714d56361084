"""The request line and the lines' ends: methods, versions, spaces, CR and LF, and what is no HTTP at all."""

from corpus.http.notation import ROOT, Case, accept, get, head, refuse

LINE = "RFC 9112 3: method SP request-target SP HTTP-version"
ENDS = "RFC 9112 2.2: a line ends with CRLF"
VERSION = "RFC 9112 2.3: HTTP/1.0 or HTTP/1.1, in capitals"
OTHER = "RFC 9110 15.6.6: another version of HTTP is told so"
METHOD = "RFC 9110 9.1: methods are case-sensitive tokens; one that is not known is not served"
HOST = b"Host: a\r\n\r\n"


def line(text: bytes) -> bytes:
    return text + b"\r\n" + HOST


def method(name: bytes) -> Case:
    return accept(
        f"method {name.decode()}", head(name + b" / HTTP/1.1", b"Host: a"), name + b" / HTTP/1.1\r\n\r\n", rule=METHOD
    )


CASES: list[Case] = [
    *map(
        method,
        (
            b"GET",
            b"HEAD",
            b"POST",
            b"PUT",
            b"DELETE",
            b"OPTIONS",
            b"PATCH",
            b"PROPFIND",
            b"REPORT",
            b"MKCOL",
            b"PURGE",
            b"QUERY",
        ),
    ),
    accept("an empty line before the request", b"\r\n" + get(), ROOT, rule="RFC 9112 2.2: SHOULD ignore at least one"),
    accept("some empty lines before the request", b"\r\n\r\n\r\n" + get(), ROOT, rule="RFC 9112 2.2"),
    accept("HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", ROOT, ends=True, rule=VERSION),
    accept(
        "HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", ROOT, ends=True, rule="RFC 9112 3.2: 1.1 alone demands Host"
    ),
    accept("HTTP/1.0, kept alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ROOT, rule="RFC 9112 9.3"),
    accept(
        "HTTP/1.0, close wins over keep-alive",
        b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
        ROOT,
        ends=True,
        rule="RFC 9112 9.3: the first rule is close",
    ),
    refuse("an empty line by a bare LF", b"\n" + get(), rule=ENDS),
    refuse("an empty line by a bare CR", b"\r" + get(), rule=ENDS),
    refuse("CR CR LF before the request", b"\r\r\n" + get(), rule=ENDS),
    refuse("bare LFs throughout", b"GET / HTTP/1.1\nHost: a\n\n", rule=ENDS),
    refuse("a bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", rule=ENDS),
    refuse("a bare CR after the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", rule=ENDS),
    refuse("a bare LF after a field", b"GET / HTTP/1.1\r\nHost: a\n\r\n", rule=ENDS),
    refuse("a bare CR after a field", b"GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n", rule=ENDS),
    refuse("a head that ends by a bare LF", b"GET / HTTP/1.1\r\nHost: a\r\n\n", rule=ENDS),
    refuse("a head that ends by a bare CR", b"GET / HTTP/1.1\r\nHost: a\r\n\rX", rule=ENDS),
    refuse("LF CR", b"GET / HTTP/1.1\n\rHost: a\n\r\n\r", rule=ENDS),
    refuse("CR CR LF", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", rule=ENDS),
    refuse("two spaces before the target", line(b"GET  / HTTP/1.1"), rule=LINE),
    refuse("two spaces after the target", line(b"GET /  HTTP/1.1"), rule=LINE),
    refuse("a space after the version", line(b"GET / HTTP/1.1 "), rule=LINE),
    refuse("a space before the method", line(b" GET / HTTP/1.1"), rule=LINE),
    refuse("a tab after the method", line(b"GET\t/ HTTP/1.1"), rule=LINE),
    refuse("a tab before the version", line(b"GET /\tHTTP/1.1"), rule=LINE),
    refuse("a vertical tab", line(b"GET /\x0bHTTP/1.1"), rule=LINE),
    refuse("a form feed", line(b"GET\x0c/ HTTP/1.1"), rule=LINE),
    refuse("a no-break space", line(b"GET\xa0/ HTTP/1.1"), rule=LINE),
    refuse("four words", line(b"GET / /smuggled HTTP/1.1"), rule=LINE),
    refuse("two versions", line(b"GET / HTTP/1.1 HTTP/1.1"), rule=LINE),
    refuse("no target", line(b"GET HTTP/1.1"), rule=LINE),
    refuse("no method", line(b"/ HTTP/1.1"), rule=LINE),
    refuse("NUL before the method", line(b"\0GET / HTTP/1.1"), rule=LINE),
    refuse("a byte order mark", line(b"\xef\xbb\xbfGET / HTTP/1.1"), rule=LINE),
    refuse("HTTP/0.9", b"GET /\r\n", rule=VERSION),
    refuse("HTTP/0.9, written out", line(b"GET / HTTP/0.9"), status=505, rule=OTHER),
    refuse("HTTP/1.2", line(b"GET / HTTP/1.2"), status=505, rule=OTHER + "; no 1.2 will be"),
    refuse("HTTP/2.0", line(b"GET / HTTP/2.0"), status=505, rule=OTHER),
    refuse("HTTP/9.9", line(b"GET / HTTP/9.9"), status=505, rule=OTHER),
    refuse(
        "HTTP/2's preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        status=505,
        rule="RFC 9113 3.4: not spoken here",
    ),
    refuse("a preface in disguise", b"PRI / HTTP/1.1\r\n" + HOST, rule="RFC 9113 11.6: PRI is reserved"),
    *(
        refuse(f"version {version!r}", line(b"GET / " + version), rule=VERSION)
        for version in (
            b"http/1.1",
            b"Http/1.1",
            b"HTTP/01.1",
            b"HTTP/1.01",
            b"HTTP/1.10",
            b"HTTP/1",
            b"HTTP/1.",
            b"HTTP/.1",
            b"HTTP/1,1",
            b"HTTP/11",
            b"HTTP/1.1.1",
            b"HTTP /1.1",
            b"HTTP/ 1.1",
            b"HTTPS/1.1",
            b"HTP/1.1",
            b"HTTP/1.x",
            b"HTTP/-1.1",
            b"HTTP/+1.1",
            b"HTTP/1.\xb9",
            b"XHTTP/1.1",
            b"H",
            b"RTSP/1.0",
            b"RTSP/1.1",
            b"ICE/1.0",
            b"SIP/2.0",
        )
    ),
    refuse("an RTSP request", b"DESCRIBE / RTSP/1.0\r\n" + HOST, rule=VERSION),
    refuse("an Icecast request", b"SOURCE / ICE/1.0\r\n" + HOST, rule=VERSION),
    refuse("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", rule=LINE),
    refuse("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + b"\r\n\r\n", rule=LINE),
    refuse("the PROXY protocol, which nobody configured", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get(), rule=LINE),
    refuse("the PROXY protocol, version 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + get(), rule=LINE),
    *(
        refuse(f"method {name!r}", line(name + b" / HTTP/1.1"), rule=METHOD)
        for name in (
            b"get",
            b"Get",
            b"GEt",
            b"GETX",
            b"XGET",
            b"FOO",
            b"G\0ET",
            b"G\x80T",
            b"GET,",
            b"GET:",
            b'"GET"',
            b"(GET)",
            b"G=T",
            b"GET/",
            b"-",
            b"1",
            b"connect",
            b"TRACK",
            b"DEBUG",
        )
    ),
    refuse("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", status=405, rule="RFC 9110 9.3.6: a tunnel"),
    refuse(
        "CONNECT with a body",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 3\r\n\r\nabc",
        status=405,
        rule="RFC 9110 9.3.6",
    ),
    refuse("CONNECT to a path", b"CONNECT /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", status=405, rule="RFC 9112 3.2.3"),
    refuse(
        "TRACE with credentials",
        head(b"TRACE / HTTP/1.1", b"Host: a", b"Cookie: c"),
        status=405,
        rule="RFC 9110 9.3.8: it reflects them",
    ),
    refuse("a method of 40 KB", line(b"G" * 40_000 + b" / HTTP/1.1"), rule=METHOD),
    refuse(
        "a target of 40 KB",
        line(b"GET /" + b"a" * 40_000 + b" HTTP/1.1"),
        status=414,
        rule="RFC 9112 3: a limit on the line",
    ),
    refuse("a target without end", b"GET /" + b"a" * 400_000, status=414, rule="RFC 9112 3"),
    refuse(
        "a field without end", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 400_000, status=431, rule="RFC 9110 5.4"
    ),
    refuse(
        "a field's name without end", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * 400_000, status=431, rule="RFC 9110 5.4"
    ),
    refuse(
        "fields without end", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 40_000, status=431, rule="RFC 9110 5.4"
    ),
    refuse("101 fields", get(*(b"X: %d" % n for n in range(101))), status=431, rule="RFC 9110 5.4"),
]
