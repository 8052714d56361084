"""Sign-on as one application on the traffic port, below /.sso: choose, leave, come back, be gone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from gateway.errors import GatewayError, NotFound, Unavailable
from gateway.sso import cookies
from gateway.sso.browser import PREFIX, navigates, same_origin, target_of, wants_page
from gateway.sso.desk import Desk, log, secret_of
from gateway.sso.forms import parameters
from gateway.sso.me import Limits, me, no_limits
from gateway.sso.pages import HEADERS, STATIC, policy
from gateway.sso.refusals import BadSignOn
from gateway.sso.session import Session
from gateway.sso.sessions import Sessions, store_away
from gateway.sso.way import Better, Way

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

_word = re.compile(r"[!-~]{1,100}").fullmatch
_seconds = re.compile(r"[0-9]{1,8}").fullmatch

Offers = Callable[[str, str], tuple[str, ...]]  # host, target → providers


class SignOnApp:
    """ASGI. `ways` may still be filled until it is `ready`."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self.ways: dict[str, Way] = {}
        self._desk = desk
        self._sessions = sessions
        self._look = desk.look
        self._offers: Offers = _nowhere
        self._policy = ""
        self._router = Router()

    def ready(self, offers: Offers, limits: Limits = no_limits) -> None:
        """All ways are there. `offers` names the providers that count for a target of a host, `limits` what holds for
        who is signed in."""
        self._offers = offers
        self._policy = policy([origin for way in self.ways.values() for origin in way.origins])
        routes = [
            Route(f"{PREFIX}/login", self._login),
            Route(f"{PREFIX}/unsent", self._unsent),
            Route(f"{PREFIX}/logout", self._logout, methods=["GET", "POST"]),
            Route(f"{PREFIX}/signed-out", self._signed_out),
            Route(f"{PREFIX}/me", me(self._sessions, limits)),
            Route(f"{STATIC}/{{name}}", self._static),
        ]
        for way in self.ways.values():
            for route in way.routes():
                place = f"{PREFIX}/{way.name}{route.path}"
                routes.append(Route(place, route.endpoint, methods=list(route.methods or ())))
        self._router = Router(routes, default=_nothing)

    async def close(self) -> None:
        """Nobody comes any more. Nothing is left that only a look for garbage would find."""
        for way in self.ways.values():
            await way.close()
        self.ways.clear()
        self._router.routes.clear()
        self._offers = _nowhere

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        async def guarded(event: Event) -> None:
            if event["type"] == "http.response.start":
                _add_headers(event, self._policy)
            await send(event)

        try:
            with store_away():
                await self._router(scope, receive, guarded)
        except GatewayError as error:
            request = Request(scope)
            hint = error.hint if isinstance(error, BadSignOn) else ""
            if error.status >= 500 or hint:
                log.warning("sign-on: %s: %s %s", error.code, error.detail, hint)
            if not wants_page(_Seen(request)):
                raise
            await self._look.error(error, request.state.request_id, _again(error))(scope, receive, guarded)

    # --- in

    async def _login(self, request: Request) -> Response:
        asked = parameters(request.url.query)
        target = target_of(asked.get("to"))
        names = [name for name in self._offers(request.url.hostname or "", target) if name in self.ways]
        chosen = asked.get("provider")
        if chosen is not None and chosen not in names:
            raise BadSignOn("unknown_provider", "This provider signs nobody in here.", status=404, target=target)
        better = better_of(asked)
        session = None if better else await self._session(request)
        if session is not None and session.who.provider in ([chosen] if chosen else names):
            return RedirectResponse(target, 303)
        if chosen is None and len(names) == 1:
            chosen = names[0]
        if chosen is not None:
            return await self.ways[chosen].begin(request, target, better)
        to = quote(target, safe="/")
        ways = [{"title": self.ways[name].title, "href": f"{PREFIX}/login?provider={name}&to={to}"} for name in names]
        return self._look.page("choose", ways=ways)

    async def _unsent(self, request: Request) -> Response:
        """A form came without a session: it is not sent again, as nobody knows whether it still should be."""
        asked = parameters(request.url.query)
        better_of(asked)
        on = {name: value for name, value in asked.items() if name in ("provider", "acr", "max_age")}
        on["to"] = target_of(asked.get("to"))
        return self._look.page("unsent", sign_in=f"{PREFIX}/login?{urlencode(on, safe='/')}")

    async def _session(self, request: Request) -> Session | None:
        secret = secret_of(request)
        return None if secret is None else await self._sessions.find(secret, used=False)

    # --- out

    async def _logout(self, request: Request) -> Response:
        seen = _Seen(request)
        session = await self._session(request)
        if request.method == "POST" and not same_origin(seen):
            raise BadSignOn("cross_site", "Another site has sent this form.", status=403)
        if request.method != "POST" and session is not None and not _followed_here(seen):
            name = session.who.claims.get("preferred_username") or session.who.subject
            return self._look.page("sign-out", who=name, action=f"{PREFIX}/logout")
        answer = await self._end(request, session)
        origin = request.state.origin
        answer.headers.append("set-cookie", cookies.removed(origin, cookies.session_name(origin)))
        return answer

    async def _end(self, request: Request, session: Session | None) -> Response:
        if session is None:
            return RedirectResponse(f"{PREFIX}/signed-out", 303)
        await self._sessions.end(session.id)
        log.info("identity %s: signed out: %s", session.who.provider, session.who.subject)
        way = self.ways.get(session.who.provider)
        try:
            left = None if way is None else await way.leave(session, request.state.origin)
        except Unavailable:
            left = None
        if left is not None:
            return left
        return self._look.page(
            "signed-out", sign_in=f"{PREFIX}/login", provider_left=session.who.provider if way is None else way.title
        )

    async def _signed_out(self, _request: Request) -> Response:
        return self._look.page("signed-out", sign_in=f"{PREFIX}/login")

    async def _static(self, request: Request) -> Response:
        answer = self._look.file(request.path_params["name"])
        if answer is None:
            raise NotFound("there is no such file", code="no_page")
        return answer


