"""The request line is judged as it came, however it was cut into pieces."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.http.parser import RequestParser, fault_of

FIELDS = b"\r\nHost: a\r\n\r\n"
LINES = {
    b"GET / HTTP/1.1": None,
    b"GET / HTTP/1.0": None,
    b"GET / HTTP/2.0": 505,
    b"GET / HTTP/0.9": 505,
    b"PRI * HTTP/2.0": 505,
    b"GET / HTTP/1.x": 400,
    b"GET / HTTP/1": 400,
    b"GET / HTTP/11": 400,
    b"GET / HTTP/1.10": 400,
    b"GET / HTTP/": 400,
    b"GET  / HTTP/2.0": 400,
    b"FOO / HTTP/1.1": 400,
    b"G\0T / HTTP/1.1": 400,
}


def status_of(line: bytes, cuts: list[int]) -> int | None:
    """What refuses it, if anything does."""
    parser = RequestParser(SimpleNamespace())
    data = line + FIELDS
    try:
        for start, end in pairwise([0, *sorted({cut % len(data) for cut in cuts} - {0}), len(data)]):
            parser.feed(data[start:end], 0)
    except GatewayError as error:
        return error.status
    except httptools.HttpParserError as error:
        return fault_of(error).status
    return None


@pytest.mark.parametrize("line", LINES)
@given(cuts=st.lists(st.integers(0, 40), max_size=4))
def test_cuts_do_not_matter(line: bytes, cuts: list[int]) -> None:
    assert status_of(line, cuts) == LINES[line]


@pytest.mark.parametrize("line", LINES)
def test_nor_do_single_bytes(line: bytes) -> None:
    assert status_of(line, list(range(40))) == LINES[line]
