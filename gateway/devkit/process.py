"""The gateway as a child process, started as a user would: `gateway run PLANS`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx2

START = 15.0  # seconds until it must be ready
STOP = 10.0  # seconds that it may take to finish its requests
POLL = 0.02  # seconds between two looks at /readyz
TAIL = 15  # lines of its log that explain a failure


class GatewayFailed(Exception):
    """It ended, or was not ready in time; the message holds the last lines of its log."""


@contextlib.asynccontextmanager
async def gateway_running(plans: Path, environment: Mapping[str, str], admin: str, log: Path) -> AsyncIterator[Process]:
    """The gateway, ready, inside the block; afterwards it has ended with all its processes.

    `environment` is added to this process's, `admin` is the base URL of its admin listener; what it prints goes to
    `log`. Raises GatewayFailed.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "run", str(plans)),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it through us, after the requests on their way
        )
    try:
        await _ready(process, admin, log)
        yield process
    finally:
        await _stop(process)


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL:])


async def _ready(process: Process, admin: str, log: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START
    async with httpx2.AsyncClient(trust_env=False, timeout=1) as client:
        while process.returncode is None and loop.time() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                if (await client.get(f"{admin}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(POLL)
    if process.returncode is None:
        raise GatewayFailed(f"the gateway was not ready after {START:.0f} s; it says:\n{tail(log)}")
    raise GatewayFailed(f"the gateway ended with exit code {process.returncode}; it says:\n{tail(log)}")


async def _stop(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError, TimeoutError):
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP)
    with contextlib.suppress(ProcessLookupError):  # whatever of its session is left
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
