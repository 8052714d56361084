"""Fetches a provider's keys: discovery (OpenID Connect Discovery 1.0, 4), then its JWK Set (RFC 7517 5).

Nothing that answers is trusted further than it must be: no redirects, no host but the provider's, no compression,
bounded size and time.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, NamedTuple

import httpx2

from gateway.identity.keys import KeySet, key_set
from gateway.identity.token import json_object
from gateway.model import ASYMMETRIC, Oidc

DOCUMENT_BYTES = 262_144
FETCH_SECONDS = 5.0  # for one document, from connecting to the last byte

_DISCOVERY = "/.well-known/openid-configuration"


class FetchFailed(Exception):
    """The provider's keys could not be had; the text says why and holds no secret."""


class Origin(NamedTuple):
    """Scheme, host and port of a URL (RFC 6454)."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: str) -> Origin:
        try:
            parts = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError) as error:
            raise FetchFailed(f"{url[:100]!r} is not a URL") from error
        if parts.scheme not in {"http", "https"} or not parts.host:
            raise FetchFailed(f"{url[:100]!r} is not a URL of http or https")
        return cls(parts.scheme, parts.host, parts.port)


class Source:
    """Where one provider's keys come from. Make and use it in one event loop; `aclose` it."""

    def __init__(self, oidc: Oidc) -> None:
        self._oidc = oidc
        self._algorithms = oidc.algorithms or ASYMMETRIC
        self._base = (oidc.internal_url or oidc.issuer).rstrip("/")
        self._jwks_uri: str | None = None
        self._client = httpx2.AsyncClient(
            verify=_tls(oidc),
            timeout=None,
            headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "gateway"},
            trust_env=False,  # what reaches the provider is said in the configuration alone
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def fetch(self) -> KeySet:
        """Discover anew, then fetch the keys; raises FetchFailed."""
        self._jwks_uri = self._inner(await self._discover())
        return await self.refetch()

    async def refetch(self) -> KeySet:
        """Fetch the keys from where they were found last, in one request; raises FetchFailed."""
        if self._jwks_uri is None:
            return await self.fetch()
        document = await self._get(self._jwks_uri)
        try:
            return key_set(document, self._algorithms)
        except ValueError as error:
            raise FetchFailed(f"{self._jwks_uri}: {error}") from error

    async def _discover(self) -> str:
        """The `jwks_uri` as published; the issuer must be the configured one, exactly (Discovery 4.3)."""
        url = self._base + _DISCOVERY
        document = await self._get(url)
        if document.get("issuer") != self._oidc.issuer:
            found = str(document.get("issuer"))[:200]
            cure = "configure that issuer, or set the provider's own hostname (in Keycloak: KC_HOSTNAME)"
            raise FetchFailed(f"{url}: the issuer is {found!r}, not {self._oidc.issuer!r}: {cure}")
        uri = document.get("jwks_uri")
        if not isinstance(uri, str):
            raise FetchFailed(f"{url}: no jwks_uri")
        return uri

    def _inner(self, uri: str) -> str:
        """The back channel's URL for a published one; only the provider's own origins are permitted."""
        outer = self._oidc.issuer.rstrip("/")
        if self._oidc.internal_url is not None and uri.startswith(outer + "/"):
            return self._base + uri.removeprefix(outer)
        if Origin.of(uri) not in {Origin.of(outer), Origin.of(self._base)}:
            raise FetchFailed(f"the jwks_uri {uri[:200]!r} is on another host than the issuer, which is not supported")
        return uri

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return json_object(await self._body(url))
        except TimeoutError as error:
            raise FetchFailed(f"{url}: no answer within {FETCH_SECONDS:g} s") from error
        except ValueError as error:
            raise FetchFailed(f"{url}: {error}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise FetchFailed(f"{url}: {_cause(error)}") from error

    async def _body(self, url: str) -> bytes:
        async with self._client.stream("GET", url) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("compressed though this was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > DOCUMENT_BYTES:
                    raise ValueError(f"more than {DOCUMENT_BYTES} bytes")
            return bytes(body)


def _tls(oidc: Oidc) -> ssl.SSLContext:
    """Trusts the private CA alone, or the system's; nobody where no TLS is spoken, as loading CAs takes 50 ms."""
    if oidc.issuer.startswith("https:") or (oidc.internal_url or "").startswith("https:"):
        return ssl.create_default_context(cafile=oidc.ca)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _cause(error: BaseException) -> str:
    """What the operating system or TLS said, beneath the client library's wrapping."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
