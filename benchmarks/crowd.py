"""Whether those who misbehave are felt by those who do not: `scripts/benchmark crowd`.

One worker of the gateway, or more on one core, serves a good client's requests at a fixed rate: alone, then beside each
kind of rogue (see rig/rogues.py) and beside all of them. Shown are the good client's times and what the gateway's
processes hold; at the end the rogues are gone, and so should be what they took. Exit code 1 where a good one failed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rig.material import render
from rig.paced import Latencies, paced
from rig.processes import GATEWAY_CORE, REST_CORE, free_port, memory, prefer, raise_files, running, tree
from rig.rogues import head
from rig.rounds import Stage, ready, stage

PATH = "/api/v1/items"
LARGE = 2 * 1024 * 1024  # bytes, more than the sockets of both sides hold
GATHER = 12.0  # seconds until rogues are all there, and are cut for the first time
BEHIND = 10  # rogues have what the good client and the services leave them of their core
LEAVE = 15.0  # seconds after which nothing is left of them


def main() -> int:
    options = _options()
    crowds = {
        "nobody": [],
        "slow": [("slow", options.count)],
        "readers": [("readers", options.count // 20)],
        "resets": [("resets", options.count // 20)],
        "hung": [("hung", options.count // 20)],
    }
    crowds["all of them"] = [rogue for some in crowds.values() for rogue in some]
    failed = 0
    if (files := raise_files(4 * options.count)) * options.workers < 3 * options.count:
        print(f"{files} files may be open: too few for {options.count} clients; see ulimit -n", file=sys.stderr)
    prefer(os.getpid())
    with stage() as behind, _gateway(behind, options.workers) as (process, port):
        print(f"{'beside':14}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'worst':>9}{'failed':>8}{'MB':>8}{'files':>8}")
        for name, rogues in crowds.items():
            with _rogues(rogues, port, behind):
                time.sleep(GATHER if rogues else 1.0)
                seen = good(port, behind.token, options)
                _show(name, seen, process)
                failed += seen.failed
        time.sleep(LEAVE)
        seen = good(port, behind.token, options)
        _show("nobody again", seen, process)
    return int(failed + seen.failed > 0)


def good(port: int, token: str, options: argparse.Namespace) -> Latencies:
    """What the good client sees."""
    return asyncio.run(paced("127.0.0.1", port, head(PATH, token), rate=options.rate, seconds=options.secs))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="slow clients; of the others a part (10000)")
    parser.add_argument("--workers", type=int, default=1, help="of the gateway, each with its open files (1)")
    parser.add_argument("--rate", type=float, default=300.0, help="good requests a second (300)")
    parser.add_argument("--secs", type=float, default=20.0, help="of each measurement (20)")
    return parser.parse_args()


class _Silent(socketserver.BaseRequestHandler):
    """Takes a connection and what is sent, and says nothing."""

    def handle(self) -> None:
        while self.request.recv(65536):
            pass


@contextlib.contextmanager
def _silence() -> Iterator[int]:
    """A service that never answers; gives its port."""
    socketserver.ThreadingTCPServer.daemon_threads = True
    socketserver.ThreadingTCPServer.request_queue_size = 1024
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextlib.contextmanager
def _gateway(behind: Stage, workers: int) -> Iterator[tuple[int, int]]:
    """The process id and port of a gateway that is ready."""
    port, admin = free_port(), free_port()
    (behind.folder / "large").write_bytes(bytes(LARGE))
    with _silence() as hung, tempfile.TemporaryDirectory(dir=behind.folder) as plans:
        values = {**behind.values, "port": str(port), "admin_port": str(admin), "hung_port": str(hung)}
        values["workers"] = str(workers)
        render("crowd/plans.yaml", Path(plans) / "plans.yaml", values)
        command = [sys.executable, "-m", "gateway", "run", plans]
        with running(command, GATEWAY_CORE, behind.folder / "crowd.out") as process:
            ready("plangate", f"http://127.0.0.1:{port}{PATH}", behind.token, behind.folder / "crowd.out")
            yield process, port


@contextlib.contextmanager
def _rogues(rogues: list[tuple[str, int]], port: int, behind: Stage) -> Iterator[None]:
    script = Path(__file__).parent / "rig" / "rogues.py"
    with contextlib.ExitStack() as stack:
        for kind, count in rogues:
            command = [sys.executable, str(script), kind, str(port), str(count), behind.token]
            prefer(stack.enter_context(running(command, REST_CORE, behind.folder / f"{kind}.out")), BEHIND)
        yield


def _show(name: str, seen: Latencies, process: int) -> None:
    files = sum(len(list((one / "fd").iterdir())) for one in tree(process))
    times = f"{seen.p50:9.2f}{seen.p99:9.2f}{seen.p999:10.2f}{seen.worst:9.1f}{seen.failed:8}"
    print(f"{name:14}{times}{memory(process):8.1f}{files:8}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, subprocess.SubprocessError):
        sys.exit(130)
