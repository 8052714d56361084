"""One spelling of a path, or none: what two servers could read differently is refused."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.http import path
from gateway.http.path import normalise


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/orders/7", b"/orders/7", b""),
        (b"/orders/", b"/orders/", b""),
        (b"/orders?page=2", b"/orders", b"page=2"),
        (b"/orders?", b"/orders", b""),
        (b"/orders??a", b"/orders", b"?a"),
        (b"/orders?filter[x]=%zz&a=/../b", b"/orders", b"filter[x]=%zz&a=/../b"),
        (b"/a/./b", b"/a/b", b""),
        (b"/a/../b", b"/b", b""),
        (b"/a/b/..", b"/a/", b""),
        (b"/a/b/.", b"/a/b/", b""),
        (b"/.", b"/", b""),
        (b"/a/..", b"/", b""),
        (b"/a/%2e%2E/b", b"/b", b""),
        (b"/%61%2D%7e", b"/a-~", b""),
        (b"/%c3%a9", b"/%C3%A9", b""),
        (b"//a///b//", b"/a/b/", b""),
        (b"/a/.//b", b"/a/b", b""),
        (b"/.well-known/x", b"/.well-known/x", b""),
        (b"/.../x", b"/.../x", b""),
        (b"/a%20b", b"/a%20b", b""),
        (b'/[a]|"b"', b"/%5Ba%5D%7C%22b%22", b""),
        (b"/users/@me", b"/users/@me", b""),
        (b"/users/%40me", b"/users/%40me", b""),
        (b"/100%25", b"/100%25", b""),
        (b"/a;v=1/b;w", b"/a;v=1/b;w", b""),
        (b"/join/%23room", b"/join/%23room", b""),
    ],
)
def test_a_target_becomes_a_path_and_a_query(target: bytes, path: bytes, query: bytes) -> None:
    assert normalise(target) == (path, query)


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (b"", "must start with '/'"),
        (b"*", "must start with '/'"),
        (b"orders", "must start with '/'"),
        (b"http://a/b", "must start with '/'"),
        (b"?a", "must start with '/'"),
        (b"/a#b", "path contains a '#'"),
        (b"/a?b#c", "query contains a '#'"),
        (b"/a b", "path contains a space"),
        (b"/a?b c", "query contains a space"),
        (b"/a\tb", "path contains a control"),
        (b"/a\nb", "path contains a control"),
        (b"/a?\x7f", "query contains a control"),
        (b"/\xc3\xa9", "path contains a byte outside ASCII"),
        (b"/a?\xff", "query contains a byte outside ASCII"),
        (b"/a\\b", "a backslash"),
        (b"/%", "'%' without two"),
        (b"/%2", "'%' without two"),
        (b"/%2g", "'%' without two"),
        (b"/%u002f", "'%' without two"),
        (b"/%00", "encoded control"),
        (b"/a%0d%0ab", "encoded control"),
        (b"/a%7f", "encoded control"),
        (b"/a%2fb", "encoded '/'"),
        (b"/a%2Fb", "encoded '/'"),
        (b"/a%5cb", "encoded backslash"),
        (b"/%252e%252e/", "twice encoded"),
        (b"/%252f", "twice encoded"),
        (b"/%255c", "twice encoded"),
        (b"/%2500", "twice encoded"),
        (b"/%25252f", "twice encoded"),
        (b"/%2561dmin", "twice encoded"),
        (b"/%25%36%31dmin", "twice encoded"),
        (b"/%25u002f", "twice encoded"),
        (b"/a/..;x/b", "dot or empty segment with parameters"),
        (b"/a/.;/b", "dot or empty segment with parameters"),
        (b"/a/%2e%2e;x", "dot or empty segment with parameters"),
        (b"/a/..%3bx", "dot or empty segment with parameters"),
        (b"/a/;x/b", "dot or empty segment with parameters"),
        (b"/a/..%3f/b", "dot or empty segment with parameters"),
        (b"/%c0%af", "not UTF-8"),
        (b"/%c0%ae%c0%ae/", "not UTF-8"),
        (b"/%e0%80%af", "not UTF-8"),
        (b"/%f0%80%80%af", "not UTF-8"),
        (b"/%ed%a0%80", "not UTF-8"),
        (b"/.%ff./", "not UTF-8"),
        (b"/..", "climbs above its root"),
        (b"/a/../../b", "climbs above its root"),
        (b"/%2e%2e/a", "climbs above its root"),
        (b"/a//../b", "both '//' and '..'"),
    ],
)
def test_what_is_ambiguous_is_refused(target: bytes, cause: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(cause)):
        normalise(target)


PIECES = [b"/", b"//", b".", b"..", b"a", b"B", b";", b";x", b"%2e", b"%2E", b"%41", b"%2f", b"%5c", b"\\", b"%25"]
PIECES += [b"%", b"2", b"e", b"5c", b"u002f", b"%3b", b"%3f", b"?", b"%23", b"%c3%a9", b"%c0%ae", b"%ff", b"%40", b"["]
targets = st.lists(st.sampled_from(PIECES) | st.binary(max_size=2), max_size=12).map(lambda p: b"/" + b"".join(p))


def normalised(target: bytes) -> tuple[bytes, bytes] | None:
    try:
        return normalise(target)
    except BadRequest:
        return None


@given(targets)
def test_normalising_again_changes_nothing(target: bytes) -> None:
    if (result := normalised(target)) is not None:
        path, query = result
        assert normalise(path + b"?" + query) == result


@given(targets)
def test_what_passes_is_a_path_of_rfc_3986(target: bytes) -> None:
    if (result := normalised(target)) is not None:
        assert re.fullmatch(rb"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})*)+", result[0])


def decoded(path: bytes, times: int) -> bytes:
    for _ in range(times):
        path = unquote_to_bytes(re.sub(rb"%[uU]00([0-9A-Fa-f]{2})", rb"%\1", path))
    return path


def lax(path: bytes, times: int, drop: bool) -> list[bytes]:
    """The segments that a careless server sees."""
    path = decoded(path, times).replace(b"\\", b"/")
    if drop:
        path = re.sub(rb";[^/]*", b"", path)
    kept: list[bytes] = []
    for segment in re.sub(rb"/+", b"/", path).split(b"/")[1:]:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    return kept


def ours(path: bytes, drop: bool) -> list[bytes]:
    """The segments that the gateway matched, each for itself."""
    segments = [unquote_to_bytes(segment) for segment in path.split(b"/")[1:]]
    return [segment.partition(b";")[0] for segment in segments] if drop else segments


def test_what_is_remembered_is_bounded_and_what_is_refused_is_not_among_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "KNOWN", 4)
    path._known.clear()
    for n in range(100):
        assert normalise(b"/a/%d?q" % n) == normalise(b"/a/%d?q" % n) == (b"/a/%d" % n, b"q")
        with pytest.raises(BadRequest):
            normalise(b"/%%2e%%2f/%d" % n)
        normalise(b"/" + b"a" * path.LONGEST_KNOWN)
    assert len(path._known) <= 4
    assert all(len(target) <= path.LONGEST_KNOWN and b"%" not in target for target in path._known)


@given(targets, st.integers(1, 3), st.booleans())
@example(b"/a/%2e%2e;/b", 1, True)
@example(b"/%252e%252e/", 2, False)
@example(b"/%25%32%65", 3, False)
@example(b"/%25u002f", 2, False)
def test_no_spelling_escapes(target: bytes, times: int, drop: bool) -> None:
    """However often an upstream decodes, and whatever it drops: it sees the segments that rules were matched on."""
    if (result := normalised(target)) is not None:
        assert lax(result[0], times, drop) == ours(result[0], drop)


@given(targets)
def test_who_decodes_the_bytes_as_sent_agrees_too(target: bytes) -> None:
    """A server in front of the gateway, which saw the client's spelling, saw the same segments."""
    if (result := normalised(target)) is not None:
        seen = lax(target.partition(b"?")[0], 1, drop=False)
        agreed = ours(result[0], drop=False)
        assert [s for s in seen if s] == [s for s in agreed if s]
