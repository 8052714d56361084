"""What the development provider tells of tokens (RFC 7662) and takes back (RFC 7009), as Keycloak does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.devkit.provider import Client, Provider, audience_of

Asked = Callable[[Request], Awaitable[tuple[Client, Mapping[str, str]]]]
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
NOTHING: dict[str, Any] = {"active": False}


def token_routes(provider: Provider, asked: Asked) -> list[Route]:
    """`asked` tells which client asks, and its form."""

    async def introspect(request: Request) -> Response:
        client, form = await asked(request)
        return JSONResponse(told(provider, client, form.get("token", "")), headers=NO_STORE)

    async def revoke(request: Request) -> Response:
        client, form = await asked(request)
        claims = known(provider, form.get("token", ""))
        if claims is not None and claims["azp"] == client.id:
            provider.revoked.add(claims["jti"])
        return Response(headers=NO_STORE)  # also of what is no token (RFC 7009 2.2)

    return [
        Route("/protocol/openid-connect/token/introspect", introspect, methods=["POST"]),
        Route("/protocol/openid-connect/revoke", revoke, methods=["POST"]),
    ]


def told(provider: Provider, client: Client, token: str) -> dict[str, Any]:
    """The claims of an active token, to a client that is among its audience; to others it is not active."""
    claims = known(provider, token)
    if claims is None or client.id not in audience_of(claims) or claims["jti"] in provider.revoked:
        return NOTHING
    if not claims["exp"] > provider.now():
        return NOTHING
    kind = "DPoP" if claims["typ"] == "DPoP" else "Bearer"
    return {**claims, "username": claims.get("preferred_username"), "token_type": kind, "active": True}


def known(provider: Provider, token: str) -> dict[str, Any] | None:
    """The whole claims of a token that was issued here; None: it was not."""
    if token in provider.held:
        return provider.held[token]
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next(jwt.PyJWK(jwk) for jwk in provider.keys.jwks()["keys"] if jwk["kid"] == kid and jwk["use"] == "sig")
        claims: dict[str, Any] = jwt.decode(
            token, key, [key.algorithm_name], options={"verify_aud": False, "verify_exp": False, "verify_iat": False}
        )
    except (jwt.InvalidTokenError, StopIteration):
        return None
    whole: dict[str, Any] = provider.held.get(claims["jti"], claims)
    return whole
