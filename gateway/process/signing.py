"""The supervisor's part in the gateway's own tokens: it tells other gateways the keys of this one."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.model import Config
from gateway.process.background import background

if TYPE_CHECKING:
    from gateway.identity.outward.board import Board, Records

CACHED = {"Cache-Control": "public, max-age=300"}
EVERY = 60.0  # seconds

log = logging.getLogger("gateway.supervisor")


class SigningKeeper:
    """Of one gateway, from `start` until the stack unwinds."""

    def __init__(self) -> None:
        self._board: Board | None = None
        self._records: Records | None = None

    def start(self, stack: AsyncExitStack, config: Config, records: Records) -> None:
        """Raises OSError for a folder of keys that cannot be used."""
        self._records = records
        self.take(config)
        background(stack, self._keep())

    def take(self, config: Config) -> None:
        """The configuration that holds from now on."""
        assert self._records is not None
        self._board = None if config.identity_tokens is None else _board(config, self._records)

    def routes(self) -> list[Route]:
        """`/jwks` on the admin listener."""
        return [Route("/jwks", self._show)]

    async def _show(self, _: Request) -> Response:
        keys = [] if self._board is None else await self._board.keys()
        return JSONResponse({"keys": keys}, headers=CACHED)

    async def _keep(self) -> None:
        while True:
            if self._board is not None:
                await self._board.tell()
            await asyncio.sleep(EVERY)


def _board(config: Config, records: Records) -> Board | None:
    from gateway.outward import board, signing_keys  # for some 20 MB and 0.1 s, which most do without

    keys = signing_keys(config)
    return None if keys is None else board(config, keys, records)
