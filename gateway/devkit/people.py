"""People of the development realm: who signs in, with which clients, and the tokens that come of it. No HTTP here."""

from __future__ import annotations

import hmac
import secrets
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from gateway.devkit.provider import DEFAULT_REALM_ROLES, WEB, Provider

CODE_LIFE = 60.0  # seconds
PUSHED_LIFE = 60.0
STRENGTHS = ("1", "gold")  # `acr` that are known here
NOTHING: Mapping[str, str] = MappingProxyType({})
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Rejected(Exception):
    """An error of RFC 6749 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account."""

    name: str
    given: str
    family: str
    roles: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.demo"))


def demo_people() -> tuple[Person, ...]:
    return (
        Person(name="alice", given="Alice", family="Liddell", roles=("customer", "staff")),
        Person(name="bob", given="Bob", family="Baker", roles=("customer",)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebClient:
    """A client that people sign in to. It is one of the provider's clients, by its id; URLs begin with `urls`.

    It is told of logouts at `back_channel`. Seconds: of access tokens, of sessions.
    """

    id: str = WEB
    urls: tuple[str, ...]
    back_channel: str | None = None
    lifespan: int = 300
    idle: int = 1800


@dataclass(slots=True, kw_only=True)
class Visit:
    """A session of the realm, and the clients that it signed in to."""

    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    person: Person
    began: float
    acr: str = "1"
    clients: set[str] = field(default_factory=set)
    refresh: dict[str, str] = field(default_factory=dict)  # client → the refresh token that is good now


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What an authorization code stands for."""

    visit: Visit
    client: str
    asked: Mapping[str, str]
    made: float


class People:
    """Accounts, sessions, codes and refresh tokens. `clock` gives Unix seconds."""

    def __init__(
        self,
        provider: Provider,
        clients: Iterable[WebClient],
        people: Iterable[Person],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self.people = {person.name: person for person in people}
        self.visits: dict[str, Visit] = {}
        self.clients = {client.id: client for client in clients}
        self.spent = 0  # refresh tokens that were presented again
        self._clock = clock
        self._codes: dict[str, Code] = {}
        self._pushed: dict[str, tuple[dict[str, str], float]] = {}

    # --- the request

    def push(self, client_id: str, form: Mapping[str, str]) -> str:
        """RFC 9126."""
        asked = self.check({**form, "client_id": client_id})
        uri = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(24)}"
        self._pushed[uri] = (asked, self._clock())
        return uri

    def asked(self, query: Mapping[str, str]) -> dict[str, str]:
        """The parameters of an authorization request, pushed or not."""
        uri = query.get("request_uri")
        if uri is None:
            return self.check(dict(query))
        form, made = self._pushed.pop(uri, ({}, 0.0))
        if form.get("client_id") != query.get("client_id") or self._clock() - made > PUSHED_LIFE:
            raise Rejected("invalid_request_uri", "The request_uri is unknown or was used")
        return self.check(form)

    def check(self, asked: dict[str, str]) -> dict[str, str]:
        """PKCE is demanded, as Keycloak can be told to do."""
        client = self.clients.get(asked.get("client_id", ""))
        if client is None:
            raise Rejected("invalid_client", "Client not found")
        if not asked.get("redirect_uri", "").startswith(client.urls):
            raise Rejected("invalid_request", "Invalid parameter: redirect_uri")
        if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
            raise Rejected("invalid_request", "Only the code flow with PKCE (S256) is served")
        return asked

    # --- the session

    def suits(self, visit: Visit, asked: Mapping[str, str]) -> bool:
        """Whether who has this session need not sign in again (Core 3.1.2.1)."""
        age, acr = asked.get("max_age"), asked.get("acr_values")
        late = age is not None and self._clock() - visit.began > int(age)
        return not late and (acr is None or visit.acr in acr.split())

    def sign_in(self, name: str, asked: Mapping[str, str] = NOTHING) -> Visit:
        """As strongly as is asked for, if that is known here. Raises KeyError for an unknown person."""
        wanted = asked.get("acr_values", "").split()
        acr = next((word for word in wanted if word in STRENGTHS), STRENGTHS[0])
        visit = Visit(person=self.people[name], began=self._clock(), acr=acr)
        self.visits[visit.sid] = visit
        return visit

    def code(self, visit: Visit, asked: Mapping[str, str]) -> str:
        code = secrets.token_urlsafe(32)
        self._codes[code] = Code(visit=visit, client=asked["client_id"], asked=asked, made=self._clock())
        return code

    def end(self, sid: str) -> Visit | None:
        """The session is over: its refresh tokens are worth nothing."""
        return self.visits.pop(sid, None)

    # --- the grants

    def exchange(self, client_id: str, form: Mapping[str, str]) -> dict[str, Any]:
        """RFC 6749 4.1.3, RFC 7636 4.6: a code is good once."""
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.client != client_id or self._clock() - code.made > CODE_LIFE:
            raise Rejected("invalid_grant", "Code not valid")
        if form.get("redirect_uri") != code.asked["redirect_uri"]:
            raise Rejected("invalid_grant", "Incorrect redirect_uri")
        verifier = sha256(form.get("code_verifier", "").encode()).digest()
        if not hmac.compare_digest(_base64url(verifier), code.asked["code_challenge"]):
            raise Rejected("invalid_grant", "PKCE verification failed")
        if code.visit.sid not in self.visits:
            raise Rejected("invalid_grant", "Session not active")
        code.visit.clients.add(client_id)
        return self._tokens(code.visit, client_id, code.asked.get("nonce"), code.asked.get("scope", "openid"))

    def refresh(self, client_id: str, form: Mapping[str, str]) -> dict[str, Any]:
        """RFC 6749 6. Tokens are replaced at each use, and who uses one again ends the session (RFC 9700 4.14.2)."""
        token = form.get("refresh_token", "")
        visit = self.visits.get(token.partition(".")[0])
        if visit is None:
            raise Rejected("invalid_grant", "Session not active")
        if visit.refresh.get(client_id) != token:
            self.spent += 1
            self.end(visit.sid)
            raise Rejected("invalid_grant", "Maximum allowed refresh token reuse exceeded")
        return self._tokens(visit, client_id, None, "openid email profile")

    def _tokens(self, visit: Visit, client_id: str, nonce: str | None, scope: str) -> dict[str, Any]:
        client, person = self.clients[client_id], visit.person
        who = {
            "sub": person.id,
            "sid": visit.sid,
            "acr": visit.acr,
            "email_verified": True,
            "name": f"{person.given} {person.family}",
            "preferred_username": person.name,
            "given_name": person.given,
            "family_name": person.family,
            "email": f"{person.name}@demo.example",
        }
        access = self.provider.token(
            client_id,
            lifespan=client.lifespan,
            **who,
            scope=scope,
            jti=str(uuid.uuid4()),
            realm_access={"roles": [*DEFAULT_REALM_ROLES, *person.roles]},
            client_id=None,
            clientHost=None,
            clientAddress=None,
        )
        visit.refresh[client_id] = f"{visit.sid}.{secrets.token_urlsafe(24)}"
        return {
            "access_token": access,
            "expires_in": client.lifespan,
            "refresh_expires_in": client.idle,
            "refresh_token": visit.refresh[client_id],
            "token_type": "Bearer",
            "id_token": self.provider.sign(self._id_claims(visit, client, who, nonce, access)),
            "not-before-policy": 0,
            "session_state": visit.sid,
            "scope": scope,
        }

    def _id_claims(
        self, visit: Visit, client: WebClient, who: Mapping[str, Any], nonce: str | None, access: str
    ) -> dict[str, Any]:
        now = int(self._clock())
        claims = {
            "exp": now + client.lifespan,
            "iat": now,
            "auth_time": int(visit.began),
            "jti": str(uuid.uuid4()),
            "iss": self.provider.issuer,
            "aud": client.id,
            "typ": "ID",
            "azp": client.id,
            "at_hash": _base64url(sha256(access.encode()).digest()[:16]),
            **who,
        }
        return claims if nonce is None else claims | {"nonce": nonce}

    def logout_token(self, visit: Visit, client_id: str, **claims: Any) -> str:
        """Back-Channel Logout 1.0, 2.4, as Keycloak writes it; `claims` replace or add to its own, None removes."""
        now = int(self._clock())
        told = {
            "iat": now,
            "exp": now + 120,
            "jti": str(uuid.uuid4()),
            "iss": self.provider.issuer,
            "aud": client_id,
            "sub": visit.person.id,
            "typ": "Logout",
            "sid": visit.sid,
            "events": {LOGOUT_EVENT: {}},
        } | claims
        return self.provider.sign({n: v for n, v in told.items() if v is not None}, typ="logout+jwt")


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
