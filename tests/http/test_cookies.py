"""The gateway's own cookies are told apart from those of services, however they are spelt."""

import pytest

from gateway.http.cookies import is_own, split


@pytest.mark.parametrize(
    ("field", "own", "left"),
    [
        (b"a=1; b=2", (), b"a=1; b=2"),
        (b"a=1;b=2", (), b"a=1;b=2"),
        (b"__Host-plangate=x", (b"__Host-plangate=x",), b""),
        (b"a=1; __Host-plangate=x; b=2", (b"__Host-plangate=x",), b"a=1; b=2"),
        (b"plangate-0a=1;  plangate=2;a=3", (b"plangate-0a=1", b"plangate=2"), b"a=3"),
        (b"__host-PLANGATE=x; a=plangate", (b"__host-PLANGATE=x",), b"a=plangate"),
        (b"=plangate=x; a=1", (b"=plangate=x",), b"a=1"),
        (b"a=1; plangat=2", (), b"a=1; plangat=2"),
        (b"xplangate=1;;", (), b"xplangate=1"),
    ],
)
def test_own_cookies_are_taken_out(field: bytes, own: tuple[bytes, ...], left: bytes) -> None:
    assert split(field) == (own, left)


@pytest.mark.parametrize(
    "field", [b"plangate=x", b"__Host-plangate=x; Path=/", b"__host-Plangate-1=", b" plangate", b"=__Host-plangate=x"]
)
def test_a_service_cannot_set_them(field: bytes) -> None:
    assert is_own(field)


@pytest.mark.parametrize("field", [b"session=plangate", b"__Secure-plangate=1", b"my-plangate=1", b""])
def test_what_only_looks_alike_is_the_services(field: bytes) -> None:
    assert not is_own(field)
