"""Which header fields pass the gateway, and which are its own to write.

Fields travel as one flat list, `[name, b": ", value, b"\\r\\n", …]`, ready to be joined; names in lower case.
"""

from __future__ import annotations

import re
from enum import IntEnum

Fields = list[bytes]

MEMO = 4096  # distinct names remembered
WHITESPACE = b" \t"  # around values (RFC 9110 5.6.3)


class Kind(IntEnum):
    """What the proxy does with a field."""

    PASS = 0
    DROP = 1  # hop by hop, or the gateway's own to write
    CONTENT_LENGTH = 2
    TRANSFER_ENCODING = 3
    CONNECTION = 4
    HOST = 5
    EXPECT = 6
    REQUEST_ID = 7
    TRACEPARENT = 8
    AUTHORIZATION = 9
    DATE = 10
    FORWARDED = 11  # a trusted proxy's word
    FORWARDED_FOR = 12
    FORWARDED_PROTO = 13
    FORWARDED_HOST = 14
    COOKIE = 15
    SET_COOKIE = 16


HOP_BY_HOP = (  # RFC 9110 7.6.1, and what is hop by hop in practice
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"upgrade",
    b"http2-settings",
)
IDENTITY = (b"x-application-id", b"x-plan", b"x-subject")
FORWARDING = (b"forwarded", b"x-real-ip")
CERTIFICATE = (  # what proxies say of a client's certificate (RFC 9440, and what is in use)
    b"client-cert",
    b"ssl-client-",
    b"x-amzn-mtls-",
    b"x-arr-clientcert",
    b"x-client-cert",
    b"x-client-verify",
    b"x-ssl-",
    b"x-tls-client-",
)
END_TO_END = (
    frozenset(  # never removed for Connection's sake: no sender may list them, and a service must not miss them
        (b"authorization", b"cookie", b"cache-control", b"content-type", b"content-encoding", b"range")
    )
)
FRAMING = {
    b"content-length": Kind.CONTENT_LENGTH,
    b"transfer-encoding": Kind.TRANSFER_ENCODING,
    b"connection": Kind.CONNECTION,
}
_REQUEST: dict[bytes, Kind] = {
    **dict.fromkeys((*HOP_BY_HOP, *IDENTITY, *FORWARDING, b"tracestate"), Kind.DROP),
    **FRAMING,
    b"host": Kind.HOST,
    b"expect": Kind.EXPECT,
    b"x-request-id": Kind.REQUEST_ID,
    b"traceparent": Kind.TRACEPARENT,
    b"authorization": Kind.AUTHORIZATION,
    b"cookie": Kind.COOKIE,
}
_TRUSTED: dict[bytes, Kind] = {
    **_REQUEST,
    b"forwarded": Kind.FORWARDED,
    b"x-forwarded-for": Kind.FORWARDED_FOR,
    b"x-forwarded-proto": Kind.FORWARDED_PROTO,
    b"x-forwarded-host": Kind.FORWARDED_HOST,
    b"x-forwarded-client-cert": Kind.PASS,
}
_RESPONSE: dict[bytes, Kind] = {
    **dict.fromkeys((*HOP_BY_HOP, b"x-request-id", b"ratelimit", b"ratelimit-policy"), Kind.DROP),
    **FRAMING,
    b"date": Kind.DATE,
    b"set-cookie": Kind.SET_COOKIE,
}


_folded = re.compile(rb"[^a-z0-9]").sub  # some servers make one sign of all (RFC 3875 4.1.18)


class Kinds(dict[bytes, Kind]):
    """A field's kind by its name as sent; remembers the lower case and the verdict of each spelling."""

    def __init__(self, known: dict[bytes, Kind], *, request: bool, trusted: bool = False) -> None:
        super().__init__(known)
        self._known = known
        self._request = request
        self._refused = (b"x-forwarded-",) if trusted else (b"x-forwarded-", *CERTIFICATE)

    def __missing__(self, name: bytes) -> Kind:
        kind = self._known.get(name)
        if kind is None:
            kind = Kind.DROP if self._request and not self._is_plain(name) else Kind.PASS
        if len(self) < MEMO:
            self[name] = kind
        return kind

    def _is_plain(self, name: bytes) -> bool:
        """False for names that a service may take for the gateway's: X-Forwarded-…, or by CGI's folding of signs; and
        for a certificate that nobody has seen."""
        folded = _folded(b"-", name)
        return b"_" not in name and folded not in self._known and not folded.startswith(self._refused)


REQUEST_KINDS = Kinds(_REQUEST, request=True)
TRUSTED_KINDS = Kinds(_TRUSTED, request=True, trusted=True)  # of requests that trusted proxies pass on
RESPONSE_KINDS = Kinds(_RESPONSE, request=False)


def values(fields: Fields, name: bytes) -> list[bytes]:
    """All values of `name` (lower case) in order."""
    return [fields[i + 2] for i in range(0, len(fields), 4) if fields[i] == name]


def without(fields: Fields, names: set[bytes]) -> Fields:
    """The fields but those that `names` (lower case) lists."""
    kept: Fields = []
    for i in range(0, len(fields), 4):
        if fields[i] not in names:
            kept += fields[i : i + 4]
    return kept


def listed(connection: bytes) -> set[bytes]:
    """The names in a Connection field's value (RFC 9110 7.6.1), in lower case."""
    return {token.strip(WHITESPACE) for token in connection.lower().split(b",")}
