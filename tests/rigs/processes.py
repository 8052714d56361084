"""Processes of the system, and a free address for one of them."""

from __future__ import annotations

import os
import random
import signal
import socket
from contextlib import suppress

import psutil

given: set[int] = set()  # ports

MARK = "GATEWAY_UNDER_TEST"  # in the environment of all processes of a gateway, whoever their parent becomes


def is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):  # it has ended, or is another user's
        return False


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def proportional_bytes(processes: list[psutil.Process]) -> int:
    """Their memory together; what they share is counted once."""
    return sum(process.memory_full_info().pss for process in processes)


def private_bytes(processes: list[psutil.Process]) -> int:
    """Their memory that nobody shares: what is shared counts for more or less as others come and go."""
    return sum(process.memory_full_info().uss for process in processes)


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)


def free_address() -> str:
    """One that no connection's own end takes meanwhile: below the ports that the system gives to those. None is given
    twice, as who asks may use it later; a worker of pytest-xdist has ports of its own.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = random.randrange(20_000 + mine, 32_000, workers)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port in given:
                continue
            given.add(port)
            return f"127.0.0.1:{port}"
