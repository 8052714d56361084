"""Clients that register themselves at the development provider (RFC 7591, RFC 7592), by Keycloak's paths."""

from __future__ import annotations

import secrets
import time
import uuid
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.devkit.provider import Provider
from gateway.devkit.registration import ClientPages, Json

PATH = "/clients-registrations/openid-connect"
UNKNOWN = {"error": "invalid_token", "error_description": "Not authorized to view client. Not valid token."}


class RegistrationPages:
    """Who may manage clients registers one; its registration access token, which is told once, then stands for it."""

    def __init__(self, provider: Provider, clients: ClientPages) -> None:
        self._provider = provider
        self._clients = clients
        self._made: dict[str, Json] = {}  # by client id: as it was told
        self._tokens: dict[str, str] = {}  # client id → digest of its registration access token

    def routes(self) -> list[Route]:
        """Below the realm."""
        return [
            Route(PATH, self._register, methods=["POST"]),
            Route(PATH + "/{id}", self._show, methods=["GET"]),
            Route(PATH + "/{id}", self._delete, methods=["DELETE"]),
        ]

    async def _register(self, request: Request) -> Response:
        if refusal := self._clients.refusal(request):
            return refusal
        try:
            asked: Any = await request.json()
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or not isinstance(asked.get("redirect_uris", []), list):
            return JSONResponse({"error": "invalid_client_metadata", "error_description": "not a client"}, 400)
        own, secret, token = str(uuid.uuid4()), secrets.token_urlsafe(), secrets.token_urlsafe()
        self._clients.keep({"id": str(uuid.uuid4()), "clientId": own, "secret": secret, "enabled": True})
        told = {
            "redirect_uris": [],
            "grant_types": ["client_credentials"],
            **{name: value for name, value in asked.items() if name in ("redirect_uris", "grant_types", "client_name")},
            "client_id": own,
            "client_id_issued_at": int(time.time()),
            "token_endpoint_auth_method": "client_secret_basic",
            "registration_client_uri": f"{self._provider.issuer}{PATH}/{own}",
        }
        self._made[own], self._tokens[own] = told, _digest(token)
        told_once = {"client_secret": secret, "client_secret_expires_at": 0, "registration_access_token": token}
        return JSONResponse({**told, **told_once}, 201, {"Cache-Control": "no-store"})

    async def _show(self, request: Request) -> Response:
        own = self._meant(request)
        return JSONResponse(UNKNOWN, 401) if own is None else JSONResponse(self._made[own])

    async def _delete(self, request: Request) -> Response:
        own = self._meant(request)
        if own is None:
            return JSONResponse(UNKNOWN, 401)
        del self._made[own], self._tokens[own]
        self._clients.forget(own)
        return Response(status_code=204)

    def _meant(self, request: Request) -> str | None:
        """The client of the path, if the token is its own."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        own = request.path_params["id"]
        known = self._tokens.get(own, "")
        return own if scheme == "Bearer" and secrets.compare_digest(known, _digest(token)) else None


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
