"""A Redis that lives as long as a test, on a socket in its folder."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .distribution import Broken
from .server import last_words, tied

PATIENCE = 20.0  # seconds to start; usually 0.02


@contextmanager
def serving_redis(folder: Path) -> Iterator[str]:
    """Its URL. Raises Broken."""
    socket, log = folder / "redis.sock", folder / "redis.log"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*tied("KILL"), "redis-server", *options],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for(socket, process, log)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()


def wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Redis makes its socket when it listens."""
    deadline = time.monotonic() + PATIENCE
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Broken(f"Redis did not start:\n{last_words(log)}")
        time.sleep(0.01)
