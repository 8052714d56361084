"""What the provider says of itself: fetched when it is first needed, then kept fresh; the last good word serves while
the provider is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.errors import Unavailable
from gateway.identity.channel import Channel, FetchFailed

log = logging.getLogger("gateway.sso")

FRESH = 300.0  # seconds
RETRY_AFTER = 5  # seconds


class Metadata(NamedTuple):
    """Endpoints (OpenID Connect Discovery 1.0, 3; RFC 8414 2). Those of the back channel are as the gateway reaches
    them, those of the browser as they are published."""

    authorization: str
    token: str
    pushed: str | None  # RFC 9126
    end_session: str | None  # RP-Initiated Logout 1.0
    names_itself: bool  # `iss` comes with the code (RFC 9207)
    posts_secret: bool  # takes the client's secret in the form alone


def metadata_of(document: dict[str, Any], channel: Channel) -> Metadata:
    """Raises FetchFailed for what cannot be used."""
    optional = {
        name: channel.endpoint(document, name) if document.get(name) is not None else None
        for name in ("pushed_authorization_request_endpoint", "end_session_endpoint")
    }
    channel.endpoint(document, "authorization_endpoint")  # which must be the provider's own
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        authorization=document["authorization_endpoint"],
        token=channel.endpoint(document, "token_endpoint"),
        pushed=optional["pushed_authorization_request_endpoint"],
        end_session=None if optional["end_session_endpoint"] is None else document["end_session_endpoint"],
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        posts_secret="client_secret_basic" not in methods and "client_secret_post" in methods,
    )


class Announced:
    """A provider's metadata. One fetch is under way at a time."""

    def __init__(self, name: str, channel: Channel, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._channel = channel
        self._clock = clock
        self._fetched = float("-inf")
        self._lock = asyncio.Lock()
        self.latest: Metadata | None = None

    async def get(self) -> Metadata:
        """Raises Unavailable while the provider has never answered."""
        async with self._lock:
            if self.latest is None or self._clock() - self._fetched > FRESH:
                await self._fetch()
        if self.latest is None:
            raise Unavailable("the sign-in provider cannot be reached", code="provider_away", retry_after=RETRY_AFTER)
        return self.latest

    async def _fetch(self) -> None:
        try:
            self.latest = metadata_of(await self._channel.discover(), self._channel)
            self._fetched = self._clock()
        except FetchFailed as error:
            log.warning("identity %s: sign-in: %s", self._name, error, extra={"provider": self._name})
