"""A small web page that knows nothing of signing in: it shows who the gateway says has come."""

from __future__ import annotations

from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from gateway.devkit.services import caller

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A page for people</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem }}
dt {{ font-weight: 600 }}</style></head>
<body><main><h1>A page for people</h1><p>This service has no sign-in of its own. The gateway says:</p>
<dl>{told}</dl><p><a href="/.sso/me">Who am I?</a></p><p><a href="/.sso/logout">Sign out</a></p></main></body></html>"""


def web_app() -> Starlette:
    return Starlette(routes=[Route("/web", _page), Route("/web/{rest:path}", _page)])


async def _page(request: Request) -> HTMLResponse:
    told = "".join(f"<dt>{name}</dt><dd>{escape(value or 'nobody')}</dd>" for name, value in caller(request).items())
    return HTMLResponse(PAGE.format(told=told), headers={"cache-control": "no-store"})
