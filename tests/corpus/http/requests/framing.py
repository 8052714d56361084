"""Where a request's body ends: Content-Length and Transfer-Encoding, and the smuggling that lives on their doubts.

CL.TE, TE.CL and TE.TE: Linhart et al. 2005, Kettle 2019 ("HTTP Desync Attacks"). CL.0: Kettle 2022 ("Browser-Powered
Desync Attacks"). 0.CL, TE.0 and V-H: Kettle 2025 ("HTTP/1.1 Must Die"), Bugcrowd 2024 ("TE.0").
"""

from corpus.http.notation import Case, accept, chunked, get, head, post, refuse, seen_chunked, seen_post

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
BOTH = "RFC 9112 6.1: both framings may be an attempt to smuggle"
CODING = "RFC 9112 6.1, 6.3: a coding other than chunked, or chunked not last"
LENGTH = "RFC 9112 6.3: an invalid Content-Length is unrecoverable"
DIGITS = "RFC 9110 8.6: Content-Length = 1*DIGIT"
TE = b"Transfer-Encoding: chunked"


def codings(*values: bytes) -> bytes:
    return post(*(b"Transfer-Encoding: " + value for value in values), body=b"0\r\n\r\n" + SMUGGLED)


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return post(b"Content-Length: " + value, body=body)


