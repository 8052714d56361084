"""What was thought of later: framing in disguise, other protocols, and bodies beyond what is taken.

TE.0 and 0.CL by fields that one hop reads otherwise: Kettle 2025 ("HTTP/1.1 Must Die"); chunk lines: Kallus 2024 and
2025 ("Funky chunks").
"""

from corpus.http.notation import ROOT, Case, accept, chunked, get, head, post, refuse, seen_chunked, seen_post

NAME = "RFC 9110 5.1: field-name = token"
VALUE = "RFC 9110 5.5: no control characters but a tab inside"
CODING = "RFC 9112 6.1, 6.3: a coding other than chunked, or chunked not last"
EXTENSION = "RFC 9112 7.1.1"
VERSION = "RFC 9112 2.3: HTTP/1.0 or HTTP/1.1, in capitals"
LINE = "RFC 9112 3: method SP request-target SP HTTP-version"
SMUGGLED = get(target=b"/smuggled")
LAST = b"0\r\n\r\n"
TE = b"Transfer-Encoding: chunked"


def disguised(line: bytes) -> bytes:
    """A POST whose body is a request to those who read this line as chunked, or as a length of zero."""
    return post(line, body=LAST + SMUGGLED)


CASES: list[Case] = [
    # framing that is plain
    accept(
        "chunks on GET",
        get(TE) + b"2\r\nhi\r\n" + LAST,
        b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n" + LAST,
        rule="RFC 9110 9.3.1: content in a GET has no meaning, and its framing all the same",
    ),
    accept(
        "chunks on HEAD",
        head(b"HEAD / HTTP/1.1", b"Host: a", TE) + b"2\r\nhi\r\n" + LAST,
        b"HEAD / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n" + LAST,
        rule="RFC 9110 9.3.2",
    ),
    accept(
        "chunks on DELETE",
        head(b"DELETE / HTTP/1.1", b"Host: a", TE) + LAST,
        b"DELETE / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + LAST,
        rule="RFC 9110 9.3.5",
    ),
    accept(
        "spaces behind chunked",
        post(b"Transfer-Encoding: chunked  ", body=LAST),
        seen_chunked(b""),
        rule="RFC 9110 5.5: OWS is no part of it",
    ),
    refuse(
        "a tab behind chunked",
        disguised(b"Transfer-Encoding: chunked\t"),
        rule="RFC 9110 5.5 has it as OWS; the parser does not, and nobody sends it in good faith",
    ),
    accept(
        "a length and Trailer",
        post(b"Content-Length: 2", b"Trailer: Content-Length", body=b"hi"),
        seen_post(b"hi"),
        rule="RFC 9110 6.6.2: it announces, no more",
    ),
    accept(
        "chunked and close in Connection",
        chunked(b"2\r\nhi\r\n" + LAST, b"Connection: transfer-encoding, close") + SMUGGLED,
        seen_chunked(b"hi"),
        ends=True,
        rule="RFC 9110 7.6.1",
    ),
    # framing in disguise
    refuse("an empty length beside chunked", post(b"Content-Length:", TE, body=LAST), rule="RFC 9112 6.1"),
    refuse("a length of whitespace beside chunked", post(b"Content-Length: \t", TE, body=LAST), rule="RFC 9112 6.1"),
    *(
        refuse(f"line {line!r}", disguised(line), rule=rule)
        for line, rule in {
            b"Transfer-Encoding\0: chunked": NAME,
            b"\0Transfer-Encoding: chunked": NAME,
            b"Transfer-Encoding\x0b: chunked": NAME,
            b"Transfer-Encoding\x0c: chunked": NAME,
            b"Transfer-Encoding\xa0: chunked": NAME,
            b"Transfer-Encoding\x85: chunked": NAME,
            b"Transfer\x00-Encoding: chunked": NAME,
            b":Transfer-Encoding: chunked": NAME,
            b"Transfer-Encoding; chunked": NAME,
            b"Transfer-Encoding= chunked": NAME,
            b"Transfer-Encoding chunked": NAME,
            b"Transfer Encoding: chunked": NAME,
            b'"Transfer-Encoding": chunked': NAME,
            b"Transfer-Encoding\r\n: chunked": NAME,
            b"Transfer-Encoding:\r\n\r chunked": "RFC 9112 2.2: a bare CR",
            b"Transfer-Encoding:: chunked": CODING,
            b"Transfer-Encoding: : chunked": CODING,
            b"Transfer-Encoding: [chunked]": CODING,
            b"Transfer-Encoding: {chunked}": CODING,
            b"Transfer-Encoding: chunked\\": CODING,
            b"Transfer-Encoding: chunked;": CODING,
            b"Transfer-Encoding: chunked=": CODING,
            b"Transfer-Encoding: chunked/1.1": CODING,
            b"Transfer-Encoding: identity, chunked, identity": CODING,
            b"Transfer-Encoding: chunked, ": CODING,
            b"Transfer-Encoding: \x85chunked": CODING,
            b"Transfer-Encoding: ch\xc5\xabnked": CODING,
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding:": CODING,
            b'X: "\r\nTransfer-Encoding: chunked"': CODING,
            b"Content-Length\0: 0": NAME,
            b"Content-Length\x0b: 0": NAME,
            b"Content-Length\xa0: 0": NAME,
            b":Content-Length: 0": NAME,
            b"Content-Length; 0": NAME,
            b"Content Length: 0": NAME,
            b"Content-Length: 0\r\nContent-Length : 5": NAME,
            b"Content-Length:: 0": "RFC 9110 8.6",
            b"Content-Length: 0x": "RFC 9110 8.6",
            b"Content-Length: 00_0": "RFC 9110 8.6",
            b"Content-Length: \xc2\xa00": "RFC 9110 8.6",
            b"Content-Length: 0\x85": "RFC 9110 8.6",
        }.items()
    ),
    # chunk lines
    accept("many extensions", chunked(b'2;a;b=c;d="e";f\r\nhi\r\n' + LAST), seen_chunked(b"hi"), rule=EXTENSION),
    refuse("NUL in the last chunk's extension", chunked(b"2\r\nhi\r\n0;\0\r\n\r\n"), rule=EXTENSION),
    refuse("a bare LF in the last chunk's extension", chunked(b"2\r\nhi\r\n0;a\n\r\n\r\n"), rule=EXTENSION),
    refuse("an extension behind a comma", chunked(b"2,a=b\r\nhi\r\n" + LAST), rule=EXTENSION),
    refuse("a size behind an extension", chunked(b";a=b;2\r\nhi\r\n" + LAST), rule="RFC 9112 7.1: 1*HEXDIG"),
    refuse("a size in two parts", chunked(b"0 2\r\nhi\r\n" + LAST), rule="RFC 9112 7.1: 1*HEXDIG"),
    refuse("a size of zero with a sign", chunked(b"2\r\nhi\r\n+0\r\n\r\n"), rule="RFC 9112 7.1: 1*HEXDIG"),
    refuse("a size of zero in hexadecimal dress", chunked(b"2\r\nhi\r\n0x0\r\n\r\n"), rule="RFC 9112 7.1: 1*HEXDIG"),
    # bodies beyond what is taken
    refuse(
        "a length of 1 TB",
        post(b"Content-Length: 1099511627776", body=b"hi"),
        status=413,
        rule="RFC 9110 15.5.14: and the connection may be closed",
    ),
    # versions, and what is another protocol
    *(
        refuse(f"version {version!r}", b"GET / " + version + b"\r\nHost: a\r\n\r\n", rule=VERSION)
        for version in (
            b"HTTP/3",
            b"HTTP/2",
            b"HTTP/1.1;",
            b"HTTP/1.1\0",
            b"HTTP/1.1\t",
            b"HTTP\\1.1",
            b"HTTP/1_1",
        )
    ),
    refuse("version HTTP/3.0", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", status=505, rule="RFC 9110 15.6.6"),
    refuse("an em space", "GET\u2003/ HTTP/1.1\r\nHost: a\r\n\r\n".encode(), rule=LINE),
    refuse("a next line (NEL)", b"GET / HTTP/1.1\x85Host: a\r\n\r\n", rule=LINE),
    refuse("a line separator", "GET / HTTP/1.1\u2028Host: a\r\n\r\n".encode(), rule=LINE),
    refuse("SMTP", b"EHLO a\r\n\r\n", rule=LINE),
    refuse("Redis", b"*1\r\n$4\r\nPING\r\n\r\n", rule=LINE),
    refuse("memcached", b"stats\r\n\r\n", rule=LINE),
    refuse("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", rule=LINE),
    refuse("FastCGI", b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\r\n\r\n", rule=LINE),
    refuse("AJP", b"\x12\x34\x00\x05\x02\x02\x00\x08\r\n\r\n", rule=LINE),
    # hop by hop
    accept(
        "what hops say of themselves",
        get(b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"TE: trailers", b"HTTP2-Settings: AAMAAABk"),
        ROOT,
        rule="RFC 9110 7.6.1; RFC 9113 3.2.1",
    ),
    accept(
        "the gateway's own in Connection",
        get(b"Connection: x-plan, x-subject, x-application-id, forwarded, via, x-request-id, traceparent"),
        ROOT,
        rule="RFC 9110 7.6.1; Davison 2019",
    ),
]
