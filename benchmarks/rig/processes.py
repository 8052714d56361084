"""Child processes on a chosen core, what they cost, and their end."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

GATEWAY_CORE, REST_CORE = 0, 1
Child = subprocess.Popen[bytes]
priority = -10  # nice value of sessions that are measured (sched(7), autogroup)
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def raise_files(wanted: int) -> int:
    """The files that this process and its children may open: what is wanted as root, else what the system lets us."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for most in (wanted, hard):
        with contextlib.suppress(ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, max(most, hard)))
            return most
    return hard


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def start(core: int | None, command: Sequence[str], output: IO[bytes] | int, folder: Path | None = None) -> Child:
    """Starts a program in its own session on the nth of the cores that this process may use, or on all."""
    pinned = [] if core is None else ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[core])]
    child = subprocess.Popen(
        [*pinned, *command],
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=folder,
    )
    prefer(child.pid)
    return child


def prefer(pid: int, nice: int | None = None) -> None:
    """Puts the sessions of a process and its descendants before other work on the machine, or behind; root only."""
    with contextlib.suppress(OSError):
        for process in tree(pid):
            (process / "autogroup").write_text(str(priority if nice is None else nice))


@contextlib.contextmanager
def running(command: Sequence[str], core: int | None, log: Path) -> Iterator[int]:
    """Runs a server until the block ends; gives its id."""
    with log.open("wb") as output:
        child = start(core, command, output, log.parent)
        try:
            yield child.pid
        finally:
            _end(child)


def _end(child: Child) -> None:
    whole = tree(child.pid) if child.poll() is None else []
    child.terminate()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        for process in whole:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        child.wait()


def tree(pid: int) -> list[Path]:
    """The /proc folders of a process and its descendants."""
    found = [Path(f"/proc/{pid}")]
    for children in found[0].glob("task/*/children"):
        for child in children.read_text().split():
            found += tree(int(child))
    return found


def cpu(pid: int) -> float:
    """CPU seconds, user and system, of a process and its descendants."""
    return sum(_ticks(process) for process in tree(pid)) / os.sysconf("SC_CLK_TCK")


def _ticks(process: Path) -> int:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # utime and stime: proc(5)


def memory(pid: int) -> float:
    """Resident megabytes of a process and its descendants; shared pages count in each."""
    pages = sum(int((process / "statm").read_text().split()[1]) for process in tree(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Load(NamedTuple):
    """What wrk saw; times in milliseconds. `failed` counts answers that are not 2xx or 3xx, and broken sockets."""

    requests: int
    rate: float
    p50: float
    p99: float
    failed: int


def wrk(
    url: str,
    token: str,
    seconds: int,
    *,
    connections: int = 64,
    script: Path | None = None,
    field: str = "Authorization",
) -> Load:
    """Keep-alive connections from one thread, with the fields that a program's client sends. `script` is wrk's, in
    Lua; `field` is where the token is.
    """
    fields = {
        field: f"Bearer {token}",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) benchmark/1.0",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "X-Request-Id": "0b6f9a3c-4c2e-4d5e-9d1f-0a1b2c3d4e5f",
    }
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    if script is not None:
        command += ["-s", str(script)]
    for name, value in fields.items():
        command += ["-H", f"{name}: {value}"]
    child = start(REST_CORE, [*command, url], subprocess.PIPE)
    try:
        report, _ = child.communicate(timeout=seconds + 30)
    finally:
        _end(child)
    return _read(report.decode())


def _read(report: str) -> Load:
    def number(pattern: str, absent: str = "0") -> float:
        found = re.search(pattern, report)
        return float(found[1] if found else absent)

    def time(percent: int) -> float:
        found = re.search(rf"{percent}%\s+([\d.]+)([a-z]+)", report)
        return float(found[1]) * UNITS[found[2]] if found else float("nan")

    sockets = re.search(r"Socket errors: (.*)", report)
    broken = sum(map(int, re.findall(r"\d+", sockets[1]))) if sockets else 0
    failed = int(number(r"Non-2xx or 3xx responses: (\d+)")) + broken
    return Load(int(number(r"(\d+) requests in")), number(r"Requests/sec:\s+([\d.]+)"), time(50), time(99), failed)
