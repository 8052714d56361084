"""A Keycloak-compatible realm for development and tests: clients, keys, tokens. HTTP is in `provider_app`."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.devkit.keys import SIGNING, KeyRing
from gateway.model import ASYMMETRIC

REALM = "demo"
AUDIENCE = "gateway"
LIFESPAN = 300  # Keycloak's default, in seconds
SCOPES = ("email", "profile")  # Keycloak's default client scopes that are told in the token

WEB = "gateway-web"
LIGHTWEIGHT = ("exp", "iat", "jti", "iss", "sub", "typ", "azp", "cnf", "sid", "scope")  # what such a token says

MOBILE = "mobile-app"
SHOP = "shop-app"
NO_AUDIENCE = "no-audience"

DEFAULT_REALM_ROLES = ("offline_access", f"default-roles-{REALM}", "uma_authorization")
DEFAULT_CLIENT_ROLES = {"account": ("manage-account", "manage-account-links", "view-profile")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A confidential client with a service account. `lifespan` of its access tokens in seconds.

    `audience` is what its audience mappers add; `exchanges`: it may exchange others' tokens for these. `roles` are
    realm roles, `client_roles` those of clients; both besides the ones that Keycloak gives to every account.
    """

    id: str
    secret: str = field(default_factory=secrets.token_urlsafe, repr=False)
    audience: tuple[str, ...] = (AUDIENCE,)
    roles: tuple[str, ...] = ()
    client_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lifespan: int = LIFESPAN
    algorithm: str = "RS256"
    exchanges: bool = False
    enabled: bool = True
    kind: str = "full"  # of its tokens: full, lightweight (signed, without audience and roles), or opaque
    binds: str | None = None  # what its tokens are bound to: dpop or certificate


def demo_clients() -> tuple[Client, ...]:
    """The clients that the example plans know, with fresh secrets."""
    return Client(id=MOBILE), Client(id=SHOP, roles=("customer",)), Client(id=NO_AUDIENCE, audience=()), Client(id=WEB)


class Provider:
    """Issues tokens as Keycloak writes them. `issuer` ends in /realms/NAME; `clock` gives Unix seconds."""

    def __init__(
        self,
        issuer: str,
        clients: Iterable[Client],
        clock: Callable[[], float] = time.time,
        keys: KeyRing | None = None,
    ) -> None:
        self.issuer = issuer
        self.keys = keys or KeyRing()
        self.held: dict[str, dict[str, Any]] = {}  # whole claims, by what a token tells of them: its jti, or itself
        self.revoked: set[str] = set()  # by jti
        self.proofs: set[str] = set()  # DPoP proofs that were used, by jti
        self._clients = {client.id: client for client in clients}
        self._clock = clock

    def now(self) -> float:
        """Unix seconds."""
        return self._clock()

    @property
    def realm(self) -> str:
        return urlsplit(self.issuer).path.rpartition("/")[2]

    def client(self, client_id: str) -> Client:
        """Raises KeyError for an unknown one."""
        return self._clients[client_id]

    def clients(self) -> list[Client]:
        return list(self._clients.values())

    def add(self, client: Client) -> None:
        """Or replace the one of its id."""
        self._clients[client.id] = client

    def remove(self, client_id: str) -> None:
        self._clients.pop(client_id, None)

    def token(self, client_id: str, /, *, lifespan: int | None = None, **claims: Any) -> str:
        """An access token as the token endpoint gives it (RFC 6749 section 4.4).

        `lifespan` in seconds replaces the client's (negative: expired). Each of `claims` replaces the one of its
        name, or removes it if None. Raises KeyError for an unknown client.
        """
        client = self._clients[client_id]
        replaced = self._claims(client, client.lifespan if lifespan is None else lifespan) | claims
        return self._made(client, {name: value for name, value in replaced.items() if value is not None})

    def sign(self, claims: Mapping[str, Any], algorithm: str = "RS256", **header: Any) -> str:
        """Any claims under the realm's active key; `header` adds to or replaces `typ` and `kid`."""
        return self.keys.sign(claims, algorithm, header)

    def _made(self, client: Client, claims: dict[str, Any]) -> str:
        """A token of the client's kind; what it does not say itself is held."""
        if client.kind == "opaque":
            token = secrets.token_urlsafe(32)
            self.held[token] = claims
            return token
        if client.kind == "lightweight":
            self.held[claims["jti"]] = claims
            claims = {name: value for name, value in claims.items() if name in LIGHTWEIGHT}
        return self.sign(claims, client.algorithm)

    def discovery(self) -> dict[str, Any]:
        """The metadata of what is served here (OpenID Connect Discovery 1.0 section 3)."""
        endpoints = f"{self.issuer}/protocol/openid-connect"
        return {
            "issuer": self.issuer,
            "token_endpoint": f"{endpoints}/token",
            "jwks_uri": f"{endpoints}/certs",
            "introspection_endpoint": f"{endpoints}/token/introspect",
            "revocation_endpoint": f"{endpoints}/revoke",
            "registration_endpoint": f"{self.issuer}/clients-registrations/openid-connect",
            "dpop_signing_alg_values_supported": list(ASYMMETRIC),
            "grant_types_supported": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(SIGNING),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": ["openid", *SCOPES],
            "claims_supported": ["aud", "sub", "iss", "acr", "preferred_username"],
        }

    def _claims(self, client: Client, lifespan: int) -> dict[str, Any]:
        """Keycloak 26's claims of a service account, in its order."""
        now = int(self._clock())
        roles = DEFAULT_CLIENT_ROLES | dict(client.client_roles)
        return {
            "exp": now + lifespan,
            "iat": now,
            "jti": f"trrtcc:{uuid.uuid4()}",  # transient session, regular token, client credentials
            "iss": self.issuer,
            "aud": _audience(client, roles),
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.issuer}#{client.id}")),
            "typ": "Bearer",
            "azp": client.id,
            "acr": "1",
            "realm_access": {"roles": [*DEFAULT_REALM_ROLES, *client.roles]},
            "resource_access": {name: {"roles": list(names)} for name, names in roles.items()},
            "scope": " ".join(SCOPES),
            "email_verified": False,
            "clientHost": "127.0.0.1",
            "preferred_username": f"service-account-{client.id}",
            "clientAddress": "127.0.0.1",
            "client_id": client.id,
        }


def audience_of(claims: Mapping[str, Any]) -> list[str]:
    """`aud` as a list (RFC 7519 section 4.1.3)."""
    named = claims.get("aud", [])
    return [named] if isinstance(named, str) else list(named)


def _audience(client: Client, roles: Mapping[str, tuple[str, ...]]) -> str | list[str]:
    """Its mappers' audiences and, by "audience resolve", the clients that it has roles of: never itself by that.

    A string if there is one, as Keycloak writes it (RFC 7519 section 4.1.3 permits both).
    """
    resolved = [name for name in roles if name != client.id]
    audience = list(dict.fromkeys([*client.audience, *resolved]))
    return audience[0] if len(audience) == 1 else audience
