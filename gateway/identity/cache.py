"""Tokens that one provider's checks have verified, so that a token is verified once and then recognised.

The key is the SHA-256 of the whole token, and each provider has its own cache: an entry says that *these* checks
passed. Refused tokens are not remembered, so no flood of them can push out a good one.
"""

from __future__ import annotations

from hashlib import sha256

from gateway.identity.revocations import Marks, NoMarks, revoked
from gateway.model import Identity

TOKENS = 20_000  # one is about 4.5 KB, by what it claims
FIELDS = 1_024  # fields whose digest is remembered: a client sends the same again and again
LONGEST_FIELD = 4_096  # bytes of one that is
SCHEME = 7  # bytes of `Bearer `


class Entry:
    """What a token proved, until when (Unix seconds), and the key that verified it (None: its provider told of it).
    `version` is of the marks by which it is known not to be revoked. `bound`: the token alone proves nothing."""

    __slots__ = ("bound", "expires", "identity", "key", "version")

    def __init__(
        self,
        identity: Identity,
        expires: float,
        key: tuple[object, ...] | None,
        version: int = 0,
        *,
        bound: bool = False,
    ) -> None:
        self.identity = identity
        self.expires = expires
        self.key = key
        self.version = version
        self.bound = bound


class TokenCache:
    """Bounded; the oldest entry makes room."""

    def __init__(self, size: int = TOKENS, marks: Marks | None = None) -> None:
        self._size = size
        self._marks = NoMarks() if marks is None else marks
        self._entries: dict[bytes, Entry] = {}
        self._digests: dict[bytes, bytes] = {}  # of tokens that were recognised, by their field

    def __len__(self) -> int:
        return len(self._entries)

    def recognise(self, field: bytes, now: float) -> Identity | None:
        """`get` for the value of an Authorization field that begins with `Bearer `."""
        digest = self._digests.get(field)
        if digest is not None:
            return self.get(digest, now)
        digest = sha256(field[SCHEME:]).digest()
        identity = self.get(digest, now)
        if identity is not None and len(field) <= LONGEST_FIELD:
            if len(self._digests) >= FIELDS:
                del self._digests[next(iter(self._digests))]
            self._digests[field] = digest
        return identity

    def get(self, digest: bytes, now: float) -> Identity | None:
        """The identity that a token of this digest proves, never past its `exp`, nor once it is revoked; not of one
        that proves nothing alone."""
        entry = self.find(digest, now)
        return None if entry is None or entry.bound else entry.identity

    def find(self, digest: bytes, now: float) -> Entry | None:
        """The same of any token."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if now < entry.expires and (entry.version == self._marks.version or self._still_holds(entry, digest)):
            return entry
        del self._entries[digest]
        return None

    def _still_holds(self, entry: Entry, digest: bytes) -> bool:
        """Looked at again once for each change of the marks."""
        entry.version = self._marks.version
        return not revoked(self._marks, entry.identity.claims, digest)

    def put(self, digest: bytes, entry: Entry, now: float) -> None:
        """Remember a verified token; one that lives by the leeway only takes nobody's place."""
        if entry.expires <= now:
            return
        if len(self._entries) >= self._size and digest not in self._entries:
            del self._entries[next(iter(self._entries))]
        self._entries[digest] = entry

    def retain(self, keys: frozenset[tuple[object, ...]]) -> None:
        """Forget the tokens whose key is not among these: it was withdrawn."""
        known = {None, *keys}
        self._entries = {digest: entry for digest, entry in self._entries.items() if entry.key in known}
