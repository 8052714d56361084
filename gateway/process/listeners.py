"""Listening sockets: bound here, or inherited from a service manager, and shared out among workers.

Each worker has a socket of its own for an address (SO_REUSEPORT), as on a shared one the kernel wakes the same worker
nearly always. The supervisor keeps them all open, and a neighbour takes over a dead worker's, so no connection that
waits in one is lost.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from gateway.model import Address

BACKLOG = 4096


class ListeningSocket(socket.socket):
    """`listener` is the place of what it serves among the configuration's."""

    listener = 0


Share = tuple[ListeningSocket, ...]  # what one worker listens on


class CannotListenError(Exception):
    """An address cannot be had; the text names it."""


def open_listeners(addresses: Sequence[Address], workers: int, inherited: Sequence[socket.socket] = ()) -> list[Share]:
    """A share for each worker. Raises CannotListenError, also for an inherited socket of no such address."""
    found: dict[Address, list[ListeningSocket]] = {}
    for sock in inherited:
        found.setdefault(address_of(sock), []).append(taken(sock))
    for address in found.keys() - addresses:
        raise CannotListenError(f"the service manager hands over {address}, which is not among `listen`")
    sockets = [found.get(address) or bind(address, workers) for address in addresses]
    for place, of_address in enumerate(sockets):
        for sock in of_address:
            sock.listener = place
    return [tuple(sock for of_address in sockets for sock in share(of_address, n, workers)) for n in range(workers)]


def taken(sock: socket.socket) -> ListeningSocket:
    return sock if isinstance(sock, ListeningSocket) else ListeningSocket(fileno=sock.detach())


def share(sockets: list[ListeningSocket], number: int, workers: int) -> list[ListeningSocket]:
    """What the worker of this number has of an address's sockets: each is somebody's, and everybody has one."""
    return sockets[number::workers] or [sockets[number % len(sockets)]]


def bind(address: Address, count: int = 1) -> list[ListeningSocket]:
    """So many listening sockets of one address; raises CannotListenError where another program has it."""
    try:
        if count == 1:
            return [listening(address)]
        address = free(address)
        return [listening(address, reuse_port=True) for _ in range(count)]
    except OSError as error:
        raise CannotListenError(f"cannot listen on {address}: {os.strerror(error.errno or 0)}") from error


def listening(address: Address, *, reuse_port: bool = False) -> ListeningSocket:
    sock = socket.create_server(tuple(address), family=family_of(address), backlog=BACKLOG, reuse_port=reuse_port)
    return ListeningSocket(fileno=sock.detach())  # now it knows that it is TCP, and asyncio sets TCP_NODELAY


def free(address: Address) -> Address:
    """The address, with its port where that is 0. Raises OSError where it is taken, as SO_REUSEPORT would share it."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(tuple(address))
        return Address(address.host, probe.getsockname()[1])


def family_of(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def address_of(sock: socket.socket) -> Address:
    """Where a socket is bound; raises CannotListenError for one that is none of TCP."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
        raise CannotListenError(f"the service manager hands over {sock.getsockname()!r}, which is not a socket of TCP")
    host, port = sock.getsockname()[:2]
    return Address(host, port)
