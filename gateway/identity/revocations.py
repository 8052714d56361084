"""What was revoked before its time: tokens, sessions, and all that a user, client or realm was given before a moment.

Marks say so, which every gateway knows within a second. Recognised tokens are looked at again whenever any mark has
changed, so that a request costs one comparison of numbers, and a revoked token no more than being verified anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.errors import Unavailable
from gateway.identity.refusals import InvalidToken

TOKEN, SESSION = "revoked.token", "revoked.session"  # names: an issuer, a space, and `jti` or `sid`
DIGEST = "revoked.digest"  # name: SHA-256 of a token in hexadecimal digits
REALM, CLIENT, USER = (
    "before.realm",
    "before.client",
    "before.user",
)  # names: an issuer; for two a space, `azp` or `sub`
RETRY_AFTER = 1  # seconds, told with 503
# name: an API key's digest as the files have it, or a certificate's fingerprint; value: from when on, "" for always
KEY = "revoked.key"
KINDS = (TOKEN, SESSION, DIGEST, REALM, CLIENT, USER)


class Mark(Protocol):
    @property
    def value(self) -> str:
        """Of the kinds `before` the moment, in Unix seconds; after a space, or of the others as such, the reason."""


class Marks(Protocol):
    """What is needed of the store's (see gateway.store.marks)."""

    known: bool
    version: int

    def get(self, kind: str, name: str) -> Mark | None:
        """None where there is none."""


class NoMarks:
    """Of a passport that nobody revokes anything at."""

    known = True
    version = 0

    def get(self, _kind: str, _name: str) -> Mark | None:
        return None


def named(issuer: str, of: str) -> str:
    """A mark's name."""
    return f"{issuer} {of}"


def revoked(marks: Marks, claims: Mapping[str, Any], digest: bytes | None = None) -> bool:
    """Whether what these checked claims prove was revoked: a token of this digest, or a session. What does not say
    when it was issued was issued before anything."""
    issuer, issued = claims["iss"], claims.get("iat", 0)
    for kind, claim in ((TOKEN, "jti"), (SESSION, "sid")):
        of = claims.get(claim)
        if isinstance(of, str) and marks.get(kind, named(issuer, of)) is not None:
            return True
    if digest is not None and marks.get(DIGEST, digest.hex()) is not None:
        return True
    client = claims.get("azp", claims.get("client_id", ""))
    epochs = ((REALM, issuer), (CLIENT, named(issuer, client)), (USER, named(issuer, claims["sub"])))
    return any(_before(issued, marks.get(kind, name)) for kind, name in epochs)


def _before(issued: float, epoch: Mark | None) -> bool:
    """`iat` tells whole seconds, so that what was issued in the second of the revocation was issued before it."""
    return epoch is not None and issued <= float(epoch.value.partition(" ")[0])


def require_valid(marks: Marks, claims: Mapping[str, Any], digest: bytes) -> None:
    """Raises InvalidToken for a revoked token, Unavailable where it is not known yet which there are."""
    if not marks.known:
        raise Unavailable("what was revoked is not known yet", code="identity_unavailable", retry_after=RETRY_AFTER)
    if revoked(marks, claims, digest):
        raise InvalidToken("token_revoked", "the token has been revoked")
