"""Whether clients notice changes under load: `scripts/benchmark rolling`.

wrk keeps 64 connections busy. First one gateway reloads changed plans again and again; then gateways take turns on one
listening socket, as a service manager hands it over: the next is ready before the last is stopped. Exit code 1 where
any request failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from rig.contestants import plangate
from rig.processes import Load, free_port, wrk
from rig.rounds import TARGET, Stage, patient, ready, stage

PAUSE = 0.5  # seconds between changes
TAKES_OVER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); "
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
)


def main() -> int:
    options = _options()
    with stage() as behind, socket.create_server(("127.0.0.1", 0), backlog=4096) as sock:
        port = sock.getsockname()[1]
        url = f"http://127.0.0.1:{port}{TARGET}"
        failed = 0
        for name, changes in (("reloads", _reloads), ("restarts", _restarts)):
            with changes(behind, sock, url) as change:
                seen, count = _beside(lambda: wrk(url, behind.token, options.secs), change)
            failed += seen.failed
            _tell_why(behind.folder)
            print(f"{count:4} {name} beside {seen.requests:,} requests, {seen.failed} failed", flush=True)
    return int(failed > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secs", type=int, default=20, help="of reloads, and as many of restarts (20)")
    return parser.parse_args()


def _beside(load: Callable[[], Load], change: Callable[[], None]) -> tuple[Load, int]:
    """What wrk saw, and how many changes there were meanwhile."""
    seen: list[Load] = []
    thread = threading.Thread(target=lambda: seen.append(load()))
    thread.start()
    count = 0
    while thread.is_alive():
        change()
        count += 1
        time.sleep(PAUSE)
    return seen[0], count


@contextlib.contextmanager
def _reloads(behind: Stage, sock: socket.socket, url: str) -> Iterator[Callable[[], None]]:
    with _gateway(behind, sock, url) as (_, admin):
        turn = [0]

        def reload() -> None:
            turn[0] += 1
            more = "".join(f"  more-{n}: {{plans: [bench], client_ids: [more-{n}]}}\n" for n in range(turn[0] % 7 + 1))
            (behind.folder / "plans" / "more.yaml").write_text("applications:\n" + more)
            request = urllib.request.Request(f"http://127.0.0.1:{admin}/reload", method="POST")
            answer = json.load(urllib.request.urlopen(request, timeout=60))
            if answer["status"] != "reloaded":
                raise SystemExit(f"not reloaded: {answer}")

        yield reload


@contextlib.contextmanager
def _restarts(behind: Stage, sock: socket.socket, url: str) -> Iterator[Callable[[], None]]:
    with contextlib.ExitStack() as last:
        last.enter_context(_gateway(behind, sock, url))

        def restart() -> None:
            following = contextlib.ExitStack()
            following.enter_context(_gateway(behind, sock, url))
            last.close()
            last.push(following.pop_all())

        yield restart


@contextlib.contextmanager
def _gateway(behind: Stage, sock: socket.socket, url: str) -> Iterator[tuple[int, int]]:
    """The process and admin port of one that is ready; at the end it drains, and must end well."""
    admin = free_port()
    words = {"port": str(sock.getsockname()[1]), "admin_port": str(admin), "workers": "2", "store": patient(behind)}
    command = plangate(behind.folder, {**behind.values, **words}, "shared")
    fd = sock.fileno()
    log = behind.folder / f"rolling-{admin}.out"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-c", TAKES_OVER, str(fd), *command],
            pass_fds=(fd,),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=behind.folder,
            env={**os.environ, "LISTEN_FDS": "1"},
        )
    try:
        _until_ready(admin, log)
        ready("plangate", url, behind.token, log)
        yield child.pid, admin
    finally:
        child.terminate()
        if code := child.wait(60):
            raise SystemExit(f"it ended with {code}:\n{_own(log)}")


def _until_ready(admin: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=2).close()
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"it is not ready:\n{_own(log)}")
        time.sleep(0.05)


def _tell_why(folder: Path) -> None:
    """Which answers were not good."""
    lines = (json.loads(line) for log in folder.glob("rolling-*.out") for line in log.open() if '"status":' in line)
    reasons = Counter((line["status"], line["reason"]) for line in lines if line["status"] >= 400)
    for (status, reason), times in reasons.items():
        print(f"     {times} times {status} {reason}", flush=True)
    for log in folder.glob("rolling-*.out"):
        log.unlink()


def _own(log: Path) -> str:
    """Its own log, without that of requests."""
    return "\n".join([line for line in log.read_text().splitlines() if '"request_id"' not in line][-20:])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
