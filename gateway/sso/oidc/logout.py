"""Logout by the provider: told to the gateway (OpenID Connect Back-Channel Logout 1.0), or by way of the browser
(Front-Channel Logout 1.0)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.identity.claims import LEEWAY
from gateway.identity.id_token import LOGOUT_AGE, check_logout_token
from gateway.identity.provider import Provider
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import parse
from gateway.model import Oidc
from gateway.sso.desk import Desk, log
from gateway.sso.forms import form_of, parameters
from gateway.sso.refusals import BadSignOn
from gateway.store import StoreError
from gateway.store.records import Use

KIND = "logout"  # of records: logout tokens that were used
NO_STORE = {"cache-control": "no-store"}


class LogoutPages:
    """Of one provider."""

    def __init__(
        self, oidc: Oidc, client_id: str, provider: Provider, desk: Desk, clock: Callable[[], float] = time.time
    ) -> None:
        self._name, self._issuer = oidc.name, oidc.issuer
        self._client_id = client_id
        self._provider = provider
        self._desk = desk
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route("/back-channel", self._back_channel, methods=["POST"]),
            Route("/front-channel", self._front_channel),
        ]

    async def _back_channel(self, request: Request) -> Response:
        """Ends the sessions that the provider names. Errors are OAuth's (2.8)."""
        try:
            claims = await self._read(await form_of(request))
            ended = await self._once(claims)
        except (InvalidToken, BadSignOn) as error:
            log.warning("identity %s: logout refused: %s", self._name, error.detail, extra={"provider": self._name})
            answer = {"error": "invalid_request", "error_description": error.detail}
            return JSONResponse(answer, 400, NO_STORE)
        log.info("identity %s: logout: %d sessions ended", self._name, ended, extra={"provider": self._name})
        return Response(status_code=200, headers=NO_STORE)

    async def _read(self, form: dict[str, str]) -> dict[str, Any]:
        token = parse(form.get("logout_token", "").encode(errors="replace"))
        check_logout_token(token, self._issuer, self._client_id, self._clock())
        await self._provider.prove(token)
        return token.claims

    async def _once(self, claims: dict[str, Any]) -> int:
        """A token that is used again is refused. Where the store may have forgotten it, it holds: it can only end what
        had begun before it was issued."""
        issued, name = float(claims["iat"]), f"{self._name} {claims['jti']}"
        life = float(claims.get("exp", issued + LOGOUT_AGE)) + LEEWAY - self._clock()
        used = await self._desk.records.once(KIND, name, max(1.0, life), made=issued - LEEWAY)
        if used is Use.AGAIN:
            raise InvalidToken("token_used", "the logout token was used before")
        try:
            return await self._desk.end(
                self._name,
                issuer=self._issuer,
                sid=claims.get("sid"),
                subject=claims.get("sub"),
                begun_by=issued + LEEWAY,
            )
        except StoreError:
            await self._desk.records.drop(KIND, name)  # so that the provider can say it again
            raise

    async def _front_channel(self, request: Request) -> Response:
        """The name of the session is the secret here: the browser sends no cookie to a frame of another site. Of names
        that nobody has here nothing is remembered, as anybody could send any number of them."""
        asked = parameters(request.url.query)
        if asked.get("iss") != self._issuer or "sid" not in asked:
            raise BadSignOn("request_malformed", "The address does not name a session of this provider.")
        if await self._desk.has(self._name, asked["sid"]):
            await self._desk.end(self._name, issuer=self._issuer, sid=asked["sid"])
        policy = f"default-src 'none'; frame-ancestors {self._desk.origin_of(self._issuer)}"
        return PlainTextResponse("Signed out.", headers=NO_STORE | {"content-security-policy": policy})
