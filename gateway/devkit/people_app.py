"""The browser's side of the development provider: signing in without a password, and signing out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import jwt
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.devkit.people import People, Rejected, Visit

log = logging.getLogger("gateway.devkit")

COOKIE = "DEVELOPMENT_IDENTITY"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem }}
button {{ font: inherit; display: block; width: 100%; padding: .6rem; margin: .5rem 0 }}</style></head>
<body><main><h1>{title}</h1>{content}</main></body></html>"""


class PeoplePages:
    """`path` is the realm's. Each endpoint is where Keycloak has it."""

    def __init__(self, people: People, path: str) -> None:
        self._people = people
        self._path = path

    def routes(self) -> Iterator[Route]:
        yield Route("/protocol/openid-connect/auth", self._auth, methods=["GET", "POST"])
        yield Route("/protocol/openid-connect/logout", self._logout, methods=["GET", "POST"])
        yield Route("/account", self._account)

    def metadata(self, issuer: str) -> dict[str, Any]:
        endpoints = f"{issuer}/protocol/openid-connect"
        return {
            "authorization_endpoint": f"{endpoints}/auth",
            "end_session_endpoint": f"{endpoints}/logout",
            "pushed_authorization_request_endpoint": f"{endpoints}/ext/par/request",
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "code_challenge_methods_supported": ["S256"],
            "response_types_supported": ["code"],
        }

    async def _auth(self, request: Request) -> Response:
        """Who has a session of the realm goes right back; others say who they are."""
        try:
            asked = self._people.asked(dict(request.query_params))
        except Rejected as error:
            return _page("We are sorry", f"<p>{escape(error.description)}</p>", 400)
        visit = self._visit(request)
        if request.method == "POST":
            form = dict(parse_qsl((await request.body()).decode()))
            if form.get("user") == "":
                return _back(asked, {"error": "access_denied"}, self._people.provider.issuer)
            if form.get("user") not in self._people.people:
                return _page("We are sorry", "<p>Nobody of this name has an account.</p>", 400)
            visit = self._people.sign_in(form["user"], asked)
        elif visit is not None and not self._people.suits(visit, asked):
            visit = None
        if visit is None:
            return self._ask(asked)
        answer = _back(asked, {"code": self._people.code(visit, asked)}, self._people.provider.issuer)
        answer.set_cookie(COOKIE, visit.sid, path=self._path, httponly=True, samesite="lax")
        return answer

    def _ask(self, asked: dict[str, str]) -> Response:
        action = f"{self._path}/protocol/openid-connect/auth?{urlencode(asked)}"
        people = "".join(
            f'<button name="user" value="{escape(name)}">{escape(f"{person.given} {person.family}")}</button>'
            for name, person in self._people.people.items()
        )
        cancel = '<button name="user" value="">Nobody: go back</button>'
        return _page("Who are you?", f'<form method="post" action="{escape(action)}">{people}{cancel}</form>')

    def _visit(self, request: Request) -> Visit | None:
        return self._people.visits.get(request.cookies.get(COOKIE, ""))

    async def _logout(self, request: Request) -> Response:
        """RP-Initiated Logout 1.0: the hint says whose session ends, and what its client is; the others are told."""
        form = dict(parse_qsl((await request.body()).decode())) if request.method == "POST" else {}
        asked = {**request.query_params, **form}
        hint = asked.get("id_token_hint")
        claims = jwt.decode(hint, options={"verify_signature": False}) if hint else {}
        client = self._people.clients.get(str(claims.get("aud", "")))
        await self.end(str(claims.get("sid", "")) or request.cookies.get(COOKIE, ""))
        target = asked.get("post_logout_redirect_uri", "")
        if client is not None and target.startswith(client.urls):
            state = f"?{urlencode({'state': asked['state']})}" if "state" in asked else ""
            answer: Response = RedirectResponse(target + state, 302)
        else:
            answer = _page("You are logged out", "<p>Your session here has ended.</p>")
        answer.delete_cookie(COOKIE, path=self._path)
        return answer

    async def _account(self, request: Request) -> Response:
        visit = self._visit(request)
        name = escape(visit.person.name) if visit else "nobody"
        link = f'<p><a href="{self._path}/protocol/openid-connect/logout">Sign out</a></p>'
        return _page("Your account", f"<p>You are {name}.</p>{link}")

    async def end(self, sid: str) -> int:
        """Ends a session and tells its clients by the back channel; how many heard of it."""
        visit = self._people.end(sid)
        if visit is None:
            return 0
        heard = 0
        async with httpx2.AsyncClient(trust_env=False, timeout=5.0) as http:
            for name in sorted(visit.clients):
                url = self._people.clients[name].back_channel
                if url is not None:
                    token = self._people.logout_token(visit, name)
                    heard += await _tell(http, url, token)
        return heard


async def _tell(http: httpx2.AsyncClient, url: str, token: str) -> bool:
    try:
        answer = await http.post(url, data={"logout_token": token})
    except httpx2.HTTPError as error:
        log.warning("%s has not heard of a logout: %s", url, error)
        return False
    return answer.status_code == 200


def _back(asked: dict[str, str], answer: dict[str, str], issuer: str) -> RedirectResponse:
    """RFC 6749 4.1.2, RFC 9207 2."""
    query = answer | {"state": asked["state"]} if "state" in asked else dict(answer)
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(query | {'iss': issuer})}", 302)


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(PAGE.format(title=escape(title), content=content), status, {"cache-control": "no-store"})
