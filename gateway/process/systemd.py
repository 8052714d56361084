"""The protocol of systemd, and of others that speak it: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping

FIRST = 3  # SD_LISTEN_FDS_START


def inherited(environ: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that were handed to this very process; none where nobody did."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    sockets = [socket.socket(fileno=fd) for fd in range(FIRST, FIRST + int(environ.get("LISTEN_FDS", "0")))]
    for sock in sockets:
        sock.set_inheritable(False)
    return sockets


class Notifier:
    """Tells the manager how the gateway is; without one it tells nobody."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        place = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + place[1:] if place.startswith("@") else place
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if for_us else 0.0

    def tell(self, *lines: str) -> None:
        """Such as `READY=1`. A manager that does not listen is no reason to fail."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, self._address)
            except OSError:
                return

    def reloading(self) -> None:
        """Until `READY=1`."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    async def keep_alive(self) -> None:
        """Feed the watchdog, if there is one: it restarts a supervisor whose loop hangs."""
        while self._watchdog:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog / 3)
