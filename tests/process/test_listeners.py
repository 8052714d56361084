"""Listening sockets, bound or inherited, and whose they are."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.model import Address
from gateway.process.listeners import CannotListenError, Share, address_of, bind, open_listeners

ANY = Address("127.0.0.1", 0)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, shares: list[Share]) -> list[Share]:
    for sock in {sock for share in shares for sock in share}:
        stack.enter_context(sock)
    return shares


def test_one_worker_has_every_address(stack: ExitStack) -> None:
    (share,) = opened(stack, open_listeners((ANY, Address("::1", 0)), 1))
    assert [sock.family for sock in share] == [socket.AF_INET, socket.AF_INET6]
    assert not any(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for sock in share)


def test_several_workers_have_a_socket_each_on_the_same_port(stack: ExitStack) -> None:
    shares = opened(stack, open_listeners((ANY,), 3))
    assert len({sock.fileno() for share in shares for sock in share}) == 3
    assert len({address_of(sock) for share in shares for sock in share}) == 1


def test_connections_are_spread_over_them(stack: ExitStack) -> None:
    shares = opened(stack, open_listeners((ANY,), 2))
    address = address_of(shares[0][0])
    for _ in range(64):
        stack.enter_context(socket.create_connection(address))
    counts: Counter[int] = Counter()
    for number, (sock,) in enumerate(shares):
        sock.setblocking(False)
        try:
            while True:
                stack.enter_context(sock.accept()[0])
                counts[number] += 1
        except BlockingIOError:
            continue
    assert counts.total() == 64
    assert min(counts[0], counts[1]) > 10


@pytest.mark.parametrize("workers", [1, 2])
def test_an_address_that_is_taken_is_refused_by_name(stack: ExitStack, workers: int) -> None:
    ((sock,), *_) = opened(stack, open_listeners((ANY,), 2))
    address = address_of(sock)
    with pytest.raises(CannotListenError, match=f"cannot listen on {address}: Address already in use"):
        bind(address, workers)


def test_an_address_of_another_machine_is_refused_by_name() -> None:
    with pytest.raises(CannotListenError, match=r"cannot listen on 192\.0\.2\.1:80: Cannot assign requested address"):
        bind(Address("192.0.2.1", 80), 2)


# --- inherited ones


def test_an_inherited_socket_is_shared_by_all_workers(stack: ExitStack) -> None:
    (sock,) = bind(ANY)
    stack.enter_context(sock)
    assert open_listeners((address_of(sock),), 2, [sock]) == [(sock,), (sock,)]


def test_inherited_sockets_of_one_address_are_dealt_out(stack: ExitStack) -> None:
    one, two, three = (stack.enter_context(sock) for sock in bind(ANY, 3))
    address = address_of(one)
    assert open_listeners((address,), 2, [one, two, three]) == [(one, three), (two,)]
    assert open_listeners((address,), 4, [one, two]) == [(one,), (two,), (one,), (two,)]


def test_what_is_not_inherited_is_bound(stack: ExitStack) -> None:
    (sock,) = bind(ANY)
    stack.enter_context(sock)
    ((first, second),) = opened(stack, open_listeners((address_of(sock), ANY), 1, [sock]))
    assert first is sock
    assert address_of(second).port not in (0, address_of(sock).port)


def test_an_inherited_socket_of_no_known_address_is_refused(stack: ExitStack) -> None:
    (sock,) = bind(ANY)
    stack.enter_context(sock)
    with pytest.raises(CannotListenError, match=f"hands over {address_of(sock)}, which is not among `listen`"):
        open_listeners((ANY,), 1, [sock])


def test_an_inherited_socket_of_another_kind_is_refused(stack: ExitStack) -> None:
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with pytest.raises(CannotListenError, match="which is not a socket of TCP"):
        open_listeners((ANY,), 1, [sock])


def test_each_socket_knows_its_listener(stack: ExitStack) -> None:
    inherited = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    shares = opened(stack, open_listeners((ANY, address_of(inherited), Address("::1", 0)), 2, [inherited]))
    assert [[sock.listener for sock in share] for share in shares] == [[0, 1, 2], [0, 1, 2]]
