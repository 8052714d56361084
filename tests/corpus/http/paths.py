"""Spellings of /orders/admin, which a rule refuses, and how services read a path.

Tsai 2018 ("Breaking Parser Logic").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

SLASHES = (
    *rb"""
    / // /./ /%2e/ /;/ /;x=1/ /.;/ %2f %2F %252f \ %5c %255c /%2f %e2%88%95 %c0%af %e0%80%af %u2215 %u002f /%09/
    /%20/ /%00/ %00/ /.%00/ /~/ /%7e/ /#/ /%23/ /?/ /%3f/ /@/ /:/
    """.split(),
    b"\xe2\x88\x95",
    b"/\t/",
)
UPS = (
    *rb"""
    .. %2e%2e %2E. .%2e ..; ..;x=1 %2e%2e; ..%3b ..%3Bx ..%00 ..%20 ..%09 ..%23 ..%3f ..%2f ..%5c ..\ %252e%252e
    %25%32%65%25%32%65 %c0%ae%c0%ae %e0%80%ae%e0%80%ae %u002e%u002e ..%ff .%00. ... .... .%0a. ..%0d ;.. %3b..
    """.split(),
    b". .",
)
ADMINS = (
    *rb"""
    admin admin/ admin/x admin;x=1 admin; admin%3bx %61dmin %2561dmin a%64min adm%69n %61%64%6d%69%6e ./admin
    %2e/admin x/../admin x/%2e%2e/admin x;/../admin x/..;/admin /admin //admin ;/admin ;x/admin a/b/../../admin
    a/./b/.././../admin ..;/orders/admin ../orders/admin ..//orders/admin ..%2forders%2fadmin ../orders;x/admin
    %2e%2e/orders/admin %2fadmin %5cadmin \admin admin%00 admin%00.html admin%2f admin%2fx admin%5c admin\x
    admin%0a admin%23 admin%3fx admin?x admin?/../x %c1%a1dmin %u0061dmin admin%ff admin#x x#/../admin admin/.
    admin/..;/admin admin/%2e%2e;/admin admin/x/.. x/..%00/admin % %2 %zz/../admin
    """.split(),
    b"\xc1\xa1dmin",
)
ALLOWED = {  # what a service may ask for, and what is sent on
    b"/orders": b"/orders",
    b"/orders/7": b"/orders/7",
    b"/orders/administrators/../7": b"/orders/7",
    b"/orders/x/%2e%2e/7": b"/orders/7",
    b"/orders/%e2%82%ac": b"/orders/%E2%82%AC",
    b"/orders//7": b"/orders/7",
    b"/orders/a;v=1": b"/orders/a;v=1",
    b"/orders/.../7": b"/orders/.../7",
    b"/orders/a%20b": b"/orders/a%20b",
    b"/orders/7?x=/orders/admin": b"/orders/7?x=/orders/admin",
    b"/orders/..%2e": b"/orders/...",
}


def spellings() -> dict[str, tuple[bytes, ...]]:
    """Targets that some server takes for /orders/admin, by what they play with."""
    return {
        "of admin": tuple(b"/orders/" + admin for admin in ADMINS),
        "of the slash": tuple(b"/orders%badmin" % slash for slash in SLASHES)
        + tuple(b"%borders/admin" % slash for slash in SLASHES),
        "of orders": (
            b"/%6frders/admin",
            b"/orders;x/admin",
            b"/orders;/admin",
            b"/orders%3bx/admin",
            b"/./orders/admin",
            b"/x/../orders/admin",
            b"/orders/../orders/admin",
            b"/orders./../orders/admin",
        ),
        **{
            f"of {up.decode()}": tuple(b"/orders%bx%b%b%badmin" % (slash, slash, up, slash) for slash in SLASHES)
            for up in UPS
        },
    }


def resolved(path: bytes) -> list[bytes]:
    """Segments, without empty ones, with dots resolved."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    return kept


def raw(path: bytes) -> list[bytes]:
    return resolved(path)


def decoding_once(path: bytes) -> list[bytes]:
    return resolved(unquote_to_bytes(path).replace(b"\\", b"/"))


def decoding_twice(path: bytes) -> list[bytes]:
    """And deaf to path parameters, `%u` escapes and NUL, as Java's and C's servers were."""
    for _ in range(2):
        path = unquote_to_bytes(re.sub(rb"%[uU]00([0-9A-Fa-f]{2})", rb"%\1", path))
    return resolved(re.sub(rb";[^/]*", b"", path.replace(b"\\", b"/").partition(b"\0")[0]))


READERS: tuple[Callable[[bytes], list[bytes]], ...] = (raw, decoding_once, decoding_twice)
