"""Keys of applications, as the files hold them: by digest, with what bounds their use."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key's digest, as `sha256:` and 64 hex digits. It serves until `expires` (Unix seconds), for clients from any of
    `addresses` and pages at any of `referrers`; empty: from anywhere.
    """

    digest: str
    name: str | None = None
    expires: float | None = None
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    referrers: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What logs call it."""
        return self.name or self.digest.removeprefix("sha256:")[:12]

    def __str__(self) -> str:
        """Its digest by the beginning, so that a line can hold it."""
        return f"{self.digest[:15]}…" if self.name is None else f"{self.name} ({self.digest[:15]}…)"
