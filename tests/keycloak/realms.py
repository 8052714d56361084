"""Realms on a running Keycloak: made through its admin REST API, used through its OpenID Connect endpoints."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx2

Json = dict[str, Any]
KEYS = "org.keycloak.keys.KeyProvider"
OIDC = "protocol/openid-connect"
NOTHING: Mapping[str, str] = MappingProxyType({})


class Token(NamedTuple):
    """A JWT as its text, and what it says to anyone who reads it; nothing is verified here."""

    text: str
    header: Json
    claims: Json

    @classmethod
    def read(cls, text: str) -> Token:
        header, claims, _signature = text.split(".")
        return cls(text, decode(header), decode(claims))


def decode(part: str) -> Json:
    decoded: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def read_json(answer: httpx2.Response) -> Json:
    body: Json = answer.raise_for_status().json()
    return body


def client(name: str, *, audience: str | None = None, roles: tuple[str, ...] = (), **attributes: str) -> Json:
    """A confidential client with a service account.

    `audience` gives it the mapper that puts the gateway into `aud`, which Keycloak does not do by itself. `roles` are
    its service account's, in place of the default ones. In attributes' names `__` stands for a dot.
    """
    return {
        "client": {
            "clientId": name,
            "serviceAccountsEnabled": True,
            "directAccessGrantsEnabled": True,
            "attributes": {key.replace("__", "."): value for key, value in attributes.items()},
            "protocolMappers": [audience_mapper(audience)] if audience else [],
        },
        "users": [service_account(name, roles)] if roles else [],
    }


def service_account(client_id: str, roles: Iterable[str]) -> Json:
    return {"username": f"service-account-{client_id}", "serviceAccountClientId": client_id, "realmRoles": [*roles]}


def audience_mapper(audience: str) -> Json:
    return {
        "name": f"audience {audience}",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {
            "included.custom.audience": audience,
            "access.token.claim": "true",
            "introspection.token.claim": "true",
        },
    }


class Admin:
    """Keycloak's admin REST API."""

    def __init__(self, url: str, username: str, password: str, http: httpx2.Client) -> None:
        self.url = url
        self.http = http
        self._login = {"grant_type": "password", "client_id": "admin-cli", "username": username, "password": password}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON, or None. The administrator's tokens live a minute, so each call takes a new one."""
        return self._asked(method, path, {}, json=body)

    def send(self, method: str, path: str, content: bytes, kind: str) -> Any:
        """The same with a body of another kind."""
        return self._asked(method, path, {"Content-Type": kind}, content=content)

    def _asked(self, method: str, path: str, headers: Mapping[str, str], **body: Any) -> Any:
        login = self.http.post(f"{self.url}/realms/master/{OIDC}/token", data=self._login).raise_for_status()
        bearer = {"Authorization": f"Bearer {login.json()['access_token']}", **headers}
        answer = self.http.request(method, f"{self.url}/admin/{path}", headers=bearer, **body).raise_for_status()
        return answer.json() if answer.content else None

    def create_realm(self, name: str, *clients: Json, roles: Iterable[str] = (), users: Iterable[Json] = ()) -> Realm:
        """A realm whose clients and users have one random secret."""
        secret = secrets.token_urlsafe()
        password = {"type": "password", "value": secret}
        people = [user | {"credentials": [password]} for user in users]
        accounts = [account for entry in clients for account in entry["users"]]
        representation = {
            "realm": name,
            "enabled": True,
            "roles": {"realm": [{"name": role} for role in roles]},
            "clients": [entry["client"] | {"secret": secret} for entry in clients],
            "users": [user | {"enabled": True} for user in people + accounts],
        }
        self.call("POST", "realms", representation)
        return Realm(self, name, secret)


class Realm:
    """A realm as its clients see it, and its signing keys as its administrator does."""

    def __init__(self, admin: Admin, name: str, secret: str) -> None:
        self._admin = admin
        self._http = admin.http
        self.name = name
        self._path = f"realms/{name}"
        self.secret = secret
        self.issuer = f"{admin.url}/{self._path}"

    def discovery(self) -> Json:
        return self._get(".well-known/openid-configuration")

    def descriptor(self) -> bytes:
        """Its metadata as an identity provider by SAML."""
        return self._http.get(f"{self.issuer}/protocol/saml/descriptor").raise_for_status().content

    def jwks(self) -> Json:
        return self._get(f"{OIDC}/certs")

    def token(self, client_id: str, *, dpop: str | None = None) -> Token:
        """The client's own access token, by the client credentials grant. `dpop` is a proof of RFC 9449."""
        return self.grant(client_id, dpop=dpop, grant_type="client_credentials")["access_token"]

    def grant(self, client_id: str, *, dpop: str | None = None, **form: str) -> dict[str, Token]:
        """The tokens that a grant gives: `access_token`, `refresh_token`, `id_token`."""
        answer = self._post(f"{OIDC}/token", client_id, form, {"DPoP": dpop} if dpop else {})
        return {kind: Token.read(text) for kind, text in answer.items() if kind.endswith("_token")}

    def introspect(self, client_id: str, token: Token) -> Json:
        return self._post(f"{OIDC}/token/introspect", client_id, {"token": token.text})

    def add_key(self, *, priority: int) -> None:
        """A new RSA key; the active one of the highest priority (at first 100) signs."""
        config = {"priority": [str(priority)], "algorithm": ["RS256"], "keySize": ["2048"]}
        provider = {"name": f"priority {priority}", "providerId": "rsa-generated", "providerType": KEYS}
        self._admin.call("POST", f"{self._path}/components", provider | {"config": config})

    def retire_key(self, kid: str) -> None:
        """It signs no more and stays published: passive, in Keycloak's word."""
        path, provider = self._provider(kid)
        self._admin.call("PUT", path, provider | {"config": provider["config"] | {"active": ["false"]}})

    def remove_key(self, kid: str) -> None:
        path, _provider = self._provider(kid)
        self._admin.call("DELETE", path)

    def _provider(self, kid: str) -> tuple[str, Json]:
        keys = self._admin.call("GET", f"{self._path}/keys")["keys"]
        identifier = next(key["providerId"] for key in keys if key["kid"] == kid)
        path = f"{self._path}/components/{identifier}"
        return path, self._admin.call("GET", path)

    def _get(self, path: str) -> Json:
        return read_json(self._http.get(f"{self.issuer}/{path}"))

    def _post(self, path: str, client_id: str, form: Mapping[str, str], headers: Mapping[str, str] = NOTHING) -> Json:
        credentials = httpx2.BasicAuth(client_id, self.secret)
        return read_json(self._http.post(f"{self.issuer}/{path}", auth=credentials, headers=headers, data=form))
