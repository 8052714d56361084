"""The provider's HTTP side: Keycloak's paths for discovery, keys and tokens."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote_plus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from gateway.devkit.binding import binding_of
from gateway.devkit.exchange import GRANT, exchange
from gateway.devkit.introspection import token_routes
from gateway.devkit.oauth import OAuthError
from gateway.devkit.people import People, Rejected
from gateway.devkit.people_app import PeoplePages
from gateway.devkit.provider import SCOPES, Client, Provider
from gateway.devkit.registration import ClientPages
from gateway.devkit.self_registration import RegistrationPages

T = TypeVar("T")

FORM = "application/x-www-form-urlencoded"
MAX_FORM = 16 * 1024  # octets; a token request is a few hundred
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 section 5.1


class Credentials(NamedTuple):
    """What a client showed, and whether in the Authorization header."""

    id: str
    secret: str
    basic: bool


def provider_app(provider: Provider, people: People | None = None) -> Starlette:
    """Serves the provider's realm, with its people where there are some; any other one is not found."""
    pages = None if people is None else PeoplePages(people, f"/realms/{provider.realm}")

    async def discovery(_: Request) -> JSONResponse:
        more = {} if pages is None else pages.metadata(provider.issuer)
        return JSONResponse(provider.discovery() | more, headers={"Cache-Control": "no-cache"})

    async def certs(_: Request) -> JSONResponse:
        return JSONResponse(provider.keys.jwks(), headers={"Cache-Control": "no-cache"})

    async def token(request: Request) -> JSONResponse:
        return JSONResponse(await _grant(provider, people, request), headers=NO_STORE)

    async def asked(request: Request) -> tuple[Client, Mapping[str, str]]:
        form = await _form(request)
        return _authenticate(provider, _credentials(request, form)), form

    async def push(request: Request) -> JSONResponse:
        form = await _form(request)
        client = _authenticate(provider, _credentials(request, form))
        assert people is not None
        uri = _of_people(lambda: people.push(client.id, form))
        return JSONResponse({"request_uri": uri, "expires_in": 60}, 201, NO_STORE)

    async def unknown_realm(_: Request) -> JSONResponse:
        return JSONResponse({"error": "Realm does not exist"}, 404)

    realm = [
        Route("/.well-known/openid-configuration", discovery),
        Route("/protocol/openid-connect/certs", certs),
        Route("/protocol/openid-connect/token", token, methods=["POST"]),
        *token_routes(provider, asked),
    ]
    if pages is not None:
        realm += [Route("/protocol/openid-connect/ext/par/request", push, methods=["POST"]), *pages.routes()]
    clients = ClientPages(provider)
    realm += RegistrationPages(provider, clients).routes()
    routes = [Mount(f"/realms/{provider.realm}", routes=realm), Route("/realms/{rest:path}", unknown_realm)]
    routes += clients.routes()
    return Starlette(routes=routes, exception_handlers={OAuthError: _error})


async def _error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OAuthError)
    headers = NO_STORE if error.challenge is None else NO_STORE | {"WWW-Authenticate": error.challenge}
    return JSONResponse({"error": error.error, "error_description": error.description}, error.status, headers)


async def _grant(provider: Provider, people: People | None, request: Request) -> dict[str, Any]:
    """RFC 6749 section 4, and exchange."""
    form = await _form(request)
    client = _authenticate(provider, _credentials(request, form))
    grant = form.get("grant_type")
    if grant is None:
        raise OAuthError("invalid_request", "Missing form parameter: grant_type")
    if grant == GRANT:
        return exchange(provider, client, form)
    if people is not None and client.id in people.clients:
        if grant == "authorization_code":
            return _of_people(lambda: people.exchange(client.id, form))
        if grant == "refresh_token":
            return _of_people(lambda: people.refresh(client.id, form))
    if grant != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Unsupported grant_type")
    scope = _scope(form.get("scope", ""))
    peer = request.client.host if request.client else None
    bound = binding_of(provider, client, request)
    return {
        "access_token": provider.token(client.id, scope=scope, clientHost=peer, clientAddress=peer, **bound),
        "expires_in": client.lifespan,
        "refresh_expires_in": 0,
        "token_type": bound.get("typ", "Bearer"),
        "not-before-policy": 0,
        "scope": scope,
    }


def _of_people(work: Callable[[], T]) -> T:
    try:
        return work()
    except Rejected as error:
        raise OAuthError(error.error, error.description) from error


async def _form(request: Request) -> dict[str, str]:
    """RFC 6749 section 3.2: parameters without a value count as absent, repeated ones are refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"The body must be {FORM}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise OAuthError("invalid_request", "The body is too large", 413)
    pairs = parse_qsl(body.decode(errors="replace"))
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise OAuthError("invalid_request", "A parameter is repeated")
    return dict(pairs)


def _credentials(request: Request, form: Mapping[str, str]) -> Credentials | None:
    """client_secret_basic or client_secret_post, never both (RFC 6749 section 2.3)."""
    header = request.headers.get("authorization")
    if header is not None:
        if "client_secret" in form:
            raise OAuthError("invalid_request", "More than one authentication method")
        return _basic(header)
    if "client_id" in form and "client_secret" in form:
        return Credentials(form["client_id"], form["client_secret"], basic=False)
    return None


def _basic(header: str) -> Credentials:
    """Identifier and secret are form-encoded inside Basic (RFC 6749 section 2.3.1)."""
    scheme, _, value = header.partition(" ")
    try:
        name, colon, secret = b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if scheme.lower() != "basic" or not colon:
        return Credentials("", "", basic=True)
    return Credentials(unquote_plus(name), unquote_plus(secret), basic=True)


def _authenticate(provider: Provider, shown: Credentials | None) -> Client:
    if shown is not None:
        try:
            client = provider.client(shown.id)
        except KeyError:
            pass
        else:
            if client.enabled and hmac.compare_digest(client.secret.encode(), shown.secret.encode()):
                return client
    challenge = f'Basic realm="{provider.realm}"' if shown is None or shown.basic else None
    raise OAuthError("invalid_client", "Invalid client or Invalid client credentials", 401, challenge)


def _scope(asked: str) -> str:
    """The default scopes, and `openid` when asked for."""
    names = asked.split()
    unknown = [name for name in names if name not in ("openid", *SCOPES)]
    if unknown:
        raise OAuthError("invalid_scope", f"Invalid scopes: {' '.join(unknown)}")
    return " ".join(("openid", *SCOPES) if "openid" in names else SCOPES)