class _Seen:
    """A request as `browser` looks at it."""

    def __init__(self, request: Request) -> None:
        self.method = request.method.encode()
        self.path = request.scope["raw_path"]
        self.query = request.scope["query_string"]
        self.origin = request.state.origin.encode("latin-1")
        self._headers = request.headers.raw

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self._headers if key == name]


def _followed_here(seen: _Seen) -> bool:
    """A link of the same origin that a person followed: nothing that a browser fetches ahead, and no other site's."""
    return seen.header(b"sec-fetch-site") == [b"same-origin"] and not seen.header(b"sec-purpose") and navigates(seen)


def _again(error: GatewayError) -> str | None:
    """Where the sign-on is begun anew, if that could help."""
    if error.status == 404:
        return None
    target = error.target if isinstance(error, BadSignOn) else "/"
    return f"{PREFIX}/login?to={quote(target, safe='/')}"


def _add_headers(event: Event, content_policy: str) -> None:
    headers = list(event.get("headers", ()))
    there = {name.lower() for name, _ in headers}
    if b"content-security-policy" in there:
        there.add(b"x-frame-options")  # it may say who frames it, which the other cannot (CSP 3, 6.4.2)
    for name, value in (*HEADERS.items(), ("content-security-policy", content_policy)):
        if name.encode() not in there:
            headers.append((name.encode(), value.encode()))
    event["headers"] = headers


def better_of(asked: dict[str, str]) -> Better:
    """What a query asks for; raises BadSignOn."""
    acr, age = tuple(asked.get("acr", "").split()), asked.get("max_age")
    if not all(_word(word) for word in acr) or (age is not None and not _seconds(age)):
        raise BadSignOn("request_malformed", "The address asks for a sign-in that there is not.")
    return Better(acr, None if age is None else int(age))


def _nowhere(_host: str, _target: str) -> tuple[str, ...]:
    return ()


async def _nothing(_scope: Event, _receive: Receive, _send: Send) -> None:
    raise NotFound("there is no such page", code="no_page")
