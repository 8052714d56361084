"""Host and the target's forms: who is asked.

Kettle 2013 ("Practical HTTP Host header attacks"), Chen et al. 2016 ("Host of Troubles").
"""

from corpus.http.notation import ROOT, Case, accept, get, head, refuse

ONE = "RFC 9112 3.2: exactly one valid Host"
SYNTAX = 'RFC 9110 7.2: uri-host [ ":" port ]'
ABSOLUTE = "RFC 9112 3.2.2: absolute-form; Host must be its authority"
FORM = "RFC 9112 3.2: origin-form or absolute-form"
TARGET = "RFC 3986 2, 3.3: printable ASCII without space"


def host(value: bytes) -> bytes:
    return get(host=b"Host: " + value)


def absolute(target: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    return head(b"GET %b HTTP/%b" % (target, version), *lines)


CASES: list[Case] = [
    *(
        accept(f"Host {value!r}", host(value), ROOT, rule=SYNTAX)
        for value in (
            b"a",
            b"a.example",
            b"A.EXAMPLE",
            b"a.example.",
            b"a:80",
            b"a:",
            b"a:00080",
            b"127.0.0.1",
            b"127.0.0.1:8080",
            b"[::1]",
            b"[::1]:80",
            b"[::ffff:127.0.0.1]",
            b"xn--bcher-kva.example",
            b"a_b.example",
            b"a.example \t",
        )
    ),
    accept("HOST in capitals", get(host=b"HOST:a"), ROOT, rule="RFC 9110 5.1"),
    accept(
        "Host is not the first field",
        head(b"GET / HTTP/1.1", b"Accept: x", b"Host: a"),
        b"GET / HTTP/1.1\r\naccept: x\r\n\r\n",
        rule=ONE,
    ),
    accept("Host in Connection", get(b"Connection: host"), ROOT, rule="RFC 9110 7.6.1"),
    accept(
        "X-Host, X-Original-Host and the like pass",
        get(b"X-Host: b"),
        b"GET / HTTP/1.1\r\nx-host: b\r\n\r\n",
        rule="the service's own",
    ),
    refuse("no Host", head(b"GET / HTTP/1.1"), rule=ONE),
    refuse("no Host, but one by CGI's spelling", head(b"GET / HTTP/1.1", b"HO_ST: a"), rule=ONE),
    refuse("an empty Host", get(host=b"Host:"), rule="RFC 9110 4.2.1: no http URI has an empty host"),
    refuse("an empty Host in HTTP/1.0", absolute(b"/", b"Host:", version=b"1.0"), rule="RFC 9110 4.2.1"),
    refuse("two Hosts", get(b"Host: b"), rule=ONE),
    refuse("two Hosts that agree", get(b"Host: a"), rule=ONE),
    refuse("two Hosts, one empty", get(b"Host:"), rule=ONE),
    refuse("two Hosts, apart and in capitals", get(b"X: 1", b"HOST: b"), rule=ONE),
    refuse("two Hosts in HTTP/1.0", absolute(b"/", b"Host: a", b"Host: b", version=b"1.0"), rule=ONE),
    refuse("an indented second Host", get(b" Host: b"), rule="RFC 9112 5.2: Host of Troubles"),
    refuse(
        "an indented first Host",
        b"GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
        rule="RFC 9112 2.2: Host of Troubles",
    ),
    *(
        refuse(f"Host {value!r}", host(value), rule=SYNTAX)
        for value in (
            b"a, b",
            b"a,b",
            b"a b",
            b"a\tb",
            b"a;b",
            b"u@a",
            b"u:p@a",
            b"@a",
            b"a@",
            b"a/b",
            b"a/",
            b"/",
            b"a?b",
            b"a#b",
            b"a\\b",
            b"http://a",
            b"//a",
            b"a:b",
            b"a:80:80",
            b"a:-1",
            b"a:+80",
            b"a:65536",
            b"a:999999",
            b"a:8 0",
            b"a:0x50",
            b":80",
            b":",
            b"a%2eb",
            b"%61",
            b"a%00",
            b'"a"',
            b"'a'",
            b"(a)",
            b"<a>",
            b"{a}",
            b"a|b",
            b"a^b",
            b"a`b",
            b"a$b",
            b"a&b",
            b"a*",
            b"*",
            b"a!",
            b"[::1",
            b"::1",
            b"[::1]x",
            b"[::1]:x",
            b"[]",
            b"[1]",
            b"[::1%25eth0]",
            b"[v1.x]",
            b"[::g]",
            b"127.1",
            b"0x7f.0.0.1",
            b"2130706433",
            b"127.0.0.01",
            b"256.0.0.1",
            b"1.2.3.4.5",
            b"a..b",
            b".a",
            b"a..",
            b"-a",
            b"a-",
            b"b\xc3\xbccher",
            b"\xff",
            b"a" * 64,
            b".".join([b"a" * 60] * 5),
        )
    ),
    *(
        refuse(f"Host with byte 0x{code:02x}", host(b"a%cb" % code), rule="RFC 9110 5.5")
        for code in (0, 1, 0x0B, 0x0C, 0x1F, 0x7F)
    ),
    # absolute-form
    accept("absolute-form", absolute(b"http://a/x?y", b"Host: a"), b"GET /x?y HTTP/1.1\r\n\r\n", rule=ABSOLUTE),
    accept(
        "absolute-form in other letters",
        absolute(b"HTTP://A.example/x", b"Host: a.EXAMPLE"),
        b"GET /x HTTP/1.1\r\n\r\n",
        rule=ABSOLUTE,
    ),
    accept(
        "absolute-form with a port",
        absolute(b"http://a:8080/x", b"Host: a:8080"),
        b"GET /x HTTP/1.1\r\n\r\n",
        rule=ABSOLUTE,
    ),
    accept(
        "absolute-form without a path",
        absolute(b"http://a", b"Host: a"),
        ROOT,
        rule="RFC 9112 3.2.1: an empty path is /",
    ),
    accept(
        "absolute-form of a query alone",
        absolute(b"http://a?x=1", b"Host: a"),
        b"GET /?x=1 HTTP/1.1\r\n\r\n",
        rule="RFC 9112 3.2.1",
    ),
    accept(
        "absolute-form of https",
        absolute(b"https://a/x", b"Host: a"),
        b"GET /x HTTP/1.1\r\n\r\n",
        rule="RFC 9110 7.4; TLS may end before",
    ),
    accept(
        "absolute-form in HTTP/1.0, without Host",
        absolute(b"http://a/x", version=b"1.0"),
        b"GET /x HTTP/1.1\r\n\r\n",
        ends=True,
        rule=ABSOLUTE,
    ),
    *(
        refuse(f"target {target!r}, Host {name!r}", absolute(target, b"Host: " + name), rule=ABSOLUTE)
        for target, name in (
            (b"http://b/", b"a"),
            (b"http://a/", b"b"),
            (b"http://a:80/", b"a"),
            (b"http://a/", b"a:80"),
            (b"http://a:81/", b"a:80"),
            (b"http://a./", b"a"),
            (b"http://u@a/", b"a"),
            (b"http://u@a/", b"u@a"),
            (b"http://u:p@a/", b"a"),
            (b"http://a@b/", b"b"),
            (b"http://a\\@b/", b"b"),
            (b"http://a#@b/", b"b"),
            (b"http:///", b"a"),
            (b"http:///x", b""),
            (b"http://", b""),
            (b"http://a/", b""),
            (b"http://a, b/", b"a"),
            (b"http://a%2f/", b"a"),
            (b"http://a:x/", b"a:x"),
            (b"http://[::1]/", b"::1"),
            (b"http://%61/", b"a"),
            (b"http://a\xc3\xa9/", b"a"),
        )
    ),
    refuse("absolute-form without Host", absolute(b"http://a/"), rule=ONE),
    refuse("absolute-form and two Hosts", absolute(b"http://a/", b"Host: a", b"Host: a"), rule=ONE),
    *(
        refuse(f"target {target!r}", get(target=target), rule=FORM)
        for target in (
            b"ftp://a/",
            b"ws://a/",
            b"file:///etc/passwd",
            b"http:/a/",
            b"http:a",
            b"http//a/",
            b"httpx://a/",
            b"://a/",
            b"a",
            b"a/b",
            b"a:80",
            b"*",
            b"*/",
            b"**",
            b"?x",
            b"#",
            b"\\",
            b"\\a",
            b".",
            b"..",
            b"../x",
            b"@a/",
            b"javascript:x",
            b";",
            b"%2f",
            b"%2fx",
        )
    ),
    refuse("GET *", head(b"GET * HTTP/1.1", b"Host: a"), rule="RFC 9112 3.2.4: for OPTIONS alone"),
    refuse("OPTIONS **", head(b"OPTIONS ** HTTP/1.1", b"Host: a"), rule="RFC 9112 3.2.4"),
    # origin-form
    *(
        accept(
            f"target {sent!r}",
            get(target=sent),
            b"GET %b HTTP/1.1\r\n\r\n" % seen,
            rule="RFC 9112 3.2.1, RFC 3986 6.2.2",
        )
        for sent, seen in (
            (b"/a/b;c=d?e=f&g[0]=h", b"/a/b;c=d?e=f&g[0]=h"),
            (b"/?", b"/"),
            (b"/??", b"/??"),
            (b"/?a=http://b/../c//d", b"/?a=http://b/../c//d"),
            (b"/a/../b", b"/b"),
            (b"/./a", b"/a"),
            (b"/%7Ea", b"/~a"),
            (b"/%e2%82%ac", b"/%E2%82%AC"),
            (b"/a%20b", b"/a%20b"),
            (b"//a", b"/a"),
            (b"///", b"/"),
            (b"//b/x", b"/b/x"),
            (b"/http://b/", b"/http:/b/"),
            (b"/a:b@c", b"/a:b@c"),
            (b"/*", b"/*"),
            (b"/{a}|b", b"/%7Ba%7D%7Cb"),
            (b"/?%00%0d%0a", b"/?%00%0d%0a"),
            (b"/?" + b"q" * 4000, b"/?" + b"q" * 4000),
        )
    ),
    *(
        refuse(f"target {target!r}", get(target=target), rule=TARGET)
        for target in (
            b"/#",
            b"/#x",
            b"/x#y?z",
            b"/?x#y",
            b"/a b",
            b"/a?b c",
            b"/\xc3\xa9",
            b"/?\xc3\xa9",
            b"/\xff",
            b"/%",
            b"/%1",
            b"/%zz",
            b"/%u0041",
            b"/\\a",
            b"/a\\..\\b",
            b"/%00",
            b"/%0a",
            b"/%0d%0aX:y",
            b"/%7f",
            b"/%2f",
            b"/a%5cb",
            b"/%252e",
            b"/%c0%ae",
            b"/..",
            b"/a/../..",
            b"/%2e%2e/",
            b"/a//../b",
            b"/..;/",
            b"/;/a",
            b"/.%3b",
        )
    ),
    *(
        refuse(f"byte 0x{code:02x} in a target", get(target=b"/a%cb" % code), rule=TARGET)
        for code in (0, 1, 8, 9, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F, 0x80, 0xA0, 0xFF)
    ),
    refuse("a bare CR in a target", get(target=b"/a\rb"), rule="RFC 9112 2.2"),
    refuse("a field in the target's line", get(target=b"/a\r\nX-Subject: b"), rule="RFC 9112 3"),
]
