"""What event loops call, as a class of our own: what is compiled cannot extend asyncio's, and loops need its methods
alone.
"""

from __future__ import annotations

import asyncio
from typing import cast


class Wire:
    """What a loop calls, as `asyncio.Protocol` says. What a connection does not care for does nothing."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""

    def eof_received(self) -> bool:
        """The peer sends no more. False: the transport closes itself."""
        return False

    def pause_writing(self) -> None:
        """The transport holds much that is unsent."""

    def resume_writing(self) -> None:
        """The most of it is on its way."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed; None: in good order."""


def protocol(wire: Wire) -> asyncio.Protocol:
    """The same object, as the loops' types name it."""
    return cast("asyncio.Protocol", wire)
