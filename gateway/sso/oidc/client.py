"""What the gateway asks a provider as its client: to push a request, to exchange a code, to refresh."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from gateway.errors import Unavailable
from gateway.identity.channel import Channel, FetchFailed
from gateway.model import SignIn
from gateway.sso.oidc.metadata import RETRY_AFTER, Announced, Metadata

log = logging.getLogger("gateway.sso")

OWN_FAULTS = ("invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request")


class Refused(Exception):
    """The provider answered with an error of RFC 6749 5.2. `ours`: the gateway is not configured as it is there."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        self.ours = error in OWN_FAULTS


class Client:
    """One client at one provider."""

    def __init__(self, name: str, channel: Channel, sign_in: SignIn) -> None:
        self.announced = Announced(name, channel)
        self.id = sign_in.client_id
        self._name = name
        self._channel = channel
        self._secret = sign_in.client_secret

    async def push(self, endpoint: str, form: Mapping[str, str]) -> str:
        """The `request_uri` of an authorization request (RFC 9126 2). Raises Refused or Unavailable."""
        answer = await self._post(endpoint, form, await self.announced.get())
        uri = answer.get("request_uri")
        if not isinstance(uri, str):
            raise self._away("the answer to a pushed request has no request_uri")
        return uri

    async def exchange(self, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """Raises Refused or Unavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        return await self._token(form)

    async def refresh(self, refresh_token: str) -> dict[str, Any]:
        """Raises Refused or Unavailable."""
        return await self._token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _token(self, form: Mapping[str, str]) -> dict[str, Any]:
        metadata = await self.announced.get()
        return await self._post(metadata.token, form, metadata)

    async def _post(self, url: str, form: Mapping[str, str], metadata: Metadata) -> dict[str, Any]:
        credentials = None
        if self._secret is None or metadata.posts_secret:
            form = {**form, "client_id": self.id}
            if self._secret is not None:
                form["client_secret"] = self._secret
        else:
            credentials = (self.id, self._secret)
        try:
            answer = await self._channel.post(url, form, credentials)
        except FetchFailed as error:
            raise self._away(str(error)) from error
        if answer.status < 300:
            return answer.members
        said = answer.members.get("error")
        if not isinstance(said, str) or answer.status == 429:
            raise self._away(f"{url}: status {answer.status}")
        refused = Refused(said[:100])
        level = logging.WARNING if refused.ours else logging.INFO
        log.log(level, "identity %s: sign-in: %s", self._name, _explained(refused), extra={"provider": self._name})
        raise refused

    def _away(self, why: str) -> Unavailable:
        log.warning("identity %s: sign-in: %s", self._name, why, extra={"provider": self._name})
        return Unavailable("the sign-in provider cannot be asked", code="provider_away", retry_after=RETRY_AFTER)


def _explained(refused: Refused) -> str:
    cure = "; compare sign_in's client_id and client_secret with the client at the provider" if refused.ours else ""
    return f"the provider refuses: {refused.error!r}{cure}"
