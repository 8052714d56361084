"""Keycloak's distribution: had from Maven by its coordinates, built once, kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

VERSION = "26.7.3"  # runs on Java 17, which Debian 12 has
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
BUILD = (  # what Keycloak fixes when it is built, not when it starts
    "build", "--db=dev-mem", "--health-enabled=true", "--https-client-auth=request",
    "--https-management-client-auth=none",
)  # fmt: skip
NAME = f"keycloak-{VERSION}-{sha256(' '.join(BUILD).encode()).hexdigest()[:8]}"  # what is built otherwise is another
REFUSED = re.compile(r"(Could not|Failure to|Unable to) (find|transfer) artifact.*|No plugin found for prefix.*")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
DOWNLOAD = 600.0  # seconds; it is 170 MB
AUGMENT = 900.0  # seconds; 25 on two cores that do nothing else


class ToolMissing(Exception):
    """A program that Keycloak needs is not installed."""


class Refused(Exception):
    """The registry does not hand the distribution out."""


class Broken(Exception):
    """Keycloak could be had and does not build or start."""


def default_cache() -> Path:
    """Outside the checkout, so that every checkout shares one Keycloak."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plangate"


def install(cache: Path) -> Path:
    """The folder of a Keycloak that can start; made by the first run, for which others at the same time wait.

    Raises ToolMissing, Refused or Broken.
    """
    require("java", package="default-jre-headless")
    home = cache / NAME
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{home.name}.lock"):
        if not home.exists():
            build_aside(home)
    return home


def require(program: str, *, package: str) -> None:
    if shutil.which(program) is None:
        raise ToolMissing(f"Keycloak needs `{program}`: apt-get install {package}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits for other processes; the lock dies with its process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_aside(home: Path) -> None:
    """All or nothing: `home` appears when everything in it is ready."""
    aside = home.with_name(f"{home.name}.part")
    shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
    aside.mkdir()
    try:
        unpacked = unpack(aside)
        run([unpacked / "bin" / "kc.sh", *BUILD], unpacked, AUGMENT)
        unpacked.rename(home)
    finally:
        shutil.rmtree(aside)


def unpack(folder: Path) -> Path:
    """The distribution as published, in `folder`."""
    require("mvn", package="maven")
    maven = ["mvn", "--batch-mode", "--quiet", "--update-snapshots", "dependency:unpack"]
    try:
        run([*maven, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"], folder, DOWNLOAD)
    except Broken as error:
        if refusal := REFUSED.search(str(error)):
            raise Refused(f"Keycloak {VERSION} cannot be had: {refusal[0]}") from error
        raise
    return folder / f"keycloak-{VERSION}"


def run(command: list[str | Path], folder: Path, seconds: float) -> None:
    """Raises Broken with the program's last words."""
    try:
        subprocess.run(
            command, cwd=folder, timeout=seconds, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise Broken(f"{error}\n{COLOURS.sub('', error.stdout)}") from error
    except subprocess.TimeoutExpired as error:
        raise Broken(str(error)) from error
