"""Two demo microservices. Behind mutual TLS they see only what the gateway let through, and tell what it said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from json import JSONDecodeError, dumps

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

ORDERS = {
    "1001": {"id": "1001", "item": "tea", "quantity": 2},
    "1002": {"id": "1002", "item": "coffee", "quantity": 1},
    "1003": {"id": "1003", "item": "honey", "quantity": 3},
}
STOCK = {"tea": 120, "coffee": 45, "honey": 0}
CHUNK = 64 * 1024
LONGEST = 60.0  # seconds that /orders/slow waits at most


def orders_app() -> Starlette:
    """Orders, and under /orders too: `echo`, `blob/BYTES`, `upload`, `slow/SECONDS`, `status/CODE`,
    `chat/TOKENS` to try it out.
    """
    routes = [
        Route("/orders", _orders),
        Route("/orders", _create, methods=["POST"]),
        Route("/orders/echo", _echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        Route("/orders/blob/{size:int}", _blob),
        Route("/orders/upload", _upload, methods=["POST", "PUT"]),
        Route("/orders/slow/{seconds:float}", _slow),
        Route("/orders/status/{code:int}", _status),
        Route("/orders/chat/{tokens:int}", _chat, methods=["GET", "POST"]),
        Route("/orders/{id}", _order),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _error})


def stock_app() -> Starlette:
    """How many of an article there are."""
    return Starlette(routes=[Route("/stock/{sku}", _stock)], exception_handlers={HTTPException: _error})


def caller(request: Request) -> dict[str, str | None]:
    """Who asks, as the gateway's headers say; nobody else can reach the service."""
    headers = request.headers
    return {
        "application": headers.get("x-application-id"),
        "plan": headers.get("x-plan"),
        "subject": headers.get("x-subject"),
    }


async def _orders(request: Request) -> JSONResponse:
    return JSONResponse({"orders": list(ORDERS.values()), "caller": caller(request)})


async def _order(request: Request) -> JSONResponse:
    order = ORDERS.get(request.path_params["id"])
    if order is None:
        raise HTTPException(404, "no such order")
    return JSONResponse({"order": order, "caller": caller(request)})


async def _create(request: Request) -> JSONResponse:
    try:
        order = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        raise HTTPException(400, "the body is not JSON") from None
    return JSONResponse({"order": order, "caller": caller(request)}, 201)


async def _stock(request: Request) -> JSONResponse:
    sku = request.path_params["sku"]
    if sku not in STOCK:
        raise HTTPException(404, "no such article")
    return JSONResponse({"sku": sku, "quantity": STOCK[sku], "caller": caller(request)})


async def _echo(request: Request) -> JSONResponse:
    """The request as it arrived: header fields in order, repeated ones too."""
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode("latin-1"),
            "query": request.url.query,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw],
            "body": body.decode(errors="replace"),
        }
    )


async def _blob(request: Request) -> StreamingResponse:
    size = request.path_params["size"]
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    return StreamingResponse(_zeros(size), headers=headers)


async def _zeros(size: int) -> AsyncIterator[bytes]:
    chunk = bytes(CHUNK)
    for start in range(0, size, CHUNK):
        yield chunk[: size - start]


async def _upload(request: Request) -> JSONResponse:
    """Count a body without keeping it."""
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
    return JSONResponse({"received": received, "caller": caller(request)})


async def _slow(request: Request) -> JSONResponse:
    seconds = min(request.path_params["seconds"], LONGEST)
    await asyncio.sleep(seconds)
    return JSONResponse({"waited": seconds, "caller": caller(request)})


async def _status(request: Request) -> JSONResponse:
    code = request.path_params["code"]
    if not 200 <= code <= 599:
        raise HTTPException(404, "no such status")
    return JSONResponse({"status": code, "caller": caller(request)}, code)


async def _chat(request: Request) -> JSONResponse | StreamingResponse:
    """An answer that says what it cost, as those of language models do; with `?stream` in events."""
    tokens = request.path_params["tokens"]
    usage = {"usage": {"total_tokens": tokens}}
    if "stream" not in request.query_params:
        return JSONResponse({"text": "Tea, please.", **usage}, headers={"X-Cost": str(tokens)})
    return StreamingResponse(_words(usage), media_type="text/event-stream")


async def _words(usage: dict[str, dict[str, int]]) -> AsyncIterator[bytes]:
    for event in ({"text": "Tea,", "usage": None}, {"text": " please.", "usage": None}, usage):
        yield f"data: {dumps(event)}\n\n".encode()
        await asyncio.sleep(0)
    yield b"data: [DONE]\n\n"


async def _error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
