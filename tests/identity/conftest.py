"""A clock that stands still, a token issuer on a real socket, and requests."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.errors import GatewayError
from gateway.identity.passport import Passport
from gateway.model import Accept, AppId, Application, Identity, KeyPlace, Oidc, Service, Target, Upstream

NOW = 1_800_000_000.0


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Naps:
    """A sleep that ends when told; `pauses` are the seconds that were asked for."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._sleeping: asyncio.Future[None] | None = None

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._sleeping = asyncio.get_running_loop().create_future()
        await self._sleeping

    async def wake(self) -> None:
        """End the nap, and come back when the next one begins."""
        taken = len(self.pauses)
        assert self._sleeping is not None
        self._sleeping.set_result(None)
        while len(self.pauses) == taken:
            await asyncio.sleep(0)


@dataclass
class Ask:
    """A request, as far as identity looks at it."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    query: bytes = b""
    method: bytes = b"GET"
    host: bytes = b"api.example.com"
    path: bytes = b"/orders"
    peer: str = "192.0.2.1"
    origin: bytes = b"https://api.example.com"
    certificate: bytes | None = None

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    @classmethod
    def bearing(cls, token: str | bytes, *more: tuple[bytes, bytes]) -> Ask:
        text = token.encode() if isinstance(token, str) else token
        return cls([(b"authorization", b"Bearer " + text), *more])


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(private: Any, **members: object) -> dict[str, Any]:
    """The public JWK of a private key, with more members; None removes one."""
    kinds = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    algorithm = next(algorithm for kind, algorithm in kinds.items() if isinstance(private, kind))
    jwk = {**json.loads(algorithm.to_jwk(private.public_key())), **members}
    jwk.pop("key_ops", None) if "key_ops" not in members else None
    return {name: value for name, value in jwk.items() if value is not None}


class Issuer:
    """A provider in Keycloak's manner, on a free port. What it answers can be changed by path."""

    def __init__(self, private: Any) -> None:
        self.private = private
        self.jwks: list[dict[str, Any]] = [public_jwk(private, kid="first", alg="RS256", use="sig")]
        self.answers: dict[str, bytes] = {}  # path → a whole response
        self.requests: list[str] = []
        self.told: dict[str, dict[str, Any]] = {}  # token → what introspection says of it
        self.asked: list[dict[str, str]] = []  # forms that were posted, and the Authorization field
        self.open = asyncio.Event()  # clear: answers are held back
        self.open.set()
        self.issuer = self.origin = ""
        self._server: asyncio.Server | None = None

    @property
    def certs(self) -> str:
        return "/realms/demo/protocol/openid-connect/certs"

    @property
    def discovery(self) -> str:
        return "/realms/demo/.well-known/openid-configuration"

    @property
    def introspection(self) -> str:
        return "/realms/demo/protocol/openid-connect/token/introspect"

    async def serve(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", port, ssl=tls)
        port = self._server.sockets[0].getsockname()[1]
        self.origin = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        self.issuer = self.issuer or f"{self.origin}/realms/demo"

    async def away(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def back(self) -> None:
        await self.serve(port=int(self.origin.rsplit(":", 1)[1]))

    def token(
        self, *, header: dict[str, Any] | None = None, private: Any = None, algorithm: str = "RS256", **claims: Any
    ) -> str:
        """An access token as Keycloak's; keywords change claims, None removes one."""
        head = {"alg": algorithm, "kid": "first", "typ": "JWT", **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return self.sign(json.dumps(head).encode(), json.dumps(self.claims(**claims)).encode(), private, algorithm)

    def sign(self, header: bytes, payload: bytes, private: Any = None, algorithm: str = "RS256") -> str:
        """A compact JWS of any bytes."""
        signed = f"{b64(header)}.{b64(payload)}"
        signature = jwt.get_algorithm_by_name(algorithm).sign(signed.encode(), private or self.private)
        return f"{signed}.{b64(signature)}"

    def claims(self, **changed: Any) -> dict[str, Any]:
        claims = {
            "iss": self.issuer,
            "aud": ["gateway", "account"],
            "exp": NOW + 300,
            "iat": NOW,
            "typ": "Bearer",
            "sub": "4f1c",
            "azp": "mobile-app",
            "realm_access": {"roles": ["customer"]},
            "resource_access": {"orders": {"roles": ["admin"]}},
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # the client may leave at any moment
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.requests.append(path)
            form = await self._form(head, reader)
            await self.open.wait()
            writer.write(self.answers.get(path) or self._usual(path, form))
            await writer.drain()
        writer.close()

    async def _form(self, head: bytes, reader: asyncio.StreamReader) -> dict[str, str]:
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        fields = {name.lower(): value.decode() for name, value in fields.items()}
        if not (length := int(fields.get(b"content-length", "0"))):
            return {}
        form = dict(parse_qsl((await reader.readexactly(length)).decode()))
        self.asked.append(form | {"authorization": fields.get(b"authorization", "")})
        return form

    def _usual(self, path: str, form: dict[str, str]) -> bytes:
        if path == self.discovery:
            endpoints = f"{self.issuer}/protocol/openid-connect"
            published = {"jwks_uri": f"{endpoints}/certs", "introspection_endpoint": f"{endpoints}/token/introspect"}
            return self.answer({"issuer": self.issuer, **published})
        if path == self.introspection:
            return self.answer(self.told.get(form["token"], {"active": False}))
        return self.answer({"keys": self.jwks}) if path == self.certs else self.answer({}, "404 Not Found")

    @staticmethod
    def answer(document: object, status: str = "200 OK", more: str = "") -> bytes:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
        return head.encode() + body


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def ask() -> type[Ask]:
    return Ask


@pytest.fixture(scope="session")
def privates() -> dict[str, Any]:
    """One private key for each family, and some that must not be used."""
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "other": rsa.generate_private_key(65537, 2048),
        "weak": rsa.generate_private_key(65537, 1024),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "ES256K": ec.generate_private_key(ec.SECP256K1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


@pytest.fixture(scope="session")
def jwk() -> Callable[..., dict[str, Any]]:
    return public_jwk


@pytest.fixture
async def issuer(privates: dict[str, Any]) -> AsyncIterator[Issuer]:
    issuer = Issuer(privates["rsa"])
    await issuer.serve()
    yield issuer
    await issuer.away()


Opened = Callable[..., Any]


@pytest.fixture
def opened(issuer: Issuer, clock: Clock, naps: Naps) -> Opened:
    """A started passport of the issuer: `async with opened(application, …, internal_url=…) as passport`."""

    @asynccontextmanager
    async def make(*applications: Application, **changed: Any) -> AsyncIterator[Passport]:
        of_passport = {name: changed.pop(name) for name in ("tolerance", "marks", "replays") if name in changed}
        oidc = Oidc(**{"name": "keycloak", "issuer": issuer.issuer, "audience": ("gateway",), **changed})
        passport = Passport({"keycloak": oidc}, applications, clock=clock, sleep=naps, **of_passport)
        await passport.start()
        try:
            yield passport
        finally:
            await passport.close()

    return make


@pytest.fixture
def service() -> Callable[..., Service]:
    """A service with these `accept` lines: `service({"jwt": "keycloak"}, {"api_key": ("header", "X-Api-Key")})`."""

    def make(*lines: dict[str, Any]) -> Service:
        upstream = Upstream(name="default", targets=(Target(False, "127.0.0.1", 9000),))
        return Service(name="orders", upstream=upstream, accept=tuple(_accept(**line) for line in lines), rules=())

    return make


def _accept(
    jwt: str | None = None,
    api_key: tuple[str, str] | None = None,
    app_id: tuple[tuple[str, str], tuple[str, str]] | None = None,
    certificate: str | None = None,
    anonymous: str | None = None,
) -> Accept:
    key = KeyPlace(*api_key) if api_key else None
    app = AppId(KeyPlace(*app_id[0]), KeyPlace(*app_id[1])) if app_id else None
    return Accept(jwt=jwt, api_key=key, app_id=app, certificate=certificate, anonymous=anonymous)


@pytest.fixture
def who() -> Callable[..., Any]:
    """`await who(passport, service, ask)`: the identity; raises what refuses."""

    async def ask_for(passport: Passport, service: Service, ask: Ask) -> Identity:
        answers: asyncio.Future[Identity | GatewayError] = asyncio.get_running_loop().create_future()
        found = passport.identify(service, ask, answers.set_result)  # a second answer would raise
        answer = await answers if found is None else found
        if isinstance(answer, GatewayError):
            raise answer
        return answer

    return ask_for
