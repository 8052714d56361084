"""Clients at the development provider, by the paths and rules of Keycloak's admin API."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import replace
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.devkit.provider import Client, Provider

Json = dict[str, Any]
ROLE = ("realm-management", "manage-clients")
MAPPER = "oidc-audience-mapper"


class ClientPages:
    """`/admin/realms/NAME/clients`. What is told of a client is kept whole; some of it the provider goes by."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._told: dict[str, Json] = {}  # by the client's own id, which is not its client id

    def routes(self) -> list[Route]:
        base = f"/admin/realms/{self._provider.realm}/clients"
        return [
            Route(base, self._all, methods=["GET"]),
            Route(base, self._create, methods=["POST"]),
            Route(base + "/{id}", self._update, methods=["PUT"]),
            Route(base + "/{id}", self._delete, methods=["DELETE"]),
            Route(base + "/{id}/protocol-mappers/models", self._add_mapper, methods=["POST"]),
        ]

    async def _all(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        first, most = (int(request.query_params.get(name, default)) for name, default in (("first", 0), ("max", 100)))
        named = request.query_params.get("clientId")
        found = [told for told in self._clients().values() if named in (None, told["clientId"])]
        return JSONResponse(found[first : first + most])

    async def _create(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        told: Json = await request.json()
        if any(known["clientId"] == told["clientId"] for known in self._clients().values()):
            return JSONResponse({"errorMessage": f"Client {told['clientId']} already exists"}, 409)
        own = str(uuid.uuid4())
        self.keep({"enabled": True, "secret": secrets.token_urlsafe(), **told, "id": own})
        return Response(status_code=201, headers={"Location": f"{request.url}/{own}"})

    async def _update(self, request: Request) -> Response:
        if refusal := self.refusal(request) or self._missing(request):
            return refusal
        known = self._clients()[request.path_params["id"]]
        told: Json = await request.json()
        attributes = {**known.get("attributes", {}), **told.get("attributes", {})}
        self.keep({**known, **told, "attributes": attributes, "id": known["id"]})
        return Response(status_code=204)

    async def _delete(self, request: Request) -> Response:
        if refusal := self.refusal(request) or self._missing(request):
            return refusal
        self._provider.remove(self._clients()[request.path_params["id"]]["clientId"])
        self._told.pop(request.path_params["id"], None)
        return Response(status_code=204)

    async def _add_mapper(self, request: Request) -> Response:
        if refusal := self.refusal(request) or self._missing(request):
            return refusal
        known, mapper = self._clients()[request.path_params["id"]], await request.json()
        mappers = known.get("protocolMappers", [])
        if any(one["name"] == mapper["name"] for one in mappers):
            return JSONResponse({"errorMessage": "Protocol mapper exists with same name"}, 409)
        self.keep({**known, "protocolMappers": [*mappers, {**mapper, "id": str(uuid.uuid4())}]})
        return Response(status_code=201)

    def _clients(self) -> dict[str, Json]:
        """Those that were told of, and the provider's others."""
        named = {told["clientId"] for told in self._told.values()}
        others = {_id(client): _described(client) for client in self._provider.clients() if client.id not in named}
        return {**others, **self._told}

    def keep(self, told: Json) -> None:
        """And issue tokens by it from now on."""
        self._told[told["id"]] = told
        mappers = [one for one in told.get("protocolMappers", []) if one["protocolMapper"] == MAPPER]
        audience = tuple(one["config"]["included.custom.audience"] for one in mappers)
        try:
            known = self._provider.client(told["clientId"])
        except KeyError:
            known = Client(id=told["clientId"], secret=told["secret"])
        self._provider.add(replace(known, audience=audience, enabled=told["enabled"]))

    def forget(self, client_id: str) -> None:
        """A client has gone."""
        self._provider.remove(client_id)
        self._told = {own: told for own, told in self._told.items() if told["clientId"] != client_id}

    def refusal(self, request: Request) -> Response | None:
        """Whether the token is one of this provider, with the role."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            keys = self._provider.keys.jwks()["keys"]
            key = next(jwt.PyJWK(jwk) for jwk in keys if jwk["kid"] == kid and jwk["use"] == "sig")
            claims = jwt.decode(token, key, algorithms=["RS256", "ES256"], options={"verify_aud": False})
        except (jwt.PyJWTError, StopIteration):
            return JSONResponse({"error": "HTTP 401 Unauthorized"}, 401)
        roles = claims["resource_access"].get(ROLE[0], {}).get("roles", [])
        if scheme != "Bearer" or ROLE[1] not in roles:
            return JSONResponse({"error": "HTTP 403 Forbidden"}, 403)
        return None

    def _missing(self, request: Request) -> Response | None:
        if request.path_params["id"] in self._clients():
            return None
        return JSONResponse({"error": "Could not find client"}, 404)


def _id(client: Client) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, client.id))


def _described(client: Client) -> Json:
    mappers = [
        {
            "id": _id(client),
            "name": f"audience {audience}",
            "protocol": "openid-connect",
            "protocolMapper": MAPPER,
            "config": {"included.custom.audience": audience, "access.token.claim": "true"},
        }
        for audience in client.audience
    ]
    return {
        "id": _id(client),
        "clientId": client.id,
        "enabled": client.enabled,
        "secret": client.secret,
        "attributes": {},
        "protocolMappers": mappers,
    }
