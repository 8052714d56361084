"""The back channel to one provider: its metadata (OpenID Connect Discovery 1.0, 4), and what is asked of its endpoints.

Nothing that answers is trusted further than it must be: no redirects, no host but the provider's, no compression,
bounded size and time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import httpx2

from gateway.identity.token import json_object
from gateway.model import Oidc

DOCUMENT_BYTES = 262_144
FETCH_SECONDS = 5.0  # for one document, from connecting to the last byte

_DISCOVERY = "/.well-known/openid-configuration"


class FetchFailed(Exception):
    """The provider could not be asked; the text says why and holds no secret."""


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


class Answer(NamedTuple):
    """A status that is no failure of the channel, and the JSON object that came with it."""

    status: int
    members: dict[str, Any]


class Channel:
    """Make and use it in one event loop; `aclose` it."""

    def __init__(self, oidc: Oidc) -> None:
        self._issuer = oidc.issuer
        self._base = (oidc.internal_url or oidc.issuer).rstrip("/")
        self._moved = oidc.internal_url is not None
        self._client = httpx2.AsyncClient(
            verify=tls_of(oidc),
            timeout=None,
            headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "gateway"},
            trust_env=False,  # what reaches the provider is said in the configuration alone
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def discover(self) -> dict[str, Any]:
        """The metadata as published; its issuer is the configured one, exactly (Discovery 4.3). Raises FetchFailed."""
        url = self._base + _DISCOVERY
        document = await self.get(url)
        if document.get("issuer") != self._issuer:
            found = str(document.get("issuer"))[:200]
            cure = "configure that issuer, or set the provider's own hostname (in Keycloak: KC_HOSTNAME)"
            raise FetchFailed(f"{url}: the issuer is {found!r}, not {self._issuer!r}: {cure}")
        return document

    def endpoint(self, metadata: Mapping[str, Any], name: str) -> str:
        """The back channel's URL of an endpoint in the metadata; only the provider's own origins are permitted. Raises
        FetchFailed."""
        uri = metadata.get(name)
        if not isinstance(uri, str):
            raise FetchFailed(f"{self._base}{_DISCOVERY}: no {name}")
        outer = self._issuer.rstrip("/")
        if self._moved and uri.startswith(outer + "/"):
            return self._base + uri.removeprefix(outer)
        if Origin.of(uri) not in {Origin.of(outer), Origin.of(self._base)}:
            raise FetchFailed(f"the {name} {uri[:200]!r} is on another host than the issuer, which is not supported")
        return uri

    async def date(self) -> str | None:
        """What the provider says that the time is: an answer's Date field (RFC 9110 6.6.1). Raises FetchFailed."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                answer = await self._client.head(self._base + _DISCOVERY)
        except (TimeoutError, httpx2.HTTPError, OSError) as error:
            raise FetchFailed(f"{self._base}{_DISCOVERY}: {_cause(error)}") from error
        stamp: str | None = answer.headers.get("date")
        return stamp

    async def get(self, url: str) -> dict[str, Any]:
        """A JSON object. Raises FetchFailed."""
        answer = await self._ask("GET", url, {})
        if answer.status != 200:
            raise FetchFailed(f"{url}: status {answer.status}")
        return answer.members

    async def post(self, url: str, form: Mapping[str, str], credentials: tuple[str, str] | None = None) -> Answer:
        """What an OAuth endpoint answers to a form, refusals (4xx) too; `credentials` are told as RFC 6749 2.3.1 has
        it. Raises FetchFailed: nobody knows whether it was done then."""
        more: dict[str, Any] = {"data": dict(form)}
        if credentials is not None:
            more["auth"] = tuple(quote_plus(part) for part in credentials)
        return await self._ask("POST", url, more)

    async def _ask(self, method: str, url: str, more: Mapping[str, Any]) -> Answer:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._answer(method, url, more)
        except TimeoutError as error:
            raise FetchFailed(f"{url}: no answer within {FETCH_SECONDS:g} s") from error
        except ValueError as error:
            raise FetchFailed(f"{url}: {error}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise FetchFailed(f"{url}: {_cause(error)}") from error

    async def _answer(self, method: str, url: str, more: Mapping[str, Any]) -> Answer:
        async with self._client.stream(method, url, **more) as response:
            status = response.status_code
            if status != 200 and (method == "GET" or not (200 < status < 300 or 400 <= status < 500)):
                raise ValueError(f"status {status}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("compressed though this was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > DOCUMENT_BYTES:
                    raise ValueError(f"more than {DOCUMENT_BYTES} bytes")
        return Answer(status, json_object(bytes(body)) if body or status == 200 else {})


def tls_of(oidc: Oidc) -> ssl.SSLContext:
    """Trusts the private CA alone, or the system's; nobody where no TLS is spoken, as loading CAs takes 50 ms."""
    if oidc.issuer.startswith("https:") or (oidc.internal_url or "").startswith("https:"):
        return ssl.create_default_context(cafile=oidc.ca)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _cause(error: BaseException) -> str:
    """What the operating system or TLS said, beneath the client library's wrapping."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
