import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.http.host import parse_host


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        (b"example.com", b"example.com", None),
        (b"API.Example.COM:8443", b"api.example.com", 8443),
        (b"example.com.", b"example.com", None),
        (b"example.com.:80", b"example.com", 80),
        (b"example.com:", b"example.com", None),
        (b"orders_v2.internal", b"orders_v2.internal", None),
        (b"xn--bcher-kva.example", b"xn--bcher-kva.example", None),
        (b"127.0.0.1:8080", b"127.0.0.1", 8080),
        (b"[::1]", b"[::1]", None),
        (b"[2001:DB8:0:0::1]:443", b"[2001:db8::1]", 443),
    ],
)
def test_a_host_with_or_without_a_port(value: bytes, host: bytes, port: int | None) -> None:
    assert parse_host(value) == (host, port)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b".",
        b"a..b",
        b".a",
        b"a.b..",
        b"-a.example",
        b"a-.example",
        b"a" * 64,
        b"a." * 127 + b"a",
        b"user@example.com",
        b"example.com/x",
        b"example.com?",
        b"example.com#",
        b"exa mple.com",
        b"example.com ",
        b"ex%61mple.com",
        b"b\xc3\xbccher.example",
        b"a,b",
        b"example.com\n",
        b"example.com:80:80",
        b"example.com:-1",
        b"example.com:65536",
        b"example.com:000080",
        b"example.com:8o",
        b":80",
        b"127.1",
        b"127.0.0.256",
        b"127.0.0.01",
        b"0x7f.0.0.1",
        b"127.0.0.0x1",
        b"2130706433",
        b"::1",
        b"[::1",
        b"[]",
        b"[::1]x",
        b"[fe80::1%25eth0]",
        b"[v1.x]",
        b"[127.0.0.1]",
    ],
)
def test_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match="the Host field"):
        parse_host(value)


@given(st.text("aB0.-_:[]x1", max_size=20).map(str.encode))
def test_a_host_has_one_spelling(value: bytes) -> None:
    try:
        host, port = parse_host(value)
    except BadRequest:
        return
    assert host == host.lower()
    assert not host.endswith(b".")
    assert parse_host(host + (b":%d" % port if port is not None else b"")) == (host, port)
