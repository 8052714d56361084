"""Chunked bodies: sizes, extensions, line ends, and trailers.

Terminators and extensions: Jeppe Bonde Weikop 2025 ("Funky chunks": TERM.EXT, EXT.TERM, TERM.SPILL, SPILL.TERM,
ONE.TWO, TWO.ZERO), CVE-2025-22871. Sizes: Kettle 2019. Floods of extensions and trailers: CVE-2023-39326.
"""

from corpus.http.notation import Case, accept, chunked, post, refuse, seen_chunked

SIZE = "RFC 9112 7.1: chunk-size = 1*HEXDIG, then CRLF"
END = "RFC 9112 7.1: chunk = size CRLF data CRLF"
EXT = 'RFC 9112 7.1.1: chunk-ext = *( BWS ";" …)'
TRAILER = "RFC 9112 7.1.2: trailers are fields"
FORBIDDEN = "RFC 9110 6.5.1: framing, routing and credentials must not come in trailers"
HI = seen_chunked(b"hi")
LAST = b"0\r\n\r\n"


def trailed(*lines: bytes) -> bytes:
    return chunked(b"2\r\nhi\r\n0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n")


CASES: list[Case] = [
    accept("one chunk", chunked(b"2\r\nhi\r\n" + LAST), HI, rule=SIZE),
    accept("many chunks", chunked(b"1\r\nh\r\n1\r\ni\r\n" + LAST), HI, rule=SIZE),
    accept("no chunk but the last", chunked(LAST), seen_chunked(b""), rule=SIZE),
    accept(
        "leading zeros in a size",
        chunked(b"0002\r\nhi\r\n" + LAST),
        HI,
        rule="RFC 9112 7.1: no limit on digits is given",
    ),
    accept("a size of forty digits", chunked(b"0" * 39 + b"2\r\nhi\r\n" + LAST), HI, rule=SIZE),
    accept(
        "a last chunk of many zeros", chunked(b"2\r\nhi\r\n0000\r\n\r\n"), HI, rule='RFC 9112 7.1: last-chunk = 1*"0"'
    ),
    accept("a size in small letters", chunked(b"a\r\n0123456789\r\n" + LAST), seen_chunked(b"0123456789"), rule=SIZE),
    accept("a size in capitals", chunked(b"A\r\n0123456789\r\n" + LAST), seen_chunked(b"0123456789"), rule=SIZE),
    accept("line ends inside a chunk", chunked(b"4\r\n\r\n\r\n\r\n" + LAST), seen_chunked(b"\r\n\r\n"), rule=END),
    accept("a last chunk inside a chunk", chunked(b"5\r\n0\r\n\r\n\r\n" + LAST), seen_chunked(b"0\r\n\r\n"), rule=END),
    accept("an extension", chunked(b"2;a\r\nhi\r\n" + LAST), HI, rule=EXT),
    accept("an extension with a value", chunked(b"2;a=b;c=d\r\nhi\r\n" + LAST), HI, rule=EXT),
    accept("an extension with a quoted value", chunked(b'2;a="b;c\\"d"\r\nhi\r\n' + LAST), HI, rule=EXT),
    accept("an extension on the last chunk", chunked(b"2\r\nhi\r\n0;a=b\r\n\r\n"), HI, rule=EXT),
    accept("a digest in a trailer", trailed(b"Digest: x"), HI, rule="RFC 9110 6.5.1: a trailer may be dropped"),
    accept("many trailers", trailed(b"A: 1", b"B: 2", b"A: 3"), HI, rule=TRAILER),
    accept("an empty trailer", trailed(b"A:"), HI, rule=TRAILER),
    accept("Host in a trailer", trailed(b"Host: b"), HI, rule=FORBIDDEN),
    accept("Authorization in a trailer", trailed(b"Authorization: Bearer forged"), HI, rule=FORBIDDEN),
    accept(
        "an identity in a trailer",
        trailed(b"X-Application-Id: forged", b"X-Subject: forged", b"X-Plan: forged"),
        HI,
        rule=FORBIDDEN,
    ),
    accept("Connection in a trailer", trailed(b"Connection: close", b"Expect: 100-continue"), HI, rule=FORBIDDEN),
    accept(
        "X-Forwarded-For in a trailer",
        trailed(b"X-Forwarded-For: 10.0.0.1", b"X-Request-Id: forged"),
        HI,
        rule=FORBIDDEN,
    ),
    accept(
        "Trailer announces what comes",
        post(b"Transfer-Encoding: chunked", b"Trailer: Digest", body=b"2\r\nhi\r\n0\r\nDigest: x\r\n\r\n"),
        HI,
        rule="RFC 9110 6.6.2",
    ),
    refuse("Content-Length in a trailer", trailed(b"Content-Length: 37"), rule=FORBIDDEN),
    refuse("Transfer-Encoding in a trailer", trailed(b"Transfer-Encoding: chunked"), rule=FORBIDDEN),
    refuse("space before a trailer's colon", trailed(b"A : 1"), rule=TRAILER),
    refuse("a folded trailer", trailed(b"A: 1", b" 2"), rule="RFC 9112 5.2: obs-fold"),
    refuse("a trailer without a colon", trailed(b"smuggled"), rule=TRAILER),
    refuse("a request for a trailer", trailed(b"GET /smuggled HTTP/1.1", b"Host: a"), rule=TRAILER),
    refuse("a bare LF in trailers", chunked(b"2\r\nhi\r\n0\r\nA: 1\n\r\n"), rule="RFC 9112 2.2"),
    refuse("a bare CR in trailers", chunked(b"2\r\nhi\r\n0\r\nA: 1\r2\r\n\r\n"), rule="RFC 9112 2.2"),
    refuse("NUL in a trailer", trailed(b"A: \0"), rule="RFC 9110 5.5"),
    refuse("a bare LF after the last chunk", chunked(b"2\r\nhi\r\n0\n\n"), rule="TERM: a bare LF ends no line"),
    refuse("a bare LF after the trailers", chunked(b"2\r\nhi\r\n0\r\n\n"), rule="TERM: a bare LF ends no line"),
    refuse("a bare CR after the trailers", chunked(b"2\r\nhi\r\n0\r\n\rX"), rule="RFC 9112 2.2"),
    *(
        refuse(f"size {size!r}", chunked(size + b"\r\nhi\r\n" + LAST), rule=SIZE)
        for size in (
            b"0x2",
            b"0X2",
            b"+2",
            b"-2",
            b"-0",
            b" 2",
            b"\t2",
            b"2\x0b",
            b"\x0b2",
            b"2\0",
            b"\x002",
            b"2_",
            b"0_2",
            b"2,2",
            b"2.0",
            b"2h",
            b"g",
            b'"2"',
            b"\xb2",
            b"\xef\xbc\x92",
            b"",
            b";a=b",
            b"2\r",
            b"two",
            b"#2",
            b"2#",
            b"2\x7f",
            b"2\x85",
        )
    ),
    *(
        refuse(f"size {size!r}", chunked(size + b"\r\nhi\r\n" + LAST), rule=SIZE + "; an overflow is an error")
        for size in (b"10000000000000002", b"fffffffffffffffff", b"00000000000000000010000000000000002", b"1" * 60)
    ),
    refuse("spaces after a size", chunked(b"2  \r\nhi\r\n" + LAST), rule=SIZE + " (BWS has its place only before ';')"),
    refuse("a tab after a size", chunked(b"2\t\r\nhi\r\n" + LAST), rule=SIZE),
    refuse("a bare LF after a size", chunked(b"2\nhi\r\n" + LAST), rule="RFC 9112 2.2: a bare LF"),
    refuse("a bare CR after a size", chunked(b"2\rhi\r\n" + LAST), rule="RFC 9112 2.2: a bare CR"),
    refuse("LF CR after a size", chunked(b"2\n\rhi\r\n" + LAST), rule="RFC 9112 2.2"),
    refuse("an empty line before a size", chunked(b"\r\n2\r\nhi\r\n" + LAST), rule=SIZE),
    refuse("TERM.EXT: a bare LF in an extension", chunked(b"2;\nxx\r\nhi\r\n" + LAST), rule="Funky chunks: TERM.EXT"),
    refuse(
        "TERM.EXT: a bare LF in an extension's value",
        chunked(b"2;a=b\nxx\r\nhi\r\n" + LAST),
        rule="Funky chunks: TERM.EXT",
    ),
    refuse(
        "EXT.TERM: a bare CR in an extension", chunked(b"2;a=b\rxx\r\nhi\r\n" + LAST), rule="Funky chunks: EXT.TERM"
    ),
    refuse("CR CR LF after an extension", chunked(b"2;a\r\r\nhi\r\n" + LAST), rule="RFC 9112 2.2"),
    refuse(
        "a line end in a quoted value",
        chunked(b'2;a="\r\nhi\r\n"\r\n' + LAST),
        rule="RFC 9110 5.6.4: not in a quoted-string",
    ),
    refuse("an escaped line end in a quoted value", chunked(b'2;a="\\\r\nhi\r\n"\r\n' + LAST), rule="RFC 9110 5.6.4"),
    refuse("NUL in an extension", chunked(b"2;a=\0\r\nhi\r\n" + LAST), rule=EXT),
    refuse("an open quote in an extension", chunked(b'2;a="b\r\nhi\r\n' + LAST), rule=EXT),
    refuse("an extension without a name", chunked(b"2;\r\nhi\r\n" + LAST), rule=EXT),
    refuse("an extension in parentheses", chunked(b"2;(a)\r\nhi\r\n" + LAST), rule=EXT),
    refuse("space before an extension", chunked(b"2 ;a\r\nhi\r\n" + LAST), rule=EXT + ": BWS is not taken"),
    refuse("TERM.SPILL: no line end after data", chunked(b"2\r\nhi" + LAST), rule=END),
    refuse("SPILL: data beyond its size", chunked(b"2\r\nhix\r\n" + LAST), rule=END),
    refuse("SPILL: two bytes where CRLF must be", chunked(b"2\r\nhiXX" + LAST), rule=END),
    refuse("SPILL: a byte and LF where CRLF must be", chunked(b"2\r\nhiX\n" + LAST), rule=END),
    refuse("SPILL: CR and a byte where CRLF must be", chunked(b"2\r\nhi\rX" + LAST), rule=END),
    refuse("ONE.TWO: a bare LF after data", chunked(b"2\r\nhi\n" + LAST), rule=END),
    refuse("a bare CR after data", chunked(b"2\r\nhi\r" + LAST), rule=END),
    refuse("TWO.ZERO: two line ends after data", chunked(b"2\r\nhi\r\n\r\n" + LAST), rule=END),
    refuse("a size larger than its data", chunked(b"4\r\nhi\r\n" + LAST), rule=END),
    refuse(
        "a flood of trailers",
        chunked(b"2\r\nhi\r\n0\r\n" + b"A: 12345678\r\n" * 40_000),
        rule="CVE-2023-39326, CVE-2024-27316: what is no data has a limit too",
    ),
    refuse("a trailer without end", chunked(b"2\r\nhi\r\n0\r\nA: " + b"x" * 500_000), rule="the same"),
    refuse("an extension without end", chunked(b"2;" + b"x" * 500_000), rule="CVE-2023-39326"),
]
