"""What the gateway hears from a service manager, and tells it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.process.systemd import Notifier, inherited


class Manager:
    def __init__(self, sock: socket.socket, address: str) -> None:
        self.address = address
        self._sock = sock

    def hears(self) -> list[str]:
        return self._sock.recv(4096).decode().split("\n")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        address = str(tmp_path / "notify") if request.param == "path" else f"@gateway-test-{os.getpid()}"
        sock.bind(address.replace("@", "\0"))
        yield Manager(sock, address)


def test_it_is_told_what_happens(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    notifier.tell("READY=1")
    assert manager.hears() == ["READY=1"]
    notifier.reloading()
    reloading, since = manager.hears()
    assert reloading == "RELOADING=1"
    assert since.removeprefix("MONOTONIC_USEC=").isdecimal()


async def test_the_watchdog_is_fed_well_within_its_time(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "30000"})
    feeding = asyncio.create_task(notifier.keep_alive())
    await asyncio.sleep(0.03)
    assert manager.hears() == manager.hears() == ["WATCHDOG=1"]
    feeding.cancel()


async def test_no_watchdog_is_fed_that_is_another_process_s() -> None:
    await Notifier({"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}).keep_alive()


def test_without_a_manager_nobody_is_told() -> None:
    Notifier({}).tell("READY=1")


def test_a_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")


def test_sockets_for_another_process_are_not_taken() -> None:
    assert inherited({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}) == []
    assert inherited({}) == []
