"""A session: what a provider proved at sign-on, how it is kept in the store, and the identity that it gives."""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.model import Identity
from gateway.sso.sealing import Unsealed, seal, unseal

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """What a provider proved. Times in Unix seconds.

    `sid` is the provider's name of its own session, for logout. `private` is what the provider's way needs later, such
    as tokens. At `renew_at` the way is to be asked again (None: never); what it has not said again by `good_until`
    does not hold. The session ends at `ends` at the latest.
    """

    provider: str
    subject: str
    issuer: str
    client_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    sid: str | None = None
    private: Mapping[str, Any] = field(default_factory=dict, repr=False)
    renew_at: float | None = None
    good_until: float | None = None
    ends: float = math.inf

    def identity(self, ends: float) -> Identity:
        """Who the session's requests come from."""
        return Identity(
            subject=self.subject,
            client_id=self.client_id,
            roles=frozenset(self.roles),
            groups=frozenset(self.groups),
            scopes=frozenset(self.scopes),
            issuer=self.issuer,
            expires=ends,
            claims=self.claims,
            proof=(f"sign_in:{self.provider}",),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`id` is the digest of its cookie, `raw` how it stands in the store."""

    id: str
    who: SignedIn
    begun: float
    ends: float
    raw: bytes = field(repr=False)


class Summary(NamedTuple):
    """What is kept in clear: for admins, and for logout by the provider."""

    provider: str
    subject: str
    sid: str | None
    begun: float
    ends: float

    @property
    def owners(self) -> list[str]:
        """The lists that its session is in."""
        by_sid = [] if self.sid is None else [owner_by_sid(self.provider, self.sid)]
        return [owner_by_subject(self.provider, self.subject), *by_sid]


def owner_by_sid(provider: str, sid: str) -> str:
    return f"sid {provider} {sid}"


def owner_by_subject(provider: str, subject: str) -> str:
    return f"sub {provider} {subject}"


def pack(secret: str, name: str, who: SignedIn, begun: float, ends: float) -> Session:
    """As it is kept: the summary, and the rest sealed."""
    summary = Summary(who.provider, who.subject, who.sid, begun, ends)
    content = {
        "issuer": who.issuer,
        "client_id": who.client_id,
        "claims": who.claims,
        "roles": who.roles,
        "groups": who.groups,
        "scopes": who.scopes,
        "private": who.private,
        "renew_at": who.renew_at,
        "good_until": who.good_until,
    }
    members = {"version": VERSION, **summary._asdict()}
    members["sealed"] = b64encode(seal(secret, _beside(name, summary), content)).decode()
    return Session(id=name, who=who, begun=begun, ends=ends, raw=json.dumps(members).encode())


def summary_of(raw: bytes) -> Summary | None:
    """None for what another version has written."""
    members = json.loads(raw)
    if members.pop("version") != VERSION:
        return None
    del members["sealed"]
    return Summary(**members)


def unpack(secret: str, name: str, raw: bytes) -> Session | None:
    """None for what this version, or this cookie, cannot read."""
    summary = summary_of(raw)
    if summary is None:
        return None
    try:
        content = unseal(secret, _beside(name, summary), b64decode(json.loads(raw)["sealed"]))
    except Unsealed:
        return None
    for listed in ("roles", "groups", "scopes"):
        content[listed] = tuple(content[listed])
    who = SignedIn(provider=summary.provider, subject=summary.subject, sid=summary.sid, ends=summary.ends, **content)
    return Session(id=name, who=who, begun=summary.begun, ends=summary.ends, raw=raw)


def _beside(name: str, summary: Summary) -> bytes:
    return json.dumps([name, *summary]).encode()
