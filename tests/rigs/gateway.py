"""A gateway as a user starts it: its processes, what clients and operators see of it, and what it prints."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import httpx2
import psutil
from rigs.processes import MARK, free_address, is_marked, kill, lives
from rigs.waiting import PATIENCE, until

GATEWAY = """
version: 1
gateway:
  listen: "${LISTEN}"
  admin: "${ADMIN}"
  data: "${DATA}"
  drain: {timeout: 10s, delay: "${DELAY:-0s}"}
  workers: "${WORKERS:-1}"
  store: {url: "${STORE}", timeout: "${STORE_TIMEOUT}", fence: "${STORE_FENCE:-2s}"}
identity:
  keycloak: {oidc: {issuer: "${ISSUER}", audience: [gateway]}}
"""


class Gateway:
    """One that runs `gateway run` over `files` in a folder of its own; started again, it goes on with its data."""

    def __init__(self, folder: Path, files: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.mark = uuid.uuid4().hex
        self.listen, self.admin = free_address(), free_address()
        self.url = f"http://{self.listen}"
        self.secrets: set[str] = set()  # that it was shown, and must tell nobody
        self.environment = {"LISTEN": self.listen, "ADMIN": self.admin, "DATA": str(folder / "data"), **environment}
        self.plans = folder / f"plans-{self.mark}"
        self._printed = folder / f"stdout-{self.mark}", folder / f"stderr-{self.mark}"
        self.inherits: socket.socket | None = None  # as from a service manager
        self._terminal: int | None = None
        self._process: Process | None = None
        self._seen: set[psutil.Process] = set()
        self._http = httpx2.AsyncClient(base_url=self.url, trust_env=False, verify=False, timeout=30)
        self._admin = httpx2.AsyncClient(base_url=f"http://{self.admin}", trust_env=False, verify=False, timeout=5)
        self.configure(*files)

    def configure(self, *files: str) -> None:
        """Write the plans; those that were there are gone."""
        self.plans.mkdir(exist_ok=True)
        for old in self.plans.iterdir():
            old.unlink()
        servers = self.environment.get("STORE_KEYS")  # in place of a URL
        own = GATEWAY if servers is None else GATEWAY.replace('url: "${STORE}"', servers)
        for number, text in enumerate((own, *files)):
            (self.plans / f"{number}.yaml").write_text(text)

    # --- life

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    @property
    def supervisor(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    @property
    def workers(self) -> list[psutil.Process]:
        return [p for p in self.processes() if "gateway.app" in p.cmdline()]

    @property
    def worker(self) -> psutil.Process:
        (worker,) = self.workers
        return worker

    @property
    def store(self) -> psutil.Process:
        """The embedded one."""
        return next(p for p in self.processes() if "valkey" in p.name())

    def processes(self) -> list[psutil.Process]:
        """All of them that live: what bears the mark, and children seen before (a store overwrites its environment)."""
        with suppress(psutil.NoSuchProcess):
            self._seen.update(self.supervisor.children(recursive=True))
        self._seen.update(process for process in psutil.process_iter() if is_marked(process, self.mark))
        return [process for process in self._seen if lives(process)]

    async def start(self, *, missing: str = "") -> Gateway:
        """Until it is ready, or says that only what starts with `missing` keeps it from that."""
        await self.launch()

        async def up() -> bool:
            assert self.process.returncode is None, f"it ended with exit code {self.process.returncode}: {self.told()}"
            with suppress(httpx2.TransportError):
                said = await self.missing()
                return said == [] if not missing else bool(said) and all(one.startswith(missing) for one in said)
            return False

        await until(up)
        self.processes()  # seen, so that none can be left behind
        return self

    def inherit(self, sock: socket.socket) -> None:
        """Have it served by what starts after this, as from a service manager that keeps it open."""
        self.inherits = sock
        self.listen = self.environment["LISTEN"] = "{}:{}".format(*sock.getsockname())
        self.url = f"http://{self.listen}"
        self._http.base_url = self.url

    def in_terminal(self) -> int:
        """Have it started in a terminal of its own, which is closed with this descriptor."""
        terminal, self._terminal = os.openpty()
        return terminal

    async def launch(self) -> None:
        """Only that: it may well refuse to start."""
        stdout, stderr = self._printed
        with stdout.open("ab") as out, stderr.open("ab") as err:
            self._process = await asyncio.create_subprocess_exec(
                *activation(self.inherits),
                *(sys.executable, "-m", "gateway", "run", str(self.plans)),
                env={**os.environ, **self.environment, MARK: self.mark},
                pass_fds=() if self.inherits is None else (self.inherits.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=self._terminal is None,
                preexec_fn=None if self._terminal is None else functools.partial(control, self._terminal),
            )
            if self._terminal is not None:
                os.close(self._terminal)

    async def ended(self) -> int:
        """Its exit code, once nothing of it is left."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
        await until(lambda: not self.processes())
        return code

    async def stop(self) -> int:
        """As an orchestrator does."""
        self.process.terminate()
        return await self.ended()

    def interrupt(self) -> None:
        """As Ctrl-C in the terminal that started it."""
        os.killpg(self.process.pid, signal.SIGINT)

    async def close(self) -> None:
        """The end of the test: nothing of it goes on, and it told no secret."""
        await self._http.aclose()
        await self._admin.aclose()
        if self._process is not None:
            assert await self._end() == [], "processes were left behind"
        assert [secret for secret in self.secrets if secret in self.told()] == []

    async def _end(self) -> list[psutil.Process]:
        """What had to be killed because it did not end."""
        with suppress(TimeoutError, AssertionError, ProcessLookupError):
            await self.stop()
        left = self.processes()
        for process in left:
            kill(process)
        await self.process.wait()
        return left

    async def command(self, *arguments: str, stdin: IO[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Another run of the command, in the same environment."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", *arguments),
            env={**os.environ, **self.environment, "COLUMNS": "200"},
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode or 0, out.decode(), err.decode())

    # --- as a client

    async def get(self, path: str = "/orders", token: str | None = None, key: str | None = None, **headers: str) -> Any:
        """In headers' names `_` stands for a dash."""
        return await self.request("GET", path, token, key, **headers)

    async def request(
        self, method: str, path: str, token: str | None = None, key: str | None = None, **headers: str
    ) -> httpx2.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if key is not None:
            fields["X-Api-Key"] = key
        self.secrets |= {secret for secret in (token, key) if secret}
        return await self._http.request(method, path, headers=fields)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection of one's own."""
        host, _, port = self.listen.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def head(self, token: str, path: str = "/orders", *lines: str, method: str = "GET") -> bytes:
        """A request's head, for a connection of one's own."""
        self.secrets.add(token)
        fields = (f"{method} {path} HTTP/1.1", f"Host: {self.listen}", f"Authorization: Bearer {token}", *lines)
        return "".join(f"{field}\r\n" for field in (*fields, "")).encode()

    # --- as an operator

    async def readyz(self) -> httpx2.Response:
        return await self._admin.get("/readyz")

    async def missing(self) -> list[str]:
        """What keeps it from being ready."""
        missing: list[str] = (await self.readyz()).json().get("missing", [])
        return missing

    async def is_ready(self) -> bool:
        return await self.missing() == []

    async def reload(self) -> httpx2.Response:
        return await self._admin.post("/reload", timeout=60)

    async def metrics(self) -> str:
        return (await self._admin.get("/metrics")).text

    async def metric(self, name: str) -> float:
        """The sum of all series of that name, or the one that `name` gives with its labels; 0 where there is none."""
        lines = (line.rpartition(" ") for line in (await self.metrics()).splitlines())
        return sum(float(value) for series, _, value in lines if name in (series, series.partition("{")[0]))

    def told(self) -> str:
        """Everything that it has printed."""
        return "".join(path.read_text() for path in self._printed if path.exists())

    def errors(self) -> str:
        """What it has printed on stderr."""
        return self._printed[1].read_text()

    def log(self) -> list[dict[str, Any]]:
        """Its own log."""
        return [json.loads(line) for line in whole_lines(self._printed[1])]

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in whole_lines(self._printed[0])]

    async def logged(self, answer: httpx2.Response) -> dict[str, Any]:
        """The access log's line of an answer."""
        name = answer.headers["x-request-id"]
        lines = await until(lambda: [line for line in self.access_log() if line["request_id"] == name])
        assert len(lines) == 1
        line: dict[str, Any] = lines[0]
        return line

    async def said(self, text: str) -> dict[str, Any]:
        """The first line of its log with this in its message, once it is there."""
        lines = await until(lambda: [line for line in self.log() if text in line["message"]], f"a line with {text!r}")
        line: dict[str, Any] = lines[0]
        return line


def control(terminal: int) -> None:
    """Make it the terminal of this new process."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def activation(sock: socket.socket | None) -> list[str]:
    """What to run a command with, so that it gets a listening socket as from systemd (sd_listen_fds(3))."""
    if sock is None:
        return []
    code = (
        f"import os, sys; os.dup2({sock.fileno()}, 3); "
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", code]


def whole_lines(path: Path) -> list[str]:
    """Without one that is still being written."""
    return path.read_text().split("\n")[:-1]
