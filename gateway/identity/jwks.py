"""Fetches a provider's keys: discovery, then its JWK Set (RFC 7517 5)."""

from __future__ import annotations

from gateway.identity.channel import Channel, FetchFailed
from gateway.identity.keys import KeySet, key_set
from gateway.model import ASYMMETRIC, Oidc


class Source:
    """Where one provider's keys come from. Make and use it in one event loop; `aclose` it."""

    def __init__(self, oidc: Oidc) -> None:
        self._algorithms = oidc.algorithms or ASYMMETRIC
        self._jwks_uri: str | None = None
        self.channel = Channel(oidc)

    async def aclose(self) -> None:
        await self.channel.aclose()

    async def fetch(self) -> KeySet:
        """Discover anew, then fetch the keys; raises FetchFailed."""
        self._jwks_uri = self.channel.endpoint(await self.channel.discover(), "jwks_uri")
        return await self.refetch()

    async def refetch(self) -> KeySet:
        """Fetch the keys from where they were found last, in one request; raises FetchFailed."""
        if self._jwks_uri is None:
            return await self.fetch()
        document = await self.channel.get(self._jwks_uri)
        try:
            return key_set(document, self._algorithms)
        except ValueError as error:
            raise FetchFailed(f"{self._jwks_uri}: {error}") from error
