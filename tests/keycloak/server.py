"""A Keycloak that lives as long as the test run: its process, its ports, its log."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx2

from gateway.devkit.certificates import Pair, ensure_certificates

from .distribution import Broken

START = (
    "start", "--optimized", "--cache=local", "--http-enabled=true", "--hostname-strict=false", "--http-host=127.0.0.1",
    "--http-port=0", "--https-port=0", "--http-management-port=0", "--http-management-scheme=http",
    "--log-level=info,io.smallrye.health:warn",
)  # fmt: skip
JAVA = "-Xms64m -Xmx768m -XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC"  # half the CPU in so short a life
LISTENING = re.compile(
    r"Listening on: (http://\S+) and (https://\S+)\. Management interface listening on (http://\S+)\."
)
PATIENCE = 180.0  # seconds to start; 20 on two cores
FAREWELL = 20.0  # seconds to stop; usually one


class Server(NamedTuple):
    """A running Keycloak. Its issuers begin with `url`, or `tls_url` for those who ask there; `username` administers
    it. `certificates` has the CA of its own certificate, and of the clients' that it knows.
    """

    process: subprocess.Popen[bytes]
    url: str
    tls_url: str
    certificates: Path
    username: str
    password: str
    log: Path

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes connections and answers none, as a server whose machine is stuck."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)


@contextmanager
def running(home: Path, folder: Path) -> Iterator[Server]:
    """Starts the Keycloak in `home` with its files in `folder`, and leaves no process behind. Raises Broken."""
    log = folder / "keycloak.log"
    username, password = "admin", secrets.token_urlsafe()
    certificates = ensure_certificates(folder / "certificates")
    process = launch(home, folder, log, username, password)
    try:
        url, tls_url = wait_ready(process, log)
        yield Server(process, url, tls_url, certificates, username, password, log)
    finally:
        stop(process)


def launch(home: Path, folder: Path, log: Path, username: str, password: str) -> subprocess.Popen[bytes]:
    """In a process group of its own, so that the script and its Java end together."""
    transactions = f"-Dquarkus.transaction-manager.object-store.directory={folder / 'transactions'}"
    environment = os.environ | {
        "KC_BOOTSTRAP_ADMIN_USERNAME": username,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
        "JAVA_OPTS_KC_HEAP": JAVA,
    }
    command = [home / "bin" / "kc.sh", transactions, *START, *tls(folder / "certificates")]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*tied("TERM"), *command], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def tied(signal: str) -> list[str]:
    """Before a command: has the kernel end it even if the test run is killed, where util-linux is installed."""
    return ["setpriv", "--pdeathsig", signal] if shutil.which("setpriv") else []


def tls(certificates: Path) -> list[str]:
    pair = Pair.at(certificates, "web")
    files = {"https-certificate-file": pair.cert, "https-certificate-key-file": pair.key}
    return [f"--{name}={path}" for name, path in {**files, "truststore-paths": certificates / "ca.pem"}.items()]


def wait_ready(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    """The server's URLs, which it tells in its log: it chooses the ports itself. Raises Broken."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Broken(f"Keycloak ended with {process.returncode}:\n{last_words(log)}")
        listening = LISTENING.search(log.read_text(errors="replace"))
        if listening and is_healthy(listening[3]):
            return listening[1], listening[2]
        time.sleep(0.1)
    raise Broken(f"Keycloak was not ready in {PATIENCE:.0f} s:\n{last_words(log)}")


def is_healthy(management: str) -> bool:
    try:
        return httpx2.get(f"{management}/health/ready", timeout=5).is_success
    except httpx2.TransportError:
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Politely first; then all of the group."""
    process.terminate()  # the script hands it on to Java
    with suppress(subprocess.TimeoutExpired):
        process.wait(FAREWELL)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_words(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
