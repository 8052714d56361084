"""What a store has counted of single scopes, as a worker reads it: over its connections, and not for long."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model import Limit
from gateway.quota.adjust import Account, had, rows_at
from gateway.quota.meters import MICRO
from gateway.store import keys
from gateway.store.lines import Line, Lines


class StoreReader:
    """Gateways report within a second; what they have in hand is not spent."""

    def __init__(self, lines: Lines, prefix: str) -> None:
        self._lines = lines
        self._prefix = prefix

    async def read(self, scope: str, limits: Sequence[Limit]) -> list[Account]:
        """In the windows that are open by the store's clock. Raises StoreError."""

        async def ask(line: Line) -> list[Account]:
            ((seconds, micros),) = await line.ask(("TIME",))
            rows = rows_at(self._prefix, scope, limits, int(seconds) + int(micros) / MICRO)
            packed = await line.ask(*(("GET", row.key) for row in rows))
            return [Account(row.limit, row.window, had(row, text)) for row, text in zip(rows, packed, strict=True)]

        return await self._lines.at(keys.tag(scope), ask)
