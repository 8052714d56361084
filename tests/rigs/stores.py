"""Real Redis and Valkey servers that tests may hurt."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis import Redis, RedisError
from rigs.processes import free_address

from gateway.model import Address
from gateway.store.embedded import server_binary

PATIENCE = 20.0  # seconds for a server, or several, to come to a state
PR_SET_PDEATHSIG = 1


class Server:
    """A redis-server or valkey-server on a private socket, with what it needs to be hurt."""

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self.folder = folder
        self.password: str | None = None  # with which tests ask it
        self._command = [binary, *self._listening(), "--dir", folder, "--save", "", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    def start(self) -> Server:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent())  # noqa: PLW1509
        until_true(lambda: self._listens() or self._process.poll() is not None, f"{self} to start")
        assert self._process.poll() is None, f"{self} ended: {self._command}"
        return self

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a crash does."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def pause(self) -> None:
        """It hangs: connections stay, and nothing is answered."""
        self.signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        self.signal(signal.SIGCONT)
        self._paused = False

    def restart(self) -> None:
        """Killed, and there again: with its data, if it has written them."""
        self.kill()
        self.start()

    @property
    def alive(self) -> bool:
        """Whether it runs, and was not told to hang."""
        return self._process is not None and self._process.poll() is None and not self._paused

    def close(self) -> None:
        """Gone for good, whatever was done to it before."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command, on a connection of its own."""
        with self.client() as redis:
            return redis.execute_command(*command)

    def client(self, seconds: float = PATIENCE) -> Redis:
        path = str(self.socket)
        return Redis(unix_socket_path=path, password=self.password, decode_responses=True, socket_timeout=seconds)

    def is_primary(self) -> bool:
        """Whether it says so, and does so soon."""
        with suppress(RedisError), self.client(0.5) as redis:
            return bool(redis.execute_command("ROLE")[0] == "master")
        return False

    def _listening(self) -> list[str]:
        return ["--port", "0", "--unixsocket", str(self.socket)]

    def _listens(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            probe.connect(str(self.socket))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith((b"+PONG", b"-NOAUTH", b"-DENIED"))
        return False


class TcpServer(Server):
    """The same at a port of its own on this machine. `tls` are options that `Tls` gives."""

    def __init__(self, binary: Path, folder: Path, *options: str, tls: tuple[str, ...] = ()) -> None:
        self._tls = tls
        self.address = free_port()
        folder.mkdir(exist_ok=True)
        super().__init__(binary, folder, *tls, *options)
        self.url = f"{'rediss' if tls else 'redis'}://{self.address}"

    def __repr__(self) -> str:
        return f"<server at {self.address}>"

    def _listening(self) -> list[str]:
        port = str(self.address.port)
        ports = ["--port", "0", "--tls-port", port] if self._tls else ["--port", port]
        return ["--bind", "127.0.0.1", *ports, "--unixsocket", str(self.socket)]


class Tls:
    """A private CA, and the files of a server at 127.0.0.1 and of a client."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        authority = trustme.CA()
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "client.pem", folder / "client.key"
        authority.cert_pem.write_to_path(str(self.ca))
        self._server = folder / "server.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(self._server))
        client = authority.issue_cert("gateway")
        client.cert_chain_pems[0].write_to_path(str(self.cert))
        client.private_key_pem.write_to_path(str(self.key))

    def options(self, *, mutual: bool = False) -> tuple[str, ...]:
        """A redis-server's; `mutual`: clients need certificates too. Replicas and a cluster's bus use TLS as well."""
        files = {"cert-file": self._server, "key-file": self._server, "ca-cert-file": self.ca}
        words = {**files, "auth-clients": "yes" if mutual else "no", "replication": "yes"}
        return tuple(word for name, value in words.items() for word in (f"--tls-{name}", str(value)))


def binary_of(kind: str) -> Path:
    """The server of a kind, or skip; in CI its absence is a failure."""
    if kind == "valkey":
        return server_binary()
    found = shutil.which("redis-server")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    return Path(found)


def free_port() -> Address:
    """A free address of this machine."""
    host, _, port = free_address().rpartition(":")
    return Address(host, int(port))


def until_true(check: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `check` gives, once that is true. What it raises counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(Exception):
            if found := check():
                return found
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def die_with_parent() -> Callable[[], None]:
    """For a child to run before its program: so that it does not outlive a killed test."""
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
