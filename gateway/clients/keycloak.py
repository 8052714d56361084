"""Clients by Keycloak's admin API, as a service account with the role `manage-clients` of `realm-management`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx2

from gateway.clients.compare import Json
from gateway.identity.channel import Channel, FetchFailed, tls_of
from gateway.model import ClientCredentials, Oidc

PAGE = 100
SECONDS = 10.0  # for one request
PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between attempts
AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


class Refused(Exception):
    """The provider does not do it; the text says why and holds no secret."""


class Away(Exception):
    """It may do it later."""


class Clients:
    """Those of one realm. Make and use it in one event loop; `aclose` it. All methods raise Refused and Away."""

    def __init__(
        self, oidc: Oidc, account: ClientCredentials, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._url = admin_url(oidc)
        self._channel = Channel(oidc)
        self._account = (account.client_id, account.client_secret)
        self._sleep = sleep
        self._token: str | None = None
        self._http = httpx2.AsyncClient(verify=tls_of(oidc), timeout=SECONDS, trust_env=False)

    async def aclose(self) -> None:
        await self._http.aclose()
        await self._channel.aclose()

    async def all(self) -> dict[str, Json]:
        """By client id."""
        found: dict[str, Json] = {}
        first = 0
        while True:
            page = await self._call("GET", f"?first={first}&max={PAGE}")
            if not isinstance(page, list):
                raise Refused(f"{self._url}: no list of clients")
            found |= {client["clientId"]: client for client in page}
            first += len(page)
            if len(page) < PAGE:
                return found

    async def create(self, client: Json) -> str | None:
        """Its secret. One that is there already stays as it is."""
        await self._call("POST", "", client, there=409)
        made = await self._call("GET", f"?clientId={quote(client['clientId'], safe='')}")
        return made[0].get("secret") if made else None

    async def update(self, client: Json) -> None:
        await self._call("PUT", f"/{client['id']}", client)

    async def add_mapper(self, client: Json, mapper: Json) -> None:
        await self._call("POST", f"/{client['id']}/protocol-mappers/models", mapper, there=409)

    async def delete(self, client: Json) -> None:
        await self._call("DELETE", f"/{client['id']}", there=404)

    async def _call(self, method: str, path: str, body: Json | None = None, *, there: int = 0) -> Any:
        """The JSON of an answer, or None. `there`: the status of what was done before, perhaps by a lost attempt."""
        for pause in (*PAUSES, None):
            try:
                return await self._once(method, path, body, there)
            except Away:
                if pause is None:
                    raise
                await self._sleep(pause)
        raise AssertionError

    async def _once(self, method: str, path: str, body: Json | None, there: int, *, again: bool = True) -> Any:
        token = self._token or await self._login()
        headers = {"Authorization": f"Bearer {token}"}
        try:
            answer = await self._http.request(method, self._url + path, json=body, headers=headers)
        except (httpx2.HTTPError, OSError) as error:
            raise Away(f"{self._url}: {type(error).__name__}: {error}") from error
        if answer.status_code == 401 and again:  # tokens of admins live for a minute
            self._token = None
            return await self._once(method, path, body, there, again=False)
        if answer.status_code in AGAIN:
            raise Away(f"{self._url}: status {answer.status_code}")
        if answer.is_success or answer.status_code == there:
            return answer.json() if answer.content and answer.status_code != there else None
        raise Refused(f"{method} {self._url}: status {answer.status_code}{_cure(answer.status_code)}")

    async def _login(self) -> str:
        form = {"grant_type": "client_credentials"}
        try:
            url = self._channel.endpoint(await self._channel.discover(), "token_endpoint")
            answer = await self._channel.post(url, form, self._account)
        except FetchFailed as error:
            raise Away(str(error)) from error
        token = answer.members.get("access_token")
        if answer.status != 200 or not isinstance(token, str):
            said = answer.members.get("error")
            raise Refused(f"the client {self._account[0]} gets no token: {said}; has it a service account?")
        self._token = token
        return token


def admin_url(oidc: Oidc) -> str:
    """Where the realm's clients are; raises ValueError for an issuer that is no realm of Keycloak."""
    base, realms, realm = (oidc.internal_url or oidc.issuer).rstrip("/").rpartition("/realms/")
    if not realms or "/" in realm:
        raise ValueError(f"{oidc.issuer} is no realm of Keycloak (…/realms/NAME)")
    return f"{base}/admin/realms/{realm}/clients"


def _cure(status: int) -> str:
    if status == 403:
        return "; give the service account the role manage-clients of realm-management"
    return "; is it Keycloak, and this its realm?" if status == 404 else ""
