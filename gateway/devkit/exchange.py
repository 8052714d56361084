"""Token exchange at the development provider, as Keycloak's standard one answers (RFC 8693)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from gateway.devkit.oauth import OAuthError
from gateway.devkit.provider import SCOPES, Client, Provider, audience_of

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name


def exchange(provider: Provider, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """What the token endpoint gives to `client` for the subject's token; raises OAuthError in Keycloak's words."""
    if not client.exchanges:
        raise OAuthError("invalid_request", "Standard token exchange is not enabled for the requested client")
    if form.get("subject_token_type") != ACCESS_TOKEN:
        raise OAuthError("invalid_request", "Parameter 'subject_token' supports access tokens only")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise OAuthError("invalid_request", "requested_token_type unsupported")
    subject = _verified(provider, form.get("subject_token", ""))
    if client.id not in (subject["azp"], *audience_of(subject)):
        raise OAuthError("access_denied", "Client is not within the token audience", 403)
    asked = form.get("audience")
    if asked is not None and asked not in client.audience:
        raise OAuthError("invalid_request", f"Requested audience not available: {asked}")
    kept: dict[str, Any] = {
        name: subject.get(name) for name in ("sub", "preferred_username", "realm_access", "resource_access")
    }
    more: dict[str, Any] = kept if asked is None else {**kept, "aud": asked}
    return {
        "access_token": provider.token(client.id, **more, scope=form.get("scope", " ".join(SCOPES))),
        "expires_in": client.lifespan,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "not-before-policy": 0,
        "scope": form.get("scope", " ".join(SCOPES)),
    }


def _verified(provider: Provider, token: str) -> dict[str, Any]:
    """The claims of a token that this provider issued, and that has not ended."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next(jwt.PyJWK(jwk) for jwk in provider.keys.jwks()["keys"] if jwk["kid"] == kid and jwk["use"] == "sig")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256", "ES256"],
            issuer=provider.issuer,
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, StopIteration):
        raise OAuthError("invalid_request", "Invalid token") from None
    if claims["exp"] <= provider.now():
        raise OAuthError("invalid_request", "Invalid token")
    return claims