CASES: list[Case] = [
    # what is plain, or odd and valid
    accept("a length", length(b"5"), seen_post(b"hello"), rule=DIGITS),
    accept("a length of zero", length(b"0", b""), seen_post(b""), rule=DIGITS),
    accept("a length with leading zeros", length(b"0005"), seen_post(b"hello"), rule=DIGITS),
    accept("a length of zero, written twice over", length(b"00", b""), seen_post(b""), rule=DIGITS),
    accept("tabs around a length", length(b"\t5\t "), seen_post(b"hello"), rule="RFC 9110 5.5: OWS is no part of it"),
    accept("no space before a length", post(b"content-length:5", body=b"hello"), seen_post(b"hello"), rule=DIGITS),
    accept(
        "a body on GET",
        get(b"Content-Length: 5") + b"hello",
        b"GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello",
        rule="RFC 9110 9.3.1: content in a GET has no meaning, and a length all the same",
    ),
    accept(
        "a body on DELETE",
        head(b"DELETE / HTTP/1.1", b"Host: a", b"Content-Length: 2") + b"hi",
        b"DELETE / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi",
        rule="RFC 9110 9.3.5",
    ),
    accept(
        "a body on HEAD",
        head(b"HEAD / HTTP/1.1", b"Host: a", b"Content-Length: 2") + b"hi",
        b"HEAD / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi",
        rule="RFC 9110 9.3.2",
    ),
    accept(
        "a body on OPTIONS",
        head(b"OPTIONS / HTTP/1.1", b"Host: a", TE) + b"2\r\nhi\r\n0\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        rule="RFC 9110 9.3.7",
    ),
    accept(
        "POST without any framing", post(), b"POST / HTTP/1.1\r\n\r\n", rule="RFC 9112 6.3: then its length is zero"
    ),
    accept(
        "a body that looks like a request",
        length(b"%d" % len(SMUGGLED), SMUGGLED),
        seen_post(SMUGGLED),
        rule="RFC 9112 6.2: the length alone says where it ends",
    ),
    accept("a body of every byte", length(b"256", bytes(range(256))), seen_post(bytes(range(256))), rule="RFC 9112 6"),
    accept(
        "a body that looks like an end of chunks",
        length(b"5", b"0\r\n\r\n"),
        seen_post(b"0\r\n\r\n"),
        rule="RFC 9112 6",
    ),
    accept(
        "HTTP/1.0 with a length",
        b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        seen_post(b"hi"),
        ends=True,
        rule="RFC 9112 9.3: 1.0 ends where keep-alive is not asked for",
    ),
    accept(
        "HTTP/1.0 that is kept alive",
        b"POST / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi",
        seen_post(b"hi"),
        rule="RFC 9112 9.3",
    ),
    accept(
        "chunked in capitals",
        post(b"TRANSFER-ENCODING: CHUNKED", body=b"2\r\nhi\r\n0\r\n\r\n"),
        seen_chunked(b"hi"),
        rule="RFC 9112 7: coding names are case-insensitive",
    ),
    accept(
        "a tab before chunked",
        post(b"Transfer-Encoding:\tchunked", body=b"0\r\n\r\n"),
        seen_chunked(b""),
        rule="RFC 9110 5.5",
    ),
    accept(
        "no space before chunked",
        post(b"Transfer-Encoding:chunked", body=b"0\r\n\r\n"),
        seen_chunked(b""),
        rule="RFC 9110 5.5",
    ),
    accept(
        "Content-Encoding is no framing",
        post(b"Content-Encoding: chunked", b"Content-Length: 2", body=b"hi"),
        seen_post(b"hi", b"content-encoding: chunked"),
        rule="RFC 9110 8.4",
    ),
    # both
    refuse(
        "CL.TE: the length covers more than the chunks",
        post(b"Content-Length: %d" % (5 + len(SMUGGLED)), TE, body=b"0\r\n\r\n" + SMUGGLED),
        rule=BOTH,
    ),
    refuse(
        "TE.CL: the chunks cover more than the length",
        post(TE, b"Content-Length: 4", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        rule=BOTH,
    ),
    refuse("CL.TE although both agree", post(b"Content-Length: 5", TE, body=b"0\r\n\r\n"), rule=BOTH),
    refuse(
        "TE.0: chunked beside a length of zero", post(TE, b"Content-Length: 0", body=b"0\r\n\r\n" + SMUGGLED), rule=BOTH
    ),
    refuse(
        "0.CL: a length of zero beside another",
        post(b"Content-Length: 0", b"Content-Length: 37", body=SMUGGLED),
        rule=LENGTH,
    ),
    refuse("both, with identity", post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=b"hello"), rule=BOTH),
    refuse("both, with an empty coding", post(b"Content-Length: 5", b"Transfer-Encoding:", body=b"hello"), rule=BOTH),
    refuse(
        "both, with a coding nobody knows",
        post(b"Transfer-Encoding: x", b"Content-Length: 5", body=b"hello"),
        rule=BOTH,
    ),
    refuse(
        "both, in HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        rule=BOTH,
    ),
    refuse("a list of lengths and chunked", post(b"Content-Length: 5, 5", TE, body=b"0\r\n\r\n"), rule=BOTH),
    # lengths
    refuse("two lengths that differ", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), rule=LENGTH),
    refuse(
        "two lengths that agree",
        post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
        rule=LENGTH + "; a server may fold equal ones, the gateway does not",
    ),
    refuse(
        "two lengths, other fields between them",
        post(b"Content-Length: 5", b"X: 1", b"content-length: 0", body=b"hello"),
        rule=LENGTH,
    ),
    refuse(
        "two lengths written differently", post(b"Content-Length: 5", b"Content-Length: 05", body=b"hello"), rule=LENGTH
    ),
    *(
        refuse(f"length {value!r}", length(value), rule=DIGITS)
        for value in (
            b"5, 5",
            b"5,5",
            b"5,",
            b",5",
            b"5, 6",
            b"5;",
            b"+5",
            b"-5",
            b"-0",
            b"5.0",
            b"5e0",
            b"0x5",
            b"0b101",
            b"5h",
            b"5_0",
            b"5 5",
            b"0 5",
            b'"5"',
            b"'5'",
            b"5\x0b",
            b"\x0c5",
            b"5\xa0",
            b"\xd9\xa5",
            b"\xef\xbc\x95",
            b"(5)",
            b"five",
            b"",
            b"18446744073709551616",
            b"18446744073709551621",
            b"99999999999999999999999999",
            b"9223372036854775808",
            b"4294967301x",
        )
    ),
    refuse("NUL in a length", length(b"5\0"), rule="RFC 9110 5.5: NUL is dangerous"),
    refuse("a bare CR in a length", length(b"5\r5"), rule="RFC 9112 2.2: a bare CR"),
    refuse("a folded length", length(b"\r\n 5"), rule="RFC 9112 5.2: obs-fold"),
    refuse("a length folded to another number", length(b"5\r\n 0"), rule="RFC 9112 5.2: obs-fold"),
    refuse("a length with space before the colon", post(b"Content-Length : 5", body=b"hello"), rule="RFC 9112 5.1"),
    # codings (TE.TE: one of two hops does not see it)
    *(
        refuse(f"coding {value!r}", codings(value), rule=CODING)
        for value in (
            b"xchunked",
            b"chunkedx",
            b"chunke",
            b"chunked, identity",
            b"identity, chunked",
            b"chunked, chunked",
            b"gzip, chunked",
            b"chunked, gzip",
            b"gzip",
            b"identity",
            b"chunked;q=1",
            b"chunked; foo=bar",
            b"chunked,",
            b",chunked",
            b"chunked,,",
            b'"chunked"',
            b"'chunked'",
            b"chun ked",
            b"cow",
            b"",
            b"chunked\xa0",
            b"\xffchunked",
            b"c\xe2\x84\xaaunked",
            b"deflate",
            b"compress, chunked",
            b"x-chunked",
            b"chunked identity",
            b"trailers",
        )
    ),
    *(
        refuse(f"coding {value!r}", codings(value), rule="RFC 9110 5.5: a control character")
        for value in (
            b"\x0bchunked",
            b"\x0cchunked",
            b"chunked\x0b",
            b"chunked\0",
            b"\0chunked",
            b"\x01chunked",
            b"chunked\x7f",
        )
    ),
    refuse("chunked twice", codings(b"chunked", b"chunked"), rule=CODING),
    refuse("chunked, then identity", codings(b"chunked", b"identity"), rule=CODING),
    refuse("identity, then chunked", codings(b"identity", b"chunked"), rule=CODING),
    refuse("an unknown coding, then chunked", codings(b"x", b"chunked"), rule=CODING),
    refuse("chunked, then an empty one", codings(b"chunked", b""), rule=CODING),
    refuse("an empty one, then chunked", codings(b"", b"chunked"), rule=CODING),
    refuse("a folded coding", codings(b"\r\n chunked"), rule="RFC 9112 5.2: obs-fold"),
    refuse("a coding folded by a tab", codings(b"identity\r\n\t, chunked"), rule="RFC 9112 5.2: obs-fold"),
    refuse(
        "a bare LF before the coding's field",
        post(b"X: y\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
        rule="RFC 9112 2.2",
    ),
    refuse(
        "a bare CR before the coding's field",
        post(b"X: y\rTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
        rule="RFC 9112 2.2",
    ),
    refuse(
        "a space before the coding's colon",
        post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
        rule="RFC 9112 5.1",
    ),
    refuse(
        "a tab before the coding's colon", post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), rule="RFC 9112 5.1"
    ),
    refuse(
        "a space before the coding's name",
        post(b"X: y", b" Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        rule="RFC 9112 5.2",
    ),
    refuse(
        "a space before the first field",
        b"POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n0\r\n\r\n",
        rule="RFC 9112 2.2: whitespace after the start line",
    ),
    refuse(
        "chunked in HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        rule="RFC 9112 6.1: faulty in 1.0",
    ),
    refuse(
        "chunked in HTTP/1.0, kept alive",
        b"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
        rule="RFC 9112 6.1",
    ),
    refuse(
        "chunked on a GET in HTTP/1.0",
        b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        rule="RFC 9112 6.1",
    ),
    # names that a service could take for framing
    accept(
        "Content_Length",
        post(b"Content_Length: 37"),
        b"POST / HTTP/1.1\r\n\r\n",
        rule="RFC 3875 4.1.18: `_` and `-` are one to CGI; such names do not pass",
    ),
    accept(
        "Transfer_Encoding", post(b"Transfer_Encoding: chunked"), b"POST / HTTP/1.1\r\n\r\n", rule="RFC 3875 4.1.18"
    ),
    accept(
        "Content.Length and the like",
        post(b"Content.Length: 37", b"Transfer!Encoding: chunked", b"Content~Length: 1"),
        b"POST / HTTP/1.1\r\n\r\n",
        rule="servers fold any sign to `_`: lighttpd's CGI",
    ),
    accept(
        "a length in Connection",
        post(b"Content-Length: 5", b"Connection: content-length", body=b"hello"),
        seen_post(b"hello"),
        rule="RFC 9110 7.6.1; CL.0 by hop-by-hop fields: Davison 2019, CVE-2022-1388",
    ),
    accept(
        "chunked in Connection",
        chunked(b"2\r\nhi\r\n0\r\n\r\n", b"Connection: transfer-encoding"),
        seen_chunked(b"hi"),
        rule="RFC 9110 7.6.1; TE.0 by hop-by-hop fields",
    ),
    accept(
        "TE asks for an answer's coding",
        get(b"TE: trailers, chunked", b"Connection: TE"),
        b"GET / HTTP/1.1\r\n\r\n",
        rule="RFC 9110 10.1.4: hop by hop",
    ),
]
