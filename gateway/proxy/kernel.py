"""What the kernel may hold of one connection: by itself it holds megabytes for each peer that does not read.

All sockets share a small part of the machine's memory for that (tcp(7), tcp_mem). Where some thousand slow readers have
taken it, everybody else's connections stand still.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

UNSENT = 256 * 1024  # bytes that wait to be sent; what is on its way comes on top
WINDOW = 512 * 1024  # bytes that a service may send before they are read: 50 MB/s at 10 ms


def bound_sending(sock: socket.socket) -> None:
    """Of a socket, or of all that a listening one accepts."""
    with contextlib.suppress(OSError, AttributeError):  # not on each system
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


def bound_both(transport: asyncio.BaseTransport) -> None:
    """Of a connection to a service."""
    sock = transport.get_extra_info("socket")
    bound_sending(sock)
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, WINDOW)
