"""Who is at the other end of a connection, told by the system."""

from __future__ import annotations

import os
import pwd
import socket

import pytest

from gateway.process.peers import user_of

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_user_of_a_connection_is_found(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listener:
        address = listener.getsockname()[:2]
        with socket.create_connection(address) as client:
            server, _ = listener.accept()
            server.close()
            with socket.create_connection(address) as open_:
                assert user_of(*open_.getsockname()[:2]) == ME
            assert user_of(*client.getsockname()[:2]) is None  # its other end has gone


def test_nobody_has_an_address_that_is_not_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert user_of("127.0.0.1", port) is None  # it listens, and is connected to nobody
