"""Text of clients as JSON strings of bounded length: pure ASCII, so that a log can hold nothing that acts on a
terminal or ends a line."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii

ELLIPSIS = "\\u2026"


def quote(text: str | None, longest: int) -> str:
    """`text` as a JSON string of at most `longest` characters (at least 8), cut with an ellipsis; None is `null`."""
    if text is None:
        return "null"
    quoted = encode_basestring_ascii(text)
    while len(quoted) > longest:
        text = text[: len(text) * (longest - len(ELLIPSIS)) // len(quoted)]
        quoted = encode_basestring_ascii(text + "…")
    return quoted


def text_of(raw: bytes) -> str:
    """Bytes that should be UTF-8; those that are not stay visible as `\\xNN`."""
    return raw.decode("utf-8", "backslashreplace")
