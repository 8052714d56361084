"""The request target, normalised once: rules match these bytes and the upstream gets these bytes.

What two servers could read differently is refused instead of guessed at. RFC 9112 3.2.1 (origin-form), RFC 3986 6.2.2.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.errors import BadRequest

KNOWN = 1024  # targets that are remembered
LONGEST_KNOWN = 256  # bytes of one that is

_PCHAR = rb"A-Za-z0-9._~!$&'()*+,;=:@-"  # RFC 3986 3.3, without percent-encoded ones
_QUERY = rb"!-\"$-~"  # what is printable, without `#`: RFC 3986 allows less, but `filter[x]=1` is everywhere

# The outer repetition is a greedy one: `(…)++` around a lookahead matches what it must not on Python 3.11.2.
_ordinary = re.compile(rb"((?:/(?![/;]|\.(?![A-Za-z0-9]))[%b]*+)+)(?:\?([%b]*+))?" % (_PCHAR, _QUERY)).fullmatch


class _Refusals:
    """Patterns that a part may not contain, each with its cause, searched for in one go."""

    def __init__(self, *rows: tuple[bytes, str]) -> None:
        self._search = re.compile(b"|".join(b"(%b)" % pattern for pattern, _ in rows)).search
        self._causes = [cause for _, cause in rows]

    def check(self, part: bytes, name: str) -> None:
        found = self._search(part)
        if found is not None:
            raise BadRequest(f"the {name} contains {self._causes[(found.lastindex or 0) - 1]}")


_RAW = _Refusals(
    (rb"[\0-\x1f\x7f]", "a control character"),
    (rb" ", "a space; write %20"),
    (rb"[\x80-\xff]", "a byte outside ASCII; percent-encode it"),
    (rb"#", "a '#'; a fragment is not sent, and a literal one is written %23"),
)
_MALFORMED = _Refusals(
    (rb"\\", "a backslash"),
    (rb"%(?![0-9A-Fa-f]{2})", "a '%' without two hexadecimal digits; write %25"),
)
_AMBIGUOUS = _Refusals(  # after the unreserved are decoded and digits are in upper case
    (rb"%(?:[01][0-9A-F]|7F)", "an encoded control character"),
    (rb"%2F", "an encoded '/'"),
    (rb"%5C", "an encoded backslash"),
    (rb"%25(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f]{4})", "a twice encoded character"),
    (rb"/(?:\.{0,2}(?:;|%3B)|\.{1,2}(?:%3F|%23))", "a dot or empty segment with parameters"),
)
_rewritten = re.compile(rb"%[0-9A-Fa-f]{2}|[\"<>\[\]^`{|}]").sub
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_slashes = re.compile(rb"//+").sub
_dot_dot = re.compile(rb"/\.\.(?:/|\Z)").search


def normalise(target: bytes) -> tuple[bytes, bytes]:
    """What `normalised` makes of a target; some of late are remembered."""
    known = _known.get(target)
    if known is None:
        known = normalised(target)
        if len(target) <= LONGEST_KNOWN:
            if len(_known) >= KNOWN:
                _known.clear()
            _known[target] = known
    return known


def normalised(target: bytes) -> tuple[bytes, bytes]:
    """Split an origin-form target into (path, query); raises BadRequest for what is malformed or ambiguous.

    The path comes out with one spelling: unreserved characters decoded, other encodings in upper case, `//` collapsed,
    dot segments removed (RFC 3986 5.2.4). The query is checked and left as it is; an empty one is as none.
    """
    ordinary = _ordinary(target)
    if ordinary is not None:
        return ordinary.groups(b"")  # type: ignore[return-value] # two groups, as the pattern has
    path, _, query = target.partition(b"?")
    if path[:1] != b"/":
        raise BadRequest("the request target must start with '/'")
    _RAW.check(path, "path")
    _MALFORMED.check(path, "path")
    _RAW.check(query, "query")
    return _remove_dots(_collapse(_spell(path))), query


_known: Final[dict[bytes, tuple[bytes, bytes]]] = {}


def _spell(path: bytes) -> bytes:
    """One spelling for each character: RFC 3986 6.2.2.1 and 6.2.2.2; what a path may not hold raw is encoded."""
    path = _rewritten(_respell, path)
    _AMBIGUOUS.check(path, "path")
    try:
        unquote_to_bytes(path).decode()  # refuses overlong forms, and stray bytes that lax decoders drop
    except UnicodeDecodeError:
        raise BadRequest("the path contains encoded bytes that are not UTF-8") from None
    return path


def _respell(found: re.Match[bytes]) -> bytes:
    spelled = found[0]
    code = int(spelled[1:], 16) if len(spelled) == 3 else spelled[0]
    return b"%c" % code if code in _UNRESERVED else b"%%%02X" % code


def _collapse(path: bytes) -> bytes:
    if b"//" not in path:
        return path
    if _dot_dot(path):  # `/a//../b` is /a/b by RFC 3986, and /b for servers that collapse first
        raise BadRequest("the path contains both '//' and '..'")
    return _slashes(b"/", path)


def _remove_dots(path: bytes) -> bytes:
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise BadRequest("the path climbs above its root")
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
