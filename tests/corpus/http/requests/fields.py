"""Field lines: names, whitespace, line folding, bytes, and what is the gateway's own to say."""

from corpus.http.notation import ROOT, Case, accept, get, refuse

NAME = "RFC 9110 5.1: field-name = token"
COLON = "RFC 9112 5.1: no whitespace between name and colon"
VALUE = "RFC 9110 5.5: no control characters but a tab inside"
FOLD = "RFC 9112 5.2: obs-fold"
OWN = "what the gateway says of a request, no client may say"
ALIKE = "RFC 3875 4.1.18: to CGI it is the gateway's own field"


def seen(*lines: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


CASES: list[Case] = [
    accept("an ordinary field", get(b"Accept: text/html"), seen(b"accept: text/html"), rule=NAME),
    accept("every character of a token", get(b"!#$%&'*+-.^`|~09AZaz: 1"), seen(b"!#$%&'*+-.^`|~09azaz: 1"), rule=NAME),
    accept(
        "the same field twice, in order",
        get(b"X: 1", b"Y: 2", b"X: 3"),
        seen(b"x: 1", b"y: 2", b"x: 3"),
        rule="RFC 9110 5.3",
    ),
    accept("no whitespace", get(b"X:1"), seen(b"x: 1"), rule=COLON),
    accept("much whitespace", get(b"X: \t \t1 \t "), seen(b"x: 1"), rule="RFC 9110 5.5: OWS is no part of a value"),
    accept("whitespace inside a value", get(b"X: 1 \t 2"), seen(b"x: 1 \t 2"), rule=VALUE),
    accept("an empty value", get(b"X:"), seen(b"x: "), rule="RFC 9110 5.5: a value may be empty"),
    accept("a value of whitespace", get(b"X: \t "), seen(b"x: "), rule="RFC 9110 5.5"),
    accept("colons in a value", get(b"X: a:b: c"), seen(b"x: a:b: c"), rule=VALUE),
    accept(
        "bytes above ASCII in a value",
        get(b"X: \xe9\xff\x80"),
        seen(b"x: \xe9\xff\x80"),
        rule="RFC 9110 5.5: obs-text is opaque",
    ),
    accept("a quote that never ends", get(b'X: "'), seen(b'x: "'), rule=VALUE),
    accept(
        "100 fields",
        get(*(b"X: %d" % n for n in range(99))),
        seen(*(b"x: %d" % n for n in range(99))),
        rule="docs/http.md",
    ),
    accept("a value of 8 KB", get(b"X: " + b"x" * 8000), seen(b"x: " + b"x" * 8000), rule="docs/http.md"),
    accept(
        "a credential, and one that is none",
        get(b"Authorization: Bearer t ", b"X-Authorization: u"),
        seen(b"authorization: Bearer t", b"x-authorization: u"),
        rule="RFC 9110 11.6.2",
    ),
    accept(
        "Content-Type twice",
        get(b"Content-Type: a/b", b"Content-Type: c/d"),
        seen(b"content-type: a/b", b"content-type: c/d"),
        rule="RFC 9110 5.3: the service's to judge; the gateway reads neither",
    ),
    accept(
        "a cookie in two lines",
        get(b"Cookie: a=1", b"Cookie: b=2"),
        seen(b"cookie: a=1", b"cookie: b=2"),
        rule="RFC 6265 5.4",
    ),
    accept(
        "Range, If-Match and Max-Forwards pass",
        get(b"Range: bytes=0-1", b'If-Match: "x"', b"Max-Forwards: 1"),
        seen(b"range: bytes=0-1", b'if-match: "x"', b"max-forwards: 1"),
        rule="RFC 9110 7.6.2: for TRACE and OPTIONS alone",
    ),
    accept(
        "Via of a proxy before",
        get(b"Via: 1.1 front"),
        seen(b"via: 1.1 front"),
        rule="RFC 9110 7.6.3: a proxy adds itself",
    ),
    # whitespace and folding
    refuse("space before the colon", get(b"X : 1"), rule=COLON),
    refuse("tab before the colon", get(b"X\t: 1"), rule=COLON),
    refuse("space before Host's colon", get(host=b"Host : a"), rule=COLON),
    refuse("space inside a name", get(b"X Y: 1"), rule=NAME),
    refuse("space before a name", get(b"A: 1", b" X: 1"), rule=FOLD),
    refuse("tab before a name", get(b"A: 1", b"\tX: 1"), rule=FOLD),
    refuse("space before the first name", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", rule="RFC 9112 2.2"),
    refuse("a folded value", get(b"X: 1", b" 2"), rule=FOLD),
    refuse("a value that is folded at once", get(b"X:", b" 1"), rule=FOLD),
    refuse("a fold of whitespace alone", get(b"X: 1", b"  "), rule=FOLD),
    refuse("a folded Host", get(host=b"Host: a\r\n .evil"), rule=FOLD),
    refuse("a folded identity", get(b"X: 1\r\n\tX-Subject: forged"), rule=FOLD),
    # bytes
    *(
        refuse(f"byte 0x{code:02x} in a name", get(b"X%cY: 1" % code), rule=NAME)
        for code in (*b'\0\x01\t\x0b\x0c\x1f "(),/;<=>?@[\\]{}\x7f\x80\xff',)
    ),
    *(
        refuse(f"byte 0x{code:02x} in a value", get(b"X: a%cb" % code), rule=VALUE)
        for code in (*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F)
    ),
    refuse("NUL at a value's end", get(b"X: a\0"), rule=VALUE),
    refuse("no colon", get(b"X"), rule=NAME),
    refuse("no name", get(b": 1"), rule=NAME),
    refuse("a colon alone", get(b":"), rule=NAME),
    refuse("a request for a field", get(b"GET /smuggled HTTP/1.1"), rule=NAME),
    refuse("a Unicode letter that folds to s", get("X-\u017fubject: forged".encode()), rule=NAME),
    # the gateway's own
    *(
        accept(f"{name} of a client", get(name.encode() + b": forged"), ROOT, rule=OWN)
        for name in (
            "X-Application-Id",
            "x-plan",
            "X-SUBJECT",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Port",
            "X-Forwarded-Prefix",
            "X-Forwarded-User",
            "X-Forwarded-Client-Cert",
            "Forwarded",
            "X-Real-Ip",
            "Tracestate",
            "X-Forwarded-Anything",
        )
    ),
    *(
        accept(f"{name} of a client", get(name.encode() + b": forged"), ROOT, rule=ALIKE)
        for name in (
            "X_Application_Id",
            "X_Plan",
            "x-application_id",
            "X_Forwarded_For",
            "X.Plan",
            "X!Subject",
            "X-Application.Id",
            "X~Forwarded~For",
            "X.Forwarded-For",
            "X`Real|Ip",
            "Any_Name",
            "_",
            "Proxy_Connection",
        )
    ),
    accept(
        "identities, many times",
        get(b"X-Plan: a", b"x-plan: b", b"X-PLAN: c", b"X-Plan:", b"X-Ok: 1"),
        seen(b"x-ok: 1"),
        rule=OWN,
    ),
    accept("a sound request id alone is kept", get(b"X-Request-Id: \x61\x62-1"), ROOT, rule="docs/http.md"),
    accept(
        "a request id that breaks a log",
        get(b'X-Request-Id: a"b\xff', b"X-Request-Id: second one"),
        ROOT,
        rule="docs/http.md",
    ),
    accept("a malformed traceparent", get(b"Traceparent: 00-zz-1-01"), ROOT, rule="W3C Trace Context 3.2.2"),
    accept(
        "two traceparents",
        get(
            b"Traceparent: 00-%b-b7ad6b7169203331-01" % (b"1" * 32),
            b"Traceparent: 00-%b-b7ad6b7169203331-01" % (b"2" * 32),
        ),
        ROOT,
        rule="W3C Trace Context 3.2",
    ),
]
