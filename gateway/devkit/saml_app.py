"""The SAML provider's HTTP side: a page to choose who to be, the response's form, and logout both ways."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.devkit.saml import Registered, SamlProvider, SamlUser
from gateway.sso.saml import writing
from gateway.sso.saml.bindings import Sent, check_query_signature, form_fields, from_form, from_query, redirect
from gateway.sso.saml.names import a, p
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.xml import Element, parse

KINDS = ("SAMLRequest", "SAMLResponse")


def saml_app(provider: SamlProvider) -> Starlette:
    """Serves the provider's paths. It asks for no password."""

    async def descriptor(_: Request) -> Response:
        return Response(provider.metadata(), media_type="application/samlmetadata+xml")

    async def saml(request: Request) -> Response:
        sent = from_query(request.scope["query_string"], *KINDS) if request.method == "GET" else None
        if sent is None:
            sent = from_form(await request.body(), *KINDS)
        return _heard(provider, sent, signed=request.method == "GET")

    async def login(request: Request) -> Response:
        sent = from_form(await request.body(), "SAMLRequest")
        user = provider.users.get(request.query_params.get("user", ""))
        return PlainTextResponse("No such user", 404) if user is None else _signed_in(provider, user, sent)

    async def end(request: Request) -> Response:
        """Logout that begins at the provider: `?user=NAME`, of the gateway that was registered last."""
        user = provider.users.get(request.query_params.get("user", ""))
        return PlainTextResponse("No such user", 404) if user is None else _ends(provider, user)

    path = urlsplit(provider.address).path
    routes = [
        Route(path, saml, methods=["GET", "POST"]),
        Route(f"{path}/descriptor", descriptor),
        Route(f"{path}/login", login, methods=["POST"]),
        Route(f"{path}/end", end),
    ]
    return Starlette(routes=routes, exception_handlers={SamlRefused: _refused})


async def _refused(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 400)


def _heard(provider: SamlProvider, sent: Sent, *, signed: bool) -> Response:
    root = parse(sent.xml)
    gateway = provider.gateways.get(root.findtext(a("Issuer")) or "")
    if gateway is None:
        raise SamlRefused("issuer_wrong", "this gateway is not registered here")
    if signed and gateway.certificate is not None:
        check_query_signature(sent, [gateway.certificate], provider.now())
    if root.tag == p("LogoutResponse"):
        return PlainTextResponse("Signed out everywhere.")
    if root.tag == p("LogoutRequest"):
        return _logged_out(provider, gateway, root, sent.relay_state)
    return _choice(provider, sent)


def _choice(provider: SamlProvider, sent: Sent) -> Response:
    """A button for each user; each brings the request along."""
    fields = _hidden(form_fields("SAMLRequest", sent.xml, sent.relay_state))
    forms = "".join(
        f'<form method="post" action="{provider.address}/login?user={escape(name)}">{fields}'
        f'<button id="{escape(name)}">{escape(name)}</button></form>'
        for name in provider.users
    )
    return HTMLResponse(_page("Sign in to the development provider", forms))


def _signed_in(provider: SamlProvider, user: SamlUser, sent: Sent) -> Response:
    """The page that posts the response to the gateway (bindings 3.5.4)."""
    request = parse(sent.xml)
    acs = provider.gateways[request.findtext(a("Issuer")) or ""].acs
    fields = _hidden(form_fields("SAMLResponse", provider.response(user, request), sent.relay_state))
    form = f'<form method="post" action="{escape(acs)}">{fields}<button id="on">Go on</button></form>'
    return HTMLResponse(_page("Signed in", f"{form}<script>document.forms[0].submit()</script>"))


def _logged_out(provider: SamlProvider, gateway: Registered, request: Element, relay_state: str | None) -> Response:
    to = gateway.logout or ""
    root = writing.logout_response(provider.entity_id, to, str(request.get("ID")), provider.now())
    return RedirectResponse(redirect(to, "SAMLResponse", writing.octets(root), relay_state, provider.pair), 303)


def _ends(provider: SamlProvider, user: SamlUser) -> Response:
    to = [*provider.gateways.values()][-1].logout or ""
    name_id, session = provider.name_id(user), provider.session_of(user)
    root = writing.logout_request(provider.entity_id, to, name_id, session, provider.now())
    return RedirectResponse(redirect(to, "SAMLRequest", writing.octets(root), None, provider.pair), 303)


def _hidden(fields: dict[str, str]) -> str:
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())


def _page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<main><h1>{title}</h1>{content}</main></html>"
    )
