"""The supervisor's part in the gateway's own tokens: it tells other gateways the keys of this one."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.identity.outward.board import Board, Records
from gateway.model import Config
from gateway.outward import CACHED, board, signing_keys
from gateway.process.background import background

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
        keys = signing_keys(config)
        assert self._records is not None
        self._board = None if keys is None else board(config, keys, self._records)

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
