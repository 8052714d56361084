"""A webhook receiver that takes only signed messages (Standard Webhooks) and remembers them."""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PATH = "/alerts"


def make_secret() -> str:
    """A signing secret as Standard Webhooks writes it."""
    return "whsec_" + b64encode(secrets.token_bytes(24)).decode()


class Receiver:
    """Takes POST /alerts, once for each message id; GET /alerts lists what came. `secret` starts with whsec_."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self._messages: dict[str, Any] = {}
        self._arrived = asyncio.Condition()
        self.app = Starlette(routes=[Route(PATH, self._take, methods=["POST"]), Route(PATH, self._list)])

    @property
    def messages(self) -> list[Any]:
        """The messages' payloads in order of arrival."""
        return list(self._messages.values())

    async def wait_for(self, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """The messages, as soon as `enough` of them is true."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: enough(self.messages))
            return self.messages

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        try:
            self._webhook.verify(body, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as error:  # ValueError: fields that are no signature at all
            return JSONResponse({"error": f"signature refused: {error}"}, 401)
        try:
            message = json.loads(body)
        except ValueError:
            return JSONResponse({"error": "the body is not JSON"}, 400)
        async with self._arrived:
            self._messages.setdefault(request.headers["webhook-id"], message)
            self._arrived.notify_all()
        return Response(status_code=204)

    async def _list(self, _: Request) -> JSONResponse:
        return JSONResponse(self.messages)
